"""What a broken API server answers is its own trouble: told as such, and no error of the program."""

from contextlib import aclosing
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gmcenter.core.errors import RateLimited, UpstreamError
from gmcenter.kube.connection import Answer, Connection
from gmcenter.kube.kinds import KINDS
from gmcenter.kube.target import Target
from gmcenter.kube.watch import Batch, Place, Trouble, watch

DEEP = b'{"metadata":{"resourceVersion":"1"},"items":[' + b"[" * 50_000 + b"]" * 50_000 + b"]}"


class Broken:
    """Answers every list with one body, and every watch with one line."""

    cluster = "east"

    def __init__(self, *, streams: bool) -> None:
        self.serves_watch_list = streams

    async def request(self, *_: Any, **__: Any) -> Answer:
        return Answer(200, {}, DEEP)

    async def stream(self, *_: Any, **__: Any) -> Any:
        yield b""
        yield b'{"type":"ADDED","object":' + DEEP + b"}\n"


@pytest.mark.parametrize("streams", [True, False])
async def test_what_is_nested_without_end_is_the_clusters_trouble(streams: bool) -> None:
    connection = cast(Connection, Broken(streams=streams))
    found: Batch | None = None
    async with aclosing(watch(connection, KINDS["pods"], Place())) as batches:
        async for found in batches:
            if isinstance(found, Trouble):
                break
    assert isinstance(found, Trouble)
    assert isinstance(found.error, UpstreamError)
    assert found.error.params["upstream_code"] == "Unreadable"


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), ("9" * 8, 300), ("9" * 5000, 1), ("²", 1), ("-1", 1), ("soon", 1), ("", 1)]
)
async def test_a_wish_to_wait_is_a_number_of_seconds_or_nothing(header: str, seconds: int) -> None:
    async def busy(_: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": header})

    application = web.Application()
    application.router.add_get("/", busy)
    async with (
        TestServer(application) as server,
        aiohttp.ClientSession() as session,
        session.get(server.make_url("/")) as response,
    ):
        with pytest.raises(RateLimited) as caught:
            await Connection(Target("https://198.51.100.7", token="t"))._refuse(response)
    assert caught.value.params["retry_after"] == seconds
