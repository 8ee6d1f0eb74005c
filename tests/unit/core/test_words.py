"""Errors, languages, cursors and logs: what users and operators read."""

import io
import json
import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmcenter.core import errors, i18n, log, paging, vault
from gmcenter.core.settings import Settings, configure


@pytest.fixture(autouse=True)
def key(tmp_path: Path):
    chosen = Settings(data=tmp_path)
    configure(chosen)
    vault.forget_keys()
    vault.ensure_key(chosen, fresh=True)
    yield
    configure(None)
    vault.forget_keys()


def all_errors(base: type[errors.GMError] = errors.GMError) -> list[type[errors.GMError]]:
    return [base, *(found for child in base.__subclasses__() for found in all_errors(child))]


@pytest.mark.parametrize("kind", all_errors(), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("language", i18n.LANGUAGES)
def test_every_error_has_words_in_both_languages(kind: type[errors.GMError], language: str) -> None:
    assert i18n.has(f"error.{kind.code}", language), kind.code


def test_a_problem_document_names_field_rule_and_remedy() -> None:
    problem = errors.UnknownParameter(field="clusterr", allowed=["cluster"]).problem("en", instance="/gmcapi/v2/pods")
    assert problem["status"] == 400
    assert problem["code"] == "unknown_parameter"
    assert "clusterr" in problem["detail"]
    assert "cluster" in problem["hint"]
    assert problem["instance"] == "/gmcapi/v2/pods"


def test_a_placeholder_cannot_reach_into_its_value() -> None:
    assert i18n._Lenient().vformat("{name.__class__}", (), {"name": "x"}) == "{name.__class__}"


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("en-US,en;q=0.9", "en"),
        ("ko", "ko"),
        ("fr, en;q=0.3, ko;q=0.2", "en"),
        ("", "ko"),
        (None, "ko"),
        ("en;q=x", "ko"),
    ],
)
def test_the_language_follows_the_header(header: str | None, language: str) -> None:
    assert i18n.negotiate(header) == language


@given(st.dictionaries(st.text(max_size=8), st.one_of(st.none(), st.integers(-(2**53), 2**53), st.text(max_size=20))))
def test_a_cursor_comes_back_as_it_went(payload: dict[str, object]) -> None:
    assert paging.decode_cursor(paging.encode_cursor(payload)) == payload


@given(st.data())
def test_a_changed_cursor_is_refused(data: st.DataObject) -> None:
    cursor = paging.encode_cursor({"sort": "name", "last": ["web", 7]})
    position = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("ABCDEFabcdef0123-_").filter(lambda letter: letter != cursor[position]))
    with pytest.raises(errors.InvalidField) as refused:
        paging.decode_cursor(cursor[:position] + letter + cursor[position + 1 :])
    assert refused.value.field == "cursor"


@pytest.mark.parametrize("text", ["", "!!!", "A" * 5000, "öäü", "YWJj"])
def test_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidField):
        paging.decode_cursor(text)


def test_a_log_line_is_json_and_holds_no_secret() -> None:
    log.configure("info", "json")
    handler = logging.getLogger().handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    stream = io.StringIO()
    previous = handler.setStream(stream)
    try:
        log.bind(request_id="r-1")
        log.get_logger("test").info(
            "login",
            password="hunter2hunter2",
            header="Bearer abcdefghijklmnop",
            nested={"kubeconfig": "k-canary"},
            url="postgresql://gm:pw-canary@db/gm",
            pem="-----BEGIN PRIVATE KEY-----\npem-canary",
        )
        logging.getLogger("library").warning("got %s", "Authorization: Bearer eyJhbGciOi.eyJzdWIiOiJ4.abc")
    finally:
        handler.setStream(previous) if previous else None
        log.clear()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert lines[0]["request_id"] == "r-1"
    assert lines[0]["event"] == "login"
    for canary in ("hunter2", "abcdefghijklmnop", "k-canary", "pw-canary", "pem-canary", "eyJhbGciOi"):
        assert canary not in stream.getvalue()
