"""JSON, validators, warnings as clients read them; streams that never end as if they were whole."""

import asyncio
import gzip
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from starlette.requests import Request

from app.errors import NotFound
from app.web.errors import PreconditionFailed
from app.web.responses import (
    StreamingResponse,
    accepts_gzip,
    dicom_json,
    etag_of_json,
    not_modified,
    strong_etag,
    warning,
)
from tests.unit.web.asgi import Call, scope

JSON = b'[{"00100010":{"vr":"PN"}}]'


def request(**headers: str) -> Request:
    """A GET request with these headers; underscores stand for hyphens."""
    pairs = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    return Request(scope(headers=pairs))


class Waiting(Call):
    """A caller who stays."""

    async def receive(self) -> Any:
        await asyncio.sleep(60)


async def pieces(*given: bytes | Exception) -> AsyncIterator[bytes]:
    for piece in given:
        if isinstance(piece, Exception):
            raise piece
        yield piece


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("deflate, GZIP;q=0.5", True),
        ("gzip, deflate, br, zstd", True),
        ("*", True),
        ("identity", False),
        ("gzip;q=0", False),
        ("gzip; q=0.0, br", False),
        ("notgzip, gzipped", False),
        ("*, gzip;q=0", False),
        ("*;q=0, gzip", True),
    ],
)
def test_who_accepts_gzip(header: str | None, accepted: bool) -> None:
    assert accepts_gzip(header) is accepted


def test_blanks_in_a_header_are_read_in_linear_time() -> None:
    """Of 32 KiB, as many as the headers of a request may have; it took a quarter of a minute."""
    began = time.process_time()
    assert not accepts_gzip("gzip" + " " * 32 * 1024 + "x")
    assert time.process_time() - began < 2


async def test_json_is_of_exactly_the_type_that_clients_compare() -> None:
    call = await Call()(await dicom_json(request(), JSON), scope())
    assert call.headers["content-type"] == "application/dicom+json"
    assert call.headers["content-length"] == str(len(JSON))
    assert call.headers["cache-control"] == "private, no-cache"
    assert set(call.headers["vary"].split(", ")) >= {"Accept", "Accept-Encoding", "Authorization"}
    assert call.body == JSON


@pytest.mark.parametrize("size", [1024, 200_000])
async def test_long_json_is_compressed_for_who_accepts_it(size: int) -> None:
    body = b"x" * size
    zipped = request(accept_encoding="gzip")
    etag = etag_of_json(zipped, "1")
    call = await Call()(await dicom_json(zipped, body, etag=etag), scope())
    assert call.headers["content-encoding"] == "gzip"
    assert gzip.decompress(call.body) == body
    assert call.headers["content-length"] == str(len(call.body))
    assert call.headers["etag"] == '"1-gzip"', "the same JSON, but not the same bytes"
    etag = etag_of_json(request(), "1")
    plain = await Call()(await dicom_json(request(), body, etag=etag), scope())
    assert (plain.body, plain.headers["etag"]) == (body, '"1"')
    assert "content-encoding" not in plain.headers


async def test_short_json_is_not_compressed() -> None:
    call = await Call()(await dicom_json(request(accept_encoding="gzip"), b"x" * 1023), scope())
    assert "content-encoding" not in call.headers


async def test_warnings_are_worded_as_the_standard_does() -> None:
    text = warning("http://h:1/dicomweb", "There are 5 additional results that can be requested")
    expected = "299 http://h:1/dicomweb: There are 5 additional results that can be requested"
    assert text == expected
    call = await Call()(await dicom_json(request(), JSON, warnings=[text, text]), scope())
    assert call.headers["warning"] == f"{expected}, {expected}"


def test_a_warning_breaks_no_header() -> None:
    assert warning("b", "a\r\nX: 1\x00\u2028日é") == "299 b: a??X: 1???é"


@pytest.mark.parametrize(
    ("known", "unchanged"),
    [
        ('"s1-3"', True),
        ('W/"s1-3"', True),
        ('"other", W/"s1-3"', True),
        ("*", True),
        ('"s1-4"', False),
        ("s1-3", False),
        (None, False),
    ],
)
def test_what_the_caller_has_is_not_sent_again(known: str | None, unchanged: bool) -> None:
    etag = strong_etag("s1", 3)
    assert etag == '"s1-3"'
    answer = not_modified(request(**({"if_none_match": known} if known else {})), etag)
    assert (answer is not None) is unchanged
    if answer is not None:
        assert answer.status_code == 304
        assert answer.headers["etag"] == etag
        assert answer.body == b""


@pytest.mark.parametrize("wanted", ['"s1-3"', '"other", "s1-3"', "*"])
def test_what_the_caller_wants_to_go_on_with_is_sent(wanted: str) -> None:
    assert not_modified(request(if_match=wanted), strong_etag("s1", 3)) is None


@pytest.mark.parametrize("wanted", ['"s1-4"', 'W/"s1-3"', "s1-3", ""])
def test_nothing_else_is_sent_to_who_wants_to_go_on_with_what_it_has(wanted: str) -> None:
    with pytest.raises(PreconditionFailed):
        not_modified(request(if_match=wanted, if_none_match="*"), strong_etag("s1", 3))


def streaming(*given: bytes | Exception, **more: Any) -> StreamingResponse:
    return StreamingResponse(pieces(*given), media_type="application/octet-stream", **more)


async def test_a_stream_is_sent_piece_by_piece() -> None:
    call = await Waiting()(streaming(b"a", b"b", length=2, headers={"ETag": '"1"'}), scope())
    assert [message.get("body") for message in call.sent] == [None, b"a", b"b", None]
    assert call.whole
    assert call.headers == {
        "content-length": "2",
        "content-type": "application/octet-stream",
        "etag": '"1"',
    }


async def test_an_empty_stream_is_an_empty_body() -> None:
    call = await Waiting()(streaming(), scope())
    assert (call.body, call.whole) == (b"", True)


async def test_an_error_before_the_first_piece_is_still_an_error() -> None:
    call = Waiting()
    with pytest.raises(NotFound):
        await call(streaming(NotFound()), scope())
    assert call.sent == []


async def test_a_stream_that_breaks_has_no_end() -> None:
    call = Waiting()
    with pytest.raises(OSError, match="disk"):
        await call(streaming(b"a", OSError("disk")), scope())
    assert call.body == b"a"
    assert not call.whole


async def test_a_stream_ends_when_the_caller_leaves() -> None:
    closed = []

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x"
                await asyncio.sleep(0)
        finally:
            closed.append(True)

    async with asyncio.timeout(5):
        call = await Call()(StreamingResponse(endless(), media_type="a/b"), scope())
    assert closed
    assert not call.whole


async def test_no_task_is_left_behind() -> None:
    before = asyncio.all_tasks()
    await Waiting()(streaming(b"a"), scope())
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
