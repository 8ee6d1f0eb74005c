"""Rows and freshness as the REST API says them: camelCase, RFC 3339 times, nothing internal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gmcenter.inventory.service import Freshness, Page
from gmcenter.kube.kinds import ColumnType, Kind


def moment(seconds: float | None) -> datetime | None:
    """A time for the answer's JSON."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def whole_moment(seconds: float | None) -> datetime | None:
    """A time to the second."""
    return None if seconds is None else datetime.fromtimestamp(int(seconds), UTC)


def freshness(found: Freshness) -> dict[str, Any]:
    """How fresh an answer is, and which sources it comes from."""
    return {
        "asOf": whole_moment(found.as_of),
        "answered": found.answered,
        "needed": found.needed,
        "sources": [
            {
                "cluster": source.cluster,
                "kind": source.kind,
                "state": source.state,
                "asOf": whole_moment(source.as_of),
                "error": source.error,
                "lag": source.lag,
            }
            for source in found.sources
        ],
    }


class Renderer:
    """Renders rows of one kind."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self._keys = tuple(column.key for column in kind.all_columns)
        self._times = tuple(column.key for column in kind.all_columns if column.type is ColumnType.TIME)

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """One row: its columns, its uid, and how it is doing (`state`, `away`, `asOf`)."""
        made = {key: row.get(key) for key in self._keys}
        for key in self._times:
            if (seconds := made[key]) is not None:
                made[key] = datetime.fromtimestamp(seconds, UTC)
        made["uid"] = row.get("uid")
        made["state"] = row.get("_state")
        made["away"] = row.get("_away", False)
        made["asOf"] = whole_moment(row.get("_asOf"))
        return made

    def rows(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Several rows."""
        return [self.row(row) for row in rows]

    def page(self, page: Page, limit: int) -> dict[str, Any]:
        """A page of rows in the envelope."""
        return {
            "data": [self.row(row) for row in page.rows],
            "page": {
                "limit": limit,
                "count": {"value": page.count.value, "exact": page.count.exact},
                "next": page.next,
                "previous": page.previous,
            },
            "freshness": freshness(page.freshness),
        }
