"""Selectors read what Kubernetes reads, and refuse what it refuses."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmcenter.core.errors import InvalidField
from gmcenter.inventory.selectors import FieldTerm, Requirement, parse_fields, parse_labels

# The examples of k8s.io/apimachinery/pkg/labels/selector_test.go, and what they mean.
GOOD = [
    ("", ()),
    ("x=a,y=b,z=c", (Requirement("x", "in", ("a",)), Requirement("y", "in", ("b",)), Requirement("z", "in", ("c",)))),
    ("x!=a,y=b", (Requirement("x", "notin", ("a",)), Requirement("y", "in", ("b",)))),
    ("x=", (Requirement("x", "in", ("",)),)),
    ("x= ", (Requirement("x", "in", ("",)),)),
    ("x=,z= ", (Requirement("x", "in", ("",)), Requirement("z", "in", ("",)))),
    ("x>1", (Requirement("x", "gt", ("1",)),)),
    ("x<1", (Requirement("x", "lt", ("1",)),)),
    ("x>1,z<5", (Requirement("x", "gt", ("1",)), Requirement("z", "lt", ("5",)))),
    ("x == a", (Requirement("x", "in", ("a",)),)),
    ("key", (Requirement("key", "exists"),)),
    ("!key", (Requirement("key", "!exists"),)),
    ("! key , other", (Requirement("key", "!exists"), Requirement("other", "exists"))),
    ("x in (abc)", (Requirement("x", "in", ("abc",)),)),
    ("x in (b, a ,c)", (Requirement("x", "in", ("a", "b", "c")),)),
    ("x notin (a,b),y", (Requirement("x", "notin", ("a", "b")), Requirement("y", "exists"))),
    ("x in (a,,b)", (Requirement("x", "in", ("", "a", "b")),)),
    ("x in ()", (Requirement("x", "in", ("",)),)),
    ("in in (in)", (Requirement("in", "in", ("in",)),)),
    ("app.kubernetes.io/name=web", (Requirement("app.kubernetes.io/name", "in", ("web",)),)),
]
BAD = [
    "x=a||y=b", "x==a==b", "!x=a", "x<a", "x>", "x in", "x in (a", "x in a", "x in (a,b", ",", "x,", ",x", "x,,y",
    "x=a,", "=a", "x in (a) y", "/x", "x/", "a/b/c", "UPPER.example.com/x", "-x", "x=-a", "x=a b", "(x)", "x = a = b",
    "x" * 64, "x=" + "a" * 64, "a" * 254 + "/x", "x;y", "x='a'", "키=값", "x\0", "x in (a" * 1000,
]  # fmt: skip


@pytest.mark.parametrize(("text", "terms"), GOOD)
def test_a_label_selector_means_what_kubernetes_says(text: str, terms: tuple[Requirement, ...]) -> None:
    assert parse_labels(text) == terms


@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20].encode("ascii", "backslashreplace").decode())
def test_a_label_selector_that_kubernetes_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_labels(text)
    assert caught.value.field == "labelSelector"
    assert "{" not in caught.value.message("en") + caught.value.message("ko")


@given(st.text(alphabet="ab1/.-_=!<>(), in", max_size=30) | st.text(max_size=20))
def test_no_text_does_anything_else_than_parse_or_be_refused(text: str) -> None:
    for parse in (parse_labels, parse_fields):
        with contextlib.suppress(InvalidField):
            assert isinstance(parse(text), tuple)


def test_a_missing_label_satisfies_what_forbids_it_and_nothing_else() -> None:
    holding = {
        text: all(term.holds({}) for term in parse_labels(text)) for text in ("x=a", "x!=a", "x", "!x", "x in (a)")
    }
    assert holding == {"x=a": False, "x!=a": True, "x": False, "!x": True, "x in (a)": False}
    assert parse_labels("x notin (a)")[0].holds({})
    assert not parse_labels("x>1")[0].holds({"x": "a"})
    assert parse_labels("x>1")[0].holds({"x": "10"})


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("a=b", (FieldTerm("a", "b", True),)),
        ("a==b,c!=d", (FieldTerm("a", "b", True), FieldTerm("c", "d", False))),
        ("status.phase=", (FieldTerm("status.phase", "", True),)),
        (r"a=x\,y,b=p\=q,c=\\", (FieldTerm("a", "x,y", True), FieldTerm("b", "p=q", True), FieldTerm("c", "\\", True))),
        ("a=b,,c=d,", (FieldTerm("a", "b", True), FieldTerm("c", "d", True))),
    ],
)
def test_a_field_selector_means_what_kubernetes_says(text: str, terms: tuple[FieldTerm, ...]) -> None:
    assert parse_fields(text) == terms


@pytest.mark.parametrize("text", ["a", "=a", "a=b=c", r"a=\x", "a=b\\", "a>1", ",a", "a=" + "b" * 5000])
def test_a_field_selector_that_kubernetes_refuses_is_refused(text: str) -> None:
    with pytest.raises(InvalidField) as caught:
        parse_fields(text)
    assert caught.value.field == "fieldSelector"
