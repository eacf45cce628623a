"""`Gate`: how much of a kind goes on at once in this process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.errors import TooBusy


class Gate:
    """Lets so many in at once; who waits too long for a turn hears `TooBusy`."""

    def __init__(self, places: int, wait_seconds: float) -> None:
        self._places = asyncio.Semaphore(places)
        self._number = places
        self._wait_seconds = wait_seconds

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place, and hold it for as long as the context lasts."""
        try:
            async with asyncio.timeout(self._wait_seconds):
                await self._places.acquire()
        except TimeoutError:
            raise TooBusy from None
        try:
            yield
        finally:
            self._places.release()

    async def close(self, seconds: float) -> None:
        """Let nobody in any more, and wait so long at most until all who are in have left."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for _ in range(self._number):
                    await self._places.acquire()
