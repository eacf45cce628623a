"""The body of a store request, taken apart."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.settings import Limits
from app.store.intake import CutShort
from app.store.message import parts_of
from app.store.outcomes import Refusal
from tests.factories import multipart

NOWHERE = Path("/nowhere")
MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


def limits(parts: int) -> Limits:
    return Limits(request_parts=parts)


async def chunks(body: bytes, size: int = 7) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]
    yield b""


async def read(
    content_type: str | None, body: bytes, *, most: int = 100
) -> list[bytes | Refusal | type[CutShort]]:
    """What the message holds; CutShort stands for a part that is."""
    found: list[bytes | Refusal | type[CutShort]] = []
    async for part in parts_of(content_type, chunks(body), limits(most), NOWHERE):
        if isinstance(part, Refusal):
            found.append(part)
            continue
        try:
            found.append(b"".join([data async for data in part]))
        except CutShort:
            found.append(CutShort)
    return found


def message(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


PART = b"Content-Type: application/dicom\r\n\r\n"


async def test_each_part_of_a_message_is_one_instance() -> None:
    body, content_type = multipart([b"one", b"two", b""])
    assert await read(content_type, body) == [b"one", b"two", b""]


async def test_a_single_instance_is_the_whole_body() -> None:
    assert await read("application/dicom", b"an instance") == [b"an instance"]
    assert await read("Application/DICOM; transfer-syntax=1.2", b"one") == [b"one"]


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related; boundary=b",
        "multipart/related; type=application/dicom; boundary=b",
        'Multipart/Related; boundary="b"; Type="APPLICATION/DICOM"',
        "multipart/related;type=application/dicom;boundary=b;start=x",
    ],
)
async def test_clients_spell_the_type_in_many_ways(content_type: str) -> None:
    assert await read(content_type, message(PART + b"one")) == [b"one"]


@pytest.mark.parametrize(
    "headers",
    [
        b"\r\n",
        b"content-type:application/dicom\r\n\r\n",
        b"Content-Type: application/dicom; transfer-syntax=1.2.840.10008.1.2.4.90\r\n\r\n",
        b"Content-Type: application/octet-stream\r\n\r\n",
        b"Content-Type: application/dicom\r\nContent-Length: 3\r\nMIME-Version: 1.0\r\n\r\n",
        b"Content-Type: application/dicom\r\nContent-Transfer-Encoding: Binary\r\n\r\n",
        b"Content-Type: application/dicom\r\nContent-Length: 99999\r\nX-Other: x\r\n\r\n",
    ],
)
async def test_parts_come_with_all_kinds_of_headers(headers: bytes) -> None:
    assert await read(MULTIPART, message(headers + b"one")) == [b"one"]


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "application/json",
        "text/html",
        "multipart/form-data; boundary=b",
        'multipart/related; type="application/json"; boundary=b',
        'multipart/related; type="image/jpeg"; boundary=b',
    ],
)
async def test_another_type_is_refused_before_anything_is_read(content_type: str | None) -> None:
    async def unread() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(UnsupportedMediaType):
        parts_of(content_type, unread(), limits(1), NOWHERE)


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/related",
        "multipart/related; boundary=",
        'multipart/related; type="application/dicom"',
        f"multipart/related; boundary={'b' * 201}",
        "multipart",
    ],
)
async def test_a_message_without_a_boundary_is_no_message(content_type: str) -> None:
    with pytest.raises(BadRequest):
        parts_of(content_type, chunks(b""), limits(1), NOWHERE)


@pytest.mark.parametrize("body", [b"", b"--b--\r\n", b"\r\n--b--", b"no boundary at all"])
async def test_a_message_without_parts_is_a_bad_request(body: bytes) -> None:
    with pytest.raises(BadRequest):
        await read(MULTIPART, body)


async def test_an_empty_body_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        await read("application/dicom", b"")


@pytest.mark.parametrize(
    "headers",
    [
        b"Content-Type: application/dicom\r\nContent-Transfer-Encoding: base64\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n",
        b"Content-Type: text/html\r\n\r\n",
        b"Content-Type: nonsense\r\n\r\n",
    ],
)
async def test_a_part_of_another_kind_fails_the_message_if_first_and_itself_if_later(
    headers: bytes,
) -> None:
    with pytest.raises(UnsupportedMediaType):
        await read(MULTIPART, message(headers + b"one"))
    first, refused, last = await read(
        MULTIPART, message(PART + b"one", headers + b"two", PART + b"three")
    )
    assert (first, last) == (b"one", b"three")
    assert isinstance(refused, Refusal)
    assert refused.reason == 0xC000


async def test_a_message_cut_within_a_part_keeps_the_parts_before() -> None:
    body = message(PART + b"one", PART + b"two")
    assert await read(MULTIPART, body[: body.index(b"two") + 2]) == [b"one", CutShort]


@pytest.mark.parametrize("end", [b"", PART[:-10], PART])
async def test_a_message_that_breaks_off_between_two_parts_keeps_those_before(end: bytes) -> None:
    body = message(PART + b"one").removesuffix(b"--\r\n") + b"\r\n"
    assert await read(MULTIPART, body + end) == [b"one", CutShort]


async def test_a_message_without_its_last_delimiter_may_not_be_whole() -> None:
    assert await read(MULTIPART, b"--b\r\n" + PART + b"one") == [CutShort]


async def test_a_message_that_goes_wrong_keeps_the_parts_before() -> None:
    found = await read(MULTIPART, message(PART + b"one", b"no header\r\n\r\ntwo", PART + b"three"))
    assert found[0] == b"one"
    assert isinstance(found[1], Refusal)
    assert len(found) == 2


async def test_a_message_that_is_wrong_from_the_start_is_a_bad_request() -> None:
    with pytest.raises(BadRequest):
        await read(MULTIPART, message(b"no header\r\n\r\none"))


async def test_there_are_only_so_many_parts() -> None:
    assert len(await read(MULTIPART, message(*[PART] * 3), most=3)) == 3
    with pytest.raises(TooLarge):
        await read(MULTIPART, message(*[PART] * 4), most=3)
