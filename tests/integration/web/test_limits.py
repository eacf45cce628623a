"""Each limit lets through what is at it, and refuses what is beyond it, with its own answer."""

import struct
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.settings import Limits
from tests.elements import (
    DEFLATED,
    JPEG_BASELINE,
    PIXEL_DATA,
    deflated,
    element,
    encapsulated,
    file_meta,
    file_of,
    fresh_uid,
    image,
    instance,
    item,
    nested,
    sequence,
)
from tests.fixtures.server import FixedSettings, Server, serving

LIMITS = {
    "request_bytes": 20_000,
    "small_request_bytes": 500,
    "request_parts": 3,
    "part_header_bytes": 200,
    "part_header_lines": 3,
    "uri_bytes": 300,
    "request_header_bytes": 1000,
    "request_header_lines": 20,
    "instance_bytes": 6000,
    "inflated_bytes": 6000,
    "header_bytes": 5000,
    "nesting": 3,
    "elements_per_level": 40,
    "elements": 50,
    "fragments": 5,
    "items_per_sequence": 4,
    "search_results": 3,
    "search_keys": 3,
    "search_offset": 10,
    "frames_per_request": 3,
    "rendered_frames": 5,
    "rendered_pixels": 16,
}
DICOM = {"Content-Type": "application/dicom"}
JSON = {"Content-Type": "application/json"}
SHARE = b'{"studies": ["1.2"], "name": "x"}'
CANNOT_UNDERSTAND, OUT_OF_RESOURCES = 0xC000, 0xA700
ELEMENTS = len(image())


@dataclass(frozen=True)
class Asked:
    """A client, and the URL of an image of four frames that is stored."""

    client: httpx.AsyncClient
    url: str


Ask = Callable[[Asked, int], Any]


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("limits")
    values = {"database_url": module_database_url, "data_dir": folder, "limits": LIMITS}
    with serving(FixedSettings.model_validate(values)) as running:
        yield running


@pytest.fixture
async def asked(server: Server) -> AsyncIterator[Asked]:
    async with server.client("store", "read") as client:
        frames = {
            0x00280008: element(0x00280008, "IS", "4"),
            PIXEL_DATA: element(PIXEL_DATA, "OW", bytes(4 * 32)),
        }
        answer = await client.post("/studies", content=instance(frames), headers=DICOM)
        (stored,) = answer.json()["00081199"]["Value"]
        yield Asked(client, stored["00081190"]["Value"][0])


def filled(size: int, tag: int = 0x00091001) -> bytes:
    """An instance of exactly so many bytes."""
    return instance({tag: element(tag, "OB", bytes(size - len(instance()) - 12))})


def inflating_to(size: int) -> bytes:
    """A deflated instance whose data set has so many bytes once it is inflated."""
    rest = size - len(b"".join(image().values()))
    data_set = b"".join(image({0x00091001: element(0x00091001, "OB", bytes(rest - 12))}).values())
    return file_of(deflated(data_set), file_meta(DEFLATED))


def related(headers: bytes = b"Content-Type: application/dicom\r\n", parts: int = 1) -> bytes:
    """A message of good instances whose parts have these headers."""
    bodies = (b"--b\r\n%b\r\n%b\r\n" % (headers, instance()) for _ in range(parts))
    return b"".join(bodies) + b"--b--\r\n"


async def post(asked: Asked, body: bytes, kind: str = "application/dicom") -> httpx.Response:
    return await asked.client.post("/studies", content=body, headers={"Content-Type": kind})


async def post_related(asked: Asked, body: bytes) -> httpx.Response:
    return await post(asked, body, "multipart/related; boundary=b")


async def store(asked: Asked, body: bytes) -> int:
    """Store an instance; the status, or the Failure Reason if it is refused."""
    answer = await post(asked, body)
    if answer.status_code != 409:
        return 200 if answer.is_success else answer.status_code  # 202: its length is odd
    module = answer.json()
    ((failed,),) = [module[t]["Value"] for t in ("00081198", "0008119A") if t in module]
    reason: int = failed["00081197"]["Value"][0]
    return reason


async def request_bytes(asked: Asked, size: int) -> int:
    body = instance()
    epilogue = related() + bytes(size - len(related()))
    assert len(body) < size
    return (await post_related(asked, epilogue)).status_code


async def small_request_bytes(asked: Asked, size: int) -> int:
    url = asked.client.base_url.join("/shares")
    return (await asked.client.post(url, content=SHARE.ljust(size), headers=JSON)).status_code


async def small_request_bytes_in_chunks(asked: Asked, size: int) -> int:
    async def chunks() -> AsyncIterator[bytes]:
        yield SHARE
        yield bytes(size - len(SHARE)).replace(b"\0", b" ")

    url = asked.client.base_url.join("/shares")
    return (await asked.client.post(url, content=chunks(), headers=JSON)).status_code


