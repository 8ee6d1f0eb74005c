"""The road to one API server, which can be cut, stopped up or slowed down.

Every kubeconfig of a lab cluster points here, so that a test can take a cluster away as a broken line would:
`refuse` resets what is open and refuses what is new (a host that is down), `blackhole` accepts and says nothing (a
firewall that drops), `latency` delays each byte in both directions without limiting the throughput.
"""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

CHUNK = 256 * 1024


@dataclass(slots=True)
class Weather:
    """What the road does now. `latency` is in seconds, each way."""

    mode: str = "pass"  # pass | refuse | blackhole
    latency: float = 0.0


class Proxy:
    """One listening port in front of one other port, both on loopback."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self.target = port, target
        self.weather = Weather()
        self._clear = asyncio.Event()
        self._clear.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, limit=CHUNK, backlog=512)

    async def set(self, mode: str, latency: float = 0.0) -> None:
        """Change the weather. Connections of before live on only where the mode lets them."""
        if mode not in ("pass", "refuse", "blackhole"):
            raise ValueError(f"no such mode: {mode}")
        was, self.weather = self.weather.mode, Weather(mode, latency)
        if mode == "blackhole":
            self._clear.clear()
        if mode == "refuse":
            if self._server:
                self._server.close()
                self._server = None
            self._reset()
        elif self._server is None:
            await self.start()
        if mode == "pass":
            if was == "blackhole":
                self._reset()  # a peer that was unheard for so long has given up on these
            self._clear.set()

    async def stop(self) -> None:
        if self._server:
            self._server.close()
        self._reset()
        for task in list(self._tasks):
            task.cancel()

    def _reset(self) -> None:
        """End every open connection with RST rather than a tidy FIN."""
        for writer in list(self._open):
            sock = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._open.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        upstream: asyncio.StreamWriter | None = None
        try:
            await self._clear.wait()
            answer, upstream = await asyncio.open_connection("127.0.0.1", self.target, limit=CHUNK)
            self._open.add(upstream)
            there = self._task(self._pump(reader, upstream))
            back = self._task(self._pump(answer, writer))
            await asyncio.wait({there, back}, return_when=asyncio.ALL_COMPLETED)
        except OSError:
            pass
        finally:
            for end in (writer, upstream):
                if end:
                    self._open.discard(end)
                    end.close()

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Carry one direction. What was read waits its latency in a queue, so that latency costs no throughput."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(maxsize=64)

        async def write() -> None:
            while True:
                read_at, data = await queue.get()
                # In small steps, because the weather may change meanwhile.
                while (wait := read_at + self.weather.latency - loop.time()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(min(wait, 0.1))
                await self._clear.wait()
                if not data:
                    sink.write_eof()
                    return
                sink.write(data)
                await sink.drain()

        async def read() -> None:
            while data := await source.read(CHUNK):
                await queue.put((loop.time(), data))
            await queue.put((loop.time(), b""))

        both = [self._task(write()), self._task(read())]
        try:
            done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_EXCEPTION)
            if any(task.exception() for task in done):
                sink.transport.abort()
        finally:
            for task in both:
                task.cancel()
