"""Children that die with their parent, and strangers that are never mistaken for ours."""

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent(sign: int = signal.SIGKILL) -> Callable[[], None]:
    """Make a `preexec_fn` that has the kernel signal the child when its parent is gone, even by kill -9.

    The kernel looks at the parent's *thread*: start such children from a thread that lives as long as they should.
    """
    parent = os.getpid()

    def prepare() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, sign, 0, 0, 0)
        if os.getppid() != parent:  # it died before the call
            os._exit(0)

    return prepare


def runs(pid: int, binary: Path) -> bool:
    """Whether the process lives and is that binary; a number that was given out again, or a zombie, is not."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)") == str(binary)
    except OSError:
        return False


def started(pid: int) -> float | None:
    """When a process started, in clock ticks since boot, or None when there is none (or only its zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else float(fields[19])


def stop(alive: Callable[[], bool], pid: int, patience: float) -> bool:
    """Ask a process to end, and make it end after `patience` seconds. True when it ended by itself."""
    deadline = time.monotonic() + patience
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)
    while alive():
        if time.monotonic() > deadline:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            while alive():
                time.sleep(0.02)
            return False
        time.sleep(0.02)
    return True
