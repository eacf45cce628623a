"""Every file of pydicom's that can be decoded, in transfer syntaxes it was not stored in.

Each is asked for native, and in some of the others: all of them for all files would take long. What
comes back is read by pydicom: the pixels are those that were stored, and nothing else of the data
set has changed but what tells how the pixels are encoded.
"""

import asyncio
import zlib
from collections.abc import Iterator

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.dataelem import DataElement
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid

from app.dicom.description import describe
from app.dicom.pixels import decode_frame
from tests.acceptance.retrieve.conftest import store
from tests.acceptance.retrieve.files import NAMES, frames_of, read, storable
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server
from tests.messages import parts_of

EXPLICIT, IMPLICIT, DEFLATED = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
)
J = "1.2.840.10008.1.2.4."
RLE, BASELINE, LOSSLESS, JPEG_LS, J2K, HTJ2K = (
    "1.2.840.10008.1.2.5",
    *(J + n for n in ("50", "70", "80", "90", "201")),
)
FRAME_DEFLATED = "1.2.840.10008.1.2.8.1"
TARGETS = [EXPLICIT, DEFLATED, RLE, LOSSLESS, JPEG_LS, J2K, HTJ2K]
OF_PIXELS = {0x00280004, 0x00280006, 0x00280102, 0x7FE00010, 0x7FE00001, 0x7FE00002}


REFUSED = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "its codestream is broken",
    "badVR.dcm": "its number of frames is none",
    "MR_truncated.dcm": "its pixels are not all there",
    "SC_ybr_full_422_uncompressed.dcm": "its chroma is subsampled",
}


def possible(stored: Dataset, name: str, target: str) -> bool:
    """Whether a file can be sent in this transfer syntax."""
    syntax = stored.file_meta.TransferSyntaxUID
    if target == syntax or (not syntax.is_encapsulated and target in {EXPLICIT, DEFLATED}):
        return True
    if "PixelData" not in stored or name in REFUSED:
        return False
    if stored.get("BitsAllocated") == 1:
        return syntax.is_encapsulated and target in {EXPLICIT, DEFLATED}
    return target in {8: TARGETS, 16: TARGETS, 32: TARGETS[:3]}.get(stored.get("BitsAllocated"), [])


def samples_of(dataset: Dataset) -> Iterator[NDArray[np.generic]]:
    """The frames as they are decoded here."""
    if "BitsAllocated" not in dataset:
        return
    attributes = {
        f"{element.tag:08X}": {"vr": element.VR, "Value": [element.value]}
        for element in dataset.group_dataset(0x28)
    }
    syntax = dataset.file_meta.TransferSyntaxUID
    description = describe(attributes, syntax if syntax.is_encapsulated else EXPLICIT)
    for frame in frames_of(dataset):
        yield decode_frame(frame, description)


def told(dataset: Dataset) -> dict[int, DataElement]:
    return {
        element.tag: element
        for element in dataset
        if element.tag not in OF_PIXELS and element.tag.element
    }


async def get(http: httpx.AsyncClient, path: str, target: str) -> httpx.Response:
    return await http.get(path, headers={"Accept": f"application/dicom; transfer-syntax={target}"})


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_comes_back_in_any_transfer_syntax(
    viewer: httpx.AsyncClient, name: str
) -> None:
    file = storable(name)
    stored = read(file)
    (path,) = await store(viewer, file)
    turn = NAMES.index(name)
    asked = [EXPLICIT, *(TARGETS[1 + (turn + step) % 6] for step in (0, 2))]
    answers = await asyncio.gather(*(get(viewer, path, target) for target in asked))
    for target, answer in zip(asked, answers, strict=True):
        if not possible(stored, name, target):
            assert answer.status_code in {406, 422}, answer.text
            assert len(answer.json()["detail"]) > 20
            continue
        assert answer.status_code == 200, (target, answer.text)
        assert answer.headers["content-type"] == f"application/dicom; transfer-syntax={target}"
        sent = read(answer.content)
        assert sent.file_meta.TransferSyntaxUID == target
        assert answer.content == file or told(sent) == told(stored), target
        if name not in REFUSED:
            pairs = zip(samples_of(stored), samples_of(sent), strict=True)
            assert all(np.array_equal(one, other) for one, other in pairs), target


