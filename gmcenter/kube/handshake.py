"""Why a TLS handshake failed, found out by looking again: at the certificate that is shown, or at what else answers
there.

Nothing of ours is sent on these connections, and nothing that is read is trusted: it only goes into the words.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from gmcenter.core import clock
from gmcenter.kube.target import Target

LOOK_SECONDS: Final = 2.0
GREETING_SECONDS: Final = 1.5
MOST_NAMES: Final = 12

# What OpenSSL's X509_verify_cert answers (x509_vfy.h).
_EXPIRED, _NOT_YET = 10, 9
_UNTRUSTED: Final = frozenset((2, 18, 19, 20, 21))
_MISMATCH: Final = frozenset((62, 64))

Server = tuple[str, int]
"""Address and port."""
Finding = tuple[str, dict[str, Any]]
"""A reason and the facts that fill its words."""


async def certificate_problem(server: Server, code: int, target: Target) -> Finding:
    """Why a certificate does not verify (OpenSSL's code), with what it says of itself."""
    facts = await shown_certificate(server, target.server_name)
    if code == _EXPIRED:
        return "certificate_expired", facts
    if code == _NOT_YET:
        return "certificate_not_yet_valid", facts
    if code in _MISMATCH:
        return "name_mismatch", {"expected": target.server_name, **facts}
    if code in _UNTRUSTED:
        return "unknown_authority" if target.ca_pem else "no_authority", facts
    return "certificate_refused", {"openssl": code, **facts}


async def shown_certificate(server: Server, server_name: str) -> dict[str, Any]:
    """Subject, names, issuer and end of the certificate that a server shows; question marks where it shows none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # allowed: read to be explained
    writer = None
    try:
        _, writer = await asyncio.open_connection(*server)
        await asyncio.wait_for(writer.start_tls(context, server_hostname=server_name), LOOK_SECONDS)
        shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(binary_form=True))
    except (OSError, ValueError, TimeoutError, TypeError):
        return {"issuer": "?", "subject": "?", "names": "?", "notAfter": "?"}
    finally:
        if writer is not None:
            writer.transport.abort()
    return {
        "subject": _common_name(shown.subject),
        "issuer": _common_name(shown.issuer),
        "names": ", ".join(_alternative_names(shown)[:MOST_NAMES]) or "–",
        "notAfter": clock.rfc3339(shown.not_valid_after_utc),
    }


async def not_tls(server: Server, error: Exception) -> Finding:
    """Tell a plain HTTP server and other services from a TLS handshake that went wrong."""
    port = {"port": server[1]}
    greeting = await _greeting(server)
    if greeting.startswith(b"HTTP/"):
        return "plain_http", port
    if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in str(error):
        return "client_certificate_required", {}
    if greeting:
        return "not_tls", port
    if isinstance(error, ssl.SSLError) and error.reason not in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", None):
        return "tls_failed", {"openssl": str(error.reason)}
    return "tls_closed", port


async def _greeting(server: Server) -> bytes:
    """What a port says to a plain HTTP request (no credential in it), or by itself."""
    writer = None
    try:
        reader, writer = await asyncio.open_connection(*server)
        writer.write(b"HEAD / HTTP/1.0\r\nHost: preflight\r\n\r\n")
        return await asyncio.wait_for(reader.read(64), GREETING_SECONDS)
    except (OSError, TimeoutError):
        return b""
    finally:
        if writer is not None:
            writer.transport.abort()


def _common_name(name: x509.Name) -> str:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value)[:100] if found else name.rfc4514_string()[:100] or "?"


def _alternative_names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    return [str(name.value)[:100] for name in names if isinstance(name, x509.DNSName | x509.IPAddress)]
