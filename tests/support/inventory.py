"""Inventories for tests: a kind with a column of every type, rows for it, and a plain model of what lists answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from gmcenter.inventory.driver import Connection, transaction
from gmcenter.inventory.reader import Readers
from gmcenter.inventory.schema import ratio_number
from gmcenter.inventory.store import Row, Store
from gmcenter.kube.kinds import Column, ColumnType, Kind, Status
from gmcenter.kube.objects import Item
from gmcenter.kube.relations import Query, contains, derived, requirements

STATES = ("good", "busy", "warn", "bad", "away")

THING = Kind(
    "things",
    "Thing",
    Item,
    columns=(
        Column("text", type=ColumnType.TEXT, field="spec.text"),
        Column("number", type=ColumnType.INT),
        Column("real", type=ColumnType.FLOAT),
        Column("flag", type=ColumnType.BOOL),
        Column("moment", type=ColumnType.TIME),
        Column("ready", type=ColumnType.RATIO),
        Column("tags", type=ColumnType.TAGS),
        Column("size", type=ColumnType.BYTES),
        Column("hidden", type=ColumnType.TEXT, sortable=False, filterable=False),
    ),
    status=lambda _item: Status("Fine", "good"),
    layout=("name", "cluster", "namespace", "status"),
    tabs=("overview",),
    menu="/things",
    icon="box",
    detail=lambda _body: {},
    relations=(
        contains("things", lambda rows, _body: [row["name"] for row in rows]),
        derived("own", lambda _rows, body: body.get("kind")),
    ),
)
WIDGET = replace(THING, plural="widgets", kind="Widget", namespaced=False, relations=())
KINDS = {"things": THING, "widgets": WIDGET}
WORDS = ("alpha", "Beta", "gamma_1", "del%ta", "엡실론", "zeta\\eta", "a,b=c")
LABELS = {"app": ("web", "db", "cache"), "tier": ("1", "2", "10"), "example.com/mark": ("", "x")}
NAMESPACES = ("one", "two", "three")
CLUSTERS = {1: "east", 2: "West", 3: "far-north"}


def row(uid: str, **given: Any) -> Row:
    """A row with something in every field that is not given."""
    values = {"text": "alpha", "number": 1, "real": 0.5, "flag": True, "moment": 1_700_000_000}
    values |= {"ready": "1/1", "tags": ["a"], "size": 1024, "hidden": "secretish"}
    values |= {key: given.pop(key) for key in list(given) if key in values}
    namespace = given.pop("namespace", "one")
    made: dict[str, Any] = {
        "uid": uid,
        "namespace": namespace,
        "name": f"thing-{uid}",
        "resource_version": "1",
        "created": 1_700_000_000,
        "labels": {},
        "status": "Fine",
        "state": "good",
        **given,
    }
    made["values"] = tuple(values.values())
    made["body"] = json.dumps({"kind": "Thing", "metadata": {"name": made["name"], "uid": uid}}).encode()
    return Row(**made)


@st.composite
def rows(draw: st.DrawFn, uid: st.SearchStrategy[str], versions: st.SearchStrategy[int]) -> Row:
    """Any row."""
    some = st.sampled_from(WORDS)
    return row(
        draw(uid),
        namespace=draw(st.sampled_from(NAMESPACES)),
        name=draw(st.sampled_from(["x", "y", "X", "web-1", "web-2", "가"])),
        resource_version=str(draw(versions)),
        created=draw(st.none() | st.integers(1_600_000_000, 1_600_000_005)),
        labels=draw(st.fixed_dictionaries({}, optional={k: st.sampled_from(v) for k, v in LABELS.items()})),
        status=draw(st.sampled_from(["Running", "Pending", "CrashLoopBackOff"])),
        state=draw(st.sampled_from(STATES)),
        text=draw(st.none() | some),
        number=draw(st.none() | st.integers(-3, 3)),
        real=draw(st.none() | st.sampled_from([-1.5, 0.0, 0.1, 2.25])),
        flag=draw(st.none() | st.booleans()),
        moment=draw(st.none() | st.integers(1_699_999_990, 1_700_000_010)),
        ready=draw(st.none() | st.sampled_from(["0/1", "1/1", "2/3", "0/0", "3/3"])),
        tags=draw(st.lists(some, max_size=2, unique=True)),
        size=draw(st.none() | st.sampled_from([0, 1024, 2**40])),
    )


def wipe(store: Store) -> None:
    """Empty an inventory as if it were new, and have the store forget it."""
    with transaction(store._db):
        for table in reversed(store.schema.metadata.sorted_tables):
            if table.name not in ("meta", "change"):
                store._db.run(f"delete from {table.name}")
    store._forget()


@dataclass
class Model:
    """What an inventory must hold: rows by cluster and uid, following the store's three rules."""

    rows: dict[tuple[int, str], Row] = field(default_factory=dict)
    gone: set[tuple[int, str]] = field(default_factory=set)

    def put(self, cluster: int, given: Sequence[Row]) -> None:
        """Watch events."""
        for one in given:
            key = (cluster, one.uid)
            held = self.rows.get(key)
            if key in self.gone or (held and int(one.resource_version) <= int(held.resource_version)):
                continue
            self.rows[key] = one

    def drop(self, cluster: int, uids: Sequence[str]) -> None:
        """Deletions."""
        for uid in uids:
            self.rows.pop((cluster, uid), None)
            self.gone.add((cluster, uid))

    def relist(self, cluster: int, given: Sequence[Row]) -> None:
        """A whole list, each uid once: the truth."""
        shown = {one.uid: one for one in given}
        for key in [key for key in self.rows if key[0] == cluster and key[1] not in shown]:
            del self.rows[key]
        for uid, one in shown.items():
            held = self.rows.get((cluster, uid))
            if held is None or held.resource_version != one.resource_version:
                self.rows[cluster, uid] = one
            self.gone.discard((cluster, uid))


