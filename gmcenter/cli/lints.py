"""Our own rules, those that no ready-made tool knows. Each is a function from a source file to complaints."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gmcenter", "gmtool", "tests", "alembic")
LONGEST = 400

# What the portal may know of the service layer: use cases and what goes in and out, values, and plumbing without data.
PORTAL_MAY_IMPORT = re.compile(
    r"gmcenter\.("
    r"core\.(errors|i18n|clock|log|metrics|settings|yaml)"
    r"|identity\.(actor|policy|scope|sessions|service|schema)"
    r"|inventory\.service|kube\.kinds"
    r"|(?!core|identity|kube|fleet|inventory|jobs|providers|api|cli)[a-z_]+\.(service|schema)"
    r")(\.|$)"
)
PORTAL_EXCEPTIONS = {"gmtool/asgi.py": {"gmcenter.api.app"}}  # one ASGI application holds both
DOMAIN = re.compile(r"gmcenter\.(?!core|identity|kube|fleet|inventory|jobs|providers|api|cli)([a-z_]+)\.")
HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|\bNotImplemented(Error)?\b")
LAX = re.compile(r"verify\s*=\s*False|check_hostname\s*=\s*False|CERT_NONE|pytest\.mark\.(skip|xfail)\b")
ALLOWED = "# allowed: "  # on the same line, with the reason
MACHINE = re.compile(r"/(?:home|Users)/[a-z]|/root/|/work/")


@dataclass(frozen=True, slots=True)
class Source:
    """One Python file: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module


@dataclass(frozen=True, slots=True)
class Complaint:
    """A place and what is wrong there."""

    path: str
    line: int
    words: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.words}"


def sources() -> Iterator[Source]:
    """Every Python file of ours."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            text = path.read_text()
            where = path.relative_to(ROOT).as_posix()
            yield Source(where, text, ast.parse(text, where))


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every imported module, `from a import b` as `a.b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def portal_reaches_services_only(source: Source) -> Iterator[Complaint]:
    """`gmtool` knows use cases and values, never tables, stores, connections or the vault."""
    if not source.path.startswith("gmtool/"):
        return
    allowed = PORTAL_EXCEPTIONS.get(source.path, set())
    for line, name in _imports(source.tree):
        excepted = any(name.startswith(exception) for exception in allowed)
        if name.startswith("gmcenter.") and not excepted and not PORTAL_MAY_IMPORT.match(name):
            yield Complaint(source.path, line, f"the portal may not import {name}")


def domains_keep_their_tables(source: Source) -> Iterator[Complaint]:
    """No domain imports another's `model`."""
    own = DOMAIN.match(source.path.removesuffix(".py").replace("/", "."))
    if not source.path.startswith("gmcenter/") or source.path.startswith("gmcenter/cli/"):
        return
    for line, name in _imports(source.tree):
        other = re.match(r"gmcenter\.([a-z_]+)\.model(\.|$)", name)
        if other and DOMAIN.match(name) and (own is None or own[1] != other[1]):
            yield Complaint(source.path, line, f"{name}: a domain's tables are its own")


def korean_lies_in_the_catalogue(source: Source) -> Iterator[Complaint]:
    """No Hangul in code; tests may look for it."""
    if source.path.startswith("tests/"):
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        if HANGUL.search(line):
            yield Complaint(source.path, number, "Korean belongs in gmcenter/locale/ko")


def nothing_is_unfinished_or_lax(source: Source) -> Iterator[Complaint]:
    """No notes to self, no switched-off verification, no skipped test, no path of somebody's machine."""
    if source.path == "gmcenter/cli/lints.py":
        return
    for number, line in enumerate(source.text.splitlines(), 1):
        for pattern, why in ((UNFINISHED, "unfinished"), (LAX, "switched off"), (MACHINE, "a path of one machine")):
            if (found := pattern.search(line)) and ALLOWED not in line:
                yield Complaint(source.path, number, f"{why}: {found[0].strip()}")


def long_files() -> list[Complaint]:
    """Files of code past 400 lines: a reader may want them split by verb, or rather have them whole."""
    counted = ((source.path, source.text.count("\n")) for source in sources())
    code = [(path, lines) for path, lines in counted if not path.startswith(("tests/", "alembic/"))]
    return [Complaint(path, lines, f"{lines} lines") for path, lines in code if lines > LONGEST]


RULES: tuple[Callable[[Source], Iterator[Complaint]], ...] = (
    portal_reaches_services_only,
    domains_keep_their_tables,
    korean_lies_in_the_catalogue,
    nothing_is_unfinished_or_lax,
)


def complaints() -> list[Complaint]:
    """What our own rules have against the present sources."""
    try:
        return [complaint for source in sources() for rule in RULES for complaint in rule(source)]
    except SyntaxError as problem:
        return [Complaint(problem.filename or "", problem.lineno or 0, problem.msg)]
