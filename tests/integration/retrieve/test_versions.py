"""Instances that were replaced can be retrieved by their version."""

import hashlib
from collections.abc import AsyncIterator

import httpx
import pytest
from pydicom import Dataset

from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.messages import parts_of


@pytest.fixture
async def editor(shared_server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with shared_server.client("read", "store", "delete") as http:
        yield http


async def stored_versions(editor: httpx.AsyncClient, names: list[str]) -> tuple[str, list[bytes]]:
    """An instance that was stored with each of the names in turn: its path, and the bytes."""
    dataset = ct_dataset()
    files = [await stored(editor, dataset, name) for name in names]
    return path_of(dataset), files


async def stored(editor: httpx.AsyncClient, dataset: Dataset, name: str) -> bytes:
    """Store the instance with this name in the place of what is there."""
    dataset.PatientName = name
    body, content_type = multipart([file := part10(dataset)])
    headers = {"Content-Type": content_type}
    answer = await editor.post("/studies?duplicates=replace", content=body, headers=headers)
    assert answer.status_code == 200
    return file


def path_of(dataset: Dataset) -> str:
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


async def test_every_version_is_listed_and_comes_back_as_it_was_stored(
    editor: httpx.AsyncClient, shared_server: Server
) -> None:
    path, files = await stored_versions(editor, ["A", "B", "C"])
    listed = (await editor.get(f"{path}/versions")).json()
    assert [each["version"] for each in listed] == [3, 2, 1]
    for each, file in zip(listed, reversed(files), strict=True):
        assert each["length"] == len(file)
        assert each["sha256"] == hashlib.sha256(file).hexdigest()
        assert each["url"].startswith(shared_server.dicomweb)
        answer = await editor.get(
            each["url"], headers={"Accept": "application/dicom; transfer-syntax=*"}
        )
        assert answer.content == file
        assert answer.headers["content-location"] == each["url"]


async def test_a_version_is_negotiated_as_an_instance_is(editor: httpx.AsyncClient) -> None:
    path, files = await stored_versions(editor, ["A", "B"])
    answer = await editor.get(f"{path}/versions/1")
    assert parts_of(answer) == files[:1]
    etag = answer.headers["etag"]
    again = await editor.get(f"{path}/versions/1", headers={"If-None-Match": etag})
    assert again.status_code == 304
    headers = {"Accept": "application/dicom", "Range": "bytes=128-131"}
    assert (await editor.get(f"{path}/versions/1", headers=headers)).content == b"DICM"
    refused = await editor.get(f"{path}/versions/1", headers={"Accept": "text/html"})
    assert refused.status_code == 406
    assert (await editor.get(f"{path}/versions", headers={"Accept": "a/b"})).status_code == 406


async def test_who_goes_on_with_what_was_replaced_gets_no_piece_of_another_file(
    editor: httpx.AsyncClient,
) -> None:
    dataset = ct_dataset()
    file, path = await stored(editor, dataset, "A"), path_of(dataset)
    headers = {"Accept": "application/dicom; transfer-syntax=*", "Range": "bytes=100-"}
    headers["If-Match"] = (await editor.get(path, headers=headers)).headers["etag"]
    assert (await editor.get(path, headers=headers)).content == file[100:]
    await stored(editor, dataset, "B")
    assert (await editor.get(path, headers=headers)).status_code == 412


async def test_an_instance_that_was_never_replaced_has_one_version(
    editor: httpx.AsyncClient,
) -> None:
    path, files = await stored_versions(editor, ["A"])
    assert len((await editor.get(f"{path}/versions")).json()) == 1
    assert parts_of(await editor.get(f"{path}/versions/1")) == files


@pytest.mark.parametrize(
    ("version", "status"), [("3", 404), ("0", 400), ("-1", 400), ("x", 400), ("9" * 30, 400)]
)
async def test_there_is_no_other_version(
    editor: httpx.AsyncClient, version: str, status: int
) -> None:
    path, _ = await stored_versions(editor, ["A", "B"])
    assert (await editor.get(f"{path}/versions/{version}")).status_code == status


async def test_versions_of_what_cannot_be_seen_are_not_found(
    editor: httpx.AsyncClient, shared_server: Server
) -> None:
    path, _ = await stored_versions(editor, ["A", "B"])
    token = await shared_server.token("read", partition="another")
    for resource in ("versions", "versions/1", "versions/2"):
        answer = await editor.get(
            f"{path}/{resource}", headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.status_code == 404
    assert (await editor.get("/studies/1.2/series/1.2/instances/1.2/versions")).status_code == 404
    assert (await editor.get("/studies/1.2/series/x/instances/1.2/versions")).status_code == 400


async def test_validators_change_with_what_is_stored_and_with_nothing_else(
    editor: httpx.AsyncClient,
) -> None:
    """I11."""
    dataset = ct_dataset()
    path = path_of(dataset)
    series = path.rpartition("/instances/")[0]
    study = series.rpartition("/series/")[0]
    resources = [
        *(f"{each}/metadata" for each in (study, series, path)),
        *(f"{path}{each}" for each in ("", "/frames/1", "/rendered", "/thumbnail")),
    ]

    async def validators() -> list[str]:
        return [(await editor.get(each)).headers["etag"] for each in resources]

    await stored(editor, dataset, "A")
    before = await validators()
    await stored(editor, dataset, "A")
    await stored(editor, ct_dataset(), "B")
    assert await validators() == before
    dataset.PixelData = bytes(len(dataset.PixelData))
    await stored(editor, dataset, "A")
    assert not set(await validators()) & set(before)
