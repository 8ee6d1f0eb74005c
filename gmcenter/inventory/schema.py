"""The inventory's tables, made from the declarations of kinds.

One narrow table a kind, `k_<plural>`, holds what lists show and sort by. Next to it lie the words that a text search
looks through (`t_<plural>`) and, for all kinds together, the bodies and the labels: a blob in a row makes deep pages
a hundred times slower, and a search through a table of nothing but words costs a fifth of one through the rows
(docs/decisions/002). Row ids are unique over all kinds, so bodies and labels need no kind.

It is a cache and has no migrations. `Schema.digest` changes with the declarations, the rules that compute values and
this file; a store that finds another one drops everything and starts again.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateIndex, CreateTable

from gmcenter import kube
from gmcenter.inventory.driver import Dialect
from gmcenter.kube.kinds import KINDS, ColumnType, Kind

VERSION = 1
"""Raise it when rows of an older GM must not be read, though no declaration changed."""

VALUE_MODULES = ("kinds", "objects", "status", "values")
KEY = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
RATIO_STEP = 10_000

Dimension = Literal["cluster", "namespace"]


@dataclass(frozen=True, slots=True)
class Field:
    """A column as queries see it.

    `value` is the SQL expression that is shown, `order` the one that is sorted by: of the row (k), of its cluster (c)
    or of its namespace (n). `dimension` says which of the latter two, None for the row itself.
    """

    key: str
    type: ColumnType
    value: str
    order: str
    nullable: bool
    sortable: bool
    filterable: bool
    dimension: Dimension | None = None
    path: str | None = None


BASE_COLUMNS = (
    "id",
    "cluster",
    "ns_id",
    "namespace",
    "name",
    "uid",
    "resource_version",
    "created",
    "status",
    "state",
    "labels",
)


class KindTable:
    """One kind's table: the names that its statements are made of."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.name = f"k_{_identifier(kind.plural)}"
        self.words = f"t_{_identifier(kind.plural)}"
        self.fields: dict[str, Field] = {field.key: field for field in _fields(kind)}
        self.own: tuple[str, ...] = tuple(_own(column.key) for column in kind.columns)
        self.ratios: tuple[str, ...] = tuple(
            f"{_own(column.key)}_n" for column in kind.columns if column.type is ColumnType.RATIO
        )
        self.columns: tuple[str, ...] = (*BASE_COLUMNS, *self.own, *self.ratios)

    @property
    def indexed(self) -> tuple[str, ...]:
        """The columns of this table, besides the key, that an index serves."""
        orders = [field.order.removeprefix("k.") for field in self.fields.values() if field.sortable]
        found = [order for order in orders if "." not in order]
        return tuple(dict.fromkeys((*found, "cluster", "ns_id")))

    @cached_property
    def project(self) -> Callable[[tuple[Any, ...]], tuple[Any, ...]]:
        """Turns a projected row's values into what the columns store: own columns, then the ratios' sort numbers."""
        kinds = [column.type for column in self.kind.columns]
        tags = [at for at, kind in enumerate(kinds) if kind is ColumnType.TAGS]
        flags = [at for at, kind in enumerate(kinds) if kind is ColumnType.BOOL]
        ratios = [at for at, kind in enumerate(kinds) if kind is ColumnType.RATIO]
        if not (tags or flags or ratios):
            return tuple

        def project(values: tuple[Any, ...]) -> tuple[Any, ...]:
            stored = list(values)
            for at in tags:
                if stored[at] is not None:
                    stored[at] = orjson.dumps(stored[at]).decode() if stored[at] else None
            for at in flags:
                if stored[at] is not None:
                    stored[at] = int(stored[at])
            stored.extend(ratio_number(values[at]) for at in ratios)
            return tuple(stored)

        return project

    @cached_property
    def searched(self) -> tuple[int, ...]:
        """Positions, among the own columns, of texts that a search looks through."""
        texts = (ColumnType.TEXT, ColumnType.TAGS)
        return tuple(at for at, column in enumerate(self.kind.columns) if column.type in texts)


def ratio_number(text: str | None) -> int | None:
    """What "n/m" is sorted by: the share of n in m, then m. Nothing wanted ("0/0") counts as all there."""
    if not text:
        return None
    ready, _, wanted = text.partition("/")
    try:
        n, m = int(ready), int(wanted)
    except ValueError:
        return None
    share = n * 1_000_000 // m if m > 0 else 1_000_000
    return min(share, 100_000_000) * RATIO_STEP + min(max(m, 0), RATIO_STEP - 1)


