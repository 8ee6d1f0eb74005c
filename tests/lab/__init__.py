"""The lab: real Kubernetes control planes with simulated nodes, for tests, benches and the demo.

>>> from tests.lab import Lab
>>> cluster = Lab(folder).cluster("c1").start().seed("small")
>>> cluster.kubectl("get", "pods", "-A")
>>> cluster.cut(); cluster.heal(); cluster.stop(purge=True)
"""

from tests.lab.build import Build, BuildFailed, Progress, ensure, progress
from tests.lab.client import ApiError, Client
from tests.lab.cluster import Lab, LabCluster, LabError, wait_for

__all__ = [
    "ApiError",
    "Build",
    "BuildFailed",
    "Client",
    "Lab",
    "LabCluster",
    "LabError",
    "Progress",
    "ensure",
    "progress",
    "wait_for",
]
