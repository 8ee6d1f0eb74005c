"""A console's fleet for the command line: this machine's by its services, another's over REST."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from gmcenter.cli.command import fail, language, prepare, run
from gmcenter.core.errors import GMError

API = "/gmcapi/v2"
SECONDS = 60.0


class Fleet(Protocol):
    """What the commands do with clusters; documents are those of the REST API. Every method raises GMError."""

    def clusters(self) -> list[dict[str, Any]]:
        """All clusters."""
        ...

    def register(self, given: dict[str, Any]) -> dict[str, Any]:
        """Check and register a cluster."""
        ...

    def check(self, name: str) -> list[dict[str, Any]]:
        """The stages of a check."""
        ...

    def dependents(self, name: str) -> dict[str, Any]:
        """What hangs on a cluster."""
        ...

    def remove(self, name: str) -> None:
        """Remove a cluster."""
        ...


class Local:
    """The console of this machine, as the system."""

    def clusters(self) -> list[dict[str, Any]]:
        """All clusters."""
        from gmcenter.clusters import service
        from gmcenter.identity.actor import SYSTEM

        return [view.model_dump(mode="json") for view in run(lambda: service.list_clusters(SYSTEM))]

    def register(self, given: dict[str, Any]) -> dict[str, Any]:
        """Check and register a cluster."""
        from pydantic import ValidationError

        from gmcenter.clusters import service
        from gmcenter.clusters.schema import NewCluster
        from gmcenter.core import database
        from gmcenter.identity.actor import SYSTEM

        try:
            new = NewCluster.model_validate(given)
        except ValidationError as problem:
            fail("; ".join(f"{error['loc'][0]}: {error['msg']}" for error in problem.errors(include_input=False)), 2)

        async def whole() -> dict[str, Any]:
            try:
                return (await service.register(SYSTEM, new)).model_dump(mode="json")
            finally:
                await database.dispose()

        prepare()
        return asyncio.run(whole())

    def check(self, name: str) -> list[dict[str, Any]]:
        """The stages of a check."""
        from gmcenter.clusters import service
        from gmcenter.clusters.schema import StageView
        from gmcenter.identity.actor import SYSTEM

        async def stages() -> list[dict[str, Any]]:
            spoken = language()
            found = [StageView.of(stage, spoken) async for stage in service.check(SYSTEM, name)]
            return [stage.model_dump(by_alias=True) for stage in found]

        return run(stages)

    def dependents(self, name: str) -> dict[str, Any]:
        """What hangs on a cluster."""
        from gmcenter.clusters import service
        from gmcenter.identity.actor import SYSTEM

        return run(lambda: service.what_depends(SYSTEM, name)).model_dump(mode="json")

    def remove(self, name: str) -> None:
        """Remove a cluster."""
        from gmcenter.clusters import service
        from gmcenter.identity.actor import SYSTEM

        run(lambda: service.delete(SYSTEM, name, confirm=name))


class RemoteProblem(GMError):
    """A problem that a console answered with, in its own words; `told` are the stages of a preflight, if it was one."""

    code, status = "remote", 502

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.told = document.get("stages")
        super().__init__()

    def message(self, language: str) -> str:  # noqa: ARG002 the console has chosen the language
        """What happened, as the console says it."""
        parts = [str(self._document.get("detail") or self._document.get("title") or "")]
        parts += [f"{error.get('field')}: {error.get('detail')}" for error in self._document.get("errors", ())]
        return " ".join(parts)

    def hint(self, language: str) -> str | None:  # noqa: ARG002 the console has chosen the language
        """What to do about it, as the console says it."""
        found = self._document.get("hint")
        return str(found) if found else None


class Remote:
    """A console elsewhere. Raises RemoteProblem."""

    def __init__(self, url: str, token: str = "") -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            fail(f"not an address of a console: {url}", 2)
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            fail("credentials are sent over https:// only (or to this machine)", 2)
        headers = {"Accept-Language": language(), "Accept": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        self._client = httpx.Client(base_url=url.rstrip("/"), headers=headers, timeout=SECONDS)

    @classmethod
    def signed_in(cls, url: str, user: str, password: str) -> Remote:
        """A console, signed in to by password."""
        made = cls(url)
        found = made._ask("POST", "/auth", json={"id": user, "password": password})
        made._client.headers["Authorization"] = f"Bearer {found['accessToken']}"
        return made

    def _ask(self, method: str, path: str, **options: Any) -> Any:
        try:
            response = self._client.request(method, API + path, **options)
        except httpx.HTTPError as problem:
            fail(f"{self._client.base_url}: {problem}")
        if response.is_success:
            return response.json() if response.content else None
        try:
            document = response.json()
        except json.JSONDecodeError:
            document = {}
        if not isinstance(document, dict) or "code" not in document:
            document = {"detail": f"{response.request.url}: HTTP {response.status_code}"}
        raise RemoteProblem(document)

    def clusters(self) -> list[dict[str, Any]]:
        """All clusters."""
        return list(self._ask("GET", "/clusters")["data"])

    def register(self, given: dict[str, Any]) -> dict[str, Any]:
        """Check and register a cluster."""
        return dict(self._ask("POST", "/clusters", json=given)["data"])

    def check(self, name: str) -> list[dict[str, Any]]:
        """The stages of a check."""
        return list(self._ask("POST", f"/clusters/{name}/check")["data"])

    def dependents(self, name: str) -> dict[str, Any]:
        """What hangs on a cluster."""
        return dict(self._ask("GET", f"/clusters/{name}/dependents")["data"])

    def remove(self, name: str) -> None:
        """Remove a cluster."""
        self._ask("DELETE", f"/clusters/{name}", params={"confirm": name})
