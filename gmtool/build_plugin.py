"""What we add to Reflex's front-end build: catalogues in, same-origin addresses and script hashes out."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reflex_base.plugins import Plugin

ENDPOINT = re.compile(r'(["`\'])(ws|http)://localhost:\d+(/[^"`\']*)\1')
INLINE_SCRIPT = re.compile(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
SCRIPT_HASHES = "gm-script-hashes.json"


def same_origin(source: str) -> tuple[str, int]:
    """Rewrite the addresses that Reflex bakes in (localhost and a port) to the page's own origin.

    Returns the new source and how many addresses were rewritten.
    """

    def replace(match: re.Match[str]) -> str:
        scheme, path = match[2], match[3]
        to_socket = ".replace(/^http/,'ws')" if scheme == "ws" else ""
        return f"((typeof location=='undefined'?'{scheme}://localhost':location.origin{to_socket})+'{path}')"

    return ENDPOINT.subn(replace, source)


def script_hashes(html: str) -> set[str]:
    """CSP sources ('sha256-…') of the inline scripts in a page."""
    return {
        "'sha256-" + base64.b64encode(hashlib.sha256(body.encode()).digest()).decode() + "'"
        for body in INLINE_SCRIPT.findall(html)
        if body.strip()
    }


class BundlePlugin(Plugin):
    """Puts the translation catalogues into the bundle and makes the bundle fit for our headers."""

    def get_static_assets(self, **_context: Any) -> Sequence[tuple[Path, str | bytes]]:
        from gmtool.shell.i18n import catalogue_module

        return [(Path("utils") / "gm_catalogue.js", catalogue_module())]

    def post_build(self, **context: Any) -> None:
        static = Path(context["static_dir"])
        rewritten = 0
        for script in static.glob("assets/*.js"):
            source = script.read_text()
            if "://localhost:" not in source:
                continue
            new, count = same_origin(source)
            if count:
                script.write_text(new)
                rewritten += count
        if not rewritten:
            raise RuntimeError("no backend address found in the bundle: the build of this Reflex version differs")
        hashes: set[str] = set()
        for page in static.rglob("*.html"):
            hashes |= script_hashes(page.read_text())
        (static.parent / SCRIPT_HASHES).write_text(json.dumps(sorted(hashes)))
