"""Addresses that a user may make the server connect to.

A URL typed by a user (a cluster, Prometheus, OpenStack) must not become a way to our own host, to the cloud's
metadata service or to a neighbour on the link. Names are resolved here at each connection attempt, every address is
checked, and the connection is made to a checked address and not to the name: a name that changes its answer between
two look-ups (DNS rebinding) gains nothing. Private ranges are allowed, because clusters live there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from gmcenter.core.errors import GMError, InvalidField

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Awaitable[Sequence[str]]]

# Metadata services outside the link-local ranges: Alibaba, Oracle, Azure; AWS (IPv6) below.
_METADATA: Final = frozenset(ipaddress.ip_address(text) for text in ("100.100.100.200", "192.0.0.192", "168.63.129.16"))
_AWS: Final = ipaddress.ip_network("fd00:ec2::/32")  # metadata, the credentials of EKS pods, time, names
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_HOST: Final = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?\Z")
DNS_SECONDS: Final = 5.0


class AddressRefused(GMError):
    """The server does not connect to this address; `host`, `address` and `reason` say which and why."""

    code, status = "address_refused", 422


class UnknownHost(GMError):
    """The name has no address, or the name service does not answer; `host` and `reason` say which."""

    code, status = "unknown_host", 422


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An https URL taken apart. `host` has no brackets; `path` is a prefix without a trailing slash, mostly empty."""

    host: str
    port: int
    path: str = ""

    @property
    def url(self) -> str:
        """The endpoint in its one spelling."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}{self.path}"


def parse_endpoint(text: str, *, field: str = "endpoint", default_port: int = 443) -> Endpoint:
    """Take an https URL apart.

    Raises InvalidField naming what is wrong: another scheme, a user name or password, a query, a fragment, a bad host
    or port.
    """
    text = text.strip()
    if len(text) > 500 or any(c.isspace() or not c.isprintable() for c in text):
        raise InvalidField(field=field, reason="not_url")
    try:
        parts = urlsplit(text)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise InvalidField(field=field, reason="not_url") from None
    if parts.scheme != "https":
        raise InvalidField(field=field, reason="not_https")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise InvalidField(field=field, reason="holds_password")
    if parts.query or parts.fragment or "?" in text or "#" in text:
        raise InvalidField(field=field, reason="holds_query")
    if port == 0:
        raise InvalidField(field=field, reason="bad_port")
    if "%" in host or (literal(host) is None and not _is_name(host)):
        raise InvalidField(field=field, reason="not_host")
    if re.search(r"(^|/)\.\.?(/|$)|[\\%]", parts.path):
        raise InvalidField(field=field, reason="not_path")
    return Endpoint(host.lower(), port or default_port, parts.path.rstrip("/"))


def _is_name(host: str) -> bool:
    """Whether a host can be a name: its letters, and that no part of it is empty or longer than 63 of them."""
    labels = host.removesuffix(".").split(".")
    return _HOST.match(host) is not None and all(0 < len(label) < 64 for label in labels)


def literal(host: str) -> Address | None:
    """The address that a host is written as, None when it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def refusal(address: Address | str, *, allow_loopback: bool) -> str | None:
    """Why an address is refused (loopback, link_local, metadata, multicast, unspecified, reserved), None when it is
    fine.

    IPv4 addresses that hide in IPv6 ones (mapped, 6to4, Teredo, NAT64) are judged as what they stand for.
    """
    if isinstance(address, str):
        address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        hidden = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            hidden.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        for inner in hidden:
            if inner is not None and (reason := refusal(inner, allow_loopback=allow_loopback)):
                return reason
        if address.ipv4_mapped is not None:
            return None
    if address in _METADATA or address in _AWS:
        return "metadata"
    if address.is_unspecified or (address.version == 4 and address in _THIS_NETWORK):
        return "unspecified"
    if address.is_loopback:
        return None if allow_loopback else "loopback"
    if address.is_link_local:
        return "link_local"
    if address.is_multicast:
        return "multicast"
    if address.is_reserved and address not in _NAT64:
        return "reserved"
    return None


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """Every address of a name as the system's resolver has it."""
    answers = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))


async def resolve(
    host: str, port: int, *, allow_loopback: bool, seconds: float = DNS_SECONDS, lookup: Lookup | None = None
) -> list[str]:
    """The addresses of a host that may be connected to, in the resolver's order; never empty.

    Raises UnknownHost when there is none or no answer came within `seconds`, AddressRefused when every one is refused.
    """
    if literal(host) is not None:
        found: Sequence[str] = [host]
    else:
        try:
            found = await asyncio.wait_for((lookup or system_lookup)(host, port), seconds)
        except TimeoutError:
            raise UnknownHost(host=host, reason="dns_timeout") from None
        except (OSError, UnicodeError):
            raise UnknownHost(host=host, reason="unknown_host") from None
        if not found:
            raise UnknownHost(host=host, reason="unknown_host")
    refused = {address: refusal(address, allow_loopback=allow_loopback) for address in found}
    allowed = [address for address, reason in refused.items() if reason is None]
    if not allowed:
        address, why = next(iter(refused.items()))
        raise AddressRefused(host=host, address=address, reason=why)
    return allowed
