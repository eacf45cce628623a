"""Points 14 and 15 of what clients send to Store and need, byte by byte over a socket.

Each request is written as the client writes it, since a library for HTTP would put it right.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from pydicom import dcmread

from app.dicom import nativexml
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server
from tests.integration.store.conftest import value

DICOM = "application/dicom"
JSON = "application/dicom+json"
XML = "application/dicom+xml"
GUID = "2f1b9c8e-9d3e-4f36-8b65-0d2b0d1f3c5a"
FIXED = "0f3cf5c0-70e0-41ef-baef-c6f9f65ec3e1"
LONG = f"{0:036x}-{1:036x}"
assert len(LONG) == 73
PART = f"Content-Type: {DICOM}\r\n\r\n".encode()


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Line:
    """A connection of its own for each request."""

    server: Server
    token: str

    async def send(
        self,
        body: bytes,
        *,
        content_type: str | None,
        path: str = "/studies",
        chunks: Sequence[int] | None = None,
        **headers: str,
    ) -> Answer:
        """Store a body, with its length or in chunks of these sizes over and over."""
        origin = urlsplit(self.server.url)
        reader, writer = await asyncio.open_connection(origin.hostname, origin.port)
        try:
            lines = [
                f"POST /dicomweb{path} HTTP/1.1",
                f"Host: {headers.pop('Host', origin.netloc)}",
                f"Authorization: Bearer {self.token}",
                *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
            ]
            if content_type is not None:
                lines.append(f"Content-Type: {content_type}")
            length = f"Content-Length: {len(body)}" if chunks is None else None
            lines.append(length or "Transfer-Encoding: chunked")
            head = "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")
            # Together, as far as they go: what comes behind an early answer may be reset.
            first, *others = _chunks(body, chunks) if chunks else [body]
            for piece in (head + first, *others):
                writer.write(piece)
                await writer.drain()
            head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
            if head.startswith(b"HTTP/1.1 100 "):
                head, _, rest = rest.partition(b"\r\n\r\n")
        finally:
            writer.close()
        status, *given = head.decode("latin-1").split("\r\n")
        pairs = [line.split(": ", 1) for line in given]
        found = {name.lower(): text for name, text in pairs}
        return Answer(int(status.split()[1]), found, rest)


def _chunks(body: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at, number = [], 0, 0
    while at < len(body):
        piece = body[at : at + sizes[number % len(sizes)]]
        pieces.append(b"%x\r\n%b\r\n" % (len(piece), piece))
        at, number = at + len(piece), number + 1
    return [*pieces, b"0\r\n\r\n"]


@pytest.fixture
async def line(server: Server) -> Line:
    return Line(server, await server.token("store"))


@pytest.fixture
async def viewer(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client("read") as http:
        yield http


async def assert_whole(viewer: httpx.AsyncClient, answer: Answer, files: Sequence[bytes]) -> None:
    """Everything was stored, and is what was sent."""
    assert answer.status == 200, answer
    accept = {"Accept": "application/dicom; transfer-syntax=*"}
    module = json.loads(answer.body)
    assert module.keys() <= {"00081190", "00081199"}
    items = module["00081199"]["Value"]
    assert [value(item, "00081155") for item in items] == [
        dcmread(io.BytesIO(file), specific_tags=["SOPInstanceUID"]).SOPInstanceUID for file in files
    ]
    for item, file in zip(items, files, strict=True):
        assert (await viewer.get(value(item, "00081190"), headers=accept)).content == file


def message(
    files: Sequence[bytes],
    boundary: str,
    *,
    before: bytes = b"",
    part: bytes = PART,
    after: bytes = b"\r\n",
    line_end: bytes = b"\r\n",
) -> bytes:
    """A multipart message, each of its quirks an argument; `%d` in a part is its length."""
    dashes = b"--" + boundary.encode()
    body = before
    for file in files:
        head = part.replace(b"%d", str(len(file)).encode()).replace(b"\r\n", line_end)
        body += dashes + line_end + head + file + line_end
    return body + dashes + b"--" + after


OUTER = f'multipart/related; type="{DICOM}"; boundary='
QUIRKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "OHIF and dicomweb-client JS: leading CRLF, no final one": (
        f'{OUTER}"{GUID}"',
        {"boundary": GUID, "before": b"\r\n", "after": b""},
        {"Accept": "*/*", "Origin": "http://viewer"},
    ),
    "dicomweb-client Python: fixed boundary, Host without port": (
        f'{OUTER}"{FIXED}"',
        {"boundary": FIXED, "before": b"\r\n"},
        {"Accept": "application/dicom+json, application/json", "Host": "127.0.0.1"},
    ),
    "dicomweb-client Python: chunked above 1 MB, without length": (
        f'{OUTER}"{FIXED}"',
        {"boundary": FIXED, "before": b"\r\n"},
        {"chunks": [1_000_000]},
    ),
    "Orthanc: 73 characters of boundary, Content-Length of parts, chunked": (
        f"multipart/related; type={DICOM}; boundary={LONG}",
        {
            "boundary": LONG,
            "part": b"Content-Type: application/dicom\r\nContent-Length: %d\r\n\r\n",
        },
        {"chunks": [1, 65_536, 13], "Accept": JSON},
    ),
    "dcm4che stowrs: unquoted everything, leading CRLF": (
        f"multipart/related; type={DICOM}; boundary=myboundary",
        {"boundary": "myboundary", "before": b"\r\n"},
        {"Accept": JSON},
    ),
    "Weasis: blanks left out": (
        f'multipart/related;type="{DICOM}";boundary={GUID}',
        {"boundary": GUID},
        {},
    ),
    "ez-wsi: boundary before type": (
        f'multipart/related; boundary={GUID}; type="{DICOM}"',
        {"boundary": GUID},
        {},
    ),
    "no type": (f"multipart/related; boundary={GUID}", {"boundary": GUID}, {}),
    "unquoted type": (f"multipart/related; type={DICOM}; boundary={GUID}", {"boundary": GUID}, {}),
    "other cases": (
        f'Multipart/Related; TYPE="Application/DICOM"; Boundary={GUID}',
        {
            "boundary": GUID,
            "part": b"content-type: Application/Dicom\r\nCONTENT-LENGTH: %d\r\n\r\n",
        },
        {},
    ),
    "a text before the first boundary, and after the last": (
        f"{OUTER}{GUID}",
        {"boundary": GUID, "before": b"This is a message.\r\n\r\n", "after": b"\r\nThe end.\r\n"},
        {},
    ),
    "line feeds alone": (
        f"{OUTER}{GUID}",
        {"boundary": GUID, "line_end": b"\n", "after": b"\n"},
        {},
    ),
    "200 characters of boundary": (f"{OUTER}{'b' * 200}", {"boundary": "b" * 200}, {}),
    "a boundary of characters that need quotes": (
        f'{OUTER}"a b:c/d=?"',
        {"boundary": "a b:c/d=?"},
        {},
    ),
    "no headers of parts": (f"{OUTER}{GUID}", {"boundary": GUID, "part": b"\r\n"}, {}),
    "all kinds of headers of parts": (
        f"{OUTER}{GUID}",
        {
            "boundary": GUID,
            "part": b"Content-ID: <1@b>\r\nContent-Type: application/dicom; transfer-syntax=1.2\r\n"
            b'Content-Disposition: attachment; filename="a.dcm"\r\nMIME-Version: 1.0\r\n'
            b"Content-Transfer-Encoding: binary\r\nContent-Length: 7\r\n\r\n",
        },
        {},
    ),
    "chunks of a byte": (f"{OUTER}{GUID}", {"boundary": GUID}, {"chunks": [1, 2, 3]}),
    "curl: 100 is expected and not waited for": (
        f"{OUTER}{GUID}",
        {"boundary": GUID},
        {"Expect": "100-continue"},
    ),
}


@pytest.mark.parametrize("client", QUIRKS)
async def test_14_what_clients_send_is_stored_as_it_is(
    line: Line, viewer: httpx.AsyncClient, client: str
) -> None:
    content_type, quirks, headers = QUIRKS[client]
    # Pixels that look like delimiters and line ends, also at the very end.
    hostile = b"\r\n--" + quirks["boundary"].encode() + b"x\r\n\n\r"
    pixels = (hostile * 512)[:510] + b"\r\n"
    files = [*ct_series(1), *ct_series(1, PixelData=pixels)]
    sent = message(files, **quirks)
    await assert_whole(viewer, await line.send(sent, content_type=content_type, **headers), files)


@pytest.mark.parametrize("chunks", [None, [4096]])
@pytest.mark.parametrize("content_type", [DICOM, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1"])
async def test_14_one_file_is_a_body(
    line: Line, viewer: httpx.AsyncClient, chunks: list[int] | None, content_type: str
) -> None:
    file = part10(ct_dataset())
    answer = await line.send(file, content_type=content_type, chunks=chunks)
    await assert_whole(viewer, answer, [file])


async def test_14_a_study_may_be_named(line: Line, viewer: httpx.AsyncClient) -> None:
    dataset = ct_dataset()
    path = f"/studies/{dataset.StudyInstanceUID}"
    sent = message([file := part10(dataset)], GUID)
    await assert_whole(viewer, await line.send(sent, content_type=OUTER + GUID, path=path), [file])
    answer = await line.send(sent, content_type=OUTER + GUID, path="/studies/1.2.3")
    assert answer.status == 409


async def test_14_more_than_a_megabyte_in_every_cut(line: Line, viewer: httpx.AsyncClient) -> None:
    pixels = bytes(range(256)) * 8000
    files = ct_series(2, Rows=1000, Columns=1024, PixelData=pixels)
    for sizes in ([65_536], [65_521, 17, 3000], [1_048_576, 1]):
        sent = message(files, GUID)
        answer = await line.send(sent, content_type=OUTER + GUID, chunks=sizes)
        await assert_whole(viewer, answer, files)


async def test_15_orthanc_finds_as_many_items_as_it_sent(line: Line) -> None:
    (file,) = ct_series(1)
    answer = await line.send(message([file] * 3, GUID), content_type=OUTER + GUID, Accept=JSON)
    module = json.loads(answer.body)
    assert answer.status == 200
    assert len(module["00081199"]["Value"]) == 3
    assert not module.keys() & {"00081198", "0008119A"}


async def test_15_the_type_of_the_answer_has_no_parameter(line: Line) -> None:
    for accept, given in (
        (None, JSON),
        ("*/*", JSON),
        (JSON, JSON),
        ("application/dicom+json, application/json", JSON),
        ("application/json", "application/json"),
        (XML, XML),
        ("text/html, image/gif, image/jpeg, */*; q=0.2", JSON),
    ):
        headers: dict[str, Any] = {} if accept is None else {"Accept": accept}
        answer = await line.send(part10(ct_dataset()), content_type=DICOM, **headers)
        assert (answer.status, answer.headers["content-type"]) == (200, given)


async def test_15_all_some_and_none_are_told_by_the_status(line: Line) -> None:
    good, bad = part10(ct_dataset()), part10(ct_dataset()).replace(b"20240229", b"99999999")
    for files, status in (
        ([good], 200),
        ([good, good], 200),
        ([good, b"junk"], 202),
        ([bad], 202),
        ([b"junk"], 409),
        ([good[:-2]], 409),
    ):
        answer = await line.send(message(files, GUID), content_type=OUTER + GUID)
        assert answer.status == status
        items = [item for tag in json.loads(answer.body).values() for item in tag["Value"]]
        assert len([item for item in items if isinstance(item, dict)]) == len(files)


async def test_15_weasis_reads_what_failed_and_why_in_xml(line: Line) -> None:
    dataset = ct_dataset()
    await line.send(part10(dataset), content_type=DICOM)
    dataset.PatientName = "Other"
    files = [part10(dataset), part10(ct_dataset()).replace(b"20240229", b"99999999"), b"junk"]
    sent = message(files, GUID)
    as_json = json.loads((await line.send(sent, content_type=OUTER + GUID)).body)
    answer = await line.send(sent, content_type=OUTER + GUID, Accept=XML)
    module = nativexml.loads(answer.body)
    assert module == as_json
    (failed,), (stored,), (other,) = (
        module[tag]["Value"] for tag in ("00081198", "00081199", "0008119A")
    )
    assert value(failed, "00081155") == dataset.SOPInstanceUID
    assert value(failed, "00081150") == dataset.SOPClassUID
    assert value(failed, "00081197") == 0x0111
    assert value(value(failed, "00741048"), "00000902").startswith("(0010,0010) ")
    assert value(stored, "00081196") == 0xB007
    assert value(value(stored, "00741048"), "00000902").startswith("(0008,0020) ")
    assert value(stored, "00081190").startswith(f"{line.server.dicomweb}/studies/")
    assert value(other, "00081197") == 0xC000
    assert "00081155" not in other


NO_STORE = [
    (None, b"x", 415),
    ("text/plain", b"x", 415),
    ("application/json", b"[]", 415),
    ("multipart/form-data; boundary=b", b"--b--", 415),
    ('multipart/related; type="image/jpeg"; boundary=b', b"--b--", 415),
    (OUTER.removesuffix("; boundary="), b"--b--", 400),
    (OUTER + "b", b"", 400),
    (OUTER + "b", b"--b--", 400),
    (OUTER + "b", b"no boundary", 400),
    (OUTER + "b" * 201, b"--b--", 400),
    (DICOM, b"", 400),
    ("nonsense", b"x", 400),
]


async def test_15_what_is_no_store_is_400_or_415(line: Line) -> None:
    for content_type, body, status in NO_STORE:
        answer = await line.send(body, content_type=content_type)
        assert (answer.status, content_type) == (status, content_type)
        assert answer.headers["content-type"] == "application/problem+json"
