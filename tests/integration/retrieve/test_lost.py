"""Bytes that are lost: the rest of a study or series is sent, and how much is missing is told."""

import io
import zipfile

import httpx
import pytest

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_series
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
