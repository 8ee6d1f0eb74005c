"""A watch against everything that goes wrong: scripted answers where no real server would misbehave so, the lab's API
server and its proxy where it does.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gmcenter.core.errors import ClusterUnreachable, GMError, RateLimited, UpstreamError
from gmcenter.kube import watch as watching
from gmcenter.kube.batches import Batch, Bookmark, Changes, Initial, InitialEnd, Opened, Trouble
from gmcenter.kube.connection import Answer, Connection
from gmcenter.kube.kinds import KINDS
from gmcenter.kube.watch import Place, lines, watch
from tests.lab.cluster import LabCluster
from tests.support.collecting import lab_target

POD, NAMESPACE = KINDS["pods"], KINDS["namespaces"]
Script = list[bytes | Exception]


def line(kind: str, name: str = "", version: int = 0, **metadata: Any) -> bytes:
    found = {"metadata": {"name": name, "uid": f"uid-{name}", "resourceVersion": str(version), **metadata}}
    return json.dumps({"type": kind, "object": found}, separators=(",", ":")).encode() + b"\n"


def error(code: int, reason: str = "") -> bytes:
    status = {"kind": "Status", "code": code, "reason": reason, "message": f"says {code}"}
    return json.dumps({"type": "ERROR", "object": status}, separators=(",", ":")).encode() + b"\n"


def end(version: int) -> bytes:
    return line("BOOKMARK", "", version, annotations={"k8s.io/initial-events-end": "true"})


def upstream(status: int) -> UpstreamError:
    return UpstreamError(cluster="scripted", upstream_status=status, upstream_code="", reason=f"says {status}")


LOST = ClusterUnreachable(cluster="scripted", stage="http", reason="connection_lost")


class ScriptedConnection:
    """A fake of a Connection: each stream and request takes the next part of a script, and notes what was asked."""

    cluster = "scripted"

    def __init__(self, *streams: Script, pages: list[Any] | None = None, serves_watch_list: bool = True) -> None:
        self.streams, self.pages = list(streams), list(pages or [])
        self.serves_watch_list = serves_watch_list
        self.asked: list[Mapping[str, str]] = []

    async def stream(self, path: str, params: Mapping[str, str], **_: Any) -> AsyncGenerator[bytes]:
        self.asked.append(params)
        if not self.streams:
            await asyncio.Event().wait()
        for part in self.streams.pop(0):
            if isinstance(part, Exception):
                raise part
            yield part

    async def request(self, method: str, path: str, *, params: Mapping[str, str]) -> Answer:
        self.asked.append(params)
        page = self.pages.pop(0)
        if isinstance(page, Exception):
            raise page
        return Answer(200, {}, page)


async def take(connection: Any, count: int, place: Place | None = None) -> list[Batch]:
    """The first batches of a watch."""
    found: list[Batch] = []
    async with asyncio.timeout(10), aclosing(watch(connection, POD, place)) as batches:
        async for batch in batches:
            found.append(batch)
            if len(found) == count:
                break
    return found


def names(objects: list[msgspec.Raw]) -> list[str]:
    return [json.loads(bytes(raw))["metadata"]["name"] for raw in objects]


def shape(batches: list[Batch]) -> list[Any]:
    """Batches as something that can be compared."""
    told: list[Any] = []
    for batch in batches:
        match batch:
            case Initial(objects, _, begins):
                told.append(("initial", names(objects), begins))
            case InitialEnd(version, _):
                told.append(("end", version))
            case Changes(events, _):
                told.append([("-" if gone else "+") + names([raw])[0] for gone, raw in events])
            case Bookmark(version, _):
                told.append(("bookmark", version))
            case Opened():
                told.append("opened")
            case Trouble(problem, _):
                told.append(("trouble", problem.code))
    return told


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[tuple[GMError | None, int]]:
    """No pauses; gives what a pause would have been worked out from."""
    asked: list[tuple[GMError | None, int]] = []

    def pause(problem: GMError | None, failures: int) -> float:
        asked.append((problem, failures))
        return 0.0

    monkeypatch.setattr(watching, "_pause", pause)
    return asked


# --- scripted ---


async def test_state_and_changes_come_in_one_stream_where_lists_are_streamed(impatient: Any) -> None:
    script: Script = [b"", line("ADDED", "a", 1), line("ADDED", "b", 2) + end(5) + line("MODIFIED", "a", 6)]
    connection = ScriptedConnection([*script, line("BOOKMARK", "", 9)])
    assert shape(await take(connection, 5)) == [
        ("initial", ["a"], True),
        ("initial", ["b"], False),
        ("end", "5"),
        ["+a"],
        ("bookmark", "9"),
    ]
    assert connection.asked[0]["sendInitialEvents"] == "true"


async def test_an_empty_state_begins_and_ends_too(impatient: Any) -> None:
    assert shape(await take(ScriptedConnection([end(5)]), 2)) == [("initial", [], True), ("end", "5")]


async def test_what_changes_while_the_state_is_told_is_told_in_order(impatient: Any) -> None:
    told = line("ADDED", "a", 1) + line("DELETED", "a", 3) + line("ADDED", "b", 4) + line("BOOKMARK", "", 4) + end(5)
    assert shape(await take(ScriptedConnection([told]), 4)) == [
        ("initial", ["a"], True),
        ["-a"],
        ("initial", ["b"], False),
        ("end", "5"),
    ]


async def test_a_deletion_that_comes_first_does_not_hide_that_a_list_begins(impatient: Any) -> None:
    told = line("DELETED", "a", 3) + end(5)
    assert shape(await take(ScriptedConnection([told]), 3)) == [("initial", [], True), ["-a"], ("end", "5")]


@pytest.mark.parametrize("status", [400, 422])
async def test_where_lists_are_not_streamed_pages_are_read_and_then_followed(impatient: Any, status: int) -> None:
    pages = [
        b'{"metadata":{"resourceVersion":"7","continue":"next"},"items":[{"metadata":{"name":"a"}}]}',
        b'{"metadata":{"resourceVersion":"7"},"items":[{"metadata":{"name":"b"}}]}',
    ]
    connection = ScriptedConnection([upstream(status)], [b"", line("DELETED", "a", 8)], pages=pages)
    assert shape(await take(connection, 5)) == [
        ("initial", ["a"], True),
        ("initial", ["b"], False),
        ("end", "7"),
        "opened",
        ["-a"],
    ]
    assert not connection.serves_watch_list
    assert connection.asked[2] == {"limit": "500", "continue": "next"}
    assert connection.asked[3]["resourceVersion"] == "7"


async def test_a_continue_token_that_has_expired_starts_the_list_over(impatient: Any) -> None:
    first = b'{"metadata":{"resourceVersion":"7","continue":"next"},"items":[{"metadata":{"name":"a"}}]}'
    whole = b'{"metadata":{"resourceVersion":"9"},"items":null}'
    connection = ScriptedConnection(pages=[first, upstream(410), whole], serves_watch_list=False)
    assert shape(await take(connection, 3)) == [("initial", ["a"], True), ("initial", [], True), ("end", "9")]
    assert "continue" not in connection.asked[2]


async def test_a_stream_that_breaks_off_goes_on_from_its_last_object(impatient: Any) -> None:
    half = line("ADDED", "c", 7)[:-9]
    connection = ScriptedConnection(
        [end(5), line("ADDED", "a", 6), half, LOST], [b"", line("ADDED", "c", 7)], serves_watch_list=True
    )
    batches = await take(connection, 6)
    assert shape(batches)[2:] == [["+a"], ("trouble", "cluster_unreachable"), "opened", ["+c"]]
    assert connection.asked[1]["resourceVersion"] == "6"


@pytest.mark.parametrize("forgotten", [error(410, "Expired"), upstream(410)], ids=["event", "status"])
async def test_a_410_reads_the_state_again_and_is_no_trouble(impatient: Any, forgotten: Any) -> None:
    connection = ScriptedConnection([forgotten], [line("ADDED", "a", 9), end(9)])
    place = Place("5")
    assert shape(await take(connection, 2, place)) == [("initial", ["a"], True), ("end", "9")]
    assert connection.asked[0]["resourceVersion"] == "5"
    assert "sendInitialEvents" in connection.asked[1]


async def test_what_came_before_an_error_event_is_not_lost(impatient: Any) -> None:
    connection = ScriptedConnection([line("ADDED", "a", 6) + error(500) + line("ADDED", "never", 7)], [b""])
    assert shape(await take(connection, 3, Place("5"))) == [["+a"], ("trouble", "upstream_error"), "opened"]
    assert connection.asked[1]["resourceVersion"] == "6"


async def test_too_many_requests_wait_as_long_as_the_server_asks(impatient: Any) -> None:
    limited = RateLimited(cluster="scripted", retry_after=7)
    connection = ScriptedConnection([limited], [error(429)], [b""])
    found = await take(connection, 3, Place("5"))
    assert shape(found) == [("trouble", "rate_limited"), ("trouble", "rate_limited"), "opened"]
    assert impatient[0] == (limited, 1)


@pytest.mark.parametrize("rubbish", [b"<html>\n", b"{}\n", b'{"type":3,"object":{}}\n', b"\xff\xfe\n"])
async def test_what_is_no_event_is_trouble_and_not_an_end(impatient: Any, rubbish: bytes) -> None:
    connection = ScriptedConnection([line("ADDED", "a", 6), rubbish], [b""])
    assert shape(await take(connection, 3, Place("5"))) == [["+a"], ("trouble", "upstream_error"), "opened"]


async def test_a_list_that_is_no_list_is_trouble(impatient: Any) -> None:
    connection = ScriptedConnection(pages=[b"[]", b'{"items":[]}'], serves_watch_list=False)
    assert shape(await take(connection, 2)) == [("trouble", "upstream_error"), ("initial", [], True)]


async def test_a_server_that_ends_every_watch_at_once_is_not_asked_without_pause(impatient: Any) -> None:
    connection = ScriptedConnection(*[[b""] for _ in range(8)])
    assert shape(await take(connection, 8, Place("5"))) == ["opened"] * 8
    assert [failures for _, failures in impatient] == list(range(2, 8))


async def test_a_server_that_ignores_the_wish_for_the_state_is_asked_for_a_list(impatient: Any) -> None:
    silent = ClusterUnreachable(cluster="scripted", stage="http", reason="no_answer")
    whole = b'{"metadata":{"resourceVersion":"9"},"items":[]}'
    connection = ScriptedConnection([line("ADDED", "a", 1), silent], pages=[whole])
    assert shape(await take(connection, 3)) == [("initial", ["a"], True), ("initial", [], True), ("end", "9")]


async def test_a_pause_ends_early_when_it_is_asked_to() -> None:
    connection = ScriptedConnection([upstream(403)], [b""])
    wake = asyncio.Event()
    began = time.monotonic()
    async with aclosing(watch(connection, POD, Place("5"), wake=wake)) as batches:  # type: ignore[arg-type]
        trouble = await anext(batches)
        assert isinstance(trouble, Trouble)
        assert trouble.pause >= 15
        wake.set()
        assert isinstance(await anext(batches), Opened)
    assert time.monotonic() - began < 5


@given(failures=st.integers(0, 10_000))
def test_pauses_grow_differ_and_stay_below_half_a_minute(failures: int) -> None:
    for problem in (None, LOST, upstream(500)):
        pause = watching._pause(problem, failures)
        assert 0.1 <= pause <= 30
    assert 15 <= watching._pause(upstream(403), failures) <= 30
    assert 7 <= watching._pause(RateLimited(retry_after=7), failures) < 8
    late = {watching._pause(LOST, 20) for _ in range(20)}
    assert min(late) >= 15
    assert len(late) > 10


@given(whole=st.lists(st.binary(max_size=30).map(lambda text: text.replace(b"\n", b" ")), max_size=8), data=st.data())
def test_lines_are_the_same_however_they_are_cut(whole: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(text + b"\n" for text in whole) + b"cut off"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    async def chunks() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    async def collect() -> list[bytes]:
        return [text async for found, _ in lines(chunks()) for text in found]

    assert asyncio.run(collect()) == whole


async def test_a_line_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "LINE_BYTES", 1000)

    async def chunks() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 100

    with pytest.raises(watching.Expired):
        async for _ in lines(chunks()):
            pass


# --- the lab's API server ---


def namespace(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


async def test_a_place_that_a_restarted_api_server_has_forgotten_brings_the_state(
    make_cluster: Callable[..., LabCluster],
) -> None:
    cluster = await asyncio.to_thread(make_cluster)
    await asyncio.to_thread(cluster.stop)
    await asyncio.to_thread(cluster.start)
    found: list[Batch] = []
    async with (
        Connection(lab_target(cluster)) as connection,
        asyncio.timeout(20),
        aclosing(watch(connection, NAMESPACE, Place("1"))) as batches,
    ):
        async for batch in batches:
            found.append(batch)
            if isinstance(batch, InitialEnd):
                break
    initial = [batch for batch in found if isinstance(batch, Initial)]
    assert initial[0].begins
    assert not any(isinstance(batch, Trouble) for batch in found)
    assert {"default", "kube-system"} <= {name for batch in initial for name in names(batch.objects)}


async def test_an_object_of_more_than_a_megabyte_comes_whole(lab_cluster: LabCluster) -> None:
    name, size = f"big-{uuid4().hex[:6]}", 1_200_000
    container = {"name": "c", "image": "app:1", "env": [{"name": "LONG", "value": "x" * size}]}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulerName": "nobody", "containers": [container]},
    }
    client = lab_cluster.client
    async with Connection(lab_target(lab_cluster)) as connection, asyncio.timeout(30):
        async with aclosing(watch(connection, POD)) as batches:
            async for batch in batches:
                if isinstance(batch, InitialEnd):
                    await asyncio.to_thread(client.create, pod)
                if isinstance(batch, Changes) and name in names([raw for _, raw in batch.events]):
                    found = json.loads(bytes(batch.events[0][1]))
                    break
        assert len(found["spec"]["containers"][0]["env"][0]["value"]) == size
        streamed = [
            raw
            async for raw in _initial(connection)
            if json.loads(bytes(raw))["metadata"]["name"] == name and memoryview(raw).nbytes > size
        ]
        assert len(streamed) == 1
    client.delete("Pod", name, "default", grace=0)


async def _initial(connection: Connection) -> AsyncIterator[msgspec.Raw]:
    async with aclosing(watch(connection, POD)) as batches:
        async for batch in batches:
            if isinstance(batch, InitialEnd):
                return
            if isinstance(batch, Initial):
                for raw in batch.objects:
                    yield raw


async def test_nothing_is_lost_or_repeated_for_ever_while_the_way_is_cut_again_and_again(
    lab_cluster: LabCluster,
) -> None:
    """Changes go on while every connection is reset; the watch alone, kept in a dict, ends with the server's list."""
    client, prefix = lab_cluster.client, f"torn-{uuid4().hex[:6]}"
    held: dict[str, str] = {}

    async def keep(connection: Connection) -> None:
        async with aclosing(watch(connection, NAMESPACE, wake=wake)) as batches:
            async for batch in batches:
                if isinstance(batch, Initial):
                    if batch.begins:
                        held.clear()
                    for raw in batch.objects:
                        _put(held, raw)
                elif isinstance(batch, Changes):
                    for gone, raw in batch.events:
                        held.pop(_uid(raw), None) if gone else _put(held, raw)

    def work() -> None:
        for number in range(30):
            client.create(namespace(f"{prefix}-{number}"))
            if number % 5 == 2:
                lab_cluster.cut()
            if number % 5 == 4:
                lab_cluster.heal()
            if number % 3 == 0:
                client.delete("Namespace", f"{prefix}-{number}")

    def listed() -> dict[str, str]:
        items = client.items("Namespace")
        return {item["metadata"]["uid"]: item["metadata"]["resourceVersion"] for item in items}

    wake = asyncio.Event()
    async with Connection(lab_target(lab_cluster)) as connection:
        task = asyncio.create_task(keep(connection))
        try:
            await asyncio.to_thread(work)
            lab_cluster.heal()
            async with asyncio.timeout(60):
                while held != await asyncio.to_thread(listed):
                    wake.set()
                    await asyncio.sleep(0.05)
        finally:
            lab_cluster.heal()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    for number in range(30):
        if number % 3:
            client.delete("Namespace", f"{prefix}-{number}")


def _uid(raw: msgspec.Raw) -> str:
    return str(json.loads(bytes(raw))["metadata"]["uid"])


def _put(held: dict[str, str], raw: msgspec.Raw) -> None:
    held[_uid(raw)] = json.loads(bytes(raw))["metadata"]["resourceVersion"]


async def test_a_watch_that_falls_silent_is_opened_again(lab_cluster: LabCluster) -> None:
    async with Connection(lab_target(lab_cluster)) as connection, asyncio.timeout(30):
        opened = 0
        async with aclosing(watch(connection, NAMESPACE, silent=0.7)) as batches:
            async for batch in batches:
                assert not isinstance(batch, Trouble) or batch.error.reason == "no_answer"
                opened += isinstance(batch, Opened)
                if opened == 2:
                    break


async def test_a_user_who_may_not_list_is_told_the_servers_reason(lab_cluster: LabCluster) -> None:
    async with (
        Connection(lab_target(lab_cluster, "nobody")) as connection,
        asyncio.timeout(20),
        aclosing(watch(connection, POD)) as batches,
    ):
        trouble = await anext(batches)
    assert isinstance(trouble, Trouble)
    assert trouble.error.params["upstream_status"] == 403
    assert "forbidden" in str(trouble.error.reason)