async def request_bytes_in_chunks(asked: Asked, size: int) -> int:
    async def chunks() -> AsyncIterator[bytes]:
        body = bytes(size - len(related()) - 2) + b"\r\n" + related()
        for at in range(0, size, 1000):
            yield body[at : at + 1000]

    kind = {"Content-Type": "multipart/related; boundary=b"}
    return (await asked.client.post("/studies", content=chunks(), headers=kind)).status_code


async def request_parts(asked: Asked, parts: int) -> int:
    return (await post_related(asked, related(parts=parts))).status_code


async def part_header_bytes(asked: Asked, size: int) -> int:
    header = b"X: " + b"x" * (size - len(b"X: \r\n\r\n")) + b"\r\n"
    return (await post_related(asked, related(header))).status_code


async def part_header_lines(asked: Asked, lines: int) -> int:
    headers = b"".join(b"X-%d: x\r\n" % number for number in range(lines))
    return (await post_related(asked, related(headers))).status_code


async def uri_bytes(asked: Asked, size: int) -> int:
    path = "/dicomweb/studies?"
    return (await asked.client.get("/studies?" + "x" * (size - len(path)))).status_code


async def request_header_bytes(asked: Asked, size: int) -> int:
    built = asked.client.build_request("GET", "/studies?limit=1", headers={"X": ""})
    rest = size - sum(len(name) + len(value) + 4 for name, value in built.headers.raw)
    return (await asked.client.get("/studies?limit=1", headers={"X": "x" * rest})).status_code


async def request_header_lines(asked: Asked, lines: int) -> int:
    more = lines - len(asked.client.build_request("GET", "/").headers)
    headers = {f"X{number}": "" for number in range(more)}
    return (await asked.client.get("/studies?limit=1", headers=headers)).status_code


async def instance_bytes(asked: Asked, size: int) -> int:
    return await store(asked, filled(size))


async def inflated_bytes(asked: Asked, size: int) -> int:
    return await store(asked, inflating_to(size))


async def nesting(asked: Asked, depth: int) -> int:
    return await store(asked, instance({0x00081140: nested(depth)}))


def texts(count: int, first: int = 0x00091000) -> bytes:
    return b"".join(element(first + number, "LO", "x") for number in range(count))


async def elements_per_level(asked: Asked, count: int) -> int:
    return await store(asked, instance({0x00091000: texts(count - ELEMENTS)}))


async def elements(asked: Asked, count: int) -> int:
    inner = sequence(0x00081140, item(texts(count - ELEMENTS - 1)))
    return await store(asked, instance({0x00081140: inner}))


async def fragments(asked: Asked, count: int) -> int:
    return await store(asked, instance({PIXEL_DATA: encapsulated([b"xx"] * count)}, JPEG_BASELINE))


async def items_per_sequence(asked: Asked, count: int) -> int:
    return await store(asked, instance({0x00081140: sequence(0x00081140, *[item()] * count)}))


async def search_keys(asked: Asked, count: int) -> int:
    keys = ["PatientID=x", "PatientSex=x", "StudyID=x", "AccessionNumber=x"][:count]
    return (await asked.client.get("/studies?" + "&".join(keys))).status_code


async def search_offset(asked: Asked, offset: int) -> int:
    return (await asked.client.get(f"/studies?offset={offset}")).status_code


async def search_results(asked: Asked, limit: int) -> int:
    """How many results come of `limit=`, plus 100 if a warning says that it was lowered."""
    for _ in range(5):
        await post(asked, instance())
    answer = await asked.client.get(f"/studies?limit={limit}")
    lowered = any("lowered" in text for text in answer.headers.get_list("warning"))
    return len(answer.json()) + 100 * lowered


async def frames_per_request(asked: Asked, count: int) -> int:
    numbers = ",".join(str(number + 1) for number in range(count))
    return (await asked.client.get(f"{asked.url}/frames/{numbers}")).status_code


async def rendered_frames(asked: Asked, count: int) -> int:
    frames = {
        0x00280008: element(0x00280008, "IS", str(count)),
        PIXEL_DATA: element(PIXEL_DATA, "OW", bytes(count * 32)),
    }
    answer = await post(asked, instance(frames))
    (stored,) = answer.json()["00081199"]["Value"]
    url = stored["00081190"]["Value"][0]
    return (await asked.client.get(f"{url}/rendered?accept=image/gif")).status_code


async def rendered_pixels(asked: Asked, pixels: int) -> int:
    size = {
        0x00280010: element(0x00280010, "US", struct.pack("<H", 1)),
        0x00280011: element(0x00280011, "US", struct.pack("<H", pixels)),
        PIXEL_DATA: element(PIXEL_DATA, "OW", bytes(2 * pixels)),
    }
    answer = await post(asked, instance(size))
    (stored,) = answer.json()["00081199"]["Value"]
    url = stored["00081190"]["Value"][0]
    return (await asked.client.get(f"{url}/rendered")).status_code


