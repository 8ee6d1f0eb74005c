"""Scripts that stand beside their Python: where the front-end build finds them.

Reflex's own `rx.asset` walks the whole call stack for each file to learn who asks, which is a third of the server's
start-up; we say who asks. A server that only serves a finished bundle links nothing.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ASSETS = Path(__file__).resolve().parent.parent / "assets" / "external"
SERVING = "__REFLEX_SKIP_COMPILE"


def script(module: str, name: str) -> str:
    """The build's import path of a file that lies beside `module`; makes it a part of the build.

    Raises FileNotFoundError when it is not there.
    """
    folder = module.replace(".", "/")
    if SERVING not in os.environ:
        source = Path(sys.modules[module].__file__ or "").resolve().with_name(name)
        if not source.is_file():
            raise FileNotFoundError(source)
        link(ASSETS / folder / name, source)
    return f"$/public/external/{folder}/{name}"


def link(target: Path, source: Path) -> None:
    """Make `target` a link to `source`, in one step, because several builds may do so at once."""
    if target.is_symlink() and target.readlink() == source:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(source)
    fresh.replace(target)
