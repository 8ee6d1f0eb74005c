"""What a list is narrowed by, as conditions on its rows.

A condition may also lead: give the ids that it lets through out of an index of its own, so that a query can start
from the most selective one instead of testing every row.

Column filters take what a person types above a column:

- text: a part of it, whatever the case of ASCII letters; `=a,b` one of these exactly; `!=a,b` none of these;
- numbers and sizes: `5`, `!=5`, `>5`, `>=5`, `<5`, `<=5`, `5..9`; quantities like `1Gi` and `100m` are understood;
- times: an RFC 3339 time, a day (UTC) or epoch seconds, with the same operators;
- true or false.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from gmcenter.core.errors import InvalidField, UnknownParameter
from gmcenter.inventory.driver import Connection, Dialect, array, member
from gmcenter.inventory.schema import Field, KindTable
from gmcenter.inventory.selectors import FieldTerm, Operator, Requirement
from gmcenter.kube import relations
from gmcenter.kube.kinds import ColumnType
from gmcenter.kube.values import quantity

COUNT_LIMIT = 10_000
MOST_TERMS, LONGEST_SEARCH, LONGEST_FILTER = 8, 200, 1000
PROBED_PAIRS = 4
DAY_SECONDS = 86_400
STATES = ("good", "busy", "warn", "bad", "away")
NUMBERS = (ColumnType.INT, ColumnType.FLOAT, ColumnType.BYTES, ColumnType.TIME)
LIKE = "like ? escape '\\'"


@dataclass(frozen=True, slots=True)
class Lead:
    """A select of the ids that a condition lets through. `scans` says that it reads all rows to find them."""

    text: str
    values: tuple[Any, ...]
    scans: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """A part of a `where` on rows.

    In `text`, `{id}` stands for the row's id and `{k}` stands before the columns of the row (alias k), for what keeps
    SQLite from using their indexes. `needs_row` is false when the id alone decides.
    """

    text: str
    values: tuple[Any, ...] = ()
    lead: Lead | None = None
    needs_row: bool = True


NEVER = Condition("1 = 0", lead=Lead("select 0 as id where 1 = 0", ()), needs_row=False)


def pattern(text: str) -> str:
    """The pattern of LIKE for anything that contains the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def contains(dialect: Dialect, column: str) -> str:
    """The condition that a column contains the text of a `pattern` made of lower-case letters."""
    # SQLite's LIKE ignores the case of ASCII letters by itself; PostgreSQL's lower() does the same in the C collation.
    return f"{column} {LIKE}" if dialect == "sqlite" else f"lower({column}) {LIKE}"


# --- text search ---


def search(db: Connection, table: KindTable, text: str) -> Condition | None:
    """The condition that every word of a search is found in a row: in its words or its cluster's name."""
    words = text.casefold().split()
    if not words:
        return None
    if len(text) > LONGEST_SEARCH or len(words) > MOST_TERMS:
        raise InvalidField(field="q", reason="search_too_long", most=LONGEST_SEARCH, words=MOST_TERMS)
    parts: list[str] = []
    values: list[Any] = []
    for word in words:
        found = f"t.words {LIKE}"
        values.append(pattern(word))
        clusters = [
            row[0] for row in db.rows(f"select id from cluster where {contains(db.dialect, 'name')}", (pattern(word),))
        ]
        if clusters:
            found = f"({found} or {member(db.dialect, 't.cluster', 'bigint')})"
            values.append(array(db.dialect, clusters))
        parts.append(found)
    every = " and ".join(parts)
    return Condition(
        f"exists (select 1 from {table.words} t where t.id = {{id}} and {every})",
        tuple(values),
        Lead(f"select t.id from {table.words} t where {every}", tuple(values), scans=True),
        needs_row=False,
    )


# --- selectors ---


def by_labels(db: Connection, table: KindTable, terms: tuple[Requirement, ...]) -> list[Condition]:
    """The conditions of a label selector."""
    return [found for term in terms if (found := _by_label(db, table, term)) is not None]


