"""Server-sent events of lists, through a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from gmcenter.api import streams
from gmcenter.identity import sessions
from gmcenter.identity.actor import SYSTEM
from tests.support.api import API, Installation, namespace, pod, served

Event = tuple[str, Any]


@pytest.fixture(scope="module")
async def url(gm: Installation) -> AsyncIterator[str]:
    async with served(gm.app) as found:
        yield found


class Stream:
    """The events of one stream, read one by one."""

    def __init__(self, response: httpx.Response) -> None:
        self._lines = response.aiter_lines()
        self.comments = 0

    async def next(self, seconds: float = 10.0) -> Event:
        """The next event; its name and document."""
        name, data = "", ""
        async with asyncio.timeout(seconds):
            async for line in self._lines:
                if line.startswith(":"):
                    self.comments += 1
                elif line.startswith("event: "):
                    name = line[7:]
                elif line.startswith("data: "):
                    data = line[6:]
                elif not line and name:
                    return name, json.loads(data)
        raise EOFError("the stream has ended")

    async def until(self, name: str, seconds: float = 10.0) -> Any:
        """The document of the next event of a name."""
        async with asyncio.timeout(seconds):
            while True:
                found, document = await self.next(seconds)
                if found == name:
                    return document


@asynccontextmanager
async def watching(url: str, headers: dict[str, str], path: str = "/pods", **params: str) -> AsyncIterator[Stream]:
    async with (
        httpx.AsyncClient(timeout=httpx.Timeout(5, read=30)) as client,
        client.stream("GET", f"{url}{API}{path}", params={"watch": "true", **params}, headers=headers) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Stream(response)


async def bearer(gm: Installation, user: str = "admin") -> dict[str, str]:
    return {"Authorization": f"Bearer {await gm.token(user)}"}


async def test_a_stream_begins_with_the_page_that_the_list_answers(gm: Installation, url: str) -> None:
    headers = await bearer(gm)
    async with watching(url, headers, limit="5", cluster="seoul", sort="name") as stream:
        name, document = await stream.next()
    async with httpx.AsyncClient() as client:
        listed = await client.get(
            f"{url}{API}/pods", params={"limit": 5, "cluster": "seoul", "sort": "name"}, headers=headers
        )
    assert name == "page"
    assert [row["uid"] for row in document["data"]] == [row["uid"] for row in listed.json()["data"]]
    assert document["page"]["count"] == listed.json()["page"]["count"]


async def test_what_comes_changes_and_goes_is_told_within_a_second(gm: Installation, url: str) -> None:
    gm.put("seoul", "namespaces", [namespace("stream")])
    async with watching(url, await bearer(gm), namespace="stream") as stream:
        assert (await stream.next())[1]["data"] == []

        gm.put("seoul", "pods", [pod("come", "stream", phase="Pending")])
        change = await stream.until("change", 1.5)
        assert [(row["name"], row["state"]) for row in change["set"]] == [("come", "busy")]
        assert change["page"]["count"] == {"value": 1, "exact": True}

        gm.put("seoul", "pods", [pod("come", "stream", resourceVersion="11")])
        change = await stream.until("change", 1.5)
        assert [(row["name"], row["status"]) for row in change["set"]] == [("come", "Running")]

        gm.remove("seoul", "pods", "uid-stream-come")
        change = await stream.until("change", 1.5)
        assert (change["set"], change["gone"], change["order"]) == ([], ["uid-stream-come"], [])


async def test_a_cluster_that_goes_away_greys_its_rows(gm: Installation, url: str) -> None:
    async with watching(url, await bearer(gm), cluster="busan", limit="3") as stream:
        assert not any(row["away"] for row in (await stream.next())[1]["data"])
        gm.store.set_source(gm.ids["busan"], "pods", state="away", error="port_closed")
        try:
            change = await stream.until("change", 3)
        finally:
            gm.store.set_source(gm.ids["busan"], "pods", state="live")
        assert len(change["set"]) == 3
        assert all(row["away"] for row in change["set"])
        assert (change["freshness"]["answered"], change["freshness"]["needed"]) == (0, 1)


async def test_other_kinds_and_filtered_rows_are_not_told(gm: Installation, url: str) -> None:
    async with watching(url, await bearer(gm), namespace="bank", cluster="seoul", limit="2") as stream:
        await stream.next()
        gm.put("seoul", "namespaces", [namespace("bystander")])
        gm.put("seoul", "pods", [pod("elsewhere", "shop")])
        with pytest.raises(TimeoutError):
            await stream.until("change", 1.5)
    gm.remove("seoul", "pods", "uid-shop-elsewhere")


async def test_a_stream_ends_within_five_seconds_of_its_sessions_revoke(gm: Installation, url: str) -> None:
    token = await gm.token()
    actor = await sessions.authenticate_token(token)
    assert actor.session_id is not None
    async with watching(url, {"Authorization": f"Bearer {token}"}, limit="1") as stream:
        await stream.next()
        await sessions.revoke(SYSTEM, actor.session_id)
        problem = await stream.until("end", 5)
        assert problem["code"] == "unauthenticated"
        with pytest.raises(EOFError):
            await stream.next(3)


async def test_a_browsers_session_streams_too(gm: Installation, url: str) -> None:
    cookie = await gm.cookie()
    async with watching(url, {"Cookie": cookie}, limit="1") as stream:
        assert (await stream.next())[0] == "page"


async def test_a_wrong_query_is_an_ordinary_answer_and_no_stream(gm: Installation, url: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(
            f"{url}{API}/pods", params={"watch": "true", "sort": "shoe"}, headers=await bearer(gm)
        )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_silent_stream_says_that_it_is_still_there(
    gm: Installation, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.5)
    async with watching(url, await bearer(gm), namespace="nobody-writes-here") as stream:
        await stream.next()
        with pytest.raises(TimeoutError):
            await stream.next(5)
        assert stream.comments >= 1


async def test_a_service_admins_stream_shows_nothing(gm: Installation, url: str) -> None:
    async with watching(url, await bearer(gm, "service")) as stream:
        assert (await stream.next())[1]["data"] == []
        gm.put("seoul", "pods", [pod("unseen", "shop")])
        with pytest.raises(TimeoutError):
            await stream.until("change", 1.5)
    gm.remove("seoul", "pods", "uid-shop-unseen")


async def test_a_session_holds_so_many_streams_and_no_more_and_gives_them_back(
    gm: Installation, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "PER_SESSION", 2)
    headers = await bearer(gm)
    async with watching(url, headers, limit="1") as one, watching(url, headers, limit="1") as two:
        await asyncio.gather(one.next(), two.next())
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"{url}{API}/pods", params={"watch": "true"}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_streams")
        assert int(answer.headers["retry-after"]) >= 1
    async with asyncio.timeout(10):
        while streams._open:  # noqa: ASYNC110 the server notices by itself that a reader has gone
            await asyncio.sleep(0.05)
    async with watching(url, headers, limit="1") as again:
        assert (await again.next())[0] == "page"
