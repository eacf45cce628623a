"""Bulk data of studies, series and instances: what the BulkDataURIs of the metadata name."""

import re
from typing import Any

import httpx
import numpy as np
import pytest
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless, generate_uid

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.messages import parts_of

EXPLICIT, IMPLICIT, DEFLATED, BIG, BASELINE = (
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1.99",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.50",
)
JPEG_XL = "1.2.840.10008.1.2.4.112"
OCTETS = 'multipart/related; type="application/octet-stream"'
ANYTHING = 'multipart/related; type="*/*"'
TILES = [b"\xff\xd8" + bytes([n]) * 100 + b"\xff\xd9" for n in range(3)]
PIXELS: bytes = ct_dataset().PixelData
TURNED = np.frombuffer(PIXELS, np.uint16).byteswap().tobytes()
"""The same bytes, taken for big endian words."""
DOCUMENT, PRIVATE, WORDS = b"d" * 2000, b"p" * 3000, bytes(range(256)) * 8


def instance(study: str, number: int, **more: Any) -> Dataset:
    """With a document, a private value in a sequence in a sequence, and words."""
    inner, outer = Dataset(), Dataset()
    inner.private_block(0x9, "ACME", create=True).add_new(1, "OB", PRIVATE)
    outer.ReferencedSeriesSequence = [Dataset(), inner]
    series = generate_uid()
    return ct_dataset(
        StudyInstanceUID=study,
        SeriesInstanceUID=series,
        SeriesNumber=number,
        EncapsulatedDocument=DOCUMENT,
        ReferencedStudySequence=[outer],
        RedPaletteColorLookupTableData=WORDS,
        **more,
    )


def uris(attributes: dict[str, Any]) -> list[str]:
    found = []
    for element in attributes.values():
        if "BulkDataURI" in element:
            found.append(element["BulkDataURI"])
        for item in element.get("Value", ()):
            if isinstance(item, dict) and element["vr"] == "SQ":
                found += uris(item)
    return found


def locations(answer: httpx.Response) -> list[str]:
    return re.findall(r"Content-Location: (\S+)", answer.content.decode("latin-1"))


async def stored_study(http: httpx.AsyncClient) -> list[str]:
    study = generate_uid()
    tiles = instance(study, 5, NumberOfFrames=3, PixelData=encapsulate(TILES))
    tiles["PixelData"].is_undefined_length = True
    files = [
        *(
            part10(instance(study, number), syntax)
            for number, syntax in enumerate((EXPLICIT, IMPLICIT, DEFLATED, BIG), start=1)
        ),
        part10(tiles, BASELINE),
        part10(instance(study, 6, PixelData=None), EXPLICIT),
    ]
    return await store(http, *files)


async def test_every_value_of_a_study_is_sent(viewer: httpx.AsyncClient) -> None:
    paths = await stored_study(viewer)
    study = paths[0].partition("/series/")[0]
    described = [uris(one) for one in (await viewer.get(f"{study}/metadata")).json()]
    expected = [uri for found in described for uri in found]
    assert len(expected) == 6 * 3 + 5
    answer = await viewer.get(f"{study}/bulkdata", headers={"Accept": ANYTHING})
    assert answer.status_code == 200, answer.text
    named = locations(answer)
    assert set(named) == set(expected)
    values = parts_of(answer)
    assert len(values) == len(named) == len(expected) + 2, "two more tiles"
    for uri, value in zip(named, values, strict=True):
        alone = await viewer.get(uri, headers={"Accept": "*/*"})
        assert alone.content == value or value in TILES
    assert values.count(PRIVATE) == values.count(DOCUMENT) == 6
    assert [value for value in values if value in (PIXELS, TURNED)] == [*[PIXELS] * 3, TURNED]
    assert [value for value in values if value in TILES] == TILES


