"""Lists: every filter, sort and page against a plain model; scopes never leak; indexes carry every sort."""

from __future__ import annotations

import contextlib
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gmcenter.core.errors import GMError, InvalidField, UnknownParameter
from gmcenter.core.paging import encode_cursor
from gmcenter.identity.scope import EVERYTHING, NOTHING, Scope
from gmcenter.inventory import filters, query
from gmcenter.inventory.order import Place, make_order
from gmcenter.inventory.query import Found, ListQuery, find_page
from gmcenter.inventory.schema import KindTable, ratio_number
from gmcenter.inventory.scopes import Limits
from gmcenter.inventory.selectors import parse_labels
from gmcenter.inventory.store import Row
from gmcenter.kube.kinds import ColumnType
from tests.support.inventory import CLUSTERS, NAMESPACES, THING, Inventory, row, rows, wipe

TABLE = KindTable(THING)
SORTABLE = [field.key for field in TABLE.fields.values() if field.sortable]
SORTS = st.sampled_from([sign + key for key in SORTABLE for sign in ("", "-")])
SELECTORS = (
    "app=web",
    "app!=web",
    "app in (web,db),tier",
    "!app",
    "tier>1",
    "tier<10",
    "app notin (db)",
    "example.com/mark=",
)
SEARCHES = (
    "web",
    "WEB-1",
    "alpha",
    "east",
    "crash web",
    "엡실론",
    "del%ta",
    "gamma_1",
    "two",
    "zeta\\eta",
    "nowhere",
    "é",
)
COLUMNS: tuple[tuple[str, str], ...] = (
    ("text", "ta"),
    ("text", "=alpha,Beta"),
    ("text", "!=alpha"),
    ("text", "L%T"),
    ("number", ">0"),
    ("number", "-1..2"),
    ("number", "!=1"),
    ("real", "<=0.1"),
    ("flag", "true"),
    ("tags", "=alpha"),
    ("tags", "amm"),
    ("moment", ">=1700000000"),
    ("size", "1Ki"),
    ("ready", "/1"),
    ("status", "=Running,Pending"),
    ("state", "bad,warn"),
    ("cluster", "EAST"),
    ("namespace", "o"),
    ("project", "pro"),
)
PROJECTS = {"one": ("project-a", "space-1", "kim"), "two": ("project-b", "space-1", None)}
QUERIES = st.builds(
    ListQuery,
    kind=st.just("things"),
    clusters=st.sampled_from([(), (), ("east",), ("West", "far-north"), ("nowhere",)]),
    namespace=st.sampled_from([None, None, None, "one", "elsewhere"]),
    project=st.sampled_from([None, None, None, None, "project-a"]),
    workspace=st.sampled_from([None, None, None, None, "space-1"]),
    user=st.sampled_from([None, None, None, None, "kim"]),
    q=st.none() | st.sampled_from(SEARCHES),
    label_selector=st.none() | st.sampled_from(SELECTORS),
    field_selector=st.sampled_from([None, None, None, "spec.text=alpha", "metadata.namespace!=one,number=1"]),
    filters=st.lists(st.sampled_from(COLUMNS), max_size=2).map(dict),
    sort=SORTS,
    limit=st.integers(1, 4),
)
ROWS = st.dictionaries(
    st.sampled_from(sorted(CLUSTERS)),
    st.lists(rows(st.uuids().map(str), st.just(1)), max_size=9, unique_by=lambda one: one.uid),
    max_size=3,
)
MANY = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


def ask(inventory: Inventory, asked: ListQuery, scope: Scope = EVERYTHING) -> Found:
    """One page."""
    return inventory.readers.run_now(lambda db: find_page(db, inventory.store.schema, scope, asked))


def walk(inventory: Inventory, asked: ListQuery, scope: Scope = EVERYTHING) -> list[list[dict[str, Any]]]:
    """All pages from the first to the last."""
    pages, cursor = [], None
    while True:
        page = ask(inventory, replace(asked, cursor=cursor), scope)
        assert (page.previous is not None) == bool(cursor and page.rows)
        pages.append(page.rows)
        if page.next is None:
            return pages
        cursor = page.next


