"""The fleet: which clusters there are, and the only door to each of them.

`clusters` lists them, `version` says cheaply whether the list has changed, `dial` opens a connection. Nothing else in
the product opens a stored credential, and nothing else connects to a cluster; later, edges behind NAT will be reached
by a tunnel here, and no caller will notice.
"""

from gmcenter.fleet.door import dial, stored_target
from gmcenter.fleet.table import ClusterRef, bump, cluster, clusters, ref_of, version

__all__ = ["ClusterRef", "bump", "cluster", "clusters", "dial", "ref_of", "stored_target", "version"]
