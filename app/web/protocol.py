"""`GuardedProtocol`: HTTP/1.1 as uvicorn speaks it, with an end to the patience for slow callers.

uvicorn waits for ever for the rest of a request's head, keeps a head of any length in memory, and
waits for ever until an answer is taken. Here

- a head that is not complete in time is answered with 408; bytes that go on and on without a head,
  a piece of the body or its end (long headers, trailers, chunk extensions) with 431 or 414;
- a caller that takes too little of an answer is cut off;
- what is left of a body after the answer is read for a while, so that the answer is seen by those
  who send first and read later, and then cut off;
- trailers are not taken for headers.

How long a body may stall is up to `RequestLimits`, which can answer in the archive's own words.
"""

import asyncio
from asyncio.events import TimerHandle
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from httptools import HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.settings import Limits, Settings
from app.web.headers import ALWAYS

PROTOCOL = "app.web.protocol:GuardedProtocol"
"""As uvicorn is told of it, also on its command line: `--http app.web.protocol:GuardedProtocol`."""

_SPARE = 1024
"""Bytes of a request line beside the address."""
_LONGEST_URL = 65_535
"""Bytes of an address that can be taken apart."""

_ALWAYS = b"".join(b"%b: %b\r\n" % header for header in ALWAYS)


@cache
def _limits_of_environment() -> Limits:
    return Settings().limits


class GuardedProtocol(HttpToolsProtocol):
    """One connection. `config.limits` are its limits, if uvicorn's config has any."""

    parser: HttpRequestParser

    def __init__(self, config: Config, *rest: Any, **more: Any) -> None:
        super().__init__(config, *rest, **more)
        self._limits: Limits = getattr(config, "limits", None) or _limits_of_environment()
        self._fruitless = 0
        """Bytes that came since the last that led to anything."""
        self._in_head = True
        self._body_is_whole = True
        self._fruitful = False
        self._patience: TimerHandle | None = None
        """Ends the waiting for a head, or for the rest of a body nobody wants."""
        self._stall: TimerHandle | None = None
        """Looks whether the answer is being taken."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait(self._limits.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self._wait(None)
        self._watch_taking(None)
        super().connection_lost(exc)

    # What comes.

    def data_received(self, data: bytes) -> None:
        self._fruitful = False
        super().data_received(data)
        self._fruitless = 0 if self._fruitful else self._fruitless + len(data)
        if self._fruitless and not self.transport.is_closing():
            self._check_patience()

    def _check_patience(self) -> None:
        limits = self._limits
        if self._in_head and len(self.url) > limits.uri_bytes:
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self._fruitless > limits.request_header_bytes + limits.uri_bytes + _SPARE:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._in_head and self._patience is None:
            self._wait(limits.head_seconds)

    def on_message_begin(self) -> None:
        self._in_head = True
        self._body_is_whole = False
        if self._patience is not None:
            self._wait(self._limits.head_seconds)
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        # What comes behind the body is told alike, and is no part of the head (RFC 9110 6.5.1):
        # what a proxy before us takes out of heads it may have left there.
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._fruitful = True
        self._wait(None)
        hosts = sum(name == b"host" for name, _ in self.headers)
        if self.parser.get_http_version() == "1.1":
            if hosts != 1:
                # The parser takes it for what is no HTTP (RFC 9112 3.2).
                raise ValueError("a request has one Host")
        else:
            self.expect_100_continue = False  # who speaks less takes 100 for the answer
        if len(self.url) > _LONGEST_URL:
            # The application refuses one that is too long in its own words, whatever it says.
            self.url = b"/" * (self._limits.uri_bytes + 1)
        super().on_headers_complete()
        if self.parser.should_upgrade():
            # No upgrade is taken, but the parser hands out what follows as if one were.
            self.cycle.keep_alive = False

    def on_body(self, body: bytes) -> None:
        self._fruitful = True
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._fruitful = True
        self._body_is_whole = True
        super().on_message_complete()
        if self.cycle.response_complete:
            self._wait(self.timeout_keep_alive)

    # What goes.

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._body_is_whole:
            self._unset_keepalive_if_required()
            self._wait(self._limits.head_seconds)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_taking(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._watch_taking(None)
        super().resume_writing()

    def _watch_taking(self, left: int | None) -> None:
        """Look again, after a while, whether of these bytes enough have been taken; None: don't."""
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if left is not None:
            self._stall = self.loop.call_later(self._limits.stall_seconds, self._check_taking, left)

    def _check_taking(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        enough = self._limits.slowest_bytes_per_second * self._limits.stall_seconds
        if before - left < enough:
            self.transport.abort()
        else:
            self._watch_taking(left)

    # The end of patience.

    def _wait(self, seconds: float | None) -> None:
        """Wait so long for what has to come next, from now on; None: as long as it takes."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if seconds is not None:
            self._patience = self.loop.call_later(seconds, self._waited_enough)

    def _waited_enough(self) -> None:
        self._patience = None
        if self._in_head and self._fruitless:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus) -> None:
        """Answer in the place of the application, which has not seen the request, and close."""
        if self.cycle is None or self.cycle.response_complete:
            self._answer(status)
        self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP, in a head or in a body, is answered unless an answer has begun."""
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self._answer(HTTPStatus.BAD_REQUEST)
        self.transport.close()

    def _answer(self, status: HTTPStatus) -> None:
        told = {"type": "about:blank", "title": status.phrase, "status": status}
        body = orjson.dumps(told)
        head = (
            b"content-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n%b\r\n" % (len(body), _ALWAYS)
        )
        self.transport.write(STATUS_LINE[status] + head + body)