def walk_back(inventory: Inventory, asked: ListQuery, scope: Scope = EVERYTHING) -> list[list[dict[str, Any]]]:
    """All pages from the last to the first."""
    page = ask(inventory, asked, scope)
    while page.next is not None:
        page = ask(inventory, replace(asked, cursor=page.next), scope)
    pages = [page.rows]
    while page.previous is not None:
        page = ask(inventory, replace(asked, cursor=page.previous), scope)
        pages.append(page.rows)
    return pages


# --- the model ---


def fold(text: str) -> str:
    """Lower case for ASCII letters only, as both databases do it."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def value_of(cluster: str, one: Row, key: str) -> Any:
    """What a row shows in a column."""
    owned = PROJECTS.get(one.namespace, (None, None, None))
    common = {
        "name": one.name,
        "cluster": cluster,
        "namespace": one.namespace,
        "project": owned[0],
        "workspace": owned[1],
        "user": owned[2],
        "status": one.status,
        "createAt": one.created,
    }
    if key in common:
        return common[key]
    return one.values[[column.key for column in THING.columns].index(key)]


def fits(cluster: str, one: Row, key: str, text: str) -> bool:
    """Whether a column's filter lets a row through."""
    if key == "state":
        return one.state in text.split(",")
    value = value_of(cluster, one, key)
    kind = TABLE.fields[key].type
    if kind in filters.NUMBERS:
        if text == "!=1":
            return bool(value != 1)
        if value is None:
            return False
        low, _, high = text.partition("..")
        if high:
            return bool(int(low) <= value <= int(high))
        if text == "1Ki":
            return bool(value == 1024)
        operator, bound = re.fullmatch(r"([<>]=?)(.+)", text).groups()  # type: ignore[union-attr]
        return bool(eval(f"{value} {operator} {bound}"))
    if kind is ColumnType.BOOL:
        return value is True
    if kind is ColumnType.TAGS:
        return any(text[1:] == tag for tag in value) if text[0] == "=" else any(text in tag for tag in value)
    if text.startswith("!="):
        return value not in text[2:].split(",")
    if text.startswith("="):
        return value in text[1:].split(",")
    return value is not None and fold(text) in fold(value)


def matches(cluster: str, one: Row, asked: ListQuery) -> bool:
    """Whether a query lets a row through."""
    owned = PROJECTS.get(one.namespace, (None, None, None))
    wanted = (asked.project, asked.workspace, asked.user)
    if asked.clusters and cluster not in asked.clusters:
        return False
    if asked.namespace and one.namespace != asked.namespace:
        return False
    if any(value and value != has for value, has in zip(wanted, owned, strict=True)):
        return False
    texts = [
        one.name,
        one.namespace,
        one.status,
        *one.labels.values(),
        one.values[0] or "",
        one.values[8] or "",
        *one.values[6],
    ]
    for word in (asked.q or "").casefold().split():
        if not any(word in text.casefold() for text in texts) and fold(word) not in fold(cluster):
            return False
    if any(not term.holds(one.labels) for term in parse_labels(asked.label_selector or "")):
        return False
    if asked.field_selector == "spec.text=alpha" and one.values[0] != "alpha":
        return False
    if asked.field_selector and "number" in asked.field_selector and (one.namespace == "one" or one.values[1] != 1):
        return False
    return all(fits(cluster, one, key, text) for key, text in asked.filters.items())


def sort_key(cluster: str, one: Row, key: str) -> Any:
    value = value_of(cluster, one, key)
    if value is None or value == []:
        return None
    if TABLE.fields[key].type is ColumnType.RATIO:
        return ratio_number(value)
    if TABLE.fields[key].type is ColumnType.TAGS:
        return "[" + ",".join('"' + tag.replace("\\", "\\\\") + '"' for tag in value) + "]"
    return value.encode() if isinstance(value, str) else value


