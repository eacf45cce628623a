"""Work in the background that is done again and again, as long as its process serves."""

import asyncio
from collections.abc import Awaitable, Callable
from random import SystemRandom

import structlog

from app.errors import for_log

log = structlog.get_logger()


class Repeating:
    """Does the work about every so many seconds, each process at moments of its own.

    What goes wrong is logged, whatever it was: the next time may fare better.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], *, seconds: float) -> None:
        self._name = name
        self._work = work
        self._seconds = seconds
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, wherever the work is."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._seconds * SystemRandom().uniform(0.5, 1.5))
            try:
                await self._work()
            except Exception as error:
                log.warning(f"{self._name}_failed", error=for_log(error))
