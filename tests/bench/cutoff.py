"""What the clusters in reach feel of one that is not: the same operations before, during and after a cut.

Budget: within 10 % of what they take while all is well. A machine has other work too, which only adds: calm and cut
take turns, and a figure is the median of its quietest round, as is the baseline of the calm rounds of the same run.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gmtool.build import build
from tests.lab import Lab, LabCluster
from tests.lab.cache import cache_root
from tests.support.fleet import Fleet, raised

ROUNDS, LISTS, CHANGES = 4, 100, 20
ALLOWED = 1.10
WAYS: dict[str, Callable[[LabCluster], None]] = {
    "refuses": lambda cluster: cluster.cut(),
    "is a black hole": lambda cluster: cluster.blackhole(),
    "answers after 30 s": lambda cluster: cluster.slow(30_000),
}


def bench() -> list[dict[str, Any]]:
    """List and change → list of a cluster in reach, while another one is cut off in three ways."""
    build()
    home = cache_root() / "bench"
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="cutoff-", dir=home) as folder:
        lab = Lab(Path(folder) / "lab")
        try:
            one, two = lab.up(["one", "two"], profile="small")
            with raised(Path(folder) / "data") as fleet:
                fleet.register("one", one)
                fleet.register("steady", two)
                fleet.wait_live()
                return [figure for how, cut in WAYS.items() for figure in _compare(fleet, one, how, cut)]
        finally:
            lab.down(purge=True)


def _compare(fleet: Fleet, cluster: LabCluster, how: str, cut: Callable[[LabCluster], None]) -> list[dict[str, Any]]:
    calm: list[tuple[float, float]] = []
    hit: list[tuple[float, float]] = []
    for _ in range(ROUNDS):
        calm.append(_measure(fleet))
        cut(cluster)
        fleet.wait_state("one", "away", 40)
        hit.append(_measure(fleet))
        cluster.heal()
        fleet.wait_state("one", "live", 60)
    fleet.wait_equal("one")
    figures = []
    for at, what in enumerate(("page of 50 over HTTP", "change to list")):
        value, baseline = (round(min(one[at] for one in side), 2) for side in (hit, calm))
        figures.append(
            {
                "metric": f"{what}, another cluster {how}",
                "value": value,
                "unit": "ms",
                "budget": round(baseline * ALLOWED, 2),
                "baseline": baseline,
                "baseline_is": "the same with all clusters in reach",
            }
        )
    return figures


def _measure(fleet: Fleet) -> tuple[float, float]:
    fleet.sign_in()
    return fleet.list_milliseconds("steady", LISTS), fleet.change_milliseconds("steady", CHANGES)
