"""Blocks of ten loopback ports, one a cluster, that no other lab on this machine holds."""

import contextlib
import fcntl
import socket
import zlib
from typing import IO

from tests.lab.cache import cache_root

# Below the kernel's ephemeral range (32768 and up), so that no outgoing connection takes one of them.
FIRST, LAST, SIZE = 21000, 31000, 10


class NoPorts(Exception):
    """Every block is taken."""


def free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def claim(owner: str, preferred: int | None = None) -> tuple[int, IO[str]]:
    """Return the first port of a free block and its lock, which the caller keeps open as long as it uses the block.

    `preferred` is tried first, so that a cluster that comes back keeps its address. Each owner begins its search
    elsewhere, so that it is unlikely that another took the block meanwhile. The lock vanishes with the process that
    holds it. Raises NoPorts.
    """
    home = cache_root() / "ports"
    home.mkdir(parents=True, exist_ok=True)
    candidates = [preferred] if preferred else []
    blocks = range(FIRST, LAST, SIZE)
    begin = zlib.crc32(owner.encode()) % len(blocks)
    candidates += [*blocks[begin:], *blocks[:begin]]
    for base in candidates:
        lock = (home / f"{base}.lock").open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            continue
        if all(free(base + offset) for offset in range(SIZE)):
            return base, lock
        lock.close()
    raise NoPorts(f"no {SIZE} free ports in a row between {FIRST} and {LAST}")
