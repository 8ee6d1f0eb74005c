"""Children that end with their parent, and process ids that are not mistaken for their next owner's."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def end_with_parent(sign: int = signal.SIGKILL) -> Callable[[], None]:
    """A ``preexec_fn``: the kernel signals the child when this process is gone, even by kill -9.

    The kernel looks at the parent's *thread*: start such children from a thread that lives as long as they should.
    """
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, sign, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(0)

    return prepare


def started_at(pid: int) -> int | None:
    """When a process started (clock ticks since boot), None when there is none, or only its zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])
