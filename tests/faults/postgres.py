"""A proxy in front of PostgreSQL, which breaks the connection around a statement it is told."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from tests.faults.proxying import PIECE, Turns, listening


class Break(StrEnum):
    """What becomes of a statement."""

    UNHEARD = "the connection breaks before the statement arrives"
    UNANSWERED = "the statement is done, and the connection breaks before its answer arrives"


@dataclass
class Rule(Turns):
    """Which statements are met: some of those whose messages hold these bytes."""

    what: Break
    holds: bytes = b"COMMIT"

    def applies(self, data: bytes) -> bool:
        return self.holds in data and self.comes()


class Proxy:
    """Between an archive and its PostgreSQL, on loopback. Each statement comes in one piece."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        folder = unquote(parse_qs(self._url.query)["host"][0])
        self._socket = str(Path(folder) / ".s.PGSQL.5432")
        self.rule: Rule | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens, as the URL of a database."""
        user = self._url.username
        return f"postgresql://{user}@127.0.0.1:{self.port}{self._url.path}?sslmode=disable"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
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
    async with listening(proxy.serve) as proxy.port:
        yield proxy
