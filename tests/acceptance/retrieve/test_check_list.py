"""What viewers send, need and choke on, point by point, over real HTTP.

The numbers are those of a check list made of what OHIF, cornerstone, the microscopy viewers,
dicomweb-client, Weasis, dcm4che, wsidicom, ez-wsi and Orthanc do: 1 to 4 negotiation, 5 to 7
multipart messages, 12 and 13 metadata and bulk data, 17 to 20 browsers, caches and connections.
"""

import asyncio
import base64
import gzip
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import generate_uid

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.fixtures.server import Server
from tests.messages import parts_of

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BASELINE, JPEG_LS = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.80"
TILES = [b"\xff\xd8" + bytes([number]) * (100 + 2 * number) + b"\xff\xd9" for number in range(8)]
PALETTE = bytes(range(256)) * 2
WAVEFORM = bytes(range(256)) * 20
RANGE = re.compile(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)")


@dataclass(frozen=True)
class Shelf:
    """Where the objects lie that the questions are asked about."""

    http: httpx.AsyncClient
    ct: str
    """A native slice, the second of a series of two in Implicit VR."""
    slide: str
    """Eight JPEG tiles, in the same study."""
    lossless: str
    """A slice in JPEG-LS, in a study of its own."""

    def path(self, name: str) -> str:
        """A path that begins with the name of an object, or of its series or study."""
        first, rest = re.split(r"(?=[/?]|$)", name, maxsplit=1)
        kind, _, level = first.partition(".")
        path: str = getattr(self, kind)
        end = {"": "never", "series": "/instances/", "study": "/series/"}[level]
        return path.partition(end)[0] + rest

    async def get(self, name: str, accept: str | None = None, **headers: str) -> httpx.Response:
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        if accept is not None:
            given["Accept"] = accept
        return await self.http.get(self.path(name), headers=given)


@pytest.fixture(scope="module")
async def shelf(shared_server: Server) -> AsyncIterator[Shelf]:
    study, series = generate_uid(), generate_uid()
    slices = [
        part10(
            ct_dataset(
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                InstanceNumber=number,
                SpecificCharacterSet="ISO_IR 100",
                PatientName="Müller^Jörg",
                RedPaletteColorLookupTableData=PALETTE,
                EncapsulatedDocument=WAVEFORM,
            ),
            IMPLICIT,
        )
        for number in (1, 2)
    ]
    tiles = ct_dataset(
        StudyInstanceUID=study, NumberOfFrames=len(TILES), PixelData=encapsulate(TILES)
    )
    lossless = ct_dataset(PixelData=encapsulate([b"\xff\xd8\xff\xf7" + bytes(60)]))
    for dataset in (tiles, lossless):
        dataset["PixelData"].is_undefined_length = True
    async with shared_server.client("read", "store") as http:
        files = [*slices, part10(tiles, BASELINE), part10(lossless, JPEG_LS)]
        _, ct, slide, single = await store(http, *files)
        del http.headers["accept"]
        yield Shelf(http, ct, slide, single)


DICOM = 'multipart/related; type="application/dicom"'
OCTETS = 'multipart/related; type="application/octet-stream"'
ANY_STORED = "multipart/related; type=application/octet-stream; transfer-syntax=*"
JSON = "application/dicom+json"
JAVA, OLD_JAVA = (
    "text/html, image/gif, image/jpeg, */*; q=0.2",
    "text/html, image/gif, image/jpeg, *; q=.2",
)
MICROSCOPY = ", ".join(
    f'multipart/related; type="{kind}"; transfer-syntax={syntax}'
    for kind, syntax in [
        ("image/jls", JPEG_LS),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
        ("image/jpx", "1.2.840.10008.1.2.4.92"),
        ("application/octet-stream", "*"),
        ("image/jpeg", BASELINE),
    ]
)


