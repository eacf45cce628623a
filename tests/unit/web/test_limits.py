"""What is too much is refused before it costs anything, and a crowd waits for its turn."""

import asyncio
from typing import Any

import pytest

from app.errors import ArchiveError, BadRequest, TooLarge, UnsupportedMediaType
from app.settings import Limits
from app.web.errors import HeadersTooLarge, RequestTimedOut, UriTooLong
from app.web.limits import RequestLimits
from tests.unit.web.asgi import Call, Header, scope


def limits(**values: Any) -> Limits:
    return Limits.model_validate(values)


async def reading(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the body and answers with it."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message["more_body"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def call(
    headers: list[Header] | None = None, body: list[bytes] | None = None, **more: Any
) -> Call:
    app = RequestLimits(reading, limits(request_bytes=100, small_request_bytes=50))
    asked = {"path": "/dicomweb/studies", "raw_path": b"/"} | more
    return await Call(body or [])(app, scope("POST", headers=headers or [], **asked))


@pytest.mark.parametrize(
    ("fits", "refused", "error"),
    [
        ({"raw_path": b"/" * 32768}, {"raw_path": b"/" * 32769}, UriTooLong),
        ({"query_string": b"x" * 32766}, {"query_string": b"x" * 32767}, UriTooLong),
        ({"headers": [(b"a", b"1")] * 100}, {"headers": [(b"a", b"1")] * 101}, HeadersTooLarge),
        (
            {"headers": [(b"a", b"1" * (32 * 1024 - 5))]},
            {"headers": [(b"a", b"1" * (32 * 1024 - 4))]},
            HeadersTooLarge,
        ),
        (
            {"headers": [(b"content-length", b"100")]},
            {"headers": [(b"content-length", b"101")]},
            TooLarge,
        ),
        (
            {"headers": [(b"content-encoding", b"Identity")]},
            {"headers": [(b"content-encoding", b"gzip")]},
            UnsupportedMediaType,
        ),
        (
            {"headers": [(b"transfer-encoding", b"Chunked")]},
            {"headers": [(b"transfer-encoding", b"gzip, chunked")]},
            UnsupportedMediaType,
        ),
        (
            {"headers": [(b"content-length", b"0")]},
            {"headers": [(b"content-length", b"-1")]},
            BadRequest,
        ),
    ],
)
async def test_limits_of_the_head(
    fits: dict[str, Any], refused: dict[str, Any], error: type[ArchiveError]
) -> None:
    assert (await call(**fits)).status == 200
    with pytest.raises(error):
        await call(**refused)


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/dicomweb/studies", 100),
        ("/dicomweb/studies/1.2", 100),
        ("/dicomweb/studies/1.2/token", 50),
        ("/dicomweb/studies/", 50),
        ("/dicomweb/session", 50),
        ("/admin/tokens", 50),
        ("/shares", 50),
        ("/", 50),
    ],
)
async def test_only_what_is_stored_may_be_long(path: str, most: int) -> None:
    for size, headers in ((most, CHUNKED), (most, [(b"content-length", b"%d" % most)])):
        assert (await call(headers, [b"x" * size], path=path)).body == b"x" * most
    for size, headers in ((most + 1, CHUNKED), (1, [(b"content-length", b"%d" % (most + 1))])):
        with pytest.raises(TooLarge, match=f"exceeds {most} bytes"):
            await call(headers, [b"x" * size], path=path)


CHUNKED = [(b"transfer-encoding", b"chunked")]


async def test_a_body_of_unknown_length_is_counted() -> None:
    assert (await call(CHUNKED, [b"x" * 60, b"x" * 40])).body == b"x" * 100
    with pytest.raises(TooLarge):
        await call(CHUNKED, [b"x" * 60, b"x" * 41])


async def test_a_body_that_stalls_is_given_up() -> None:
    async def silent() -> Any:
        await asyncio.sleep(60)

    app = RequestLimits(reading, limits(body_idle_seconds=0.01))
    with pytest.raises(RequestTimedOut):
        await app(scope("POST", headers=CHUNKED), silent, Call().send)


async def test_waiting_for_the_caller_to_leave_is_no_stall() -> None:
    """After the body, `receive` waits for the end of the connection, however long that takes."""

    async def waiting(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert (await receive())["type"] == "http.disconnect"

    messages = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asyncio.sleep(0.05)
        return {"type": "http.disconnect"}

    app = RequestLimits(waiting, limits(body_idle_seconds=0.01))
    await app(scope("POST", headers=CHUNKED), receive, Call().send)
