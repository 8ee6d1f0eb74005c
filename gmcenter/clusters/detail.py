"""What a cluster holds: for its detail, and for whoever is about to remove it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any, Final, TypeVar

from gmcenter.clusters import views
from gmcenter.clusters.schema import ClusterDetail, Dependents
from gmcenter.core import clock
from gmcenter.identity import policy, scope
from gmcenter.identity.actor import Actor
from gmcenter.identity.scope import Scope
from gmcenter.inventory import service as inventory
from gmcenter.inventory.service import ListQuery, NoInventory
from gmcenter.kube.kinds import KINDS

MOST_NODES: Final = 200
MOST_EVENTS: Final = 100
NODE_FIELDS: Final = ("name", "type", "nodeIP", "kubeVersion", "os", "kernel", "containerRuntimeVersion", "status")
Found = TypeVar("Found")
EVENT_FIELDS: Final = (
    "kind", "objectName", "namespace", "cluster", "type", "reason", "message", "count",
)  # fmt: skip


async def get_cluster(actor: Actor, name: str) -> ClusterDetail:
    """One cluster with the number of its objects, its nodes (the first 200 by name) and its last 100 events.

    Raises Forbidden, NotFound.
    """
    policy.require(actor, "clusters.read")
    cluster, site = await views.row(name)
    seen = await scope.resolve(actor)
    health, counts, nodes, events, fresh = await asyncio.gather(
        views.health(),
        _or_nothing(inventory.counters(seen, tuple(KINDS), (name,)), {}),
        _or_nothing(_nodes(seen, name), []),
        _or_nothing(_events(seen, name), []),
        inventory.freshness(seen, tuple(KINDS), (name,)),
    )
    shown = views.view(cluster, site, health.get(name), actor.language)
    singular = {kind.plural: kind.kind.lower() for kind in KINDS.values()}
    return ClusterDetail(
        **dict(shown),
        resource={f"{singular[plural]}_count": counts.get(plural) for plural in KINDS if plural != "events"},
        nodes=nodes,
        events=events,
        gpu=[{"node": node["name"], "count": node["gpu"]} for node in nodes if node.get("gpu")],
        freshness={
            "asOf": None if fresh.as_of is None else clock.rfc3339(int(fresh.as_of)),
            "answered": fresh.answered,
            "needed": fresh.needed,
        },
    )


async def _or_nothing(asked: Awaitable[Found], nothing: Found) -> Found:
    """An answer of the inventory, or nothing while there is none: its freshness then says that nobody answered."""
    try:
        return await asked
    except NoInventory:
        return nothing


async def _nodes(seen: Scope, name: str) -> list[dict[str, Any]]:
    """The first nodes by name, with their labels, annotations, capacity and addresses."""
    found = await inventory.list_objects(seen, ListQuery(kind="nodes", clusters=(name,), sort="name", limit=MOST_NODES))
    return [
        {
            **{key: row.get(key) for key in NODE_FIELDS},
            "gpu": row.get("gpu"),
            "created_at": _moment(row.get("created_at")),
            **KINDS["nodes"].detail(body),
        }
        for row, body in found
    ]


async def _events(seen: Scope, name: str) -> list[dict[str, Any]]:
    query = ListQuery(kind="events", clusters=(name,), sort="-lastSeen", limit=MOST_EVENTS)
    rows = (await inventory.list_rows(seen, query)).rows
    return [
        {
            **{key: row.get(key) for key in EVENT_FIELDS},
            "name": row.get("objectName"),
            "eventTime": _moment(row.get("lastSeen")),
        }
        for row in rows
    ]


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else clock.rfc3339(seconds)


async def what_depends(actor: Actor, name: str) -> Dependents:
    """How many objects would no longer be shown without the cluster. Raises Forbidden, NotFound."""
    policy.require(actor, "clusters.delete")
    await views.row(name)
    counts = await _or_nothing(inventory.counters(await scope.resolve(actor), tuple(KINDS), (name,)), {})
    objects = {plural: int(count) for plural, count in counts.items() if count and plural != "events"}
    return Dependents(cluster=name, objects=objects, total=sum(objects.values()))
