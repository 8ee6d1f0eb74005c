"""What goes over the socket: a page of rows once, then patches to it.

A whole page of fifty rows is some ten kilobytes and a change of one row three hundred bytes, so rows are sent as lists
in the order of the page's `cols`, and a change as a patch. A patch holds everything that changed since its page, not
since the patch before it: browsers may skip one, and a reader who comes later gets the page and the newest patch and is
where everybody else is.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gmcenter.core import clock

META = ("_id", "_cluster", "_state", "_away", "uid")
"""What every row carries besides its columns. Its age is not among them: that is its source's, sent once with those."""

_versions = itertools.count(1)

Vars = dict[str, Any]


@dataclass(slots=True)
class Frame:
    """What a topic shows now. `full` is for one who has seen nothing, `update` for one who saw the frame before (None:
    nothing has changed). `again` asks for another look after so many seconds, though nobody may announce a change.
    """

    full: Vars
    update: Vars | None
    again: float | None = None


@dataclass(slots=True)
class PageFrame:
    """A page of rows and what has changed since."""

    columns: tuple[str, ...]
    page: Vars
    rows: dict[Any, list[Any]]
    order: list[Any]
    patch: Vars = field(default_factory=dict)

    @property
    def full(self) -> Vars:
        """The state's variables for a reader who comes now."""
        return {"page": self.page, "patch": self.patch}

    def follow(self, rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> Vars | None:
        """Compare with rows read again; returns the variables to push, None when nothing differs."""
        now = encode(rows, self.columns)
        order = [row[0] for row in now]
        changed = {row[0]: row for row in now if self.rows.get(row[0]) != row}
        if len(changed) * 2 > max(len(now), 1) and len(now) > 4:
            # More than half is new: a page says it in fewer bytes than a patch.
            fresh = page(str(self.page["kind"]), self.columns, rows, facts)
            self.page, self.rows, self.order, self.patch = fresh.page, fresh.rows, fresh.order, {}
            return {"page": self.page, "patch": {}}
        patch: Vars = {"v": self.page["v"]}
        if changed:
            patch["rows"] = {str(key): row for key, row in changed.items()}
        if order != self.order:
            patch["order"] = order
        different = {name: value for name, value in facts.items() if self.page.get(name) != value}
        if different:
            patch["facts"] = different
        if len(patch) == 1:
            patch = {}
        if patch == self.patch:
            return None
        self.patch = patch
        return {"patch": patch}


def encode(rows: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> list[list[Any]]:
    """Rows as lists; the first value is the row's id."""
    return [[row.get(name) for name in columns] for row in rows]


def column_keys(declared: Iterable[str]) -> tuple[str, ...]:
    """The values that a row is sent with: what every row carries, then the declared columns."""
    return (*META, *(key for key in declared if key not in META))


def page(kind: str, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> PageFrame:
    """A page of rows. `columns` begin with `_id`; `facts` are count, exact, away, next, prev, sort, limit."""
    lists = encode(rows, columns)
    made = {"kind": kind, "v": next(_versions), "cols": list(columns), "rows": lists, **facts}
    return PageFrame(tuple(columns), made, {row[0]: row for row in lists}, [row[0] for row in lists])


def whole(kind: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Vars:
    """A list so short that all its rows are here, for a table in "local" mode. Rows need a unique `_id`."""
    return page(kind, column_keys(columns), rows, {"count": len(rows), "exact": True}).page


def fresh(freshness: Any) -> Vars:
    """A service's Freshness as the lamp reads it; `now` lets the browser tell ages by the server's clock."""
    return {
        "now": round(clock.epoch(), 1),
        "asOf": _rounded(freshness.as_of),
        "answered": freshness.answered,
        "needed": freshness.needed,
        "sources": [
            {
                "cluster": source.cluster,
                "kind": source.kind,
                "state": str(source.state),
                "asOf": _rounded(source.as_of),
                **({"error": source.error} if source.error else {}),
            }
            for source in freshness.sources
        ],
    }


def _rounded(epoch: float | None) -> float | None:
    return None if epoch is None else round(epoch, 1)


def standing(made: Mapping[str, Any]) -> tuple[Any, ...]:
    """What of a freshness is news at once: who answers and who does not. Ages alone can wait a few seconds."""
    sources = tuple((s["cluster"], s["kind"], s["state"], s.get("error")) for s in made.get("sources", ()))
    return made.get("answered"), made.get("needed"), sources
