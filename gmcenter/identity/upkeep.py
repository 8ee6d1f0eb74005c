"""What identity does by the hour: the audit's head into the log, rows that nobody needs out of the database."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from gmcenter.core.log import get_logger
from gmcenter.identity import audit, sessions

INTERVAL_SECONDS: Final = 3600.0

logger = get_logger(__name__)


async def once() -> None:
    """Log the audit's head and prune; a failure of one is logged and does not keep the other from running."""
    for task in (audit.log_head, sessions.prune):
        try:
            await task()
        except Exception:
            logger.exception("identity_upkeep_failed", task=task.__name__)


async def run(stop: asyncio.Event, interval: float = INTERVAL_SECONDS) -> None:
    """Do it now and then each hour (``interval`` in seconds), until ``stop`` is set."""
    while not stop.is_set():
        await once()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), interval)
