"""Clients that others wrote retrieve here: scripts, and viewers of slides."""

import asyncio
import random
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from dicomweb_client.session_utils import create_session
from pydicom import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.uid import generate_uid

from tests.acceptance.retrieve.conftest import store
from tests.acceptance.retrieve.files import read
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server
from tests.messages import parts_of

T = TypeVar("T")

BASELINE, J2K = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
TILES = 100_000
MICROSCOPY = ", ".join(
    f'multipart/related; type="{kind}"; transfer-syntax={syntax}'
    for kind, syntax in [
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", J2K),
        ("application/octet-stream", "*"),
        ("image/jpeg", BASELINE),
    ]
)


@pytest.fixture
async def client(shared_server: Server) -> DICOMwebClient:
    session = create_session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {await shared_server.token('read')}"
    return DICOMwebClient(shared_server.dicomweb, session=session)


async def calls(function: Callable[..., T], *arguments: Any, **more: Any) -> T:
    def call() -> T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pydicom and requests, about the client
            return function(*arguments, **more)

    return await asyncio.to_thread(call)


def uids(path: str) -> tuple[str, str, str]:
    _, _, study, _, series, _, instance = path.split("/")
    return study, series, instance


async def test_dicomweb_client_retrieves_at_every_level(
    client: DICOMwebClient, viewer: httpx.AsyncClient
) -> None:
    paths = await store(viewer, *ct_series(4))
    study, series, instance = uids(paths[0])
    for found in (
        await calls(client.retrieve_study, study),
        await calls(client.retrieve_series, study, series),
        [
            await calls(client.retrieve_instance, study, series, instance),
            *await calls(client.retrieve_series, study, series),
        ][:4],
    ):
        assert len(found) == 4
        assert all(one.PixelData == ct_dataset().PixelData for one in found)
    for metadata in (
        await calls(client.retrieve_study_metadata, study),
        await calls(client.retrieve_series_metadata, study, series),
    ):
        assert [one["00200013"]["Value"] for one in metadata] == [[1], [2], [3], [4]]
    one = await calls(client.retrieve_instance_metadata, study, series, instance)
    (pixels,) = await calls(client.retrieve_bulkdata, one["7FE00010"]["BulkDataURI"])
    assert pixels == ct_dataset().PixelData
    assert await calls(client.retrieve_instance_frames, study, series, instance, [1]) == [pixels]
    rendered = await calls(
        client.retrieve_instance_rendered, study, series, instance, media_types=("image/png",)
    )
    assert rendered.startswith(b"\x89PNG")


async def test_dicomweb_client_gets_another_transfer_syntax(
    client: DICOMwebClient, viewer: httpx.AsyncClient
) -> None:
    (path,) = await store(viewer, *ct_series(1))
    study, series, instance = uids(path)
    asked = (("application/dicom", J2K),)
    found = await calls(client.retrieve_instance, study, series, instance, media_types=asked)
    assert found.file_meta.TransferSyntaxUID == J2K
    np.testing.assert_array_equal(found.pixel_array, ct_dataset_pixels())
    (frame,) = await calls(
        client.retrieve_instance_frames, study, series, instance, [1], (("image/jp2", J2K),)
    )
    assert frame.startswith(b"\xff\x4f\xff\x51")


def ct_dataset_pixels() -> np.ndarray[Any, Any]:
    pixels: np.ndarray[Any, Any] = read(part10(ct_dataset())).pixel_array
    return pixels


def tile(number: int) -> bytes:
    return b"\xff\xd8\xff" + number.to_bytes(4, "big") + b"\xff\xd9" + bytes(number % 3 * 2 + 1)


def slide(count: int, *, extended: bool) -> bytes:
    """Tiles of a whole slide, in as many columns as rows."""
    tiles = [tile(number) for number in range(count)]
    dataset = ct_dataset(
        Modality="SM",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.6",
        StudyInstanceUID=generate_uid(),
        NumberOfFrames=count,
        DimensionOrganizationType="TILED_FULL",
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
    )
    if extended:
        pixels, offsets, lengths = encapsulate_extended(tiles)
        dataset.ExtendedOffsetTable = offsets
        dataset.ExtendedOffsetTableLengths = lengths
        dataset.PixelData = pixels
    else:
        dataset.PixelData = encapsulate(tiles, has_bot=False)
    dataset["PixelData"].is_undefined_length = True
    return part10(dataset, BASELINE)


@pytest.mark.parametrize("extended", [True, False])
async def test_any_of_a_hundred_thousand_tiles_is_found(
    shared_server: Server, viewer: httpx.AsyncClient, extended: bool
) -> None:
    """As a slide viewer asks: many at once, over many connections, anywhere."""
    (path,) = await store(viewer, slide(TILES, extended=extended))
    anywhere = random.Random(1)
    numbers = [1, TILES, *(anywhere.randrange(1, TILES + 1) for _ in range(98))]
    limits = httpx.Limits(max_connections=32)
    async with httpx.AsyncClient(
        base_url=viewer.base_url, headers=viewer.headers, limits=limits, trust_env=False
    ) as http:
        answers = await asyncio.gather(
            *(http.get(f"{path}/frames/{n}", headers={"Accept": MICROSCOPY}) for n in numbers)
        )
    for number, answer in zip(numbers, answers, strict=True):
        assert answer.status_code == 200, answer.text
        (found,) = parts_of(answer)
        assert found.rstrip(b"\0") == tile(number - 1).rstrip(b"\0")
    many = sorted({anywhere.randrange(1, TILES + 1) for _ in range(400)})
    answer = await viewer.get(
        f"{path}/frames/{','.join(map(str, many))}",
        headers={"Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*'},
    )
    assert [one[3:7] for one in parts_of(answer)] == [(n - 1).to_bytes(4, "big") for n in many]
    assert (await viewer.get(f"{path}/frames/{TILES + 1}")).status_code == 404


async def test_a_sparse_slide_tells_where_each_of_its_tiles_is(viewer: httpx.AsyncClient) -> None:
    dataset = read(slide(300, extended=True))
    dataset.DimensionOrganizationType = "TILED_SPARSE"
    places = []
    for number in range(300):
        place, groups = Dataset(), Dataset()
        place.ColumnPositionInTotalImagePixelMatrix = 256 * (number % 20) + 1
        place.RowPositionInTotalImagePixelMatrix = 256 * (number // 20) + 1
        groups.PlanePositionSlideSequence = [place]
        places.append(groups)
    dataset.PerFrameFunctionalGroupsSequence = places
    (path,) = await store(viewer, part10(dataset, BASELINE))
    (described,) = (await viewer.get(f"{path}/metadata")).json()
    found = described["52009230"]["Value"]
    columns = [one["0048021A"]["Value"][0]["0048021E"]["Value"][0] for one in found]
    assert columns == [256 * (number % 20) + 1 for number in range(300)]
    answer = await viewer.get(f"{path}/frames/300,7", headers={"Accept": MICROSCOPY})
    assert [one[3:7] for one in parts_of(answer)] == [n.to_bytes(4, "big") for n in (299, 6)]
