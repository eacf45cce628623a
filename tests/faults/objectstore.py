"""A proxy in front of an object store, which spoils one request or answer in the way it is told."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum

from tests.faults.proxying import PIECE, Turns, listening

HEAD_BYTES = 64 * 1024


class Spoil(StrEnum):
    """What becomes of a request that is to be spoilt."""

    REFUSED = "the connection is reset before the request goes on"
    CUT = "the request goes on by half, and both connections are reset"
    LOST = "the request goes on, and its answer does not come back"
    FAILED = "the answer is 500, and nothing goes on"
    SLOW_DOWN = "the answer is 503, and nothing goes on"
    LIED = "the answer is 200, and nothing goes on"
    LATE = "the request waits for a while"
    ANSWER_CUT = "half of the answer comes back, then a reset"
    ANSWER_SHORT = "half of the answer comes back, and says that this is all"
    ANSWER_WRONG = "a bit of the answer is turned"


@dataclass
class Rule(Turns):
    """Which requests are spoilt, and how: some of a method."""

    spoil: Spoil
    method: str = "PUT"
    path: str = ""
    """What their path contains."""
    seconds: float = 0.5
    """For `LATE`."""

    def applies(self, method: str, path: str) -> bool:
        return method == self.method and self.path in path and self.comes()


class Proxy:
    """Between an archive and its object store, on loopback."""

    def __init__(self, endpoint: str) -> None:
        host, _, port = endpoint.removeprefix("http://").partition(":")
        self._target = host, int(port)
        self.rule: Rule | None = None
        self.endpoint = ""
        """Where it listens."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection(*self._target, limit=HEAD_BYTES)
        except OSError:
            writer.transport.abort()
            return
        near, far = _Side(reader, writer), _Side(far_reader, far_writer)
        try:
            while await self._exchange(near, far):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, _Reset):
            pass
        finally:
            near.writer.transport.abort()
            far.writer.transport.abort()

    async def _exchange(self, near: "_Side", far: "_Side") -> bool:
        """One request and its answer; whether another one can follow."""
        head = await near.head()
        method, path = head.first_line.split(" ")[:2]
        rule = self.rule
        spoil = rule.spoil if rule is not None and rule.applies(method, path) else None
        match spoil:
            case Spoil.REFUSED:
                raise _Reset
            case Spoil.FAILED | Spoil.SLOW_DOWN | Spoil.LIED:
                await near.pass_body(head, None)
                await near.answer(spoil)
                return True
            case Spoil.CUT:
                far.writer.write(head.raw)
                await near.pass_body(head, far, most=head.length // 2)
                raise _Reset
            case Spoil.LATE:
                assert rule is not None
                await asyncio.sleep(rule.seconds)
        far.writer.write(head.raw)
        await near.pass_body(head, far)
        answer = await far.head(bodiless=method == "HEAD")
        if spoil is Spoil.LOST:
            await far.pass_body(answer, None)
            raise _Reset
        if spoil is Spoil.ANSWER_SHORT:
            half = answer.length // 2
            near.writer.write(
                re.sub(rb"(?i)content-length: *\d+", b"Content-Length: %d" % half, answer.raw)
            )
            await far.pass_body(answer, near, most=half)
            raise _Reset
        near.writer.write(answer.raw)
        if spoil is Spoil.ANSWER_CUT:
            await far.pass_body(answer, near, most=answer.length // 2)
            raise _Reset
        await far.pass_body(answer, near, change=_turned if spoil is Spoil.ANSWER_WRONG else None)
        return True


class _Reset(Exception):
    """Both connections are to be broken."""


@dataclass(frozen=True)
class _Head:
    raw: bytes
    length: int
    chunked: bool

    @property
    def first_line(self) -> str:
        return self.raw.split(b"\r\n", 1)[0].decode()


class _Side:
    """A connection on which HTTP messages come."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def head(self, *, bodiless: bool = False) -> _Head:
        raw = await self.reader.readuntil(b"\r\n\r\n")
        while raw.startswith(b"HTTP/1.1 100 "):
            raw = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", raw)
        chunked = re.search(rb"(?i)\r\ntransfer-encoding: *chunked", raw) is not None
        none = bodiless or raw.startswith((b"HTTP/1.1 204", b"HTTP/1.1 304"))
        return _Head(raw, 0 if none or not length else int(length[1]), chunked and not none)

    async def pass_body(
        self,
        head: _Head,
        to: "_Side | None",
        most: int | None = None,
        change: Callable[[bytes], bytes] | None = None,
    ) -> None:
        """Pass the body on to the other side, or to nobody; `most`: only so many bytes of it."""
        async for piece in self._body(head, most):
            if to is not None:
                to.writer.write(change(piece) if change else piece)
                await to.writer.drain()

    async def answer(self, spoil: Spoil) -> None:
        status = {
            Spoil.FAILED: b"500 Internal Server Error",
            Spoil.SLOW_DOWN: b"503 Slow Down",
            Spoil.LIED: b'200 OK\r\nETag: "d41d8cd98f00b204e9800998ecf8427e"',
        }
        self.writer.write(b"HTTP/1.1 %b\r\nContent-Length: 0\r\n\r\n" % status[spoil])
        await self.writer.drain()

    async def _body(self, head: _Head, most: int | None) -> AsyncIterator[bytes]:
        if head.chunked:
            while True:
                line = await self.reader.readline()
                size = int(line.split(b";")[0], 16)
                yield line + await self.reader.readexactly(size + 2)
                if not size:
                    return
        left = head.length if most is None else min(most, head.length)
        while left:
            piece = await self.reader.read(min(PIECE, left))
            if not piece:
                raise asyncio.IncompleteReadError(b"", left)
            left -= len(piece)
            yield piece


def _turned(piece: bytes) -> bytes:
    middle = len(piece) // 2
    return piece[:middle] + bytes([piece[middle] ^ 1]) + piece[middle + 1 :]


@asynccontextmanager
async def proxy_to(endpoint: str) -> AsyncIterator[Proxy]:
    """A proxy in front of the object store, as long as the context lasts."""
    proxy = Proxy(endpoint)
    async with listening(proxy.serve, line_bytes=HEAD_BYTES) as port:
        proxy.endpoint = f"http://127.0.0.1:{port}"
        yield proxy
