"""One family of errors, worded once, for REST (RFC 9457 problem+json) and for the portal alike.

A domain declares its own by subclassing with a `code`; the words stand in the catalogue under `error.<code>`
(title), `error.<code>.detail` and `error.<code>.hint`, in Korean and English.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

from gmcenter.core import i18n


@dataclasses.dataclass(frozen=True, slots=True)
class FieldError:
    """One bad field of an input: its name as the caller wrote it, a catalogue key and the key's parameters."""

    field: str
    key: str
    params: dict[str, Any] = dataclasses.field(default_factory=dict)

    def words(self, language: str) -> str:
        """What is wrong with the field, in a language."""
        return i18n.message(self.key, language, **self.params)


class GMError(Exception):
    """What a use case raises when it cannot do what was asked. `params` fill the message and are shown to the user."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500

    def __init__(
        self, *, field: str | None = None, errors: Sequence[FieldError] = (), reason: str | None = None, **params: Any
    ) -> None:
        self.field = field
        self.errors = tuple(errors)
        self.reason = reason
        self.params = {**params, **({"field": field} if field else {}), **({"reason": reason} if reason else {})}
        super().__init__(self.code)

    def __str__(self) -> str:
        return f"{self.code}: {self.message('en')}"

    def title(self, language: str) -> str:
        """A few words that are the same for every occurrence of this code."""
        return i18n.message(f"error.{self.code}", language, **self._words(language))

    def message(self, language: str) -> str:
        """What happened this time."""
        key = f"error.{self.code}.detail"
        return i18n.message(key, language, **self._words(language)) if i18n.has(key, language) else self.title(language)

    def hint(self, language: str) -> str | None:
        """What the reader can do about it, when there is something."""
        key = f"error.{self.code}.hint"
        return i18n.message(key, language, **self._words(language)) if i18n.has(key, language) else None

    def _words(self, language: str) -> dict[str, Any]:
        """The parameters for a message; a `reason` that is a code has its words under `reason.<code>`."""
        key = f"reason.{self.reason}"
        if not i18n.has(key, language):
            return self.params
        return {**self.params, "reason": i18n.message(key, language, **self.params)}

    def problem(self, language: str, instance: str | None = None) -> dict[str, Any]:
        """The RFC 9457 document. `code` is stable; `params` are the facts behind the words, never a secret."""
        document: dict[str, Any] = {
            "type": f"urn:gm:problem:{self.code}",
            "title": self.title(language),
            "status": self.status,
            "detail": self.message(language),
            "code": self.code,
        }
        if hint := self.hint(language):
            document["hint"] = hint
        if instance:
            document["instance"] = instance
        if self.params:
            document["params"] = {name: _plain(value) for name, value in self.params.items()}
        if self.errors:
            document["errors"] = [{"field": e.field, "code": e.key, "detail": e.words(language)} for e in self.errors]
        return document


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(v) for v in value]
    return str(value)


class BadRequest(GMError):
    """The request cannot be understood."""

    code, status = "bad_request", 400


class UnknownParameter(BadRequest):
    """A query parameter or column that does not exist; `field` names it, `allowed` lists what does."""

    code = "unknown_parameter"


class InvalidField(BadRequest):
    """A known field with a value that it cannot take; `field` names it, `reason` says why."""

    code = "invalid_field"


class InvalidInput(GMError):
    """Several fields of a form are wrong; each stands in `errors`."""

    code, status = "invalid_input", 422


class Ambiguous(BadRequest):
    """A name that matches several objects; `candidates` lists them."""

    code = "ambiguous"


class Unauthenticated(GMError):
    """Nobody is signed in, or the session has ended."""

    code, status = "unauthenticated", 401


class Forbidden(GMError):
    """The signed-in user may not do this; `rule` names the rule that denied it."""

    code, status = "forbidden", 403


class NotFound(GMError):
    """No such object, or none that the caller may know of."""

    code, status = "not_found", 404


class Conflict(GMError):
    """The object is not in the state that the request assumed."""

    code, status = "conflict", 409


class TooLarge(GMError):
    """The body is larger than `limit` bytes."""

    code, status = "too_large", 413


class RateLimited(GMError):
    """Too many requests; `retry_after` is in seconds."""

    code, status = "rate_limited", 429


class UpstreamError(GMError):
    """A cluster, cloud or metrics server answered with an error of its own; `upstream_status` and `reason` are its."""

    code, status = "upstream_error", 502


class ClusterUnreachable(GMError):
    """A cluster does not answer; `cluster`, `stage` (dns, tcp, tls, http), `reason` and `last_seen` say more."""

    code, status = "cluster_unreachable", 503


class Unavailable(GMError):
    """A part of GM itself is not ready; `part` names it."""

    code, status = "unavailable", 503
