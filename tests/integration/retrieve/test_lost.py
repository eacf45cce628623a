"""Bytes that are lost: the rest of a study or series is sent, and how much is missing is told."""

import io
import random
import zipfile

import httpx
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, generate_uid

from app.blobs.contract import CHUNK
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server
from tests.messages import parts_of

DICOM = 'multipart/related; type="application/dicom"'


async def lose(server: Server, files: list[bytes], *, cut: bool = False) -> None:
    """Remove the bytes of the instances from the disk, or half of them."""
    for path in (server.data_dir / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes() in files:
            path.chmod(0o600)
            if cut:
                path.write_bytes(path.read_bytes()[:-100])
            else:
                path.unlink()


@pytest.mark.parametrize("cut", [False, True])
async def test_the_others_are_sent(
    viewer: httpx.AsyncClient, shared_server: Server, cut: bool
) -> None:
    files = ct_series(5)
    paths = await store(viewer, *files)
    await lose(shared_server, [files[1], files[3]], cut=cut)
    rest = [files[0], files[2], files[4]]
    for resource in (paths[0].partition("/series/")[0], paths[0].partition("/instances/")[0]):
        answer = await viewer.get(resource, headers={"Accept": DICOM})
        assert answer.status_code == 206
        warned = answer.headers["warning"]
        assert warned.startswith("299 ")
        assert warned.endswith(": 2 of 5 instances cannot be read")
        assert parts_of(answer) == rest
        assert "content-range" not in answer.headers
        zipped = await viewer.get(resource, headers={"Accept": "application/zip"})
        assert zipped.status_code == 206
        assert zipped.headers["warning"] == warned
        with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
            assert [archive.read(name) for name in archive.namelist()] == rest
    alone = await viewer.get(paths[1])
    assert alone.status_code == 500
    assert (await viewer.get(paths[0])).status_code == 200


async def test_nothing_is_told_where_nothing_is_left(
    viewer: httpx.AsyncClient, shared_server: Server
) -> None:
    files = ct_series(2)
    paths = await store(viewer, *files)
    await lose(shared_server, files)
    answer = await viewer.get(paths[0].partition("/instances/")[0])
    assert answer.status_code == 500


async def damage(server: Server, files: list[bytes]) -> None:
    """Turn one bit of each of the instances, without a change of their lengths."""
    for path in (server.data_dir / "blobs").rglob("*"):
        if path.is_file() and (data := path.read_bytes()) in files:
            path.chmod(0o600)
            half = len(data) // 2
            path.write_bytes(data[:half] + bytes([data[half] ^ 1]) + data[half + 1 :])


@pytest.mark.parametrize("more", [0, 40])
async def test_what_is_damaged_where_an_answer_begins_is_left_out(
    viewer: httpx.AsyncClient, shared_server: Server, more: int
) -> None:
    """Of short answers, and of those that are sent in pieces."""
    files = slices(4 + more)
    paths = await store(viewer, *files)
    await damage(shared_server, [files[0], files[2]])
    await lose(shared_server, [files[3]])
    rest = [files[1], *files[4:]]
    for resource in (paths[0].partition("/series/")[0], paths[0].partition("/instances/")[0]):
        for accept in (DICOM, f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.1.99"):
            answer = await viewer.get(resource, headers={"Accept": accept})
            assert answer.status_code == 206
            told = answer.headers["warning"]
            assert told.endswith(f": 3 of {4 + more} instances cannot be read")
            assert len(parts_of(answer)) == len(rest)
            if accept == DICOM:
                assert parts_of(answer) == rest
        zipped = await viewer.get(resource, headers={"Accept": "application/zip"})
        assert zipped.status_code == 206
        assert zipped.headers["warning"] == told
        with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
            assert [archive.read(name) for name in archive.namelist()] == rest
    assert (await viewer.get(paths[0])).status_code == 500


@pytest.mark.parametrize("more", [0, 40])
async def test_where_all_are_damaged_there_is_no_answer(
    viewer: httpx.AsyncClient, shared_server: Server, more: int
) -> None:
    files = slices(2 + more)
    paths = await store(viewer, *files)
    await damage(shared_server, files)
    for accept in (DICOM, "application/zip"):
        answer = await viewer.get(paths[0].partition("/instances/")[0], headers={"Accept": accept})
        assert answer.status_code == 500


@pytest.mark.parametrize("accept", [DICOM, "application/zip"])
async def test_an_answer_breaks_off_after_all_that_is_good(
    viewer: httpx.AsyncClient, shared_server: Server, accept: str
) -> None:
    files = slices(60)
    paths = await store(viewer, *files)
    await damage(shared_server, [files[55]])
    received = bytearray()
    series = paths[0].partition("/instances/")[0]

    async def receive() -> None:
        async with viewer.stream("GET", series, headers={"Accept": accept}) as answer:
            assert answer.status_code == 200
            async for piece in answer.aiter_raw():
                received.extend(piece)

    with pytest.raises(httpx.RemoteProtocolError):
        await receive()
    assert all(one in received for one in files[:55])
    assert not any(one in received for one in files[55:])


def slices(count: int) -> list[bytes]:
    """A series, of which 40 and more instances are too much to be read at once."""
    series = ct_series(count, Rows=128, Columns=128, PixelData=bytes(32768))
    assert sum(map(len, series[4:])) > CHUNK or count < 40
    return series


@pytest.mark.parametrize("frames", [1, 40])
@pytest.mark.parametrize(
    "accept",
    [
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.5",
        f"{DICOM}; transfer-syntax=1.2.840.10008.1.2.4.90",
        "application/zip; transfer-syntax=1.2.840.10008.1.2.4.80",
    ],
)
async def test_pixels_that_are_damaged_are_not_recoded_as_if_they_were_whole(
    viewer: httpx.AsyncClient, shared_server: Server, frames: int, accept: str
) -> None:
    files = noise(2, ExplicitVRLittleEndian, frames)
    paths = await store(viewer, *files)
    assert (await viewer.get(paths[0], headers={"Accept": accept})).is_success
    await damage(shared_server, [files[0]])
    answer = await viewer.get(paths[0], headers={"Accept": accept})
    assert answer.status_code == 500
    if accept.startswith(DICOM):
        series = paths[0].partition("/instances/")[0]
        answer = await viewer.get(series, headers={"Accept": accept})
        assert answer.status_code == 206
        assert len(parts_of(answer)) == 1


@pytest.mark.parametrize("resource", ["/frames/1", "/rendered", "/bulkdata", "/pixeldata"])
async def test_nothing_is_read_in_a_deflated_instance_that_is_damaged(
    viewer: httpx.AsyncClient, shared_server: Server, resource: str
) -> None:
    """Its data set is deflated without a checksum, so that most damages inflate all the same."""
    (file,) = noise(1, DeflatedExplicitVRLittleEndian)
    (path,) = await store(viewer, file)
    await damage(shared_server, [file])
    assert (await viewer.get(path + resource)).status_code == 500


@pytest.mark.parametrize("whole", ["bytes=0-", "bytes=-99999999"])
async def test_a_range_that_is_all_of_a_damaged_instance_breaks_off(
    viewer: httpx.AsyncClient, shared_server: Server, whole: str
) -> None:
    (file,) = noise(1, ExplicitVRLittleEndian, 160)
    assert len(file) > CHUNK
    (path,) = await store(viewer, file)
    headers = {"Accept": "application/dicom", "Range": whole}
    answer = await viewer.get(path, headers=headers)
    assert (answer.status_code, answer.content) == (206, file)
    await damage(shared_server, [file])
    with pytest.raises(httpx.RemoteProtocolError):
        await viewer.get(path, headers=headers)


def noise(count: int, transfer_syntax_uid: str, frames: int = 1) -> list[bytes]:
    """A series of instances that do not get smaller."""
    size = 2 * 64 * 64 * frames
    study, series = generate_uid(), generate_uid()
    return [
        part10(
            ct_dataset(
                StudyInstanceUID=study,
                SeriesInstanceUID=series,
                InstanceNumber=number,
                NumberOfFrames=frames,
                Rows=64,
                Columns=64,
                PixelData=random.Random(number).randbytes(size),
            ),
            transfer_syntax_uid,
        )
        for number in range(1, count + 1)
    ]