def fill(inventory: Inventory, given_rows: dict[int, list[Row]]) -> None:
    wipe(inventory.store)
    inventory.fill({cluster: given_rows.get(cluster, []) for cluster in CLUSTERS})
    for name, owned in PROJECTS.items():
        inventory.store._db.run(
            "update namespace set project = ?, workspace = ?, owner = ? where name = ?", (*owned, name)
        )


def check_pages(inventory: Inventory, given_rows: dict[int, list[Row]], asked: ListQuery, scope: Scope) -> None:
    """Pages hold each matching row once, in order, and are the same from both sides."""
    visible = inventory.readers.run_now(lambda db: db.rows("select id, cluster, name from namespace"))
    seen = {(cluster, name) for number, cluster, name in visible if scope.everything or number in scope.namespace_ids}
    wanted = {
        (CLUSTERS[cluster], one.uid): one
        for cluster, found in given_rows.items()
        for one in found
        if (cluster, one.namespace) in seen and matches(CLUSTERS[cluster], one, asked)
    }
    pages = walk(inventory, asked, scope)
    found = [(shown["cluster"], shown["uid"]) for page in pages for shown in page]
    assert sorted(found) == sorted(wanted)
    assert all(len(page) == asked.limit for page in pages[:-1])
    key = (asked.sort or "").removeprefix("-")
    keys = [sort_key(cluster, wanted[cluster, uid], key) for cluster, uid in found]
    held = [one for one in keys if one is not None]
    assert keys == held + [None] * (len(keys) - len(held))
    assert held == sorted(held, reverse=(asked.sort or "").startswith("-"))
    assert walk_back(inventory, asked, scope) == pages[::-1]
    count = ask(inventory, asked, scope).count
    if count.exact:
        assert count.value == len(wanted)
    else:
        assert count.value < len(wanted)
    for shown in (one for page in pages for one in page):
        one = wanted[shown["cluster"], shown["uid"]]
        for name in SORTABLE:
            assert shown[name] == value_of(shown["cluster"], one, name)


SCOPES = st.none() | st.sets(st.sampled_from(NAMESPACES))


