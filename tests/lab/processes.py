"""Processes of the lab that are stopped, and strangers that are never mistaken for them."""

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from gmcenter.cli.children import end_with_parent
from gmcenter.cli.children import started_at as started

__all__ = ["end_with_parent", "runs", "started", "stop"]


def runs(pid: int, binary: Path) -> bool:
    """Whether the process lives and is that binary; a number that was given out again, or a zombie, is not."""
    try:
        return str(Path(f"/proc/{pid}/exe").readlink()).removesuffix(" (deleted)") == str(binary)
    except OSError:
        return False


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