def _by_label(db: Connection, table: KindTable, term: Requirement) -> Condition | None:
    negative = term.operator in ("notin", "!exists")
    pairs = _pairs(db, table.kind.plural, term)
    if not pairs:
        return None if negative else NEVER
    word = "not " if negative else ""
    if len(pairs) <= PROBED_PAIRS:
        values: tuple[Any, ...] = tuple(pairs)
        chosen = f"l.pair in ({', '.join('?' * len(pairs))})"
        text = f"{word}exists (select 1 from label l where {chosen} and l.id = {{id}})"
    else:
        # Asking a row for each of many labels costs more than collecting their rows once.
        values = (array(db.dialect, pairs),)
        chosen = member(db.dialect, "l.pair", "bigint")
        text = f"{{id}} {word}in (select l.id from label l where {chosen})"
    lead = None if negative else Lead(f"select l.id from label l where {chosen}", values)
    return Condition(text, values, lead, needs_row=False)


def _pairs(db: Connection, kind: str, term: Requirement) -> list[int]:
    """The numbers of the labels that a term speaks of."""
    if term.operator in ("in", "notin"):
        one_of = member(db.dialect, "v", "text")
        statement = f"select id from label_pair where kind = ? and k = ? and {one_of}"
        return [row[0] for row in db.rows(statement, (kind, term.key, array(db.dialect, term.values)))]
    held = db.rows("select id, v from label_pair where kind = ? and k = ?", (kind, term.key))
    if term.operator in ("gt", "lt"):
        return [number for number, value in held if term.holds({term.key: value})]
    return [number for number, _ in held]


def by_fields(table: KindTable, terms: tuple[FieldTerm, ...], dialect: Dialect) -> list[Condition]:
    """The conditions of a field selector: declared columns by their key or path, compared exactly."""
    paths = {path: field for field in table.fields.values() for path in (field.key, field.path) if path}
    found = []
    for term in terms:
        field = paths.get(term.path)
        if field is None:
            raise UnknownParameter(field=f"fieldSelector={term.path}", allowed=", ".join(sorted(paths)))
        found.append(_exactly(field, [term.value], table, dialect, "fieldSelector", equal=term.equal))
    return found


def by_relation(db: Connection, table: KindTable, wanted: relations.Query) -> list[Condition]:
    """The conditions of a question about related objects; that of their own selectors is left to the caller."""
    dialect = db.dialect
    found = []
    for column, texts in (("name", wanted.names), ("uid", wanted.uids)):
        if texts:
            found.append(Condition(member(dialect, f"{{k}}k.{column}", "text"), (array(dialect, texts),)))
    for key, texts in wanted.fields.items():
        found.append(_exactly(table.fields[key], list(texts), table, dialect, key, equal=True))
    operators: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!exists"}
    for term in wanted.requirements:
        if term.operator not in operators:
            return [NEVER]
        asked = Requirement(term.key, operators[term.operator], tuple(sorted(term.values)))
        if (condition := _by_label(db, table, asked)) is not None:
            found.append(condition)
    return found


# --- columns ---


def by_columns(table: KindTable, filters: Mapping[str, str], dialect: Dialect) -> list[Condition]:
    """The conditions of the filters above columns."""
    found = []
    for key, text in filters.items():
        if key == "state":
            found.append(_by_state(text, dialect))
            continue
        field = table.fields.get(key)
        if field is None or not field.filterable:
            allowed = [name for name, known in table.fields.items() if known.filterable]
            raise UnknownParameter(field=key, allowed=", ".join([*allowed, "state"]))
        if len(text) > LONGEST_FILTER:
            raise InvalidField(field=key, reason="too_long")
        if text.strip():
            found.append(_by_column(field, text.strip(), table, dialect))
    return found


def _by_state(text: str, dialect: Dialect) -> Condition:
    states = [state.strip() for state in text.split(",")]
    if unknown := [state for state in states if state not in STATES]:
        raise InvalidField(field="state", reason="not_state", value=unknown[0][:100], allowed=", ".join(STATES))
    return Condition(member(dialect, "{k}k.state", "text"), (array(dialect, states),))


def _by_column(field: Field, text: str, table: KindTable, dialect: Dialect) -> Condition:
    if field.type in NUMBERS:
        return _number(field, text)
    if text.startswith("!="):
        return _exactly(field, text[2:].split(","), table, dialect, field.key, equal=False)
    if text.startswith("=") or field.type is ColumnType.BOOL:
        return _exactly(field, text.removeprefix("=").split(","), table, dialect, field.key, equal=True)
    return _of(field, f"{contains(dialect, _column(field))}", (pattern(_lower(text)),))


