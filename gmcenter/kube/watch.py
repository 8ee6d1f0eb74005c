"""One kind of one cluster as a stream of batches that never ends: what there is, then what changes.

The generator hides how the API server is asked. Where it streams lists (WatchList) one request brings the state and
the changes after it; elsewhere the state comes in pages of 500. It resumes where it stopped, starts over when the
server has forgotten that place (410), reopens a watch that says nothing, and waits with growing, jittered pauses while
a cluster does not answer. An event is decoded by its type first; its object stays raw for whoever projects it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import msgspec

from gmcenter.core import clock
from gmcenter.core.errors import ClusterUnreachable, GMError, RateLimited, UpstreamError
from gmcenter.kube.batches import Batch, Bookmark, Changes, Initial, InitialEnd, Opened, Trouble
from gmcenter.kube.connection import Connection
from gmcenter.kube.kinds import Kind

PAGE: Final = 500
SILENT_SECONDS: Final = 90.0
WATCH_SECONDS: Final = (
    1800,
    3600,
)  # a watch is ended by the server after a time drawn from here, so that not all end at once
LINE_BYTES: Final = 64 << 20
FIRST_PAUSE, LONGEST_PAUSE, DENIED_PAUSE = 0.25, 30.0, 30.0
STABLE_SECONDS: Final = 5.0
INITIAL_END: Final = b'"k8s.io/initial-events-end"'


class _Event(msgspec.Struct):
    type: str
    object: msgspec.Raw


class _ListMeta(msgspec.Struct, rename="camel"):
    resource_version: str | None = None
    continue_: str | None = msgspec.field(default=None, name="continue")


class _List(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)
    items: list[msgspec.Raw] | None = None


class _Marked(msgspec.Struct):
    metadata: _ListMeta = msgspec.field(default_factory=_ListMeta)


class _Failure(msgspec.Struct):
    code: int | None = None
    reason: str | None = None
    message: str | None = None


_decode_event = msgspec.json.Decoder(_Event).decode
_decode_list = msgspec.json.Decoder(_List).decode
_decode_marked = msgspec.json.Decoder(_Marked).decode
_decode_failure = msgspec.json.Decoder(_Failure).decode


class Expired(Exception):
    """The server no longer knows the place to go on from: the state has to be read again."""


class _NotServed(Exception):
    """The server does not stream lists."""


@dataclass(slots=True)
class Place:
    """How far a watch has come. `last` is the newest object seen; its version is read only when it is needed.

    Give the same one to the next `watch` and it goes on where this one was closed.
    """

    resource_version: str | None = None
    last: msgspec.Raw | None = None
    opened: float = field(default_factory=clock.monotonic)

    def version(self) -> str | None:
        """The resource version to go on from."""
        if self.last is not None:
            try:
                self.resource_version = _decode_marked(self.last).metadata.resource_version or self.resource_version
            except (msgspec.DecodeError, RecursionError):
                self.resource_version = None
            self.last = None
        return self.resource_version

    def forget(self) -> None:
        """Go back to nothing."""
        self.resource_version = self.last = None


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[tuple[list[bytes], float]]:
    """Whole lines of a stream, as many as came together, and when they came (epoch seconds); none for an empty piece.

    A line cut off by the end of the stream is dropped. Raises Expired for a line longer than any object may be.
    """
    parts: list[bytes] = []
    held = 0
    async for chunk in chunks:
        if b"\n" not in chunk:
            if not chunk:
                yield [], clock.epoch()
            parts.append(chunk)
            held += len(chunk)
            if held > LINE_BYTES:
                raise Expired
            continue
        found = (b"".join(parts) + chunk if parts else chunk).split(b"\n")
        rest = found.pop()
        parts, held = ([rest], len(rest)) if rest else ([], 0)
        yield found, clock.epoch()
        del chunk, found  # a quiet watch would hold its last batch for ever; so in every loop below


async def watch(
    connection: Connection,
    kind: Kind,
    place: Place | None = None,
    namespace: str | None = None,
    *,
    silent: float = SILENT_SECONDS,
    wake: asyncio.Event | None = None,
) -> AsyncGenerator[Batch]:
    """Watch a kind for ever, from a place or, without one, from the whole state; use it under `aclosing`.

    `silent` seconds without a byte reopen the watch (bookmarks come every minute). Setting `wake` ends a pause early.
    Raises nothing but cancellation and errors of the program itself: what the cluster does wrong comes as Trouble.
    """
    path = kind.path_in(namespace)
    place = place if place is not None else Place()
    failures = 0
    while True:
        place.opened = clock.monotonic()
        problem: GMError | None = None
        try:
            async with aclosing(_once(connection, path, place, silent)) as batches:
                async for batch in batches:
                    yield batch
                    del batch
        except Expired:
            place.forget()
        except GMError as error:
            problem = error
        healthy = clock.monotonic() - place.opened > STABLE_SECONDS
        failures = 0 if healthy else failures + 1
        if problem is None and failures <= 1:
            continue
        pause = _pause(problem, failures)
        if problem is not None and not (healthy and isinstance(problem, ClusterUnreachable)):
            yield Trouble(problem, pause)
        await _sleep(pause, wake)


def _pause(problem: GMError | None, failures: int) -> float:
    """Seconds until the next attempt: what the server asks for, else doubling from a quarter to half a minute."""
    if isinstance(problem, RateLimited):
        return float(problem.params.get("retry_after", 1)) + random.random()  # noqa: S311 jitter is no secret
    if isinstance(problem, UpstreamError) and problem.params.get("upstream_status") in (401, 403, 404, 405):
        longest = first = DENIED_PAUSE
    else:
        first, longest = FIRST_PAUSE, LONGEST_PAUSE
    ceiling: float = min(longest, first * 2 ** min(max(failures - 1, 0), 16))
    return ceiling * (0.5 + random.random() / 2)  # noqa: S311 jitter is no secret


async def _sleep(seconds: float, wake: asyncio.Event | None) -> None:
    if wake is None:
        await asyncio.sleep(seconds)
        return
    try:
        async with asyncio.timeout(seconds):
            await wake.wait()
    except TimeoutError:
        pass
    wake.clear()


async def _once(connection: Connection, path: str, place: Place, silent: float) -> AsyncGenerator[Batch]:
    """One attempt: from where the watch stands to the end of the server's answer."""
    if place.version() is None:
        if connection.serves_watch_list:
            try:
                async with aclosing(_streamed(connection, path, place, silent)) as batches:
                    async for batch in batches:
                        yield batch
                        del batch
            except _NotServed:
                connection.serves_watch_list = False
            else:
                return
        async with aclosing(_paged(connection, path, place)) as pages:
            async for page in pages:
                yield page
                del page
    async with aclosing(_follow(connection, path, place, silent)) as batches:
        async for batch in batches:
            yield batch
            del batch


