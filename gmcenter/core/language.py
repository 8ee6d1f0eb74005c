"""In which language a request is answered: `?lang`, then the portal's cookie, then Accept-Language."""

from __future__ import annotations

from collections.abc import MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from gmcenter.core import i18n

COOKIE = "gm_lang"


def chosen(scope: MutableMapping[str, Any]) -> str | None:
    """The language that an ASGI request itself asks for, None when it does not say."""
    query: bytes = scope.get("query_string", b"")
    if b"lang=" in query:
        wanted: str = parse_qs(query.decode("latin-1")).get("lang", [""])[0]
        if wanted in i18n.LANGUAGES:
            return wanted
    accept: str | None = None
    for name, value in scope.get("headers", ()):
        if name == b"cookie" and b"gm_lang" in value:
            try:
                morsel = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                morsel = None
            if morsel is not None and morsel.value in i18n.LANGUAGES:
                return str(morsel.value)
        elif name == b"accept-language":
            accept = value.decode("latin-1")
    return i18n.negotiate(accept) if accept else None


def language_of(scope: MutableMapping[str, Any]) -> str:
    """The language of the answer to an ASGI request."""
    return chosen(scope) or i18n.DEFAULT_LANGUAGE
