"""A fake of the wire, and of the wire only: it plays the order in which bytes of an API server may arrive.

No real server can be made to reorder, repeat and cut its events at will, which is what the property tests are about.
Everything else runs against real API servers.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from gmcenter.core.errors import ClusterUnreachable, RateLimited, UpstreamError
from gmcenter.kube.connection import Answer

PHASES = ("Pending", "Running", "Succeeded", "Failed")
INITIAL_END = {"k8s.io/initial-events-end": "true"}


class FakeWire:
    """Stands in for a Connection to an API server that has pods."""

    cluster = "fake"

    def __init__(self, seed: int, *, serves_watch_list: bool) -> None:
        self.random = random.Random(seed)
        self.serves_watch_list = True
        self._really_serves = serves_watch_list
        self.version = 100
        self.objects: dict[int, dict[str, Any]] = {}
        self._made = 0
        self._history: list[tuple[int, str, dict[str, Any]]] = []
        self._stream: asyncio.Queue[bytes | None] | None = None
        self._pending: list[bytes] = []
        self.page_expires = self.throttled = False
        self._compacted = 0

    # --- the server's side ---

    def put(self, number: int, seed: int) -> None:
        """Make or change the object of a number."""
        self.version += 1
        found = self.objects.get(number)
        if found is None:
            self._made += 1
        made = {
            "metadata": {
                "name": f"pod-{number}",
                "namespace": f"ns-{number % 3}",
                "uid": found["metadata"]["uid"] if found else f"uid-{number}-{self._made}",
                "resourceVersion": str(self.version),
                "labels": {"app": f"app-{seed % 4}", **({"odd": "yes"} if seed % 2 else {})},
            },
            "spec": {"containers": [{"name": "c"}]},
            "status": {"phase": PHASES[seed % len(PHASES)]},
        }
        self.objects[number] = made
        self._happened("MODIFIED" if found else "ADDED", made)

    def delete(self, number: int) -> None:
        """Remove the object of a number, when there is one."""
        found = self.objects.pop(number, None)
        if found is not None:
            self.version += 1
            last = {**found, "metadata": {**found["metadata"], "resourceVersion": str(self.version)}}
            self._happened("DELETED", last)

    def _happened(self, kind: str, found: dict[str, Any]) -> None:
        self._history.append((self.version, kind, found))
        if self._stream is not None:
            self._pending.append(_line(kind, found))

    def compact(self) -> None:
        """Forget the changes up to now: who has not heard of them must read the state again."""
        self._compacted = self.version

    # --- the wire ---

    @property
    def heard(self) -> bool:
        """Whether a watch is open and has taken everything that was sent."""
        return self._stream is not None and self._stream.empty()

    def deliver(self, *, shuffled: bool, repeated: bool) -> None:
        """Let everything arrive that is on its way."""
        lines, self._pending = self._pending, []
        if repeated:
            lines += [line for line in lines if self.random.random() < 0.5]
        if shuffled:
            self.random.shuffle(lines)
        self._send(b"".join(lines))

    def deliver_one(self, index: int) -> None:
        """Let one event arrive before its turn."""
        self._send(self._pending.pop(index))

    def bookmark(self) -> None:
        """Everything, and then a bookmark."""
        self.deliver(shuffled=False, repeated=False)
        self._send(_line("BOOKMARK", {"metadata": {"resourceVersion": str(self.version)}}))

    def cut(self) -> None:
        """The connection breaks in the middle of what is on its way."""
        if self._stream is None:
            return
        whole = b"".join(self._pending)
        self._send(whole[: self.random.randrange(len(whole) + 1)])
        self._stream.put_nowait(None)
        self._stream, self._pending = None, []

    def error_event(self) -> None:
        """The server ends the watch with a 410 in its stream."""
        if self._stream is not None:
            self.compact()
            self._send(_line("ERROR", {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}))
            self._stream, self._pending = None, []

    def _send(self, data: bytes) -> None:
        if self._stream is None:
            return
        while data:
            size = self.random.randint(1, max(1, len(data)))
            self._stream.put_nowait(data[:size])
            data = data[size:]

    # --- what a Connection offers ---

    async def request(self, method: str, path: str, *, params: Mapping[str, str] | None = None) -> Answer:
        """A list, two objects a page."""
        await asyncio.sleep(0)
        self._throttle()
        given = dict(params or {})
        start, version = 0, self.version
        if "continue" in given:
            if self.page_expires:
                self.page_expires = False
                raise self._upstream(410, "Expired")
            start, version = map(int, given["continue"].split(":"))
        # The state as it was when the first page was asked for, which is what a continue token stands for.
        shown = self._at(version)
        page, rest = shown[start : start + 2], shown[start + 2 :]
        metadata: dict[str, str] = {"resourceVersion": str(version)}
        if rest:
            metadata["continue"] = f"{start + 2}:{version}"
        return Answer(200, {}, json.dumps({"kind": "PodList", "metadata": metadata, "items": page}).encode())

    async def stream(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        headers: Mapping[str, str] | None = None,
        silent: float | None = None,
    ) -> AsyncGenerator[bytes]:
        """A watch, with the state before it where that is asked for and served."""
        await asyncio.sleep(0)
        self._throttle()
        if "sendInitialEvents" in params:
            if not self._really_serves:
                raise self._upstream(400, "BadRequest")
            end = {"metadata": {"resourceVersion": str(self.version), "annotations": INITIAL_END}}
            lines = [_line("ADDED", found) for found in self._at(self.version)]
            self.random.shuffle(lines)
            before, self._pending = b"".join([*lines, _line("BOOKMARK", end)]), []
        else:
            since = int(params["resourceVersion"])
            if since < self._compacted:
                raise self._upstream(410, "Expired")
            before = b""
            self._pending = [_line(kind, found) for version, kind, found in self._history if version > since]
        stream = self._stream = asyncio.Queue()
        self._send(before)
        yield b""
        while (chunk := await stream.get()) is not None:
            yield chunk
            if stream is not self._stream and stream.empty():
                break
        raise ClusterUnreachable(cluster=self.cluster, stage="http", reason="connection_lost")

    def _throttle(self) -> None:
        if self.throttled:
            self.throttled = False
            raise RateLimited(cluster=self.cluster, retry_after=0)

    def _upstream(self, status: int, reason: str) -> UpstreamError:
        return UpstreamError(cluster=self.cluster, upstream_status=status, upstream_code=reason, reason=reason)

    def _at(self, version: int) -> list[dict[str, Any]]:
        state: dict[str, dict[str, Any]] = {}
        for happened, kind, found in self._history:
            if happened <= version:
                state.pop(found["metadata"]["uid"], None)
                if kind != "DELETED":
                    state[found["metadata"]["uid"]] = found
        return list(state.values())


def _line(kind: str, found: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": found}, separators=(",", ":")).encode() + b"\n"
