"""Rendered frames, over HTTP: the right frame, shown as its data set and the caller say."""

from pathlib import Path
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.fixtures.server import FixedSettings, serving

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


async def test_what_cannot_be_rendered_is_told(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PhotometricInterpretation="HSV")))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.status_code == 422
    assert "HSV" in answer.json()["detail"]


def compressed(codestream: bytes, transfer_syntax_uid: str, **attributes: Any) -> bytes:
    """A Part 10 file of one compressed frame of 16 x 24 grey pixels of 8 bits."""
    described = {
        **{"Rows": 16, "Columns": 24, "BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
        **{"PixelRepresentation": 0, "RescaleIntercept": None, "RescaleSlope": None},
    }
    dataset = ct_dataset(**described | attributes, PixelData=encapsulate([codestream]))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset, transfer_syntax_uid)


async def test_a_jpeg_that_is_stored_as_it_is_shown_is_sent_as_it_is(
    viewer: httpx.AsyncClient,
) -> None:
    image = np.arange(384, dtype=np.uint8).reshape(16, 24)
    jpeg = bytes(imagecodecs.jpeg8_encode(image, level=90))
    (path,) = await store(viewer, compressed(jpeg, JPEGBaseline8Bit))
    whole = await viewer.get(f"{path}/rendered")
    assert whole.content.rstrip(b"\0") == jpeg
    small = await viewer.get(f"{path}/rendered?viewport=12,8")
    assert image_of(small).shape == (8, 12)


@pytest.mark.parametrize(
    ("encoder", "transfer_syntax_uid"),
    [
        ("jpeg8_encode", JPEGBaseline8Bit),
        ("jpeg2k_encode", JPEG2000Lossless),
        ("jpegls_encode", JPEGLSLossless),
    ],
)
async def test_a_codestream_that_lies_about_its_size_is_refused_and_harms_nobody(
    viewer: httpx.AsyncClient, encoder: str, transfer_syntax_uid: str
) -> None:
    bomb = getattr(imagecodecs, encoder)(np.zeros((2048, 2048), np.uint8))
    (path,) = await store(viewer, compressed(bomb, transfer_syntax_uid))
    answer = await viewer.get(f"{path}/rendered")
    assert answer.status_code == 422
    assert "2048 x 2048" in answer.json()["detail"]
    (good,) = await store(viewer, part10(ct_dataset()))
    assert (await viewer.get(f"{good}/rendered")).status_code == 200


async def test_a_frame_that_takes_too_much_is_refused(database_url: str, tmp_path: Path) -> None:
    settings = FixedSettings.model_validate(
        {
            "database_url": database_url,
            "data_dir": tmp_path,
            "limits": {"render_memory_bytes": 32 * 1024 * 1024},
        }
    )
    with serving(settings) as server:
        async with server.client("read", "store") as client:
            sides = {"Rows": 4096, "Columns": 4096}
            (path,) = await store(client, part10(ct_dataset(**sides, PixelData=bytes(1 << 25))))
            answer = await client.get(f"{path}/rendered")
            assert answer.status_code == 413
            assert "memory" in answer.json()["detail"]
            (small,) = await store(client, part10(ct_dataset()))
            assert (await client.get(f"{small}/rendered")).status_code == 200


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
