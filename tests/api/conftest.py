"""One installation for all tests of a module; they leave the fleet as they found it."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.support.api import Installation, event, installed, namespace, node, pod
from tests.support.api import migrated as migrated

STATES = ("Running", "Running", "Running", "Pending", "Failed")


@pytest.fixture(scope="module")
async def gm(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> AsyncIterator[Installation]:
    """Three clusters with 120 pods each, one of them away."""
    async with installed(tmp_path_factory.mktemp("gm"), migrated) as made:
        for cluster in made.ids:
            made.put(cluster, "namespaces", [namespace("shop"), namespace("bank")])
            made.put(cluster, "nodes", [node(f"{cluster}-node-{n}", gpus=n) for n in range(3)])
            pods = [
                pod(f"web-{n:03}", "shop" if n % 2 else "bank", phase=STATES[n % 5], app=f"app-{n % 4}")
                for n in range(119)
            ]
            only = pod(f"only-{cluster}")
            made.put(cluster, "pods", [*pods, only])
            made.put(cluster, "events", [event("only-event", only)])
        yield made


@pytest.fixture(scope="module")
async def admin(gm: Installation) -> AsyncIterator[httpx.AsyncClient]:
    """A Platform Admin, in English."""
    async with await gm.signed_in("admin", headers={"Accept-Language": "en"}) as client:
        yield client