@pytest.mark.parametrize(
    ("name", "accept", "kind"),
    [
        # 1: lists, q, quoted and bare, any order and spacing, wild cards, absent
        ("slide/frames/1", ANY_STORED, OCTETS),
        ("slide/frames/1", f"{OCTETS}; transfer-syntax=*", OCTETS),
        ("slide/frames/1", f'{OCTETS}; transfer-syntax="*"', OCTETS),
        ("slide/frames/1", 'multipart/related; type="*/*"', 'multipart/related; type="image/jpeg"'),
        ("slide/frames/1", MICROSCOPY, 'multipart/related; type="image/jpeg"'),
        ("slide/frames/1", "image/*", "image/jpeg"),
        ("slide/frames/1", "image/jls, image/jpeg;q=0.5", "image/jpeg"),
        ("slide/frames/1,2", "image/png, */*;q=0.1", 'multipart/related; type="image/jpeg"'),
        ("slide/frames/1", "text/html, application/octet-stream;q=0, image/jpeg", "image/jpeg"),
        ("ct", f"multipart/related; transfer-syntax={EXPLICIT}; type=application/dicom", DICOM),
        ("ct", "multipart/related;type=\"application/dicom\";transfer-syntax=*", DICOM),
        ("ct", "MULTIPART/RELATED ; TYPE=Application/DICOM ; Transfer-Syntax=*", DICOM),
        ("ct.series", JAVA, DICOM),
        ("ct.series", OLD_JAVA, DICOM),
        ("ct.study", "application/dicom, */*;q=0.1", DICOM),
        ("ct.series/metadata", "application/dicom+json, application/json", JSON),
        ("ct.series/metadata", "application/json", "application/json"),
        # 1: the parameter beats the header
        ("ct/rendered?accept=image%2Fpng", OCTETS, "image/png"),
        ("ct/rendered?accept=image/jpeg", "*/*", "image/jpeg"),
        ("ct.study/metadata?accept=application/dicom+json", "image/png", JSON),
        ("ct.study/metadata?accept=application/dicom%2Bjson", "image/png", JSON),
        ("ct.series?accept=*", "image/png", DICOM),
        (
            'ct.series?accept=multipart/related;type="application/dicom";transfer-syntax=*',
            OLD_JAVA,
            DICOM,
        ),
        # 2: what is sent to who does not say
        ("ct.study", None, DICOM),
        ("ct.series", "*/*", DICOM),
        ("ct", "*/*", DICOM),
        ("ct/metadata", None, JSON),
        ("ct.study/metadata", "*/*", JSON),
        ("slide/frames/1", None, 'multipart/related; type="image/jpeg"'),
        ("ct/frames/1", "*/*", OCTETS),
        # 4: single parts
        ("ct", "application/dicom", f"application/dicom; transfer-syntax={EXPLICIT}"),
        ("ct", f"application/dicom; transfer-syntax={IMPLICIT}",
         f"application/dicom; transfer-syntax={IMPLICIT}"),
        ("ct/frames/1", "application/octet-stream; transfer-syntax=*", "application/octet-stream"),
        ("ct/bulkdata/00420011", "*/*", "application/octet-stream"),
        ("ct/bulkdata/00420011", "application/octet-stream", "application/octet-stream"),
        ("ct/bulkdata/00420011", OCTETS, OCTETS),
        ("slide/frames/1", f"image/jpeg; transfer-syntax={BASELINE}",
         f"image/jpeg; transfer-syntax={BASELINE}"),
    ],
)  # fmt: skip
async def test_1_2_4_everybody_gets_the_form_they_ask_for(
    shelf: Shelf, name: str, accept: str | None, kind: str
) -> None:
    answer = await shelf.get(name, accept)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(kind)


