"""The words of both languages, checked as `./gm i18n` does; and the checker itself, on words that are wrong."""

from pathlib import Path

import pytest

from gmcenter.cli import texts

PO = 'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=utf-8\\n"\n\n'


def test_every_text_is_there_in_korean_and_in_english_and_none_is_left_over() -> None:
    assert texts.complaints() == []


@pytest.fixture
def books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Catalogues of our own making, and code that asks for three keys."""
    for language in texts.LANGUAGES:
        (tmp_path / language).mkdir()
    found = texts.Uses(certain={"a.one": "x.py:1"}, strings={"a.two"}, patterns={r"a\.state\.\S*"})
    monkeypatch.setattr(texts, "LOCALE", tmp_path)
    monkeypatch.setattr(texts, "uses", lambda: found)
    return tmp_path


def write(books: Path, language: str, **entries: str) -> None:
    lines = (f'msgid "{key.replace("__", ".")}"\nmsgstr "{text}"\n' for key, text in entries.items())
    (books / language / "a.po").write_text(PO + "\n".join(lines))


def test_whole_catalogues_have_no_complaint(books: Path) -> None:
    for language in texts.LANGUAGES:
        write(books, language, a__one="{n} of {all}", a__two="two", a__state__live="live")
    assert texts.complaints() == []


def test_each_kind_of_fault_is_named(books: Path) -> None:
    write(books, "ko", a__one="{n}", a__two="", a__three="three")
    write(books, "en", a__one="{m}", a__state__live="live")
    said = "\n".join(texts.complaints())
    for words in (
        "ko/a.po: a.two is empty",
        "ko/a.po: nothing asks for a.three",
        "a.two is in ko only",
        "a.state.live is in en only",
        "a.one has other placeholders in ko than in en",
    ):
        assert words in said


def test_a_key_that_no_catalogue_has_is_named_with_its_place(books: Path) -> None:
    for language in texts.LANGUAGES:
        write(books, language, a__two="two")
    assert texts.complaints() == ["x.py:1: no ko text for a.one", "x.py:1: no en text for a.one"]


def test_keys_are_found_in_python_and_in_javascript(tmp_path: Path) -> None:
    found = texts.Uses()
    source = tmp_path / "x.py"
    source.write_text('message("a.b")\nfoo = f"c.{x}.d"\nbar = "e.f"\nbaz = "g.h." + x\n')
    texts._python(source, "x.py", found)
    texts._javascript('t("i.j", { n }); const k = `l.${state}`; t("not a key")', "x.jsx", found)
    assert set(found.certain) == {"a.b", "i.j"}
    for key in ("a.b", "c.x.d", "e.f", "g.h.x", "i.j", "l.live"):
        assert found.covers(key), key
    for key in ("c.x.e", "m.n", "lx.live"):
        assert not found.covers(key), key


def test_code_that_does_not_parse_is_a_complaint_and_no_crash(tmp_path: Path) -> None:
    source = tmp_path / "x.py"
    source.write_text("def (:\n")
    found = texts.Uses()
    texts._python(source, "x.py", found)
    assert found.broken[0].startswith("x.py:1:")