TABLE: dict[str, tuple[Ask, int, int]] = {
    "request_bytes": (request_bytes, 200, 413),
    "request_bytes in chunks": (request_bytes_in_chunks, 200, 413),
    "small_request_bytes": (small_request_bytes, 403, 413),
    "small_request_bytes in chunks": (small_request_bytes_in_chunks, 403, 413),
    "request_parts": (request_parts, 200, 413),
    "part_header_bytes": (part_header_bytes, 200, 400),
    "part_header_lines": (part_header_lines, 200, 400),
    "uri_bytes": (uri_bytes, 200, 414),
    "request_header_bytes": (request_header_bytes, 200, 431),
    "request_header_lines": (request_header_lines, 200, 431),
    "instance_bytes": (instance_bytes, 200, OUT_OF_RESOURCES),
    "inflated_bytes": (inflated_bytes, 200, OUT_OF_RESOURCES),
    "nesting": (nesting, 200, CANNOT_UNDERSTAND),
    "elements_per_level": (elements_per_level, 200, CANNOT_UNDERSTAND),
    "elements": (elements, 200, CANNOT_UNDERSTAND),
    "fragments": (fragments, 200, CANNOT_UNDERSTAND),
    "items_per_sequence": (items_per_sequence, 200, CANNOT_UNDERSTAND),
    "search_keys": (search_keys, 200, 400),
    "search_offset": (search_offset, 200, 400),
    "frames_per_request": (frames_per_request, 200, 400),
    "rendered_frames": (rendered_frames, 200, 413),
    "rendered_pixels": (rendered_pixels, 200, 413),
}
"""How to ask for so much, and what is answered at the limit and beyond it."""

ELSEWHERE = {
    "inflated_freely_bytes": "tests/unit/dicom/test_instance.py",
    "inflated_ratio": "tests/unit/dicom/test_instance.py",
    "header_bytes": "test_the_header_of_an_instance_is_bounded",
    "search_results": "test_a_page_is_bounded",
    "spool_memory_bytes": "tests/unit/blobs/test_spool.py",
    "metadata_bytes": "tests/unit/store/test_metadata.py",
    "requests_per_second": "tests/unit/web/test_rates.py",
    "concurrent_stores": "tests/integration/web/test_crowds.py",
    "concurrent_reads": "tests/integration/web/test_crowds.py",
    "concurrent_renders": "tests/integration/sandbox/test_pool.py",
    "render_seconds": "tests/integration/sandbox/test_pool.py",
    "render_memory_bytes": "tests/integration/sandbox/test_pool.py",
    "cache_bytes": "tests/unit/blobs/test_cache.py",
    "queue_seconds": "tests/integration/web/test_crowds.py",
    "head_seconds": "tests/integration/web/test_protocol.py",
    "body_idle_seconds": "tests/integration/web/test_protocol.py",
    "stall_seconds": "tests/integration/web/test_protocol.py",
    "slowest_bytes_per_second": "tests/integration/web/test_protocol.py",
    "statement_seconds": "tests/integration/index/test_database.py",
}
"""Where the others are tested."""


@pytest.mark.parametrize("name", TABLE)
async def test_a_limit_is_where_it_is_said_to_be(name: str, asked: Asked) -> None:
    ask, within, beyond = TABLE[name]
    limit = LIMITS[name.split(" ", maxsplit=1)[0]]
    assert await ask(asked, limit - 1) == within
    assert await ask(asked, limit) == within
    assert await ask(asked, limit + 1) == beyond


async def test_a_page_is_bounded(asked: Asked) -> None:
    limit = LIMITS["search_results"]
    found = [await search_results(asked, size) for size in (limit - 1, limit, limit + 1)]
    assert found == [limit - 1, limit, limit + 100]


async def test_the_header_of_an_instance_is_bounded(asked: Asked) -> None:
    """What is held of it counts, which is the JSON: a little more than the bytes."""

    def held(length: int) -> bytes:
        uids = {0x00091000 + n: element(0x00091000 + n, "UI", fresh_uid()) for n in range(2)}
        return instance(uids | {0x00091010: element(0x00091010, "LO", "x" * length)})

    assert await store(asked, held(100)) == 200
    assert await store(asked, held(LIMITS["header_bytes"] // 2)) == OUT_OF_RESOURCES


def test_all_the_frames_that_may_be_named_fit_into_an_address() -> None:
    """Of a slide of up to 99,999 frames, under UIDs of any length."""
    limits = Limits()
    path = "/dicomweb/studies//series//instances//frames/"
    assert len(path) + 3 * 64 + limits.frames_per_request * len("12345,") <= limits.uri_bytes


def test_every_limit_is_tested() -> None:
    tested = {name.split(" ")[0] for name in TABLE} | ELSEWHERE.keys()
    assert tested == Limits.model_fields.keys()


@pytest.mark.parametrize(
    "path",
    [
        "/dicomweb/patients/%FF/studies",
        "/dicomweb/studies/%FF/metadata",
        "/audit/patients/%FF/disclosures",
        "/nowhere/%C3%28",
    ],
)
async def test_a_path_that_is_not_utf8_is_refused_everywhere(server: Server, path: str) -> None:
    async with server.client("read", "audit") as client:
        answer = await client.get(str(client.base_url.copy_with(raw_path=path.encode())))
        assert answer.status_code == 400
        assert "UTF-8" in answer.json()["detail"]
