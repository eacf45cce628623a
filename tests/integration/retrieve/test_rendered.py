"""Rendered frames, over HTTP: the right frame, shown as its data set and the caller say."""

from typing import Any

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10

PNG = {"Accept": "image/png"}
FRAMES = 3
ROWS, COLUMNS = 5, 7  # odd, so that frames begin at odd bytes


def frame_values(number: int) -> NDArray[np.uint8]:
    values = np.arange(ROWS * COLUMNS, dtype=np.uint8) * number
    return values.reshape(ROWS, COLUMNS)


def multiframe(**attributes: Any) -> pydicom.Dataset:
    """Three frames of 8-bit grey, which are shown as they are stored."""
    pixels = b"".join(frame_values(number).tobytes() for number in range(1, FRAMES + 1))
    return ct_dataset(
        **{
            "NumberOfFrames": FRAMES,
            "Rows": ROWS,
            "Columns": COLUMNS,
            "BitsAllocated": 8,
            "BitsStored": 8,
            "HighBit": 7,
            "RescaleIntercept": None,
            "RescaleSlope": None,
            "PixelData": pixels + b"\0",
        }
        | attributes
    )


def written(dataset: pydicom.Dataset, transfer_syntax_uid: str) -> bytes:
    """The data set as a Part 10 file, encoded anew; pixels given as little endian 8-bit ones."""
    if transfer_syntax_uid == RLELossless:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset["PixelData"].VR = "OB"
        dataset.PixelData = dataset.PixelData[: FRAMES * ROWS * COLUMNS]
        dataset.compress(RLELossless, generate_instance_uid=False)
    elif transfer_syntax_uid == ExplicitVRBigEndian:
        words = np.frombuffer(dataset.PixelData, "<u2").byteswap()
        dataset["PixelData"].VR = "OW"
        dataset.PixelData = words.tobytes()
    else:
        dataset["PixelData"].VR = "OW"
    return part10(dataset, transfer_syntax_uid)


def image_of(answer: httpx.Response) -> NDArray[np.uint8]:
    assert answer.status_code == 200, answer.text
    image: NDArray[np.uint8] = imagecodecs.imread(answer.content)
    return image


@pytest.mark.parametrize(
    "transfer_syntax_uid",
    [
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
    ],
)
async def test_every_frame_is_shown_as_itself_in_every_syntax(
    viewer: httpx.AsyncClient, transfer_syntax_uid: str
) -> None:
    (path,) = await store(viewer, written(multiframe(), transfer_syntax_uid))
    for number in range(1, FRAMES + 1):
        answer = await viewer.get(f"{path}/frames/{number}/rendered", headers=PNG)
        assert answer.headers["content-type"] == "image/png"
        assert np.array_equal(image_of(answer), frame_values(number))
    whole = await viewer.get(f"{path}/rendered", headers=PNG)
    assert np.array_equal(image_of(whole), frame_values(1))


async def test_the_window_of_the_caller_replaces_that_of_the_image(
    viewer: httpx.AsyncClient,
) -> None:
    (path,) = await store(viewer, part10(ct_dataset(WindowCenter=-896, WindowWidth=256)))
    own = image_of(await viewer.get(f"{path}/rendered", headers=PNG))
    assert own.shape == (16, 16)
    assert own[0, 0] == 0
    assert own[-1, -1] == 255
    dark = await viewer.get(f"{path}/rendered?window=1000,10,linear", headers=PNG)
    assert not image_of(dark).any()


async def test_a_palette_that_lies_outside_of_the_metadata_colours_the_image(
    viewer: httpx.AsyncClient,
) -> None:
    tables = {
        f"{colour}PaletteColorLookupTable{what}": value
        for colour, shift in (("Red", 0), ("Green", 1), ("Blue", 2))
        for what, value in (
            ("Descriptor", [1024, 0, 16]),
            ("Data", (np.arange(1024, dtype="<u2") << 6 >> shift).tobytes()),
        )
    }
    dataset = multiframe(PhotometricInterpretation="PALETTE COLOR", **tables)
    (path,) = await store(viewer, part10(dataset))
    image = image_of(await viewer.get(f"{path}/frames/2/rendered", headers=PNG))
    index = frame_values(2).astype(int) << 6
    expected = np.stack([index, index >> 1, index >> 2], axis=2) / 0xFFFF * 255
    assert np.abs(image - expected).max() <= 1


async def test_a_jpeg_of_the_asked_quality_and_size_is_the_default(
    viewer: httpx.AsyncClient,
) -> None:
    (path,) = await store(viewer, part10(ct_dataset(Rows=8, Columns=32)))
    fine = await viewer.get(f"{path}/rendered?viewport=64,64&quality=100")
    rough = await viewer.get(f"{path}/rendered?viewport=64,64&quality=1")
    assert fine.headers["content-type"] == "image/jpeg"
    assert image_of(fine).shape == (16, 64)
    assert len(rough.content) < len(fine.content)


@pytest.mark.parametrize(
    "query",
    [
        "window=1,2",
        "window=1,0,linear",
        "viewport=0,10",
        "viewport=100000,100000",
        "viewport=8,8,900,900,,",
        "quality=0",
        "quality=101",
        "quality=best",
    ],
)
async def test_a_parameter_that_cannot_be_used_is_named(
    viewer: httpx.AsyncClient, query: str
) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    answer = await viewer.get(f"{path}/rendered?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("frames", ["0", "x", "1,2"])
async def test_one_frame_is_rendered_by_its_number(viewer: httpx.AsyncClient, frames: str) -> None:
    (path,) = await store(viewer, part10(multiframe()))
    assert (await viewer.get(f"{path}/frames/{frames}/rendered")).status_code == 400


async def test_what_is_not_there_is_not_found(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(multiframe()))
    assert (await viewer.get(f"{path}/frames/4/rendered")).status_code == 404
    assert (await viewer.get(f"{path.rpartition('/')[0]}/1.2.3/rendered")).status_code == 404
    (report,) = await store(viewer, part10(ct_dataset(PixelData=None)))
    assert (await viewer.get(f"{report}/rendered")).status_code == 404


async def test_what_cannot_be_rendered_is_told(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PhotometricInterpretation="HSV")))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.status_code == 422
    assert "HSV" in answer.json()["detail"]


async def test_other_media_types_are_not_acceptable(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    answer = await viewer.get(f"{path}/rendered", headers={"Accept": "video/mp4"})
    assert answer.status_code == 406


async def test_an_image_that_is_known_is_not_sent_again(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    etag = (await viewer.get(f"{path}/rendered")).headers["etag"]
    known = {"If-None-Match": etag}
    assert (await viewer.get(f"{path}/rendered", headers=known)).status_code == 304
    narrower = await viewer.get(f"{path}/rendered?window=40,80,linear", headers=known)
    assert narrower.status_code == 200


async def test_what_is_not_done_is_warned_of(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    answer = await viewer.get(f"{path}/rendered?annotation=patient&iccprofile=no")
    assert answer.headers["warning"].endswith(
        ": The annotation parameter is not supported. No annotation has been applied."
    )
