"""The command lines of one cluster's servers."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.lab.build import Build
from tests.lab.pki import Authority

SERVICES, PODS = "10.96.0.0/16", "10.128.0.0/9"


@dataclass(frozen=True, slots=True)
class Ports:
    """A cluster's ten ports. `public` is the proxy, where kubeconfigs point; `api` is the server behind it."""

    base: int

    def __getattr__(self, name: str) -> int:
        order = ("etcd", "peer", "api", "kcm", "scheduler", "kwok", "metrics", "public")
        if name in order:
            return self.base + order.index(name)
        raise AttributeError(name)


@dataclass(frozen=True, slots=True)
class Plan:
    """What one cluster is started with."""

    name: str
    folder: Path
    build: Build
    pki: Authority
    ports: Ports
    metrics: bool = False
    node_grace: int = 20  # seconds without a heartbeat until a node counts as gone; raise it for hundreds of nodes

    def first(self) -> Iterator[tuple[str, list[str]]]:
        """The store and the API server, which start together."""
        yield "etcd", self._etcd()
        yield "kube-apiserver", self._apiserver()

    def rest(self) -> Iterator[tuple[str, list[str]]]:
        """What needs an API server that is ready."""
        yield "kube-controller-manager", self._controllers()
        yield "kube-scheduler", [*self._control("scheduler", "kube-scheduler")]
        yield "kwok", self._kwok()
        if self.metrics:
            yield "metrics-server", self._metrics()

    def _pki(self, name: str) -> str:
        return str(self.pki.path(name))

    def _etcd(self) -> list[str]:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self.ports.etcd, self.ports.peer))
        return [
            "etcd",
            f"--name={self.name}",
            f"--data-dir={self.folder / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={self.name}={peer}",
            "--unsafe-no-fsync",
            "--quota-backend-bytes=4294967296",
            "--auto-compaction-mode=periodic",
            "--auto-compaction-retention=5m",
            "--log-level=warn",
        ]

    def _apiserver(self) -> list[str]:
        return [
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self.ports.etcd}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.ports.api}",
            "--endpoint-reconciler-type=none",  # it refuses to publish a loopback address
            f"--service-cluster-ip-range={SERVICES}",
            "--allow-privileged=true",
            f"--client-ca-file={self._pki('ca.crt')}",
            f"--tls-cert-file={self._pki('apiserver.crt')}",
            f"--tls-private-key-file={self._pki('apiserver.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._pki('sa.pub')}",
            f"--service-account-signing-key-file={self._pki('sa.key')}",
            f"--kubelet-certificate-authority={self._pki('ca.crt')}",
            f"--kubelet-client-certificate={self._pki('apiserver-kubelet-client.crt')}",
            f"--kubelet-client-key={self._pki('apiserver-kubelet-client.key')}",
            # Nodes show an address of a documentation range; their kubelet (kwok) answers at this one.
            "--kubelet-preferred-address-types=InternalDNS",
            f"--requestheader-client-ca-file={self._pki('ca.crt')}",
            "--requestheader-allowed-names=front-proxy-client",
            "--requestheader-username-headers=X-Remote-User",
            "--requestheader-group-headers=X-Remote-Group",
            "--requestheader-extra-headers-prefix=X-Remote-Extra-",
            f"--proxy-client-cert-file={self._pki('front-proxy-client.crt')}",
            f"--proxy-client-key-file={self._pki('front-proxy-client.key')}",
            "--authorization-mode=Node,RBAC",
            f"--token-auth-file={self._pki('tokens.csv')}",
            "--event-ttl=24h",
            "--max-requests-inflight=800",
            "--max-mutating-requests-inflight=400",
            "--profiling=false",
        ]

    def _control(self, user: str, program: str) -> list[str]:
        config = self._pki(f"{user}.kubeconfig")
        return [
            program,
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={getattr(self.ports, user)}",
            f"--tls-cert-file={self._pki(f'{user}.crt')}",
            f"--tls-private-key-file={self._pki(f'{user}.key')}",
            f"--client-ca-file={self._pki('ca.crt')}",
            "--leader-elect=false",
            "--kube-api-qps=300",
            "--kube-api-burst=600",
        ]

    def _controllers(self) -> list[str]:
        return [
            *self._control("kcm", "kube-controller-manager"),
            "--use-service-account-credentials",
            f"--root-ca-file={self._pki('ca.crt')}",
            f"--service-account-private-key-file={self._pki('sa.key')}",
            f"--cluster-signing-cert-file={self._pki('ca.crt')}",
            f"--cluster-signing-key-file={self._pki('ca.key')}",
            f"--node-monitor-grace-period={self.node_grace}s",
            "--node-monitor-period=2s",
            "--allocate-node-cidrs=true",
            f"--cluster-cidr={PODS}",
            f"--service-cluster-ip-range={SERVICES}",
        ]

    def _kwok(self) -> list[str]:
        own = sorted(Path(__file__).parent.joinpath("stages").glob("*.yaml"))
        return [
            "kwok",
            f"--kubeconfig={self._pki('kwok.kubeconfig')}",
            *(f"--config={path}" for path in (*self.build.stages, *own, *(self.build.metrics if self.metrics else ()))),
            "--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake",
            "--node-ip=127.0.0.1",
            f"--node-port={self.ports.kwok}",
            f"--server-address=127.0.0.1:{self.ports.kwok}",
            f"--tls-cert-file={self._pki('kubelet.crt')}",
            f"--tls-private-key-file={self._pki('kubelet.key')}",
            "--cidr=10.244.0.0/16",
            f"--node-lease-duration-seconds={self.node_grace * 3 // 4}",
        ]

    def _metrics(self) -> list[str]:
        config = self._pki("kwok.kubeconfig")
        return [
            "metrics-server",
            f"--kubeconfig={config}",
            f"--authentication-kubeconfig={config}",
            f"--authorization-kubeconfig={config}",
            "--bind-address=127.0.0.1",
            f"--secure-port={self.ports.metrics}",
            f"--tls-cert-file={self._pki('kubelet.crt')}",
            f"--tls-private-key-file={self._pki('kubelet.key')}",
            f"--kubelet-certificate-authority={self._pki('ca.crt')}",
            f"--kubelet-client-certificate={self._pki('apiserver-kubelet-client.crt')}",
            f"--kubelet-client-key={self._pki('apiserver-kubelet-client.key')}",
            "--kubelet-use-node-status-port",
            "--kubelet-preferred-address-types=InternalDNS",
            "--metric-resolution=15s",
        ]
