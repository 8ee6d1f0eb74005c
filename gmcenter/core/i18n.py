"""Words in Korean and English, by stable key.

Texts live in `gmcenter/locale/<language>/<area>.po`, one file an area, the same areas in both languages. A msgid is a
key (`clusters.title`), a msgstr its text with `{name}` placeholders. `./gm i18n` proves that both languages are whole.
"""

from functools import cache
from pathlib import Path
from string import Formatter

from babel.messages.pofile import read_po

LANGUAGES = ("ko", "en")
DEFAULT_LANGUAGE = "ko"
LOCALE = Path(__file__).resolve().parents[1] / "locale"


class CatalogueError(Exception):
    """Two areas define the same key, or a catalogue cannot be read."""


class _Lenient(Formatter):
    """Formats named placeholders only, and leaves one without a value as it stands: a message must never fail."""

    def get_field(self, field_name: str, _args: object, kwargs: object) -> tuple[object, str]:
        assert isinstance(kwargs, dict)
        return kwargs.get(field_name, "{" + field_name + "}"), field_name


@cache
def catalogue(language: str) -> dict[str, str]:
    """All texts of one language by key. Raises CatalogueError when a key stands in two areas."""
    texts: dict[str, str] = {}
    for path in sorted((LOCALE / language).glob("*.po")):
        with path.open("rb") as file:
            for entry in read_po(file, locale=language):
                if not entry.id:
                    continue
                key, text = str(entry.id), str(entry.string)
                if key in texts:
                    raise CatalogueError(f"{path.name} ({language}): {key} is defined twice")
                texts[key] = text
    return texts


def has(key: str, language: str = DEFAULT_LANGUAGE) -> bool:
    """Whether a key has a text."""
    return bool(catalogue(language).get(key))


def message(key: str, language: str = DEFAULT_LANGUAGE, **params: object) -> str:
    """The text of a key in a language, with its placeholders filled; the key itself when nobody has written it."""
    text = catalogue(language if language in LANGUAGES else DEFAULT_LANGUAGE).get(key) or key
    return _Lenient().vformat(text, (), params) if "{" in text else text


def negotiate(accept_language: str | None) -> str:
    """The best of our languages for an Accept-Language header (RFC 9110 §12.5.4)."""
    best, best_weight = DEFAULT_LANGUAGE, 0.0
    for part in (accept_language or "").split(",")[:16]:
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest.strip() else 1.0
        except ValueError:
            continue
        language = tag.strip().lower().split("-")[0]
        if language in LANGUAGES and weight > best_weight:
            best, best_weight = language, weight
    return best
