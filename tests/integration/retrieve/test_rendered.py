"""Rendered frames, over HTTP: the right frame, shown as its data set and the caller say."""

import asyncio
import io
import tempfile
from pathlib import Path
from typing import Any

import httpx
import imagecodecs
import numpy as np
import PIL.Image
import PIL.ImageSequence
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

from app.blobs.cache import digest_of
from app.dicom.icc import ColourSpace, well_known
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.fixtures.server import FixedSettings, Server, serving

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


def frames_in(film: PIL.Image.Image) -> int:
    return sum(1 for _ in PIL.ImageSequence.Iterator(film))


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
        "quality=",
        "window=40,NaN,linear",
        "window=inf,1,linear",
        "window=40,400,cubic",
        "window=40,0.5,linear",
        "window=40,0,sigmoid",
        "window=,,",
        "viewport=1000000,1000000",
        "viewport=8,8,1,1,nan,1",
        "viewport=8,8,0,0,0,0",
        "viewport=8",
        "viewport=8,8,0,0",
        "viewport=8,8&viewport=16,16",
        "window=40,400,linear&window=40,400,linear",
        "annotation=",
        "annotation=patient;technique",
        "iccprofile=cmyk",
        "iccprofile=",
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


async def test_the_annotation_is_burnt_in_and_what_it_cannot_say_is_warned_of(
    viewer: httpx.AsyncClient,
) -> None:
    blank = {"Rows": 128, "Columns": 128, "PixelData": bytes(128 * 128 * 2)}
    (path,) = await store(viewer, part10(ct_dataset(**blank, WindowCenter=0, WindowWidth=100)))
    plain = await viewer.get(f"{path}/rendered", headers=PNG)
    assert not image_of(plain).any()
    said = await viewer.get(f"{path}/rendered?annotation=patient", headers=PNG)
    image = image_of(said)
    assert np.max(image[:64]) == 255
    assert not image[64:].any()
    both = image_of(await viewer.get(f"{path}/rendered?annotation=technique,patient", headers=PNG))
    assert both[:64].any()
    assert both[64:].any()
    more = await viewer.get(f"{path}/rendered?annotation=patient,mood")
    assert more.headers["warning"].endswith(
        ": The following annotation values are not supported: mood"
    )


async def test_a_small_image_has_its_annotation_in_full_size(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(WindowCenter=5000, WindowWidth=1)))
    query = "annotation=patient&viewport=256,256"
    image = image_of(await viewer.get(f"{path}/rendered?{query}", headers=PNG))
    assert image.shape == (256, 256)
    assert 0 < (image == 255).sum() < 3000  # thin letters, that were not enlarged with the pixels


async def test_a_profile_is_embedded_as_it_is_asked_for(viewer: httpx.AsyncClient) -> None:
    own = well_known(ColourSpace.ADOBE_RGB)
    red = np.full((16, 16, 3), (219, 0, 0), np.uint8)
    coloured = {
        **{"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0},
        **{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "PixelData": red.tobytes()},
        **{"RescaleIntercept": None, "RescaleSlope": None, "ICCProfile": own},
    }
    padded = own + b" " * 1000  # so that it lies outside of the metadata too
    for profile in (own, padded[: len(padded) // 2 * 2]):
        (path,) = await store(viewer, part10(ct_dataset(**coloured | {"ICCProfile": profile})))
        for query, expected, embedded in (
            ("", (219, 0, 0), None),
            ("iccprofile=no", (219, 0, 0), None),
            ("iccprofile=yes", (219, 0, 0), profile),
            ("iccprofile=srgb", (255, 0, 0), well_known(ColourSpace.SRGB)),
        ):
            answer = await viewer.get(f"{path}/rendered?{query}", headers=PNG)
            picture = PIL.Image.open(io.BytesIO(answer.content))
            assert picture.info.get("icc_profile") == embedded
            assert np.abs(np.asarray(picture)[0, 0].astype(int) - expected).max() <= 1


async def test_several_frames_are_a_gif_that_moves(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, written(multiframe(FrameTime=50), RLELossless))
    answer = await viewer.get(f"{path}/rendered", headers={"Accept": "image/gif"})
    assert answer.headers["content-type"] == "image/gif"
    film = PIL.Image.open(io.BytesIO(answer.content))
    assert frames_in(film) == FRAMES
    for number in range(FRAMES):
        film.seek(number)
        assert film.info["duration"] == 50
        assert np.array_equal(np.asarray(film.convert("L")), frame_values(number + 1))
    one = await viewer.get(f"{path}/frames/2/rendered", headers={"Accept": "image/gif"})
    still = PIL.Image.open(io.BytesIO(one.content))
    assert frames_in(still) == 1
    assert np.array_equal(np.asarray(still.convert("L")), frame_values(2))
    known = {"Accept": "image/gif", "If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(f"{path}/rendered", headers=known)).status_code == 304


async def test_a_broken_first_frame_is_told_before_the_gif_begins(
    viewer: httpx.AsyncClient,
) -> None:
    broken = compressed(b"\xff\xd8 no jpeg", JPEGBaseline8Bit)
    many = pydicom.dcmread(io.BytesIO(broken))
    many.NumberOfFrames = 2
    many.PixelData = encapsulate([b"\xff\xd8\xff no jpeg", b"\xff\xd8\xff no jpeg"])
    (path,) = await store(viewer, part10(many, JPEGBaseline8Bit))
    answer = await viewer.get(f"{path}/rendered", headers={"Accept": "image/gif"})
    assert answer.status_code == 422


def kept_in(server: Server) -> list[Path]:
    """The files of the cache, without those that are still being written under another name."""
    files = (path for path in (server.data_dir / "cache").rglob("*") if path.is_file())
    return [path for path in files if not path.name.startswith(tempfile.gettempprefix())]


async def until_kept(server: Server, count: int) -> list[Path]:
    """The files of the cache, when there are as many as are expected."""
    async with asyncio.timeout(10):
        while len(files := kept_in(server)) < count:
            await asyncio.sleep(0.01)
    return files


async def test_an_image_is_drawn_once_and_never_shown_to_another_partition(server: Server) -> None:
    instance = part10(ct_dataset())
    urls = []
    for partition in ("default", "other"):
        token = await server.token("read", "store", partition=partition)
        headers = {"Authorization": f"Bearer {token}"}
        client = httpx.AsyncClient(base_url=server.dicomweb, headers=headers, trust_env=False)
        async with client:
            (path,) = await store(client, instance)
            urls.append(path)
            shown = await client.get(f"{path}/rendered")
            assert image_of(shown).shape == (16, 16)
            files = await until_kept(server, len(urls))
            # From here on what is sent again is what lies there.
            for file in files:
                key = file.parent.name + file.name
                content = f"of {partition}".encode()
                file.write_bytes(digest_of(key, content) + content)
            again = await client.get(f"{path}/rendered")
            assert again.content == f"of {partition}".encode()
            assert again.headers["etag"] == shown.headers["etag"]
            other = await client.get(f"{path}/rendered?window=40,400,linear")
            assert image_of(other).shape == (16, 16)
            for file in await until_kept(server, len(urls) + 1):
                if file not in files:
                    file.unlink()
    assert urls[0] == urls[1]
