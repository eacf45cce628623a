"""What one request may cost before a room looks at it, and how much may go on at once.

`RequestLimits` bounds the header block, the address and the body; `Gates` bound how many requests
of a kind are at work in this process, so that a crowd waits outside, before its bodies are read.
"""

import asyncio
import re
from dataclasses import dataclass
from time import perf_counter
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.gate import Gate
from app.settings import Limits
from app.web.dependencies import DICOMWEB
from app.web.errors import HeadersTooLarge, RequestTimedOut, UriTooLong

SLOW_SECONDS = 60
"""Over how long a body may be slow."""


_STORES = re.compile(rf"{DICOMWEB}/studies(?:/[^/]+)?")
"""What is spooled as it comes; other bodies are read as a whole."""


def _is_utf8(path: bytes) -> bool:
    """What is not reaches the rooms with other characters in its place."""
    if b"%" in path:
        try:
            unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return False
    return True


class RequestLimits:
    """Refuses what is too large by its headers, and ends bodies that grow too large or stall."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            stores = scope["method"] == "POST" and _STORES.fullmatch(scope["path"])
            limits = self._limits
            most = limits.request_bytes if stores else limits.small_request_bytes
            if self._check(scope, most):
                receive = self._bounded(receive, most)
        await self._app(scope, receive, send)

    def _check(self, scope: Scope, most: int) -> bool:
        """Whether there is a body. Raises if the request is refused for what can be seen so far.

        `most`: bytes that the body may have.
        """
        limits = self._limits
        query = scope["query_string"]
        if len(scope["raw_path"]) + len(b"?" + query if query else b"") > limits.uri_bytes:
            raise UriTooLong(f"The address of the request exceeds {limits.uri_bytes} bytes.")
        if not _is_utf8(scope["raw_path"]):
            raise BadRequest("The path is not UTF-8.")
        headers = scope["headers"]
        if len(headers) > limits.request_header_lines:
            raise HeadersTooLarge(
                f"The request has more than {limits.request_header_lines} headers."
            )
        size, has_body = 0, False
        for name, value in headers:
            size += len(name) + len(value) + len(b": \r\n")
            match name:
                case b"content-length":
                    _check_length(value, most)
                    has_body = has_body or value != b"0"
                case b"transfer-encoding" if value.strip().lower() != b"chunked":
                    raise UnsupportedMediaType("A body is taken whole or in chunks, no other way.")
                case b"transfer-encoding":
                    has_body = True
                case b"content-encoding" if value.strip().lower() != b"identity":
                    raise UnsupportedMediaType("A compressed body is not taken.")
        if size > limits.request_header_bytes:
            raise HeadersTooLarge(
                f"The headers of the request exceed {limits.request_header_bytes} bytes."
            )
        return has_body

    def _bounded(self, receive: Receive, most: int) -> Receive:
        received, more = 0, True
        waited, in_time = 0.0, 0

        async def bounded() -> Message:
            nonlocal received, more, waited, in_time
            if not more:
                return await receive()
            begin = perf_counter()
            try:
                async with asyncio.timeout(self._limits.body_idle_seconds):
                    message = await receive()
            except TimeoutError:
                raise RequestTimedOut from None
            length = len(message.get("body", b""))
            received += length
            in_time += length
            if received > most:
                raise _too_large(most)
            more = message.get("more_body", False)
            waited += perf_counter() - begin
            if waited >= SLOW_SECONDS:
                if more and in_time < waited * self._limits.slowest_bytes_per_second:
                    raise RequestTimedOut("The body of the request comes too slowly.")
                waited, in_time = 0.0, 0
            return message

        return bounded


def _check_length(value: bytes, most: int) -> None:
    if not value.isdigit():
        raise BadRequest("Content-Length is no number.")
    if int(value[:20]) > most:
        raise _too_large(most)


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"The body of the request exceeds {most} bytes.")


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of one process."""

    stores: Gate
    """Requests that store."""
    reads: Gate
    """Requests for whole studies and series."""

    @classmethod
    def of(cls, limits: Limits) -> "Gates":
        """Those that the limits ask for."""
        return cls(
            Gate(limits.concurrent_stores, limits.queue_seconds),
            Gate(limits.concurrent_reads, limits.queue_seconds),
        )
