"""What the proxies that spoil something have in common: whose turn it is, and their connections."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

PIECE = 64 * 1024

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class Turns:
    """Which of those that are met are spoilt: from the `first` on, `times` of them."""

    first: int = 1
    times: int = 1
    met: int = 0
    done: int = 0

    def comes(self) -> bool:
        """Count one that is met; whether it is one of them."""
        self.met += 1
        if self.met < self.first or self.done >= self.times:
            return False
        self.done += 1
        return True


@asynccontextmanager
async def listening(serve: Serve, *, line_bytes: int = PIECE) -> AsyncIterator[int]:
    """Serve every connection to a port of loopback, as long as the context lasts; the port."""
    connections: set[asyncio.Task[None]] = set()

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.CancelledError, OSError):
            await serve(reader, writer)
        connections.discard(task)

    server = await asyncio.start_server(served, "127.0.0.1", 0, limit=line_bytes)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)