def _exactly(
    field: Field, texts: list[str], table: KindTable, dialect: Dialect, named: str, *, equal: bool
) -> Condition:
    """A column is one of some values, or none of them; a row without a value is none of them."""
    column = _column(field)
    if field.type in NUMBERS:
        parts = [_number(field, f"={text}", named) for text in texts]
        made = " or ".join(part.text for part in parts)
        values = tuple(value for part in parts for value in part.values)
        return Condition(f"({made})" if equal else f"coalesce(not ({made}), 1 = 1)", values)
    if field.type is ColumnType.TAGS:
        likes = [f"{column} {LIKE}"] * len(texts)
        made = f"({' or '.join(likes)})"
        quoted = tuple(pattern(orjson.dumps(text).decode()) for text in texts)
        return _of(field, made if equal else f"coalesce(not {made}, 1 = 1)", quoted)
    if field.type is ColumnType.BOOL:
        flags = {"true": 1, "false": 0}
        if any(text.lower() not in flags for text in texts):
            raise InvalidField(field=named, reason="not_boolean")
        found: list[Any] = [flags[text.lower()] for text in texts]
        made = member(dialect, column, "bigint")
    else:
        found, made = list(texts), member(dialect, column, "text")
    values = (array(dialect, found),)
    if not equal:
        return _of(field, f"coalesce(not ({made}), 1 = 1)", values)
    lead = None
    if field.dimension is None and field.sortable and field.order == field.value:
        bare = made.replace("{k}", "")
        lead = Lead(f"select k.id from {table.name} k where {bare}", values)
    condition = _of(field, made, values)
    return Condition(condition.text, condition.values, lead)


def _column(field: Field) -> str:
    return field.value if field.dimension else f"{{k}}{field.value}"


def _of(field: Field, text: str, values: tuple[Any, ...]) -> Condition:
    """A condition on a column that may lie with the row's cluster or namespace."""
    if field.dimension == "cluster":
        return Condition(f"{{k}}k.cluster in (select c.id from cluster c where {text})", values)
    if field.dimension == "namespace":
        made = f"{{k}}k.ns_id in (select n.id from namespace n where {text})"
        if text.startswith("coalesce"):
            made = f"({{k}}k.ns_id is null or {made})"
        return Condition(made, values)
    return Condition(text, values)


def _lower(text: str) -> str:
    """ASCII letters in lower case; others as they are, since the databases compare them as they are."""
    return "".join(character.lower() if character.isascii() else character for character in text)


_COMPARISON = re.compile(r"(!=|>=|<=|=|>|<)?\s*(.+)", re.DOTALL)


def _number(field: Field, text: str, named: str | None = None) -> Condition:
    column, named = _column(field), named or field.key
    low, dots, high = text.partition("..")
    if dots:
        return Condition(f"({column} >= ? and {column} <= ?)", (_value(field, low, named), _value(field, high, named)))
    match = _COMPARISON.fullmatch(text)
    if match is None:
        raise InvalidField(field=named, reason="not_number")
    operator, operand = match[1] or "=", match[2]
    start = _value(field, operand, named)
    if field.type is ColumnType.TIME and (end := _day_end(operand)) is not None:
        inside = f"({column} >= ? and {column} < ?)"
        days = {
            "=": (inside, (start, end)),
            "!=": (f"({column} is null or not {inside})", (start, end)),
            ">": (f"{column} >= ?", (end,)),
            ">=": (f"{column} >= ?", (start,)),
            "<": (f"{column} < ?", (start,)),
            "<=": (f"{column} < ?", (end,)),
        }
        made, values = days[operator]
        return Condition(made, values)
    if operator == "!=":
        return Condition(f"({column} is null or {column} <> ?)", (start,))
    return Condition(f"{column} {operator} ?", (start,))


_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _value(field: Field, text: str, named: str) -> int | float:
    text = text.strip()
    if field.type is ColumnType.TIME and "-" in text:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise InvalidField(field=named, reason="not_time") from None
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    number = quantity(text)
    if number is None or abs(number) > 2**62:
        raise InvalidField(field=named, reason="not_number")
    return int(number) if number == int(number) else number


def _day_end(text: str) -> int | None:
    """The end of a day in epoch seconds, when the text is a mere day."""
    text = text.strip()
    if not _DAY.fullmatch(text):
        return None
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) + DAY_SECONDS  # 9999 has a last day too
