"""The order of a list, and the place in it that a cursor holds.

An order is a sequence of strata, each walked along one index without sorting: first the rows that have a value, then
those that have none, so that nulls come last in both directions. A stratum is ordered by a tuple of keys that ends
with the row's id. To go on from a place, the tail of the tuple is moved first: with keys (a, b, id), the rows of the
same a and b with a higher id, then those of the same a with a higher b, then those with a higher a. Each of these is
a range of the index.

Columns that belong to a row's cluster or namespace are walked from there: clusters in the order of their names, and
in each its rows by id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gmcenter.core.errors import UnknownParameter
from gmcenter.inventory.driver import Dialect
from gmcenter.inventory.schema import Field, KindTable


@dataclass(frozen=True, slots=True)
class Stratum:
    """A run of rows that one index holds in order.

    `source` is the from clause, `where` what all its rows have in common. `namespace` and `cluster` are the columns
    by which limits cut it soonest.
    """

    source: str
    where: str
    keys: tuple[str, ...]
    namespace: str
    cluster: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A range of a stratum, to be read in one go: further conditions with their parameters, and the keys still to
    order by.
    """

    rank: int
    stratum: Stratum
    where: tuple[str, ...]
    values: tuple[Any, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a row stands in an order: the number of its stratum and its keys there."""

    rank: int
    keys: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """One sort of one kind. `joins` and `rank` serve to sort a handful of rows at once instead of walking."""

    field: Field
    descending: bool
    strata: tuple[Stratum, ...]
    joins: str
    rank: str

    @property
    def flat(self) -> tuple[str, ...]:
        """The keys of the first stratum, of which those of the others are tails."""
        return self.strata[0].keys

    def keys_of(self, rank: int, flat: tuple[Any, ...]) -> tuple[Any, ...]:
        """The keys that count in a stratum, out of the first one's."""
        return flat[-len(self.strata[rank].keys) :]

    def segments(self, place: Place | None, backward: bool) -> Iterator[Segment]:
        """The ranges to read one after another to go on from a place, or from the start of the list (or its end)."""
        numbered = list(enumerate(self.strata))
        compare = "<" if self.descending != backward else ">"
        for rank, stratum in reversed(numbered) if backward else numbered:
            if place is None or (rank < place.rank if backward else rank > place.rank):
                yield Segment(rank, stratum, (), (), stratum.keys)
            elif rank == place.rank:
                for at in reversed(range(len(stratum.keys))):
                    held = tuple(f"{key} = ?" for key in stratum.keys[:at])
                    yield Segment(
                        rank,
                        stratum,
                        (*held, f"{stratum.keys[at]} {compare} ?"),
                        place.keys[: at + 1],
                        stratum.keys[at:],
                    )

    def direction(self, backward: bool) -> str:
        """asc or desc for the keys."""
        return "desc" if self.descending != backward else "asc"


def parse_sort(table: KindTable, text: str | None) -> tuple[Field, bool]:
    """The field of `sort=a` or `sort=-a`, and whether it descends. Raises UnknownParameter naming what cannot be
    sorted by.
    """
    text = (text or "").strip() or table.kind.default_sort
    descending = text.startswith("-")
    key = text.removeprefix("-").removeprefix("+")
    field = table.fields.get(key)
    if field is None or not field.sortable:
        allowed = [name for name, found in table.fields.items() if found.sortable]
        raise UnknownParameter(field=f"sort={text}", allowed=", ".join(allowed))
    return field, descending


def make_order(table: KindTable, field: Field, descending: bool, dialect: Dialect) -> Order:
    """The order of a kind's rows by one of its fields."""

    def using(index: str) -> str:
        # On SQLite the index is named: should it ever be missing, queries fail in the tests and do not just get slow.
        return f" indexed by {index}" if dialect == "sqlite" else ""

    join = "cross join" if dialect == "sqlite" else "join"
    name = table.name
    if field.dimension == "cluster":
        source = f"cluster c{using('u_cluster_name')} {join} {name} k{using(f'i_{name}_cluster')} on k.cluster = c.id"
        strata = [Stratum(source, "", ("c.name", "k.id"), "{k}k.ns_id", "c.id")]
        return Order(field, descending, tuple(strata), "join cluster c on c.id = k.cluster", "0")
    if field.dimension == "namespace":
        column = field.order.removeprefix("n.")
        by_namespace = f"{name} k{using(f'i_{name}_ns_id')}"
        source = f"namespace n{using(f'i_namespace_{column}')} {join} {by_namespace} on k.ns_id = n.id"
        keys, cut = (field.order, "n.id", "k.id"), ("n.id", "n.cluster")
        homeless = Stratum(by_namespace, "k.ns_id is null", ("k.id",), "k.ns_id", "{k}k.cluster")
        joins = "left join namespace n on n.id = k.ns_id"
        if not field.nullable:
            strata = [Stratum(source, "", keys, *cut), homeless]
            return Order(field, descending, tuple(strata), joins, "case when k.ns_id is null then 1 else 0 end")
        strata = [
            Stratum(source, f"{field.order} is not null", keys, *cut),
            Stratum(source, f"{field.order} is null", keys[1:], *cut),
            homeless,
        ]
        rank = f"case when k.ns_id is null then 2 when {field.order} is null then 1 else 0 end"
        return Order(field, descending, tuple(strata), joins, rank)
    source = f"{name} k{using('i_' + name + '_' + field.order.removeprefix('k.'))}"
    limits = ("{k}k.ns_id", "{k}k.cluster")
    if not field.nullable:
        return Order(field, descending, (Stratum(source, "", (field.order, "k.id"), *limits),), "", "0")
    strata = [
        Stratum(source, f"{field.order} is not null", (field.order, "k.id"), *limits),
        Stratum(source, f"{field.order} is null", ("k.id",), *limits),
    ]
    return Order(field, descending, tuple(strata), "", f"case when {field.order} is null then 1 else 0 end")
