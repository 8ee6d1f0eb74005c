"""Certificates, keys, tokens and kubeconfigs of one lab cluster: the work that kubeadm does for a real one."""

import base64
import datetime
import ipaddress
import secrets
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
SERVER_ADDRESSES = ("127.0.0.1", "10.96.0.1")
# File name → common name, groups. Those with a kubeconfig log in to the API server by certificate.
CLIENTS = {
    "admin": ("lab-admin", ("system:masters",)),
    "viewer": ("lab-viewer", ("lab:viewers",)),
    "nobody": ("lab-nobody", ()),
    "kcm": ("system:kube-controller-manager", ()),
    "scheduler": ("system:kube-scheduler", ()),
    "kwok": ("lab-kwok", ("system:masters",)),
    "apiserver-kubelet-client": ("kube-apiserver-kubelet-client", ("system:masters",)),
    "front-proxy-client": ("front-proxy-client", ()),
}
TOKENS = {"admin": '"system:masters"', "viewer": '"lab:viewers"', "nobody": '""'}

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: {cluster}
clusters:
- name: {cluster}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
users:
- name: {login}
  user:
    client-certificate-data: {certificate}
    client-key-data: {key}
contexts:
- name: {cluster}
  context:
    cluster: {cluster}
    user: {login}
"""


class Authority:
    """The files of one cluster's PKI folder; makes what is missing and keeps what is there."""

    def __init__(self, folder: Path, cluster: str) -> None:
        self.folder, self.cluster = folder, cluster

    def path(self, name: str) -> Path:
        return self.folder / name

    def create(self) -> None:
        """Write the whole PKI unless it is complete already."""
        if self.path("tokens.csv").exists():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"lab-ca-{self.cluster}")])
        self._write_key("ca", self._key)
        self._write("ca.crt", self._ca().public_bytes(serialization.Encoding.PEM))
        for name in ("apiserver", "kubelet"):
            self._issue(name, f"lab-{name}", (), server=True)
        for name, (common_name, groups) in CLIENTS.items():
            self._issue(name, common_name, groups, server=name in ("kcm", "scheduler"))
        accounts = ec.generate_private_key(ec.SECP256R1())
        self._write_key("sa", accounts)
        self._write(
            "sa.pub",
            accounts.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            ),
        )
        lines = [f"{secrets.token_hex(16)},token-{name},token-{name},{group}" for name, group in TOKENS.items()]
        self._write("tokens.csv", ("\n".join(lines) + "\n").encode())

    def token(self, user: str) -> str:
        """The static bearer token of `admin`, `viewer` or `nobody`."""
        for line in self.path("tokens.csv").read_text().splitlines():
            token, name, *_ = line.split(",")
            if name == f"token-{user}":
                return token
        raise KeyError(user)

    def kubeconfig(self, user: str, server: str) -> str:
        """The kubeconfig of one certificate user, self-contained."""

        def data(name: str) -> str:
            return base64.b64encode(self.path(name).read_bytes()).decode()

        return KUBECONFIG.format(
            cluster=self.cluster,
            login=f"{self.cluster}-{user}",
            server=server,
            ca=data("ca.crt"),
            certificate=data(f"{user}.crt"),
            key=data(f"{user}.key"),
        )

    def _ca(self) -> x509.Certificate:
        return (
            self._builder(self._name, self._key, days=3650)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign=True), critical=True)
            .sign(self._key, hashes.SHA256())
        )

    def _issue(self, name: str, common_name: str, groups: tuple[str, ...], *, server: bool) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if server else [])]
        builder = (
            self._builder(subject, key, days=1095)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if server:
            names: list[x509.GeneralName] = [x509.DNSName(n) for n in SERVER_NAMES]
            names += [x509.IPAddress(ipaddress.ip_address(a)) for a in SERVER_ADDRESSES]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._write(f"{name}.crt", builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        self._write_key(name, key)

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )

    def _write_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        self._write(
            f"{name}.key",
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def _write(self, name: str, content: bytes) -> None:
        path = self.path(name)
        path.touch(mode=0o600)
        path.write_bytes(content)


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=False,
        key_cert_sign=sign,
        crl_sign=sign,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
