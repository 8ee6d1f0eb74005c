"""A kubeconfig is read, or refused with a reason of its own."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gmcenter.core import i18n
from gmcenter.kube.kubeconfig import KubeconfigError, parse
from tests.support.tls import Authority

CANARY = "canary-5b1fd0-token"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def document(cluster: dict[str, Any] | None = None, user: dict[str, Any] | None = None, **more: Any) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "seoul",
            "clusters": [{"name": "c", "cluster": {"server": "https://198.51.100.7:6443", **(cluster or {})}}],
            "users": [{"name": "u", "user": {"token": CANARY} if user is None else user}],
            "contexts": [{"name": "seoul", "context": {"cluster": "c", "user": "u"}}],
            **more,
        }
    )


def problem_of(text: str | bytes, context: str = "seoul") -> KubeconfigError:
    with pytest.raises(KubeconfigError) as caught:
        parse(text).target(context)
    return caught.value


def test_a_token_context_gives_endpoint_authority_and_token(authority: Authority) -> None:
    parsed = parse(document({"certificate-authority-data": b64(authority.ca_pem), "tls-server-name": "kubernetes"}))
    target = parsed.target("seoul")
    assert target.endpoint == "https://198.51.100.7:6443"
    assert (target.kind, target.token, target.server_name) == ("token", CANARY, "kubernetes")
    assert target.ca_pem == authority.ca_pem


def test_a_certificate_context_gives_the_pair_and_its_end(authority: Authority) -> None:
    pair = authority.issue("admin")
    user = {"client-certificate-data": b64(pair.certificate), "client-key-data": b64(pair.key)}
    target = parse(document(user=user)).target("seoul")
    assert target.kind == "certificate"
    assert target.certificate_pem == pair.certificate
    ends = target.not_after()
    assert ends is not None
    assert 364 < (ends - time.time()) / 86400 < 366


def test_yaml_and_json_say_the_same() -> None:
    as_yaml = """
apiVersion: v1
kind: Config
clusters:
- name: no          # a YAML 1.1 boolean must stay a name
  cluster: {server: "https://198.51.100.7:6443"}
users:
- {name: u, user: {token: abc}}
contexts:
- name: 'on'
  context: {cluster: no, user: u}
