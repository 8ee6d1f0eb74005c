"""What it takes to reach one API server: where it is, whom to trust, and what to show it.

A `Target` comes out of a kubeconfig or a form and goes into the preflight and the vault. Its credential is never
printed: `repr` shows the kind only.
"""

from __future__ import annotations

import base64
import binascii
import ssl
import tempfile
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from gmcenter.core.address import Endpoint, literal, parse_endpoint
from gmcenter.core.errors import InvalidField

CredentialKind = Literal["token", "certificate"]


@dataclass(frozen=True, slots=True)
class Target:
    """One API server and one credential for it: a bearer token, or a client certificate with its key (PEM).

    `ca_pem` empty means the system's trust store. `tls_server_name` empty means the endpoint's host.
    """

    endpoint: str
    ca_pem: str = ""
    token: str = field(default="", repr=False)
    certificate_pem: str = field(default="", repr=False)
    key_pem: str = field(default="", repr=False)
    tls_server_name: str = ""

    @property
    def kind(self) -> CredentialKind:
        """What the credential is."""
        return "token" if self.token else "certificate"

    @property
    def address(self) -> Endpoint:
        """The endpoint taken apart."""
        return parse_endpoint(self.endpoint)

    @property
    def server_name(self) -> str:
        """The name or address that the server's certificate must carry."""
        return self.tls_server_name or self.address.host

    def sealed_form(self) -> bytes:
        """The credential alone, for the vault."""
        if self.token:
            return orjson.dumps({"token": self.token})
        return orjson.dumps({"certificate": self.certificate_pem, "key": self.key_pem})

    def not_after(self) -> int | None:
        """When the credential ends, epoch seconds; None when it does not say (an opaque token)."""
        return token_not_after(self.token) if self.token else certificate_not_after(self.certificate_pem)


def build(
    *,
    endpoint: str,
    ca_pem: str = "",
    token: str = "",
    certificate_pem: str = "",
    key_pem: str = "",
    tls_server_name: str = "",
) -> Target:
    """Check every part and return the target with the endpoint in its one spelling.

    Raises InvalidField naming the part: endpoint, caPem, token, certificate, key, tlsServerName.
    """
    url = parse_endpoint(endpoint).url
    token, certificate_pem, key_pem = token.strip(), certificate_pem.strip(), key_pem.strip()
    ca_pem = normalised_certificates(ca_pem, field_name="caPem") if ca_pem.strip() else ""
    check_server_name(tls_server_name)
    if token and (certificate_pem or key_pem):
        raise InvalidField(field="token", reason="token_and_certificate")
    if token:
        if len(token) > 16_384 or not token.isascii() or not token.isprintable() or " " in token:
            raise InvalidField(field="token", reason="not_token")
        return Target(url, ca_pem, token=token, tls_server_name=tls_server_name)
    if not certificate_pem and not key_pem:
        raise InvalidField(field="token", reason="no_credential")
    certificate_pem = normalised_certificates(certificate_pem, field_name="certificate")
    key = _load_key(key_pem)
    leaf = x509.load_pem_x509_certificates(certificate_pem.encode())[0]
    spelling = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        certified = leaf.public_key().public_bytes(*spelling)
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidField(field="certificate", reason="not_certificate") from None
    if key.public_key().public_bytes(*spelling) != certified:
        raise InvalidField(field="key", reason="key_of_other_certificate")
    return Target(url, ca_pem, certificate_pem=certificate_pem, key_pem=key_pem + "\n", tls_server_name=tls_server_name)


def check_server_name(name: str) -> None:
    """Refuse what no certificate names (a port, a path). Raises InvalidField naming tlsServerName."""
    if not name or literal(name) is not None:
        return
    if parse_endpoint(f"https://{name}", field="tlsServerName").host != name.lower():
        raise InvalidField(field="tlsServerName", reason="not_host")


def unsealed(sealed_form: bytes, *, endpoint: str, ca_pem: str, tls_server_name: str) -> Target:
    """The target of a stored cluster from the opened credential (`Target.sealed_form`) and the cluster's open parts."""
    parts: dict[str, Any] = orjson.loads(sealed_form)
    return Target(
        endpoint,
        ca_pem,
        token=parts.get("token", ""),
        certificate_pem=parts.get("certificate", ""),
        key_pem=parts.get("key", ""),
        tls_server_name=tls_server_name,
    )


def normalised_certificates(pem: str, *, field_name: str) -> str:
    """One or more PEM certificates, re-encoded without anything around them. Raises InvalidField for anything else."""
    if "PRIVATE KEY" in pem:
        raise InvalidField(field=field_name, reason="holds_private_key")
    try:
        found = x509.load_pem_x509_certificates(pem.strip().encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidField(field=field_name, reason="not_certificate") from None
    if len(found) > 200:
        raise InvalidField(field=field_name, reason="too_many_certificates")
    return "".join(certificate.public_bytes(Encoding.PEM).decode() for certificate in found)


def _load_key(pem: str) -> PrivateKeyTypes:
    try:
        return load_pem_private_key(pem.encode(), password=None)
    except TypeError:
        raise InvalidField(field="key", reason="encrypted_key") from None
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidField(field="key", reason="not_private_key") from None


def certificate_not_after(pem: str) -> int | None:
    """When the first certificate of a PEM text ends, epoch seconds."""
    try:
        found = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        return None
    return int(found[0].not_valid_after_utc.timestamp())


def token_not_after(token: str) -> int | None:
    """The `exp` claim of a JWT, read without a check of the signature: it is shown, never trusted. None for other
    tokens.
    """
    pieces = token.split(".")
    if len(pieces) != 3:
        return None
    try:
        claims = orjson.loads(base64.urlsafe_b64decode(pieces[1] + "=" * (-len(pieces[1]) % 4)))
        expiry = claims.get("exp") if isinstance(claims, dict) else None
        return int(expiry) if isinstance(expiry, int | float) and 0 < expiry < 1e11 else None
    except (binascii.Error, ValueError):
        return None


def tls_context(target: Target) -> ssl.SSLContext:
    """A client context that trusts the target's CA (or the system's) and shows its client certificate; always verifies.

    Raises ssl.SSLError for a certificate and key that OpenSSL does not take.
    """
    context = ssl.create_default_context(cadata=target.ca_pem or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if target.certificate_pem:
        # OpenSSL's loader takes files only; this one is readable by us alone and gone when the block ends.
        with tempfile.NamedTemporaryFile(prefix="gm-") as file:
            file.write(target.certificate_pem.encode() + b"\n" + target.key_pem.encode())
            file.flush()
            context.load_cert_chain(file.name)
    return context