@pytest.mark.parametrize("target", [RLE, J2K])
async def test_pydicom_decodes_what_was_encoded(viewer: httpx.AsyncClient, target: str) -> None:
    """Of the decoders that pydicom finds here, those that are not ours."""
    for name in ("CT_small.dcm", "MR_small.dcm", "examples_rgb_color.dcm", "SC_rgb_small_odd.dcm"):
        file = storable(name)
        (path,) = await store(viewer, file)
        sent = read((await get(viewer, path, target)).content)
        np.testing.assert_array_equal(sent.pixel_array, read(file).pixel_array, name)


def inflated(frame: bytes) -> bytes:
    return zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(frame)


@pytest.mark.parametrize("side", [(5, 5), (8, 4)])
async def test_frames_that_share_bytes_are_recoded_bit_by_bit(
    viewer: httpx.AsyncClient, side: tuple[int, int]
) -> None:
    """Segments of 25 bits, native to compressed, frame by frame, and back."""
    bits = np.random.default_rng(4).integers(0, 2, (7, *side), np.uint8)
    native = np.packbits(bits, bitorder="little").tobytes()
    dataset = ct_dataset(
        NumberOfFrames=7,
        Rows=side[0],
        Columns=side[1],
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelData=native + b"\0" * (len(native) % 2),
    )
    (path,) = await store(viewer, part10(dataset))
    coded = (await get(viewer, path, FRAME_DEFLATED)).content
    frames = [np.packbits(frame, bitorder="little").tobytes() for frame in bits]
    sent = generate_frames(read(coded).PixelData, number_of_frames=7)
    assert [inflated(frame) for frame in sent] == frames
    third = await viewer.get(
        f"{path}/frames/3",
        headers={"Accept": f"application/octet-stream; transfer-syntax={FRAME_DEFLATED}"},
    )
    assert inflated(third.content) == frames[2]
    uid = dataset.SOPInstanceUID.encode()
    (path,) = await store(viewer, coded.replace(uid, uid[:-1] + bytes([uid[-1] ^ 1])))
    for target in (EXPLICIT, DEFLATED):
        back = read((await get(viewer, path, target)).content)
        assert back.PixelData == dataset.PixelData


FRAMES = [bytes([n]) * 40 + bytes(range(216)) for n in range(30)]


def cine(count: int = 30) -> bytes:
    return part10(
        ct_dataset(
            NumberOfFrames=count,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            PixelData=b"".join(FRAMES[:count]),
        )
    )


@pytest.mark.parametrize(
    ("media_type", "syntax"),
    [
        ("image/jls", JPEG_LS),
        ("image/jp2", J2K),
        ("image/jphc", HTJ2K),
        ("image/jpeg", LOSSLESS),
        ("image/dicom-rle", RLE),
        ("application/octet-stream", EXPLICIT),
    ],
)
@pytest.mark.parametrize("named", [True, False])
async def test_frames_are_recoded_alone(
    viewer: httpx.AsyncClient, media_type: str, syntax: str, named: bool
) -> None:
    suffix = f"; transfer-syntax={syntax}" if named else ""
    (path,) = await store(viewer, cine())
    await_all = {"Accept": f'multipart/related; type="{media_type}"{suffix}'}
    several = await viewer.get(f"{path}/frames/7,3,30", headers=await_all)
    assert several.headers["content-type"].startswith(f'multipart/related; type="{media_type}"')
    head = f"Content-Type: {media_type}; transfer-syntax={syntax}\r\n".encode()
    assert several.content.count(head) == 3
    single = {"Accept": f"{media_type}{suffix}"}
    alone = await viewer.get(f"{path}/frames/3", headers=single)
    assert alone.headers["content-type"] == f"{media_type}; transfer-syntax={syntax}"
    assert int(alone.headers["content-length"]) == len(alone.content)
    assert parts_of(several)[1] == alone.content
    some = await viewer.get(f"{path}/frames/3", headers=single | {"Range": "bytes=2-9"})
    assert (some.status_code, some.content) == (206, alone.content[2:10])
    known = single | {"If-None-Match": alone.headers["etag"]}
    assert (await viewer.get(f"{path}/frames/3", headers=known)).status_code == 304
    description = describe(_attributes(), syntax)
    decoded = decode_frame(alone.content, description)
    assert decoded.tobytes() == FRAMES[2]


def _attributes() -> dict[str, object]:
    found: dict[str, object] = read(cine(1)).to_json_dict()
    return found