def _identifier(text: str) -> str:
    if not KEY.fullmatch(text):
        raise ValueError(f"{text!r} cannot name a column or table")
    return text.lower()


def _own(key: str) -> str:
    return f"c_{_identifier(key)}"


def _fields(kind: Kind) -> list[Field]:
    common: dict[str, tuple[str, bool, Dimension | None]] = {
        "name": ("k.name", False, None),
        "cluster": ("c.name", False, "cluster"),
        # Sorted by from the namespace's side, so that a scope of few namespaces walks only those.
        "namespace": ("n.name", False, "namespace") if kind.namespaced else ("k.namespace", True, None),
        "project": ("n.project", True, "namespace"),
        "workspace": ("n.workspace", True, "namespace"),
        "user": ("n.owner", True, "namespace"),
        "status": ("k.status", False, None),
        kind.created_field: ("k.created", True, None),
    }
    found = []
    for column in kind.common:
        value, nullable, dimension = common[column.key]
        found.append(
            Field(
                column.key,
                column.type,
                value,
                value,
                nullable,
                column.sortable,
                column.filterable,
                dimension,
                column.field,
            )
        )
    for column in kind.columns:
        value = f"k.{_own(column.key)}"
        order = f"{value}_n" if column.type is ColumnType.RATIO else value
        found.append(
            Field(column.key, column.type, value, order, True, column.sortable, column.filterable, None, column.field)
        )
    if len({field.key.lower() for field in found}) != len(found):
        raise ValueError(f"{kind.plural}: two columns have the same name")
    return found


