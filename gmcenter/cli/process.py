"""What the long-running processes share: the log, the signals, and one way to end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

from gmcenter.core.log import bind
from gmcenter.core.log import configure as configure_log
from gmcenter.core.settings import settings

SIGNALS = (signal.SIGTERM, signal.SIGINT)


def start_log(process: str) -> None:
    """Log as the settings say, each line with the process's name."""
    configure_log(settings().log_level, settings().log_format)
    bind(process=process)


def until_stopped(process: str, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run ``work`` with an event that SIGTERM and SIGINT set; it returns when the work does."""
    start_log(process)

    async def whole() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for sign in SIGNALS:
            loop.add_signal_handler(sign, stop.set)
        await work(stop)

    asyncio.run(whole())
