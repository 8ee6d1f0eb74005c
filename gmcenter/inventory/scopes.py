"""What a scope means in SQL, at one place.

Every query over rows is cut by a `Limits` that was made from a scope; a test walks the code for one that is not. Rows
that belong to no namespace (nodes) are seen only by those who see everything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gmcenter.identity.scope import Scope
from gmcenter.inventory.driver import Dialect, array, member


@dataclass(frozen=True, slots=True)
class Limits:
    """The namespaces and clusters that rows may lie in; None is no limit, an empty set leaves nothing."""

    namespaces: frozenset[int] | None
    clusters: frozenset[int] | None

    @property
    def nothing(self) -> bool:
        """Whether no row can be left."""
        return self.namespaces == frozenset() or self.clusters == frozenset()

    def where(self, dialect: Dialect, namespace: str, cluster: str) -> tuple[list[str], list[Any]]:
        """The conditions on a column of namespace ids and one of cluster ids, with their parameters."""
        texts: list[str] = []
        values: list[Any] = []
        for ids, column in ((self.namespaces, namespace), (self.clusters, cluster)):
            if ids is not None:
                texts.append(member(dialect, column, "bigint"))
                values.append(_parameter(dialect, ids))
        return texts, values


def limits(scope: Scope, namespaces: Iterable[int] | None = None, clusters: Iterable[int] | None = None) -> Limits:
    """A scope, narrowed to some namespaces and clusters when these are given."""
    wanted = None if namespaces is None else frozenset(namespaces)
    if not scope.everything:
        wanted = scope.namespace_ids if wanted is None else scope.namespace_ids & wanted
    return Limits(wanted, None if clusters is None else frozenset(clusters))


@lru_cache(maxsize=1024)
def _parameter(dialect: Dialect, ids: frozenset[int]) -> Any:
    """The parameter for a set of ids; made once a scope, since it may hold thousands."""
    return array(dialect, sorted(ids))