class Schema:
    """All tables for a set of kinds in one database's dialect."""

    def __init__(self, kinds: Mapping[str, Kind], dialect: Dialect) -> None:
        self.dialect: Dialect = dialect
        self.kinds = dict(kinds)
        self.tables: dict[str, KindTable] = {plural: KindTable(kind) for plural, kind in self.kinds.items()}
        self.metadata = sa.MetaData()
        text = sa.Text(collation="C") if dialect == "postgresql" else sa.Text()
        self._text: sa.types.TypeEngine[Any] = text
        for table in self.tables.values():
            self._kind_table(table)
        self._shared_tables()

    def _kind_table(self, table: KindTable) -> None:
        types: dict[ColumnType, sa.types.TypeEngine[Any]] = {
            ColumnType.INT: sa.BigInteger(),
            ColumnType.TIME: sa.BigInteger(),
            ColumnType.BYTES: sa.BigInteger(),
            ColumnType.BOOL: sa.SmallInteger(),
            ColumnType.FLOAT: sa.Double(),
        }
        columns = [
            self._key(),
            sa.Column("cluster", sa.Integer, nullable=False),
            sa.Column("ns_id", sa.BigInteger),
            sa.Column("namespace", self._text),
            sa.Column("name", self._text, nullable=False),
            sa.Column("uid", self._text, nullable=False),
            sa.Column("resource_version", self._text, nullable=False),
            sa.Column("created", sa.BigInteger),
            sa.Column("status", self._text, nullable=False),
            sa.Column("state", self._text, nullable=False),
            sa.Column("labels", self._text, nullable=False),
        ]
        for name, column in zip(table.own, table.kind.columns, strict=True):
            columns.append(sa.Column(name, types.get(column.type, self._text)))
        columns += [sa.Column(name, sa.BigInteger) for name in table.ratios]
        made = sa.Table(table.name, self.metadata, *columns)
        sa.Index(f"u_{table.name}", made.c.cluster, made.c.uid, unique=True)
        for name in table.indexed:
            # On SQLite an index ends with the row's id by itself; naming it would store it twice.
            ends = [made.c.id] if self.dialect == "postgresql" else []
            sa.Index(f"i_{table.name}_{name}", made.c[name], *ends)
        sa.Table(
            table.words,
            self.metadata,
            self._key(),
            sa.Column("cluster", sa.Integer, nullable=False),
            sa.Column("words", self._text, nullable=False),
        )

    def _key(self, name: str = "id") -> sa.Column[Any]:
        kind = sa.BigInteger() if self.dialect == "postgresql" else sa.Integer()
        return sa.Column(name, kind, primary_key=True, autoincrement=False)

    def _shared_tables(self) -> None:
        text, metadata = self._text, self.metadata
        sa.Table("body", metadata, self._key(), sa.Column("packed", sa.LargeBinary, nullable=False))
        sa.Table(
            "label_pair",
            metadata,
            self._key(),
            sa.Column("kind", text, nullable=False),
            sa.Column("k", text, nullable=False),
            sa.Column("v", text, nullable=False),
            sa.UniqueConstraint("kind", "k", "v", name="u_label_pair"),
        )
        sa.Table(
            "label",
            metadata,
            sa.Column("pair", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
            sqlite_with_rowid=False,
        )
        namespace = sa.Table(
            "namespace",
            metadata,
            self._key(),
            sa.Column("cluster", sa.Integer, nullable=False),
            sa.Column("name", text, nullable=False),
            sa.Column("project", text),
            sa.Column("workspace", text),
            sa.Column("owner", text),
            sa.UniqueConstraint("cluster", "name", name="u_namespace"),
        )
        for name in ("name", "project", "workspace", "owner"):
            ends = [namespace.c.id] if self.dialect == "postgresql" else []
            sa.Index(f"i_namespace_{name}", namespace.c[name], *ends)
        sa.Table(
            "counter",
            metadata,
            sa.Column("cluster", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("kind", text, primary_key=True),
            sa.Column("state", text, primary_key=True),
            sa.Column("n", sa.BigInteger, nullable=False),
        )
        sa.Table(
            "source",
            metadata,
            sa.Column("kind", text, primary_key=True),
            sa.Column("cluster", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("state", text, nullable=False),
            sa.Column("as_of", sa.Double),
            sa.Column("error", text),
            sa.Column("lag", sa.Double),
        )
        cluster = sa.Table(
            "cluster",
            metadata,
            self._key(),
            sa.Column("name", text, nullable=False),
            sa.Column("state", text, nullable=False),
            sa.Column("last_seen", sa.Double),
            sa.Column("version", text),
            sa.Column("latency_ms", sa.Double),
            sa.Column("certificate_not_after", sa.Double),
            sa.Column("error", text),
            sa.Column("detail", text),
        )
        sa.Index("u_cluster_name", cluster.c.name, unique=True)
        change = sa.Table(
            "change",
            metadata,
            sa.Column(
                "seq",
                sa.BigInteger() if self.dialect == "postgresql" else sa.Integer(),
                primary_key=True,
                autoincrement=True,
            ),
            sa.Column("at", sa.Double, nullable=False),
            sa.Column("cluster", sa.Integer),
            sa.Column("kind", text, nullable=False),
            sa.Column("ns_id", sa.BigInteger),
            sa.Column("uid", text),
            sa.Column("op", text, nullable=False),
            sqlite_autoincrement=True,
        )
        sa.Index("i_change_at", change.c.at)
        sa.Table("meta", metadata, sa.Column("key", text, primary_key=True), sa.Column("value", text, nullable=False))

    @cached_property
    def statements(self) -> tuple[str, ...]:
        """The DDL, in order."""
        dialect: sa.Dialect = postgresql.dialect() if self.dialect == "postgresql" else sqlite.dialect()  # type: ignore[no-untyped-call]
        made = []
        for table in self.metadata.sorted_tables:
            made.append(str(CreateTable(table).compile(dialect=dialect)).strip())
            made += [
                str(CreateIndex(index).compile(dialect=dialect))
                for index in sorted(table.indexes, key=lambda index: str(index.name))
            ]
        if self.dialect == "postgresql":
            made.append("create sequence row_id")
            made.append("create sequence ns_id")
            made.append("create sequence pair_id")
            made.append("alter table body alter column packed set storage external")
        return tuple(made)

    @cached_property
    def digest(self) -> str:
        """What rows of this schema are told by: it differs when rows made by another GM could mean something else."""
        hasher = hashlib.sha256(f"{VERSION}\n".encode())
        for statement in self.statements:
            hasher.update(statement.encode())
        hasher.update(_value_rules())
        return hasher.hexdigest()


@lru_cache(maxsize=1)
def _value_rules() -> bytes:
    """A digest of the modules that compute a row's values from an object."""
    folder = Path(kube.__path__[0])
    hasher = hashlib.sha256()
    for path in (*(folder / f"{name}.py" for name in VALUE_MODULES), Path(__file__).with_name("project.py")):
        if path.exists():
            hasher.update(path.read_bytes())
    return hasher.digest()


@lru_cache(maxsize=4)
def default_schema(dialect: Dialect) -> Schema:
    """The schema of GM's own kinds."""
    return Schema(KINDS, dialect)