@pytest.mark.parametrize("most", [filters.COUNT_LIMIT, 2], ids=["sorted", "walked"])
def test_pages_hold_each_matching_row_once_in_order_in_both_directions(
    inventory: Inventory, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With so few rows all are sorted; a limit of two makes nearly every query walk an index, as large ones do."""
    monkeypatch.setattr(query, "COUNT_LIMIT", most)
    monkeypatch.setattr(filters, "COUNT_LIMIT", most)

    @MANY
    @given(ROWS, st.lists(QUERIES, min_size=1, max_size=4), SCOPES)
    def check(given_rows: dict[int, list[Row]], asked: list[ListQuery], names: set[str] | None) -> None:
        fill(inventory, given_rows)
        scope = EVERYTHING if names is None else Scope(False, inventory.namespace_ids(*names), 1)
        for one in asked:
            check_pages(inventory, given_rows, one, scope)

    check()


def test_many_labels_and_long_lists_of_values_are_understood(inventory: Inventory) -> None:
    found = [row(str(number), labels={"n": str(number), "odd": str(number % 2)}) for number in range(40)]
    inventory.fill({1: found})
    values = ",".join(str(number) for number in range(0, 40, 2))
    assert ask(inventory, ListQuery("things", label_selector=f"n in ({values})")).count.value == 20
    assert ask(inventory, ListQuery("things", label_selector=f"n notin ({values}),odd=1")).count.value == 20
    assert ask(inventory, ListQuery("things", label_selector="n,odd=0,n>9")).count.value == 15


# --- scopes ---


def test_a_scope_of_nothing_sees_nothing(inventory: Inventory) -> None:
    inventory.fill({1: [row("u1")]})
    page = ask(inventory, ListQuery("things"), NOTHING)
    assert (page.rows, page.count.value, page.next) == ([], 0, None)


def test_rows_without_a_namespace_are_for_those_who_see_everything(inventory: Inventory) -> None:
    inventory.fill({1: [row("u1"), row("u2", namespace="")]})
    some = Scope(False, inventory.namespace_ids("one"), 1)
    assert [found["uid"] for found in ask(inventory, ListQuery("things"), some).rows] == ["u1"]
    assert len(ask(inventory, ListQuery("things")).rows) == 2


def test_a_scope_of_thousands_of_namespaces_is_one_parameter(inventory: Inventory) -> None:
    inventory.fill({1: [row(str(number), namespace=f"ns-{number}") for number in range(300)]})
    ids = {number for (number,) in inventory.readers.run_now(lambda db: db.rows("select id from namespace"))}
    scope = Scope(False, frozenset(sorted(ids)[:150]) | frozenset(range(1, 40_000)), 1)
    assert ask(inventory, ListQuery("things", sort="-namespace"), scope).count.value == 150


# --- cursors ---


def some_pages(inventory: Inventory) -> Found:
    inventory.fill({1: [row(str(number)) for number in range(9)]})
    return ask(inventory, ListQuery("things", limit=3))


def test_a_cursor_that_was_touched_is_refused(inventory: Inventory) -> None:
    cursor = some_pages(inventory).next
    assert cursor is not None
    for at in range(0, len(cursor), 7):
        touched = cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        with pytest.raises(InvalidField) as caught:
            ask(inventory, ListQuery("things", limit=3, cursor=touched))
        assert caught.value.field == "cursor"


@pytest.mark.parametrize(
    "other",
    [
        {"sort": "-name"},
        {"q": "a"},
        {"namespace": "one"},
        {"label_selector": "app"},
        {"filters": {"text": "a"}},
        {"kind": "widgets"},
    ],
    ids=lambda other: next(iter(other)),
)
def test_a_cursor_of_another_query_is_refused(inventory: Inventory, other: dict[str, Any]) -> None:
    cursor = some_pages(inventory).next
    with pytest.raises(InvalidField) as caught:
        ask(inventory, replace(ListQuery("things", limit=3, cursor=cursor), **other))
    assert caught.value.reason == "cursor_other"


def test_a_cursor_gives_no_one_more_than_their_scope(inventory: Inventory) -> None:
    inventory.fill({1: [row(str(number), namespace="one" if number % 2 else "two") for number in range(9)]})
    cursor = ask(inventory, ListQuery("things", limit=3)).next
    some = Scope(False, inventory.namespace_ids("one"), 1)
    found = ask(inventory, ListQuery("things", limit=3, cursor=cursor), some).rows
    assert {one["namespace"] for one in found} == {"one"}


def test_a_page_may_be_as_long_as_a_cursor_was_not(inventory: Inventory) -> None:
    cursor = some_pages(inventory).next
    assert len(ask(inventory, ListQuery("things", limit=500, cursor=cursor)).rows) == 6


def test_long_texts_do_not_make_long_cursors(inventory: Inventory) -> None:
    inventory.fill({1: [row(str(number), text="엡" * 3000 + str(number)) for number in range(5)]})
    asked = ListQuery("things", sort="text", limit=2)
    first = ask(inventory, asked)
    assert first.next is not None
    assert len(first.next) < 300
    assert [one["uid"] for page in walk(inventory, asked) for one in page] == ["0", "1", "2", "3", "4"]
    inventory.store.apply(1, THING, [], ["1"])
    with pytest.raises(InvalidField) as caught:
        ask(inventory, replace(asked, cursor=first.next))
    assert caught.value.reason == "cursor_gone"


def test_paging_goes_on_when_the_row_it_stood_on_has_gone(inventory: Inventory) -> None:
    first = some_pages(inventory)
    inventory.store.apply(1, THING, [], ["2", "3"])
    after = ask(inventory, ListQuery("things", limit=3, cursor=first.next))
    assert [one["uid"] for one in after.rows] == ["4", "5", "6"]


def test_a_forged_cursor_with_our_signature_cannot_say_sql(inventory: Inventory) -> None:
    some_pages(inventory)
    asked = ListQuery("things", limit=3)
    forged = encode_cursor({"h": asked.digest, "b": 0, "r": 0, "v": ["x' or 1=1 --", 0]})
    assert ask(inventory, replace(asked, cursor=forged)).rows == []


# --- what is wrong is named ---


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (ListQuery("nonsense"), "nonsense"),
        (ListQuery("things", sort="nonsense"), "sort=nonsense"),
        (ListQuery("things", sort="hidden"), "sort=hidden"),
        (ListQuery("things", sort="name desc; drop table k_things"), "sort=name desc; drop table k_things"),
        (ListQuery("things", filters={"nonsense": "1"}), "nonsense"),
        (ListQuery("things", filters={"hidden": "1"}), "hidden"),
        (ListQuery("things", filters={"uid": "1"}), "uid"),
        (ListQuery("things", filters={"number": "many"}), "number"),
        (ListQuery("things", filters={"number": ">"}), "number"),
        (ListQuery("things", filters={"number": "1.."}), "number"),
        (ListQuery("things", filters={"moment": "2026-13-45"}), "moment"),
        (ListQuery("things", filters={"flag": "maybe"}), "flag"),
        (ListQuery("things", filters={"state": "great"}), "state"),
        (ListQuery("things", filters={"text": "x" * 1001}), "text"),
        (ListQuery("things", field_selector="nonsense=1"), "fieldSelector=nonsense"),
        (ListQuery("things", field_selector="number=x"), "fieldSelector"),
        (ListQuery("things", label_selector="a in b"), "labelSelector"),
        (ListQuery("things", q="x" * 201), "q"),
        (ListQuery("things", q="a b c d e f g h i"), "q"),
        (ListQuery("things", limit=0), "limit"),
        (ListQuery("things", limit=501), "limit"),
        (ListQuery("things", cursor="nonsense"), "cursor"),
    ],
)
def test_what_is_wrong_with_a_query_is_named(inventory: Inventory, asked: ListQuery, field: str) -> None:
    with pytest.raises(GMError) as caught:
        ask(inventory, asked)
    assert isinstance(caught.value, InvalidField | UnknownParameter)
    assert caught.value.field == field
    for language in ("en", "ko"):
        assert "{" not in caught.value.message(language)


@pytest.mark.parametrize(
    "text", ["'", '"', "%", "_", "\\", "?", "%s", "');--", "\0", "\ud800", "{k}", "{id}", "한글", "\U0001f600"]
)
def test_no_text_breaks_out_of_its_parameter(inventory: Inventory, text: str) -> None:
    inventory.fill({1: [row("u1", name="plain")]})
    for asked in (
        ListQuery("things", q=text),
        ListQuery("things", filters={"text": text}),
        ListQuery("things", filters={"text": f"={text}"}),
        ListQuery("things", filters={"tags": f"={text}"}),
        ListQuery("things", filters={"cluster": text}),
        ListQuery("things", namespace=text, clusters=(text,)),
    ):
        with contextlib.nullcontext() if text not in "\0\ud800" else pytest.raises(InvalidField):
            assert ask(inventory, asked).rows == []


# --- days and times ---


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2023-11-14", ["day"]),
        (">2023-11-14", ["after"]),
        (">=2023-11-14", ["after", "day"]),
        ("<2023-11-14", ["before"]),
        ("<=2023-11-14", ["before", "day"]),
        ("!=2023-11-14", ["after", "before", "never"]),
        ("<=9999-12-31", ["after", "before", "day"]),
        ("2023-11-14T22:13:20Z", ["day"]),
        ("2023-11-15T07:13:20+09:00", ["day"]),
        ("1700000000", ["day"]),
        ("1699000000..1700000001", ["before", "day"]),
    ],
)
def test_times_are_found_by_day_and_by_instant(inventory: Inventory, text: str, found: list[str]) -> None:
    moments = {"before": 1_699_900_000, "day": 1_700_000_000, "after": 1_700_100_000, "never": None}
    inventory.fill({1: [row(uid, moment=moment) for uid, moment in moments.items()]})
    page = ask(inventory, ListQuery("things", filters={"moment": text}))
    assert sorted(one["uid"] for one in page.rows) == found


# --- plans ---


def plan(inventory: Inventory, statement: str, values: Any) -> str:
    found: list[tuple[Any, ...]]
    if inventory.store.dialect == "sqlite":
        found = inventory.readers.run_now(lambda db: db.rows(f"explain query plan {statement}", values))
        return "\n".join(str(line[-1]) for line in found)

    def explain(db: Any) -> list[tuple[Any, ...]]:
        db.run("set local enable_seqscan to off")
        db.run("set local enable_sort to off")
        db.run("set local enable_bitmapscan to off")
        return list(db.rows(f"explain {statement}", values))

    found = inventory.readers.run_now(explain)
    return "\n".join(str(line[0]) for line in found)


class Recorder:
    """A connection that remembers what it was asked."""

    def __init__(self, connection: Any) -> None:
        self.connection, self.dialect = connection, connection.dialect
        self.asked: list[tuple[str, Any]] = []

    def rows(self, statement: str, values: Any = ()) -> Any:
        self.asked.append((statement, values))
        return self.connection.rows(statement, values)


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("key", SORTABLE)
def test_every_sort_walks_its_index_from_any_place(inventory: Inventory, key: str, sign: str) -> None:
    inventory.fill({1: [row(str(number), number=number) for number in range(20)], 2: [row("x", number=None)]})
    if inventory.store.dialect == "postgresql":
        inventory.store._db.run("analyze")
    order = make_order(TABLE, TABLE.fields[key], bool(sign), inventory.store.dialect)
    some = frozenset(inventory.namespace_ids("one", "two"))
    for bounds in (Limits(None, None), Limits(some, frozenset({1, 2}))):
        for place in (None, *(Place(rank, tuple(map(any_key, found.keys))) for rank, found in enumerate(order.strata))):
            for backward in (False, True):

                def ask_it(db: Any, bounds: Limits = bounds, place: Place | None = place, back: bool = backward) -> Any:
                    recorder = Recorder(db)
                    label = filters.Condition(
                        "exists (select 1 from label l where l.pair in (?) and l.id = {id})", (1,)
                    )
                    # PostgreSQL may start from a rare label instead, and is right to: there the sort alone is judged.
                    conditions = [label] if recorder.dialect == "sqlite" else []
                    chosen = query.Selection(recorder, TABLE, bounds, conditions)  # type: ignore[arg-type]
                    query._walk(recorder, order, chosen, place, back, 500)  # type: ignore[arg-type]
                    return recorder.asked

                for statement, values in inventory.readers.run_now(ask_it):
                    shown = plan(inventory, statement, values)
                    assert "TEMP B-TREE FOR ORDER" not in shown.upper(), statement
                    assert not re.search(r"^SCAN \w+$|Seq Scan|(^|->)\s*Sort  \(", shown, re.MULTILINE), (
                        f"{statement}\n{shown}"
                    )


def any_key(expression: str) -> Any:
    """A value that can be compared with a key."""
    texts = ("k.name", "c.name", "n.name", "n.project", "n.workspace", "n.owner", "k.status", "k.c_text", "k.c_tags")
    return "x" if expression in texts else 1


@pytest.mark.parametrize("dialect", ["sqlite"], indirect=True)
def test_every_sortable_column_of_every_real_kind_has_an_index(inventory: Inventory) -> None:
    from gmcenter.inventory.schema import default_schema

    for dialect in ("sqlite", "postgresql"):
        schema = default_schema(dialect)  # type: ignore[arg-type]
        made = "\n".join(schema.statements)
        for table in schema.tables.values():
            for field in table.fields.values():
                if field.sortable and field.dimension is None:
                    column = field.order.removeprefix("k.")
                    assert re.search(rf"CREATE INDEX i_{table.name}_{column} ON {table.name} \({column}\b", made)