def stored(db: Connection, store: Store, kind: Kind = THING) -> dict[tuple[int, str], dict[str, Any]]:
    """What an inventory holds of a kind, by cluster and uid, with labels and values as they were given."""
    table = store.schema.tables[kind.plural]
    columns = ", ".join(f"k.{name}" for name in table.columns)
    labels: dict[int, dict[str, str]] = {}
    for row_id, key, value in db.rows(
        "select l.id, p.k, p.v from label l join label_pair p on p.id = l.pair where p.kind = ?", (kind.plural,)
    ):
        labels.setdefault(row_id, {})[key] = value
    found = {}
    for values in db.rows(f"select {columns} from {table.name} k"):
        held = dict(zip(table.columns, values, strict=True))
        found[held["cluster"], held["uid"]] = {**held, "labels": labels.get(held["id"], {})}
    return found


def expected(given: Row) -> dict[str, Any]:
    """What a row is stored as, apart from numbers that the store gives."""
    names = [f"c_{column.key.lower()}" for column in THING.columns]
    values = dict(zip(names, given.values, strict=True))
    values["c_tags"] = (
        json.dumps(values["c_tags"], ensure_ascii=False, separators=(",", ":")) if values["c_tags"] else None
    )
    values["c_flag"] = None if values["c_flag"] is None else int(values["c_flag"])
    return {
        "namespace": given.namespace or None,
        "name": given.name,
        "resource_version": given.resource_version,
        "created": given.created,
        "status": given.status,
        "state": given.state,
        "labels": given.labels,
        "c_ready_n": ratio_number(values["c_ready"]),
        **values,
    }


@dataclass
class Inventory:
    """A store and readers of the same database."""

    store: Store
    readers: Readers

    def fill(self, given: dict[int, Sequence[Row]], kind: Kind = THING) -> None:
        """Put rows into clusters."""
        for cluster, found in given.items():
            self.store.set_cluster(cluster, CLUSTERS[cluster], state="live")
            self.store.apply(cluster, kind, found)

    def namespace_ids(self, *names: str) -> frozenset[int]:
        """Ids of the namespaces with these names, in all clusters."""
        found = self.readers.run_now(lambda db: db.rows("select id, name from namespace"))
        return frozenset(number for number, name in found if name in names)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        assert self.readers.path is not None
        return self.readers.path


def nothing_asked(kind: str, namespace: str | None = None) -> Query:
    """A relation's question for everything of a kind."""
    return Query(kind, namespace, requirements=requirements({}))
