"""`Lender`: lends the connections of a pool, at hardly any cost while they come back well.

The pool opens connections, repairs and closes them; to take one from it and to give it back costs
more than to read a row. So a connection that came back as it was lent waits here for the next
borrower, and goes back to the pool when somebody queues there, when it was not wanted for a while,
or when something may be wrong with it.
"""

import asyncio
import time
from collections import deque
from contextlib import suppress
from typing import Any

import asyncpg

from app.index.statements import Connection

UNWANTED_SECONDS = 60
"""How long a connection waits here; some minutes later the pool closes it."""


class Lender:
    """Lends the connections of a pool of asyncpg within one event loop."""

    def __init__(self, pool: Any, queue_seconds: float) -> None:
        """`queue_seconds`: no borrower waits longer."""
        self._pool = pool
        self._queue_seconds = queue_seconds
        self._queueing = 0
        self._closing = False
        self._waiting: deque[tuple[float, Connection]] = deque()
        """Since when each connection waits, the latest last."""
        self._sorting_out: asyncio.TimerHandle | None = None
        self._returning: set[asyncio.Task[None]] = set()

    async def take(self) -> Connection:
        """A connection that nobody else has, until it is given back.

        Raises TimeoutError if none becomes free, and what goes wrong in opening one.
        """
        while self._waiting:
            _, connection = self._waiting.pop()
            if _is_as_lent(connection):
                return connection
            await self._pool.release(connection)
        self._queueing += 1
        try:
            return await self._pool.acquire(timeout=self._queue_seconds)
        finally:
            self._queueing -= 1

    async def give_back(self, connection: Connection, *, well: bool) -> None:
        """Take a connection back; `well`: whether all has gone well while it was lent."""
        if well and not self._queueing and not self._closing and _is_as_lent(connection):
            self._waiting.append((time.monotonic(), connection))
            self._sort_out_later()
            return
        # One that does not come to rest is closed: a cancellation may miss its statement.
        with suppress(TimeoutError):
            await self._pool.release(connection)

    async def close(self) -> None:
        """Close every connection, waiting for those that are lent."""
        self._closing = True
        if self._sorting_out is not None:
            self._sorting_out.cancel()
        self._return_first(len(self._waiting))
        await asyncio.gather(*self._returning, return_exceptions=True)
        await self._pool.close()

    def _sort_out_later(self) -> None:
        if self._sorting_out is None:
            loop = asyncio.get_running_loop()
            self._sorting_out = loop.call_later(UNWANTED_SECONDS, self._sort_out)

    def _sort_out(self) -> None:
        self._sorting_out = None
        long_ago = time.monotonic() - UNWANTED_SECONDS
        self._return_first(sum(since <= long_ago for since, _ in self._waiting))
        if self._waiting:
            self._sort_out_later()

    def _return_first(self, count: int) -> None:
        for _ in range(count):
            _, connection = self._waiting.popleft()
            returning = asyncio.create_task(self._pool.release(connection))
            self._returning.add(returning)
            returning.add_done_callback(self._returning.discard)


def _is_as_lent(connection: Connection) -> bool:
    try:
        return not connection.is_closed() and not connection.is_in_transaction()
    except asyncpg.InterfaceError:
        # Of a session that the server ended there is nothing left to ask.
        return False
