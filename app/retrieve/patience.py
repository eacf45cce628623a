"""Waiting for a turn in an answer that has begun, so that it is too late to say: too busy."""

import asyncio
from collections.abc import Awaitable, Callable

from app.errors import TooBusy

_PAUSE_SECONDS = 0.1
"""For what is refused at once, and not after a while in the queue."""


async def patiently(work: Callable[[], Awaitable[bytes]]) -> bytes:
    """What `work` returns at last, called again for as long as it raises `TooBusy`."""
    while True:
        try:
            return await work()
        except TooBusy:
            await asyncio.sleep(_PAUSE_SECONDS)