"""
    parsed = parse(as_yaml)
    assert [c.name for c in parsed.contexts] == ["on"]
    assert parsed.current == "on"
    assert parsed.target("on").token == "abc"


def test_contexts_tell_why_some_of_them_cannot_be_used_and_never_a_credential() -> None:
    text = document(
        users=[{"name": "u", "user": {"token": CANARY}}, {"name": "x", "user": {"exec": {"command": "aws"}}}],
        contexts=[
            {"name": "seoul", "context": {"cluster": "c", "user": "u"}},
            {"name": "eks", "context": {"cluster": "c", "user": "x"}},
            {"name": "lost", "context": {"cluster": "nowhere", "user": "u"}},
        ],
    )
    parsed = parse(text)
    found = {c.name: c.problem.code if c.problem else None for c in parsed.contexts}
    assert found == {"seoul": None, "eks": "kubeconfig_exec", "lost": "kubeconfig_dangling"}
    assert CANARY not in repr(parsed) + repr(parsed.contexts) + repr(parsed.target("seoul"))


REFUSALS: list[tuple[str, dict[str, Any], dict[str, Any] | None, dict[str, Any]]] = [
    ("kubeconfig_exec", {}, {"exec": {"apiVersion": "v1", "command": "aws"}}, {"command": "aws"}),
    ("kubeconfig_exec", {}, {"token": "t", "exec": {"command": "sh"}}, {"command": "sh"}),
    ("kubeconfig_auth_provider", {}, {"auth-provider": {"name": "gcp"}}, {"provider": "gcp"}),
    ("kubeconfig_file_reference", {"certificate-authority": "/etc/ca"}, None, {"setting": "certificate-authority"}),
    ("kubeconfig_file_reference", {}, {"client-certificate": "a.crt"}, {"setting": "client-certificate"}),
    ("kubeconfig_file_reference", {}, {"client-key": "a.key", "token": "t"}, {"setting": "client-key"}),
    ("kubeconfig_file_reference", {}, {"tokenFile": "/var/run/token"}, {"setting": "tokenFile"}),
    ("kubeconfig_insecure", {"insecure-skip-tls-verify": True}, None, {}),
    ("kubeconfig_insecure", {"insecure-skip-tls-verify": "yes please"}, None, {}),
    ("kubeconfig_proxy", {"proxy-url": "socks5://10.0.0.1:1080"}, None, {}),
    ("kubeconfig_http", {"server": "http://198.51.100.7:8080"}, None, {"endpoint": "http://198.51.100.7:8080"}),
    ("kubeconfig_impersonates", {}, {"token": "t", "as": "root"}, {}),
    ("kubeconfig_impersonates", {}, {"token": "t", "as-groups": ["system:masters"]}, {}),
    ("kubeconfig_basic_auth", {}, {"username": "admin", "password": CANARY}, {}),
    ("kubeconfig_no_credential", {}, {}, {"context": "seoul"}),
    ("kubeconfig_bad_part", {"server": "https://u:p@h"}, None, {"part": "endpoint", "reason": "holds_password"}),
    ("kubeconfig_bad_part", {"server": ""}, None, {"part": "endpoint", "reason": "not_https"}),
    ("kubeconfig_bad_part", {"certificate-authority-data": "***"}, None, {"reason": "not_base64_pem"}),
    ("kubeconfig_bad_part", {"certificate-authority-data": "aGVsbG8="}, None, {"reason": "not_certificate"}),
    ("kubeconfig_bad_part", {}, {"token": "two words"}, {"part": "token", "reason": "not_token"}),
    ("kubeconfig_bad_part", {"tls-server-name": "kubernetes:443"}, None, {"part": "tlsServerName"}),
    ("kubeconfig_bad_part", {"tls-server-name": "kube/api"}, None, {"part": "tlsServerName"}),
    ("kubeconfig_bad_part", {"tls-server-name": "a..b"}, None, {"part": "tlsServerName"}),
]


@pytest.mark.parametrize(("code", "cluster", "user", "params"), REFUSALS)
def test_what_the_server_must_not_do_is_refused_with_its_own_reason(
    code: str, cluster: dict[str, Any], user: dict[str, Any] | None, params: dict[str, Any]
) -> None:
    problem = problem_of(document(cluster, user))
    assert problem.code == code
    assert params.items() <= problem.params.items()
    for language in i18n.LANGUAGES:
        told = problem.problem(language)
        assert told["title"] != f"error.{code}"
        assert "{" not in told["detail"]
        assert CANARY not in json.dumps(told, ensure_ascii=False)


def test_an_explicit_false_is_no_reason_to_refuse() -> None:
    assert parse(document({"insecure-skip-tls-verify": False})).target("seoul").token == CANARY


def test_every_refusal_has_words_in_both_languages_and_most_a_remedy() -> None:
    codes = {cls.code for cls in KubeconfigError.__subclasses__()}
    assert len(codes) >= 16
    for language in i18n.LANGUAGES:
        assert [code for code in codes if not i18n.has(f"error.{code}", language)] == []
    remedied = {code for code in codes if i18n.has(f"error.{code}.hint", "ko")}
    assert codes - remedied <= {
        "kubeconfig_too_deep",
        "kubeconfig_unknown_context",
        "kubeconfig_bad_part",
    }


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a: [", "kubeconfig_not_yaml"),
        ("a: b: c", "kubeconfig_not_yaml"),
        (b"\xff\xfe", "kubeconfig_not_yaml"),
        ("a\x00b", "kubeconfig_not_yaml"),
        ("a: 1\na: 2", "kubeconfig_not_yaml"),
        ("", "kubeconfig_not_kubeconfig"),
        ("hello", "kubeconfig_not_kubeconfig"),
        ("[]", "kubeconfig_not_kubeconfig"),
        ("kind: Pod\nmetadata: {}", "kubeconfig_not_kubeconfig"),
        ("--- {kind: Config, contexts: []}\n--- {kind: Config}", "kubeconfig_not_kubeconfig"),
        ("kind: Config\ncontexts: {}", "kubeconfig_not_kubeconfig"),
        ("kind: Config\ncontexts: []", "kubeconfig_no_context"),
        ("kind: Config\nclusters: &c []\ncontexts: *c", "kubeconfig_alias"),
        ("kind: !!python/object/apply:os.system ['true']", "kubeconfig_alias"),
        ("kind: Config\ncontexts: " + "[" * 40, "kubeconfig_too_deep"),
        ("kind: Config\ncontexts: [" + "a," * 30_000 + "]", "kubeconfig_too_large"),
        ("# " + "x" * 1_000_001, "kubeconfig_too_large"),
    ],
)
def test_what_is_no_kubeconfig_is_refused_with_its_own_reason(text: str | bytes, code: str) -> None:
    assert problem_of(text).code == code


def test_a_yaml_error_names_its_line_and_column() -> None:
    problem = problem_of("kind: Config\nclusters:\n  - name: [\n")
    assert problem.params["line"] >= 3


def test_an_unknown_context_is_told_with_those_that_exist() -> None:
    problem = problem_of(document(), "busan")
    assert (problem.code, problem.params["known"]) == ("kubeconfig_unknown_context", "seoul")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 999_999,
        "{" * 999_999,
        "- " * 499_999,
        "? " * 499_999,
        "a: &a [b]\n" + "c: *a\n" * 100_000,
        "'" + "x: y\n" * 190_000,
        "|" + "\n " * 400_000,
        "x" * 999_990,
        "!" * 999_990,
        "&" + "a" * 999_980,
        "*" + "a" * 999_980,
        "!a !b " * 166_000,
        "a " * 499_990,
        '"' + "\\x41" * 249_000 + '"',
        "%TAG ! x\n" * 100_000,
    ],
)
def test_the_worst_text_of_a_megabyte_is_refused_within_seconds(text: str) -> None:
    started = time.process_time()
    with pytest.raises(KubeconfigError):
        parse(text).target("seoul")
    assert time.process_time() - started < 5


_keys = st.sampled_from(
    [
        "kind", "clusters", "users", "contexts", "current-context", "name", "cluster", "user", "context", "server",
        "token", "exec", "command", "certificate-authority-data", "client-key-data", "insecure-skip-tls-verify",
    ]
)  # fmt: skip
_leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=12)
    | st.sampled_from(["Config", "c", "https://h:6443"])
)
_trees = st.recursive(_leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_keys, inner, max_size=6))


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(_keys, _trees, max_size=6))
def test_any_document_is_read_or_refused_and_never_fails(tree: dict[str, Any]) -> None:
    _read_or_refuse(json.dumps(tree))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused_and_never_fails(text: str | bytes) -> None:
    _read_or_refuse(text)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_kubeconfig_with_a_damaged_place_is_read_or_refused(data: st.DataObject) -> None:
    whole = document({"certificate-authority-data": "QUJD"})
    at = data.draw(st.integers(0, len(whole) - 1))
    length = data.draw(st.integers(0, 20))
    _read_or_refuse(whole[:at] + data.draw(st.text(max_size=8)) + whole[at + length :])


def _read_or_refuse(text: str | bytes) -> None:
    try:
        parsed = parse(text)
    except KubeconfigError:
        return
    for context in parsed.contexts:
        if context.problem is None:
            assert parsed.target(context.name).endpoint.startswith("https://")
        else:
            with pytest.raises(type(context.problem)):
                parsed.target(context.name)