@pytest.mark.parametrize(
    ("name", "accept"),
    [
        ("ct.study", "image/png"),
        ("ct.study", "application/dicom"),
        ("ct.series", "text/html, image/gif"),
        ("ct", "*/*;q=0"),
        ("ct", f"{DICOM}; transfer-syntax=1.2.3"),
        ("slide/frames/1", "image/gif"),
        ("slide/frames/1", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.51"),
        ("slide/frames/1,2", "image/jpeg"),
        ("ct/metadata", "application/dicom"),
        ("ct/rendered", "text/plain"),
        ("ct/metadata?accept=image/png", JSON),
        ("ct", ";;;,,,"),
    ],
)
async def test_1_what_cannot_be_had_is_406_and_told_before_the_first_byte(
    shelf: Shelf, name: str, accept: str
) -> None:
    answer = await shelf.get(name, accept, Origin="https://viewer.example")
    assert answer.status_code == 406, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_2_3_transfer_syntaxes_are_as_asked_and_as_the_standard_says(shelf: Shelf) -> None:
    async def syntaxes(name: str, accept: str) -> list[str]:
        answer = await shelf.get(name, accept)
        return re.findall(r"transfer-syntax=([0-9.]+)", answer.content.decode("latin-1"))

    assert await syntaxes("ct.series", f"{DICOM}; transfer-syntax=*") == [IMPLICIT] * 2
    assert await syntaxes("ct.series", DICOM) == [EXPLICIT] * 2
    assert sorted(await syntaxes("ct.study", DICOM)) == [EXPLICIT, EXPLICIT, BASELINE]
    assert await syntaxes("ct", f"{DICOM}; transfer-syntax={IMPLICIT}") == [IMPLICIT]
    assert await syntaxes("slide/frames/2", ANY_STORED) == [BASELINE]
    assert await syntaxes("lossless/frames/1", ANY_STORED) == [JPEG_LS]
    assert await syntaxes("slide/frames/2", OCTETS) == [BASELINE]


@pytest.mark.parametrize("name", ["ct.study", "ct", "slide/frames/3,1", "ct/bulkdata/00420011"])
async def test_5_a_message_is_one_that_viewers_can_cut(shelf: Shelf, name: str) -> None:
    answer = await shelf.get(name, 'multipart/related; type="*/*"')
    outer = re.fullmatch(
        r'multipart/related; type="([a-z]+/[a-z-]+)"; boundary=([0-9A-Za-z]{1,70})',
        answer.headers["content-type"],
    )
    assert outer is not None, answer.headers["content-type"]
    delimiter = b"--" + outer[2].encode()
    first, *others = answer.content.split(delimiter)
    assert first == b""
    assert others.pop() == b"--\r\n"
    for part in others:
        head, blank, body = part.partition(b"\r\n\r\n")
        assert len(head) < 900
        assert re.match(rb"\r\nContent-Type: [a-z/-]+; transfer-syntax=[0-9.]+\r\n", head + b"\r\n")
        assert f"\r\nContent-Location: {shelf.http.base_url}".encode() in head
        assert blank
        assert body.endswith(b"\r\n")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("numbers", [[1, 5, 3], [8, 7, 6, 5, 4, 3, 2, 1], [2], [4, 4, 1]])
async def test_6_frames_come_in_the_order_asked(shelf: Shelf, numbers: list[int]) -> None:
    answer = await shelf.get(f"slide/frames/{','.join(map(str, numbers))}", ANY_STORED)
    assert parts_of(answer) == [TILES[number - 1] for number in dict.fromkeys(numbers)]


@pytest.mark.parametrize(
    ("frames", "status"),
    [("9", 404), ("1,9", 404), ("99999999999", 400), ("9999999999", 404), ("0", 400), ("1,", 400),
     ("-1", 400), ("a", 400), ("1;2", 400), ("1%2C2", 200), ("%31", 200)],
)  # fmt: skip
async def test_6_a_frame_that_is_not_there_is_told(shelf: Shelf, frames: str, status: int) -> None:
    answer = await shelf.get(f"slide/frames/{frames}", Origin="https://viewer.example")
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("name", ["ct.study", "ct", "slide/frames/1,2", "ct/bulkdata/7FE00010"])
async def test_7_pixels_are_never_compressed_and_their_length_is_told(
    shelf: Shelf, name: str
) -> None:
    answer = await shelf.get(name, Accept_Encoding="gzip, deflate, br, zstd")
    assert "content-encoding" not in answer.headers
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("name", ["ct.study", "ct.series", "ct"])
async def test_7_json_is_compressed_for_who_takes_it(shelf: Shelf, name: str) -> None:
    plain = await shelf.get(f"{name}/metadata", Accept_Encoding="identity")
    request = shelf.http.build_request(
        "GET", f"{shelf.path(name)}/metadata", headers={"Accept-Encoding": "gzip, deflate"}
    )
    answer = await shelf.http.send(request, stream=True)
    raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(raw) == plain.content
    assert len(raw) < len(plain.content) / 2
    assert "Accept-Encoding" in answer.headers["vary"]


async def test_11_attributes_are_as_the_model_says(shelf: Shelf) -> None:
    (one,) = (await shelf.get("ct/metadata")).json()
    assert one["00100010"] == {"vr": "PN", "Value": [{"Alphabetic": "Müller^Jörg"}]}
    assert one["00200013"] == {"vr": "IS", "Value": [2]}
    assert one["00080005"] == {"vr": "CS", "Value": ["ISO_IR 192"]}
    assert {"00080016", "00080018", "0020000D", "0020000E"} <= one.keys()
    assert list(one) == sorted(one)
    for element in one.values():
        assert element.get("Value") != []
        assert len(element.keys() & {"Value", "BulkDataURI", "InlineBinary"}) <= 1


async def test_12_small_values_are_there_and_large_ones_one_request_away(shelf: Shelf) -> None:
    (one,) = (await shelf.get("ct/metadata")).json()
    palette, document, pixels = one["00281201"], one["00420011"], one["7FE00010"]
    assert palette["vr"] == "OW"
    assert base64.b64decode(palette["InlineBinary"]) == PALETTE
    assert (document["vr"], pixels["vr"]) == ("OB", "OW")
    for element, value in ((document, WAVEFORM), (pixels, ct_dataset().PixelData)):
        uri = element["BulkDataURI"]
        assert uri.startswith(str(shelf.http.base_url))
        answer = await shelf.http.get(uri)
        assert answer.content == value
        some = await shelf.http.get(uri, headers={"Range": "bytes=2-5"})
        assert (some.status_code, some.content) == (206, value[2:6])


async def test_13_urls_are_absolute_and_not_what_the_caller_calls_us(shelf: Shelf) -> None:
    """One common client sends Host without the port, others are evil."""
    for host in ("127.0.0.1", "evil.example"):
        (one,) = (await shelf.get("ct/metadata", Host=host)).json()
        assert one["7FE00010"]["BulkDataURI"].startswith(str(shelf.http.base_url))
        answer = await shelf.get("ct", Host=host, X_Forwarded_Host="evil.example")
        assert b"evil.example" not in answer.content


METHODS = "GET, HEAD, POST, DELETE, OPTIONS"
EXPOSED = {"Content-Location", "Content-Range", "ETag", "Location", "Warning"}


@pytest.mark.parametrize(
    "path", ["/studies", "/studies/1.2/series/1.3/instances/1.4/frames/7", "/nothing", "/../wado"]
)
async def test_17_a_preflight_is_answered_without_a_token(shelf: Shelf, path: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as stranger:
        answer = await stranger.options(
            f"{shelf.http.base_url}".rstrip("/") + path,
            headers={
                "Origin": "https://viewer.example",
                "Access-Control-Request-Method": "GET",
                "Access-Control-Request-Headers": "accept,authorization,if-none-match,range",
            },
        )
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-max-age"] == "7200"
    assert answer.headers["access-control-allow-methods"] == METHODS
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"accept", "authorization", "content-type", "if-none-match", "range"} <= set(allowed)


@pytest.mark.parametrize(
    ("name", "headers", "status"),
    [
        ("ct/frames/1", {}, 200),
        ("ct/frames/1", {"Authorization": "Bearer wrong"}, 401),
        ("ct/frames/99", {}, 404),
        ("ct/frames/x", {}, 400),
        ("ct/frames/1", {"Accept": "image/gif"}, 406),
        ("ct/frames/1", {"Accept": "application/octet-stream", "Range": "bytes=999-"}, 416),
        ("ct/rendered", {"Accept": "image/jpeg"}, 200),
        ("ct/thumbnail", {}, 200),
    ],
)
async def test_17_a_browser_can_read_every_answer(
    shelf: Shelf, name: str, headers: dict[str, Any], status: int
) -> None:
    origin = {"Origin": "https://viewer.example"}
    answer = await shelf.http.get(shelf.path(name), headers=origin | headers)
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "*"
    assert set(answer.headers["access-control-expose-headers"].split(", ")) >= EXPOSED
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_18_who_is_nobody_is_told_how_to_be_somebody(
    shelf: Shelf, shared_server: Server
) -> None:
    path = f"{shelf.http.base_url}".rstrip("/") + shelf.ct
    reader, writer = await shared_server.token("read"), await shared_server.token("store")
    async with httpx.AsyncClient(trust_env=False) as http:
        refused = await http.get(path)
        assert refused.status_code == 401
        assert refused.headers["www-authenticate"].startswith('Bearer realm="Hilum"')
        assert "Basic" in refused.headers["www-authenticate"]
        assert (await http.get(path, auth=("anybody", reader))).status_code == 200
        bearer = {"Authorization": f"Bearer {reader}"}
        assert (await http.get(path, headers=bearer)).status_code == 200
        bearer = {"Authorization": f"Bearer {writer}"}
        assert (await http.get(path, headers=bearer)).status_code == 403


VALIDATED = [
    ("ct.study", DICOM),
    ("ct", "application/dicom; transfer-syntax=*"),
    ("ct.study/metadata", JSON),
    ("ct.series/metadata", JSON),
    ("ct/metadata", JSON),
    ("slide/frames/1,2", ANY_STORED),
    ("slide/frames/1", "image/jpeg"),
    ("ct/bulkdata/00420011", "*/*"),
    ("ct/rendered", "image/png"),
]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
@pytest.mark.parametrize(("name", "accept"), VALIDATED)
async def test_19_what_the_caller_has_is_not_sent_again(
    shelf: Shelf, name: str, accept: str, encoding: str
) -> None:
    answer = await shelf.get(name, accept, Accept_Encoding=encoding)
    etag = answer.headers["etag"]
    assert etag.startswith('"')
    assert answer.headers["cache-control"].startswith("private")
    assert {"Accept", "Authorization"} <= set(answer.headers["vary"].split(", "))
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        unchanged = await shelf.get(name, accept, Accept_Encoding=encoding, If_None_Match=known)
        assert (unchanged.status_code, unchanged.content) == (304, b""), known
        for header in ("etag", "cache-control", "vary"):
            assert unchanged.headers[header] == answer.headers[header]
    other = await shelf.get(name, accept, Accept_Encoding=encoding, If_None_Match='"other"')
    assert (other.status_code, other.content) == (200, answer.content)


async def test_19_no_two_forms_share_a_validator(shelf: Shelf) -> None:
    forms = [
        (name, accept, encoding)
        for name, accept in [*VALIDATED, ("ct", DICOM), ("slide/frames/1", ANY_STORED)]
        for encoding in ("identity", "gzip")
    ]
    found: dict[str, set[bytes]] = {}
    for name, accept, encoding in forms:
        request = shelf.http.build_request(
            "GET", shelf.path(name), headers={"Accept": accept, "Accept-Encoding": encoding}
        )
        answer = await shelf.http.send(request, stream=True)
        raw = b"".join([piece async for piece in answer.aiter_raw()])
        found.setdefault(answer.headers["etag"], set()).add(raw)
    assert all(len(bodies) == 1 for bodies in found.values())
    assert len(found) == len(VALIDATED) + 2 + 3, "metadata has two forms each"


@pytest.mark.parametrize(
    ("name", "accept"),
    [
        ("ct", "application/dicom; transfer-syntax=*"),
        ("slide/frames/2", "image/jpeg"),
        ("ct/frames/1", "application/octet-stream"),
        ("ct/bulkdata/00420011", "*/*"),
        ("slide", "application/dicom"),
    ],
)
async def test_19_ranges_of_single_parts_are_right(shelf: Shelf, name: str, accept: str) -> None:
    whole = await shelf.get(name, accept)
    data, etag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    assert whole.headers["content-length"] == str(len(data))
    for asked, start, end in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=50-", 50, len(data)),
        ("bytes=-7", len(data) - 7, len(data)),
        ("bytes=5-999999999", 5, len(data)),
        ("bytes=-999999999", 0, len(data)),
    ]:
        some = await shelf.get(name, accept, Range=asked)
        assert (some.status_code, some.content) == (206, data[start:end]), asked
        told = RANGE.fullmatch(some.headers["content-range"])
        assert told is not None
        assert tuple(map(int, told.groups())) == (start, end - 1, len(data))
        assert some.headers["content-length"] == str(end - start)
        assert some.headers["etag"] == etag
    for ignored in ("bytes=9-3", "bytes=0-1,4-5", "items=0-1", "bytes=x", "bytes"):
        answer = await shelf.get(name, accept, Range=ignored)
        assert (answer.status_code, answer.content) == (200, data), ignored
    for beyond in (f"bytes={len(data)}-", "bytes=-0"):
        refused = await shelf.get(name, accept, Range=beyond)
        assert refused.status_code == 416
        assert refused.headers["content-range"] == f"bytes */{len(data)}"


