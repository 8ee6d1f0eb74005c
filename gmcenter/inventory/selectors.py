"""Label and field selectors, in Kubernetes' own grammar.

Label selectors follow k8s.io/apimachinery/pkg/labels: `=`, `==`, `!=`, `in`, `notin`, `exists`, `!exists`, `gt`,
`lt`. An object without the key satisfies `!=` and `notin`. Field selectors follow pkg/fields: `=`, `==`, `!=` with
backslash escapes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gmcenter.core.errors import InvalidField

Operator = Literal["in", "notin", "exists", "!exists", "gt", "lt"]

LONGEST = 4096
MOST_TERMS = 64
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?"
_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*")
_NAME = re.compile(_PART)
_TOKEN = re.compile(r"\s*(==|!=|=|!|,|\(|\)|>|<|[^\s=!,()<>]+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One term: the key, what is asked of it, and the values it is compared with."""

    key: str
    operator: Operator
    values: tuple[str, ...] = ()

    def holds(self, labels: dict[str, str]) -> bool:
        """Whether an object with these labels satisfies the term."""
        value = labels.get(self.key)
        if self.operator == "exists":
            return value is not None
        if self.operator == "!exists":
            return value is None
        if self.operator == "in":
            return value is not None and value in self.values
        if self.operator == "notin":
            return value is None or value not in self.values
        number = _integer(value)
        if number is None:
            return False
        bound = int(self.values[0])
        return number > bound if self.operator == "gt" else number < bound


@dataclass(frozen=True, slots=True)
class FieldTerm:
    """One term of a field selector: the field has the value, or has not."""

    path: str
    value: str
    equal: bool


def parse_labels(text: str, field: str = "labelSelector") -> tuple[Requirement, ...]:
    """The terms of a label selector; they AND together. Raises InvalidField naming `field` and what is wrong."""
    if not text.strip():
        return ()
    if len(text) > LONGEST:
        raise _bad(field, "too_long")
    parser = _Parser(text, field)
    found = parser.requirements()
    if len(found) > MOST_TERMS:
        raise _bad(field, "too_many_terms", most=MOST_TERMS)
    return found


class _Parser:
    def __init__(self, text: str, field: str) -> None:
        self.field = field
        self.tokens: list[str] = []
        at = 0
        text = text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise _bad(field, "selector_syntax", value=text[at : at + 20])
            self.tokens.append(match[1])
            at = match.end()
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def requirements(self) -> tuple[Requirement, ...]:
        found = [self.requirement()]
        while part := self.take():
            if part != ",":
                raise _bad(self.field, "selector_comma", value=part)
            found.append(self.requirement())
        return tuple(found)

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.key(), "!exists")
        key = self.key()
        operator = self.peek()
        if operator in ("", ","):
            return Requirement(key, "exists")
        self.take()
        if operator in ("=", "=="):
            return Requirement(key, "in", (self.value(),))
        if operator == "!=":
            return Requirement(key, "notin", (self.value(),))
        if operator == "in":
            return Requirement(key, "in", self.values())
        if operator == "notin":
            return Requirement(key, "notin", self.values())
        if operator in ("<", ">"):
            bound = self.value()
            if _integer(bound) is None:
                raise _bad(self.field, "not_integer", value=bound)
            return Requirement(key, "gt" if operator == ">" else "lt", (bound,))
        raise _bad(self.field, "not_operator", value=operator)

    def key(self) -> str:
        key = self.take()
        prefix, slash, name = key.rpartition("/")
        fine = _NAME.fullmatch(name) and len(name) <= 63
        if slash:
            fine = fine and _DOMAIN.fullmatch(prefix) and len(prefix) <= 253
        if not fine:
            raise _bad(self.field, "not_label_key", value=key)
        return key

    def value(self) -> str:
        value = "" if self.peek() in ("", ",", ")") else self.take()
        if value and (not _NAME.fullmatch(value) or len(value) > 63):
            raise _bad(self.field, "not_label_value", value=value)
        return value

    def values(self) -> tuple[str, ...]:
        if self.take() != "(":
            raise _bad(self.field, "selector_values")
        found = [self.value()]
        while (part := self.take()) == ",":
            found.append(self.value())
        if part != ")":
            raise _bad(self.field, "selector_values")
        return tuple(sorted(set(found)))


def parse_fields(text: str, field: str = "fieldSelector") -> tuple[FieldTerm, ...]:
    """The terms of a field selector; they AND together. Raises InvalidField naming `field` and what is wrong."""
    if len(text) > LONGEST:
        raise _bad(field, "too_long")
    found = []
    for term in _split_fields(text):
        if not term:
            continue
        match = re.fullmatch(r"([^=!\\]+)(==|!=|=)((?s:.*))", term)
        if match is None:
            raise _bad(field, "field_term", value=term)
        found.append(FieldTerm(match[1].strip(), _unescape(match[3], field), match[2] != "!="))
    if len(found) > MOST_TERMS:
        raise _bad(field, "too_many_terms", most=MOST_TERMS)
    return tuple(found)


def _split_fields(text: str) -> list[str]:
    parts, current, escaped = [], "", False
    for character in text:
        if character == "," and not escaped:
            parts.append(current)
            current = ""
            continue
        current += character
        escaped = character == "\\" and not escaped
    parts.append(current)
    return parts


def _unescape(text: str, field: str) -> str:
    found, rest = "", iter(text)
    for character in rest:
        if character == "\\":
            following = next(rest, "")
            if following not in ("\\", ",", "="):
                raise _bad(field, "field_escape")
            found += following
        elif character == "=":
            raise _bad(field, "field_escape")
        else:
            found += character
    return found


def _integer(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[+-]?[0-9]{1,18}", text, re.ASCII) else None


def _bad(field: str, reason: str, value: str = "", most: int = MOST_TERMS) -> InvalidField:
    """The error for a selector; `reason` is a code whose words stand in the catalogue."""
    return InvalidField(field=field, reason=reason, value=value[:100], most=most)
