"""Clusters for pytest. Started at first use, kept for the session, always stopped: their keepers hang on a leash."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.lab.cache import cache_root
from tests.lab.cluster import Lab, LabCluster


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """An empty lab of this session's own."""
    home = cache_root() / "tests"
    home.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="lab-", dir=home))
    made = Lab(folder)
    yield made
    made.down(purge=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def lab_cluster(lab: Lab) -> Iterator[LabCluster]:
    """One running cluster with the profile `small`. Tests that change it put it back, or make their own objects."""
    cluster = lab.cluster("lab-one")
    try:
        yield cluster.start().seed("small")
    finally:
        cluster.stop(purge=True)


@pytest.fixture(scope="session")
def lab_clusters(lab: Lab, lab_cluster: LabCluster) -> Iterator[list[LabCluster]]:
    """Two running clusters with the profile `small`; the first is `lab_cluster`."""
    second = lab.cluster("lab-two")
    try:
        yield [lab_cluster, second.start().seed("small")]
    finally:
        second.stop(purge=True)


@pytest.fixture
def healthy_lab(lab_clusters: list[LabCluster]) -> Iterator[list[LabCluster]]:
    """The two clusters, for a test that cuts or slows them: healed again at its end."""
    yield lab_clusters
    for cluster in lab_clusters:
        cluster.heal()


@pytest.fixture
def make_cluster(lab: Lab) -> Iterator[Callable[..., LabCluster]]:
    """Make clusters of a test's own: `make_cluster(name=None, profile=None, **start options)`."""
    made: list[LabCluster] = []
    numbers = count(1)

    def make(name: str | None = None, profile: str | None = None, **options: Any) -> LabCluster:
        cluster = lab.cluster(name or f"own-{next(numbers)}")
        made.append(cluster)
        cluster.start(**options)
        return cluster.seed(profile) if profile else cluster

    try:
        yield make
    finally:
        for cluster in made:
            cluster.stop(purge=True)
