"""Where the lab keeps what outlives a run: the compiled binary, and the clusters' folders."""

import os
from pathlib import Path

MODULE = Path(__file__).parent / "kubelab"


def cache_root() -> Path:
    """The user's cache folder for GM, the same one that the bootstrap script uses."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gm"


def default_state() -> Path:
    """Where `gm lab up` puts its clusters when it is not told otherwise."""
    return cache_root() / "lab"
