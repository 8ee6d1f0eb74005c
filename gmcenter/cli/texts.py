"""Whether every text that the code asks for is there, in both languages, and none is there for nobody.

Keys are found where they are written: in calls (`message("…")`, `t("…")`, `say("…")`), in the declarations of kinds
and errors, and as plain strings. A key put together at run time is recognised by its constant beginning and end.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter

from babel.messages.pofile import read_po

ROOT = Path(__file__).resolve().parents[2]
LOCALE = ROOT / "gmcenter" / "locale"
LANGUAGES = ("ko", "en")
CALLS = {"message", "t", "say", "say_aside", "text", "words", "label"}
KEY = re.compile(r"[a-z][a-z0-9_]*(\.[A-Za-z0-9_-]+)+")
JS_STRING = re.compile(r"""(["'`])((?:\\.|(?!\1).)*)\1""")
JS_CALL = re.compile(r"""\bt\(\s*(["'])([^"']+)\1""")
JS_HOLE = re.compile(r"\$\{[^{}]*\}")


@dataclass
class Uses:
    """What the code asks for: keys for certain, strings that may be keys, and patterns of keys."""

    certain: dict[str, str] = field(default_factory=dict)
    strings: set[str] = field(default_factory=set)
    patterns: set[str] = field(default_factory=set)
    broken: list[str] = field(default_factory=list)

    def covers(self, key: str) -> bool:
        """Whether anything in the code may ask for the key; `KEY.one` is what a page says of a single thing."""
        if key in self.certain or key in self.strings:
            return True
        if key.endswith(".one") and self.covers(key.removesuffix(".one")):
            return True
        return any(re.fullmatch(pattern, key) for pattern in self.patterns)


def catalogues() -> dict[str, dict[str, tuple[str, str]]]:
    """language → key → (file, text)."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for language in LANGUAGES:
        found[language] = {}
        for path in sorted((LOCALE / language).glob("*.po")):
            with path.open("rb") as file:
                for entry in read_po(file, locale=language):
                    if entry.id:
                        found[language][str(entry.id)] = (path.name, str(entry.string or ""))
    return found


def uses() -> Uses:
    """Walk the sources."""
    found = Uses()
    for package in ("gmcenter", "gmtool"):
        for path in sorted((ROOT / package).rglob("*")):
            where = path.relative_to(ROOT).as_posix()
            if path.suffix == ".py":
                _python(path, where, found)
            elif path.suffix in (".js", ".jsx"):
                _javascript(path.read_text(), where, found)
    _declared(found)
    return found


def _python(path: Path, where: str, found: Uses) -> None:
    try:
        tree = ast.parse(path.read_text(), where)
    except SyntaxError as problem:
        found.broken.append(f"{where}:{problem.lineno}: {problem.msg}")
        return
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            _add_string(node.value, found)
        elif isinstance(node, ast.JoinedStr):
            _add_pattern([_piece(part) for part in node.values], found)
        elif isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = node.args[0]
            if name in CALLS and isinstance(first, ast.Constant) and KEY.fullmatch(str(first.value)):
                found.certain.setdefault(str(first.value), f"{where}:{node.lineno}")


def _piece(part: ast.expr) -> str | None:
    return str(part.value) if isinstance(part, ast.Constant) else None


def _javascript(text: str, where: str, found: Uses) -> None:
    for call in JS_CALL.finditer(text):
        if KEY.fullmatch(call[2]):
            found.certain.setdefault(call[2], where)
    for string in JS_STRING.finditer(text):
        if "${" in string[2]:
            _add_pattern([piece or None for piece in _holes(string[2])], found)
        else:
            _add_string(string[2], found)


def _holes(text: str) -> Iterator[str | None]:
    """A template's constant parts, None for each hole."""
    end = 0
    for hole in JS_HOLE.finditer(text):
        yield text[end : hole.start()]
        yield None
        end = hole.end()
    yield text[end:]


def _add_string(text: str, found: Uses) -> None:
    """A whole key, or the beginning of one that something is added to."""
    found.strings.add(text)
    if re.fullmatch(r"([a-z][a-z0-9_]*\.)+", text):
        _add_pattern([text, None], found)


def _add_pattern(pieces: list[str | None], found: Uses) -> None:
    """A key with holes: it must begin with an area and a dot, or it would match everything."""
    constant = [piece for piece in pieces if piece]
    if not constant or not any("." in piece for piece in constant):
        return
    if not (pieces and pieces[0] and re.match(r"[a-z][a-z0-9_]*\.", pieces[0])):
        return
    # Holes may be empty: `error.{code}{suffix}`.
    found.patterns.add("".join(re.escape(piece) if piece else r"\S*" for piece in pieces))


def _declared(found: Uses) -> None:
    """The keys that declarations imply: errors by their codes, columns of kinds by their keys."""
    import importlib
    import pkgutil

    import gmcenter
    from gmcenter.core.errors import GMError

    for module in pkgutil.walk_packages(gmcenter.__path__, "gmcenter."):
        if module.name.endswith((".errors", ".kubeconfig")):
            importlib.import_module(module.name)
    waiting: list[type[GMError]] = [GMError]
    while waiting:
        error = waiting.pop()
        waiting += error.__subclasses__()
        if code := vars(error).get("code"):
            found.certain.setdefault(f"error.{code}", f"{error.__module__}.{error.__qualname__}")
    kinds = importlib.import_module("gmcenter.kube.kinds")
    for kind in kinds.KINDS.values():
        described = kinds.describe(kind)
        labels = [described["labelKey"], *(column["label"] for column in described["columns"])]
        for label in labels:
            found.certain.setdefault(str(label), f"kind {kind.plural}")


def placeholders(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def complaints() -> list[str]:
    """What is missing, superfluous or unequal."""
    found, books = uses(), catalogues()
    out = list(found.broken)
    for language, book in books.items():
        for key, where in sorted(found.certain.items()):
            if key not in book:
                out.append(f"{where}: no {language} text for {key}")
        for key, (file, text) in sorted(book.items()):
            if not text.strip():
                out.append(f"{language}/{file}: {key} is empty")
            elif not found.covers(key):
                out.append(f"{language}/{file}: nothing asks for {key}")
    korean, english = (books[language] for language in LANGUAGES)
    for key in sorted(korean.keys() ^ english.keys()):
        file, _ = korean.get(key) or english[key]
        out.append(f"{file}: {key} is in {'ko' if key in korean else 'en'} only")
    for key in sorted(korean.keys() & english.keys()):
        if korean[key][0] != english[key][0]:
            out.append(f"{key} is in {korean[key][0]} (ko) and {english[key][0]} (en)")
        try:
            unequal = placeholders(korean[key][1]) != placeholders(english[key][1])
        except ValueError:
            unequal = True
        if unequal:
            out.append(f"{korean[key][0]}: {key} has other placeholders in ko than in en")
    return out
