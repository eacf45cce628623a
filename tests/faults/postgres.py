"""A proxy in front of PostgreSQL, which breaks the connection around a statement it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

PIECE = 64 * 1024


class Break(StrEnum):
    """What becomes of a statement."""

    UNHEARD = "the connection breaks before the statement arrives"
    UNANSWERED = "the statement is done, and the connection breaks before its answer arrives"


@dataclass
class Rule:
    """Which statements are met: those whose messages hold these bytes, `times` of them."""

    what: Break
    holds: bytes = b"COMMIT"
    first: int = 1
    times: int = 1
    met: int = 0
    done: int = 0

    def applies(self, data: bytes) -> bool:
        if self.holds not in data:
            return False
        self.met += 1
        if self.met < self.first or self.done >= self.times:
            return False
        self.done += 1
        return True


class Proxy:
    """Between an archive and its PostgreSQL, on loopback. Each statement comes in one piece."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        folder = unquote(parse_qs(self._url.query)["host"][0])
        self._socket = str(Path(folder) / ".s.PGSQL.5432")
        self._server: asyncio.Server | None = None
        self.rule: Rule | None = None

    @property
    def url(self) -> str:
        """Where it listens, as the URL of a database."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        user = self._url.username
        return f"postgresql://{user}@127.0.0.1:{port}{self._url.path}?sslmode=disable"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_unix_connection(self._socket)
        deaf = asyncio.Event()

        async def forth() -> None:
            while data := await reader.read(PIECE):
                rule = self.rule
                if rule is not None and rule.applies(data):
                    if rule.what is Break.UNANSWERED:
                        deaf.set()
                        far_writer.write(data)
                        await asyncio.sleep(0.2)
                    return
                far_writer.write(data)
                await far_writer.drain()

        async def back() -> None:
            while data := await far_reader.read(PIECE):
                if not deaf.is_set():
                    writer.write(data)
                    await writer.drain()

        directions = [asyncio.create_task(forth()), asyncio.create_task(back())]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in directions:
                one.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            writer.transport.abort()
            far_writer.transport.abort()


@asynccontextmanager
async def proxy_to(url: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the database of this URL, as long as the context lasts."""
    proxy = Proxy(url)
    connections: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        connections.add(task)
        with suppress(asyncio.CancelledError, OSError):
            await proxy._serve(reader, writer)
        connections.discard(task)

    proxy._server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield proxy
    finally:
        proxy._server.close()
        for task in connections:
            task.cancel()
        if connections:
            await asyncio.wait(connections)