async def test_pixel_data_alone(viewer: httpx.AsyncClient) -> None:
    paths = await stored_study(viewer)
    study = paths[0].partition("/series/")[0]
    answer = await viewer.get(f"{study}/pixeldata", headers={"Accept": OCTETS})
    assert parts_of(answer) == [*[PIXELS] * 3, TURNED, *TILES]
    assert all(uri.endswith("/bulkdata/7FE00010") for uri in locations(answer))
    series = paths[4].partition("/instances/")[0]
    for resource in (series, paths[4]):
        answer = await viewer.get(f"{resource}/pixeldata", headers={"Accept": ANYTHING})
        assert parts_of(answer) == TILES
        head = f"Content-Type: image/jpeg; transfer-syntax={BASELINE}\r\n".encode()
        assert answer.content.count(head) == 3
    known = {"Accept": ANYTHING, "If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(f"{paths[4]}/pixeldata", headers=known)).status_code == 304


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, DEFLATED, BIG])
async def test_the_only_value_can_be_the_body(viewer: httpx.AsyncClient, syntax: str) -> None:
    (path,) = await store(viewer, part10(ct_dataset(), syntax))
    pixels = TURNED if syntax == BIG else PIXELS
    for resource in ("pixeldata", "bulkdata"):
        url = f"{path}/{resource}"
        single = {"Accept": "application/octet-stream"}
        answer = await viewer.get(url, headers=single)
        assert answer.content == pixels
        assert answer.headers["content-length"] == str(len(pixels))
        some = await viewer.get(url, headers=single | {"Range": "bytes=6-9"})
        assert (some.status_code, some.content) == (206, pixels[6:10])
        assert some.headers["content-range"] == f"bytes 6-9/{len(pixels)}"
        several = await viewer.get(url)
        assert several.headers["content-type"].startswith(OCTETS)
        assert parts_of(several) == [pixels]


async def test_an_instance_as_octets_is_its_bulk_data(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    answer = await viewer.get(path, headers={"Accept": OCTETS})
    assert parts_of(answer) == [PIXELS]


def cine(frames: int) -> tuple[bytes, bytes]:
    """An instance whose frames are compressed, and its frames as they were before."""
    pixels = PIXELS * frames
    dataset = ct_dataset(NumberOfFrames=frames, PixelData=pixels)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = EXPLICIT
    dataset.compress(RLELossless, generate_instance_uid=False)
    return part10(dataset, RLELossless), pixels


@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("resource", ["bulkdata/7FE00010", "bulkdata", "pixeldata"])
async def test_compressed_pixels_are_decoded_for_who_takes_nothing_else(
    viewer: httpx.AsyncClient, frames: int, resource: str
) -> None:
    file, pixels = cine(frames)
    (path,) = await store(viewer, file)
    native = f"application/octet-stream; transfer-syntax={EXPLICIT}"
    for accept in (native, "application/octet-stream")[: 1 if frames == 1 else 2]:
        answer = await viewer.get(f"{path}/{resource}", headers={"Accept": accept})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == native
        assert answer.headers["content-location"].endswith(f"{path}/bulkdata/7FE00010")
        assert answer.content == pixels
    several = await viewer.get(
        f"{path}/{resource}", headers={"Accept": f"{OCTETS}; transfer-syntax={EXPLICIT}"}
    )
    assert parts_of(several) == [pixels]
    as_stored = await viewer.get(f"{path}/{resource}", headers={"Accept": OCTETS})
    assert len(parts_of(as_stored)) == frames


async def test_what_cannot_be_decoded_is_still_not_acceptable(viewer: httpx.AsyncClient) -> None:
    paths = await stored_study(viewer)
    octets = {"Accept": "application/octet-stream"}
    answer = await viewer.get(f"{paths[4]}/bulkdata/7FE00010", headers=octets)
    assert answer.status_code == 422, "its tiles are no images"
    tiles = ct_dataset(NumberOfFrames=3, PixelData=encapsulate(TILES))
    tiles["PixelData"].is_undefined_length = True
    file = part10(tiles, JPEG_XL[:-2] + "02")  # pydicom knows no JPEG XL
    (path,) = await store(viewer, file.replace(JPEG_XL[:-2].encode() + b"02", JPEG_XL.encode()))
    for resource in ("bulkdata/7FE00010", "pixeldata"):
        answer = await viewer.get(f"{path}/{resource}", headers=octets)
        assert answer.status_code == 406
        assert "JPEG XL" in answer.json()["detail"]


async def test_what_is_not_there_is_not_found(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PixelData=None)))
    for resource in (f"{path}/pixeldata", f"{path}/bulkdata", "/studies/1.2.3/bulkdata"):
        answer = await viewer.get(resource)
        assert answer.status_code == 404, resource
    (path,) = await store(viewer, part10(ct_dataset()))
    answer = await viewer.get(f"{path}/pixeldata", headers={"Accept": "image/png"})
    assert answer.status_code == 406