@pytest.mark.parametrize(
    ("bits", "kind", "syntax"), [(8, "image/jls", JPEG_LS), (32, "image/dicom-rle", RLE)]
)
async def test_any_image_is_the_one_that_most_decode(
    viewer: httpx.AsyncClient, bits: int, kind: str, syntax: str
) -> None:
    pixels = b"".join(FRAMES[: bits // 8])
    dataset = ct_dataset(BitsAllocated=bits, BitsStored=bits, HighBit=bits - 1, PixelData=pixels)
    (path,) = await store(viewer, part10(dataset))
    for accept in ("image/*", 'multipart/related; type="image/*"', "text/html, image/*;q=0.8"):
        answer = await viewer.get(f"{path}/frames/1", headers={"Accept": accept})
        found = answer.content if "multipart" in accept else answer.headers["content-type"].encode()
        assert f"{kind}; transfer-syntax={syntax}".encode() in found


async def test_frames_of_what_is_compressed_are_decoded(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, cine())
    lossless = (await get(viewer, path, LOSSLESS)).content
    again = read(lossless)
    again.SOPInstanceUID = generate_uid()
    again["PixelData"].is_undefined_length = True
    (compressed,) = await store(viewer, part10(again, LOSSLESS))
    accept = f'multipart/related; type="application/octet-stream"; transfer-syntax={EXPLICIT}'
    answer = await viewer.get(f"{compressed}/frames/5,1,30", headers={"Accept": accept})
    assert parts_of(answer) == [FRAMES[4], FRAMES[0], FRAMES[29]]
    whole = read((await get(viewer, compressed, EXPLICIT)).content)
    assert whole.PixelData == b"".join(FRAMES)


async def test_a_series_is_recoded_instance_by_instance(viewer: httpx.AsyncClient) -> None:
    paths = await store(viewer, *ct_series(3))
    series = paths[0].partition("/instances/")[0]
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={J2K}'
    answer = await viewer.get(series, headers={"Accept": accept})
    sent = [read(part) for part in parts_of(answer)]
    assert [one.file_meta.TransferSyntaxUID for one in sent] == [J2K] * 3
    assert [one.InstanceNumber for one in sent] == [1, 2, 3]
    for one in sent:
        assert one.pixel_array.tobytes() == ct_dataset().PixelData


async def test_the_stored_syntax_is_sent_if_anything_accepted_allows_it(
    viewer: httpx.AsyncClient,
) -> None:
    (path,) = await store(viewer, cine())
    for accept in ("image/jls, */*;q=0.1", f"{'image/jls'}, application/octet-stream;q=0.2"):
        answer = await viewer.get(f"{path}/frames/1", headers={"Accept": accept})
        assert "application/octet-stream" in answer.headers["content-type"]


@pytest.mark.parametrize(
    "syntax", [IMPLICIT, "1.2.840.10008.1.2.2", BASELINE, J + "51", J + "81", J + "102", "1.2.3"]
)
async def test_what_would_lose_something_or_is_not_for_the_web_is_refused(
    viewer: httpx.AsyncClient, syntax: str
) -> None:
    (path,) = await store(viewer, cine())
    answer = await get(viewer, path, syntax)
    assert answer.status_code == 406
    assert EXPLICIT in answer.json()["detail"], "it is told what there is"


async def test_what_a_decoder_breaks_on_is_told_before_the_first_byte(
    viewer: httpx.AsyncClient,
) -> None:
    broken = ct_dataset(PixelData=encapsulate([b"\xff\xd8\xff\xc3" + bytes(60)]))
    broken["PixelData"].is_undefined_length = True
    (path,) = await store(viewer, part10(broken, LOSSLESS))
    for resource in (path, f"{path}/frames/1"):
        kind = "application/dicom" if resource == path else "application/octet-stream"
        accept = f'multipart/related; type="{kind}"; transfer-syntax={EXPLICIT}'
        answer = await viewer.get(resource, headers={"Accept": accept})
        assert answer.status_code == 422
        assert "cannot be decoded" in answer.json()["detail"]


async def test_wado_uri_recodes_too(viewer: httpx.AsyncClient, shared_server: Server) -> None:
    (path,) = await store(viewer, cine())
    _, _, study, _, series, _, instance = path.split("/")
    answer = await viewer.get(
        f"{shared_server.url}/wado?requestType=WADO&studyUID={study}&seriesUID={series}"
        f"&objectUID={instance}&contentType=application/dicom&transferSyntax={J2K}"
    )
    assert read(answer.content).file_meta.TransferSyntaxUID == J2K