async def test_19_a_range_of_what_has_changed_is_all_of_it(shelf: Shelf) -> None:
    whole = await shelf.get("ct", "application/dicom; transfer-syntax=*")
    for condition, status in [
        (whole.headers["etag"], 206),
        (whole.headers["last-modified"], 206),
        ('"other"', 200),
        (f"W/{whole.headers['etag']}", 200),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 200),
    ]:
        answer = await shelf.get(
            "ct", "application/dicom; transfer-syntax=*", Range="bytes=0-9", If_Range=condition
        )
        assert answer.status_code == status, condition


@pytest.mark.parametrize(("name", "accept"), VALIDATED)
async def test_19_head_tells_what_get_would(shelf: Shelf, name: str, accept: str) -> None:
    got = await shelf.get(name, accept)
    asked = await shelf.http.head(shelf.path(name), headers={"Accept": accept})
    assert (asked.status_code, asked.content) == (200, b"")
    unstable = {"date", "x-request-id", "server-timing"}
    assert {k: v for k, v in asked.headers.items() if k not in unstable} == {
        k: v for k, v in got.headers.items() if k not in unstable
    }
    missing = await shelf.http.head(f"{shelf.path('ct')}/frames/77")
    assert (missing.status_code, missing.content) == (404, b"")


async def test_20_parallel_frames_over_connections_that_are_kept(shelf: Shelf) -> None:
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(shelf.get(f"slide/frames/{k % 8 + 1}?cache={k}", ANY_STORED))
            for k in range(64)
        ]
    for k, task in enumerate(tasks):
        answer = task.result()
        assert answer.status_code == 200
        assert parts_of(answer) == [TILES[k % 8]]
        assert answer.headers.get("connection", "keep-alive") == "keep-alive"


@pytest.mark.parametrize("name", ["ct", "ct.series", "ct/metadata", "slide/frames/1"])
async def test_20_parameters_that_mean_nothing_here_are_passed_over(
    shelf: Shelf, name: str
) -> None:
    assert (await shelf.get(f"{name}?token=x&_=123&limit=a&includefield=all")).status_code == 200