async def _paged(connection: Connection, path: str, place: Place) -> AsyncGenerator[Batch]:
    """The whole state, 500 objects at a time. A page whose continue token has expired starts the list over."""
    params, begins = {"limit": str(PAGE)}, True
    while True:
        try:
            answer = await connection.request("GET", path, params=params)
        except UpstreamError as error:
            if error.params.get("upstream_status") == 410:
                raise Expired from error
            raise
        try:
            page = _decode_list(answer.body)
        except (msgspec.DecodeError, RecursionError) as error:
            raise _unreadable(connection, error) from error
        at = clock.epoch()
        yield Initial(page.items or [], at, begins)
        begins = False
        if not page.metadata.continue_:
            place.resource_version = page.metadata.resource_version
            yield InitialEnd(page.metadata.resource_version or "", at)
            return
        params = {"limit": str(PAGE), "continue": page.metadata.continue_}


def _watching(**more: str) -> dict[str, str]:
    seconds = random.randint(*WATCH_SECONDS)  # noqa: S311 jitter is no secret
    return {"watch": "1", "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds), **more}


_PLAIN = {"Accept-Encoding": "identity"}


async def _streamed(connection: Connection, path: str, place: Place, silent: float) -> AsyncGenerator[Batch]:
    """State and changes in one answer. Raises _NotServed where the server refuses to, or ignores the wish."""
    params = _watching(sendInitialEvents="true", resourceVersionMatch="NotOlderThan")
    initial, begins = True, True
    try:
        async with (
            aclosing(connection.stream(path, params, headers=_PLAIN, silent=silent)) as chunks,
            aclosing(lines(chunks)) as batches,
        ):
            async for found, at in batches:
                end = _initial_end(found) if initial else -1
                told = found[: end if end >= 0 else None] if initial else []
                for batch in _state(connection, told, at):
                    if begins and isinstance(batch, Changes):
                        yield Initial([], at, True)
                    elif isinstance(batch, Initial):
                        batch.begins = begins
                    begins = False
                    yield batch
                    del batch
                if end >= 0:
                    if begins:
                        yield Initial([], at, True)
                    place.resource_version, place.last = _bookmarked(connection, found[end]), None
                    yield InitialEnd(place.resource_version, at)
                    initial, begins, found = False, False, found[end + 1 :]
                for batch in _changes(connection, place, [] if initial else found, at):
                    yield batch
                    del batch
                del found, told
    except UpstreamError as error:
        if initial and error.params.get("upstream_status") in (400, 422):
            raise _NotServed from error
        raise
    except ClusterUnreachable as error:
        if initial and not begins and error.reason == "no_answer":
            raise _NotServed from error
        raise


def _state(connection: Connection, found: list[bytes], at: float) -> Iterator[Batch]:
    """Batches of lines that tell the state. What changes while it is told comes among it, deletions too."""
    objects: list[msgspec.Raw] = []
    for event in _events(connection, found):
        if event.type == "ERROR":
            raise _failed(connection, event.object)
        if event.type == "DELETED":
            if objects:
                yield Initial(objects, at)
                objects = []
            yield Changes([(True, event.object)], at)
        elif event.type != "BOOKMARK":
            objects.append(event.object)
    if objects:
        yield Initial(objects, at)


async def _follow(connection: Connection, path: str, place: Place, silent: float) -> AsyncGenerator[Batch]:
    """The changes after the place that was reached."""
    params = _watching(resourceVersion=place.version() or "")
    try:
        async with (
            aclosing(connection.stream(path, params, headers=_PLAIN, silent=silent)) as chunks,
            aclosing(lines(chunks)) as batches,
        ):
            async for found, at in batches:
                if not found:
                    yield Opened(at)
                for batch in _changes(connection, place, found, at):
                    yield batch
                    del batch
                del found
    except UpstreamError as error:
        if error.params.get("upstream_status") == 410:
            raise Expired from error
        raise


def _unreadable(connection: Connection, error: Exception) -> UpstreamError:
    return UpstreamError(
        cluster=connection.cluster, upstream_status=200, upstream_code="Unreadable", reason=str(error)[:200]
    )


def _events(connection: Connection, found: list[bytes]) -> list[_Event]:
    """Events of whole lines. Raises UpstreamError for what is none."""
    try:
        return [_decode_event(line) for line in found if line]
    except (msgspec.DecodeError, RecursionError) as error:  # the latter for what is nested too deeply
        raise _unreadable(connection, error) from error


def _failed(connection: Connection, raw: msgspec.Raw) -> Exception:
    """What an ERROR event stands for."""
    try:
        failure = _decode_failure(raw)
    except (msgspec.DecodeError, RecursionError):
        return Expired()
    if failure.code == 410 or failure.reason in ("Expired", "Gone"):
        return Expired()
    if failure.code == 429:
        return RateLimited(cluster=connection.cluster, retry_after=1)
    words = (failure.message or failure.reason or "")[:500]
    return UpstreamError(
        cluster=connection.cluster,
        upstream_status=failure.code or 500,
        upstream_code=failure.reason or "",
        reason=words,
    )


def _changes(connection: Connection, place: Place, found: list[bytes], at: float) -> Iterator[Batch]:
    """Batches of lines of a watch under way, up to an ERROR event, which is raised after what came before it."""
    changes: list[tuple[bool, msgspec.Raw]] = []
    marked: msgspec.Raw | None = None
    failure: Exception | None = None
    for event in _events(connection, found):
        if event.type == "ERROR":
            failure = _failed(connection, event.object)
            break
        marked = event.object
        if event.type != "BOOKMARK":
            changes.append((event.type == "DELETED", event.object))
    if changes:
        yield Changes(changes, at)
    if marked is not None:
        place.last = marked
        if not changes:
            yield Bookmark(place.version() or "", at)
    if failure is not None:
        raise failure


def _initial_end(found: list[bytes]) -> int:
    """Where, among lines, the bookmark stands that ends the initial events; −1 where it does not."""
    for index, line in enumerate(found):
        if INITIAL_END in line and line.startswith(b'{"type":"BOOKMARK"'):
            return index
    return -1


def _bookmarked(connection: Connection, line: bytes) -> str:
    return _decode_marked(_events(connection, [line])[0].object).metadata.resource_version or ""
