"""Components that every page is made of. They know columns, rows and states, and nothing of any domain.

The JSX stands beside the Python; `script` puts a file where the front-end build finds it. Modules that only other
scripts import are registered here, because the build copies what is registered and nothing else.
"""

from __future__ import annotations

from gmtool import scripts


def script(name: str) -> str:
    """The build's import path of a script of this folder."""
    return scripts.script(__name__, name)


HELPERS = (
    "base.jsx",
    "cells.jsx",
    "cut.js",
    "export.js",
    "icons.jsx",
    "list.css",
    "query.js",
    "rows.js",
    "states.jsx",
    "widths.js",
    "yaml.js",
)
for _name in HELPERS:
    script(_name)

LUCIDE = "lucide-react@1.26.0"
"""The version that Reflex itself asks for; the icons are deep imports of it."""
