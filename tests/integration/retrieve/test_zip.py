"""Studies, series and instances as ZIP archives, which Python's own reader takes."""

import io
import zipfile
from pathlib import Path

import httpx
import pytest
from pydicom.fileset import FileSet

from app.blobs.contract import CHUNK
from tests.acceptance.retrieve.conftest import store
from tests.acceptance.retrieve.files import read
from tests.factories import ct_dataset, ct_series, part10

ZIP = "application/zip"
EXPLICIT, IMPLICIT, J2K = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.4.90"


def name_of(path: str) -> str:
    _, _, study, _, series, _, instance = path.split("/")
    return f"{study}/{series}/{instance}.dcm"


def members(answer: httpx.Response) -> dict[str, bytes]:
    assert answer.status_code == 200, answer.text
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def levels(path: str) -> list[str]:
    return [path.partition("/series/")[0], path.partition("/instances/")[0], path]


async def test_every_level_comes_as_it_is_stored(viewer: httpx.AsyncClient) -> None:
    files = ct_series(12)
    paths = await store(viewer, *files)
    stored = {name_of(path): file for path, file in zip(paths, files, strict=True)}
    study, series, instance = levels(paths[0])
    for resource in (study, series):
        answer = await viewer.get(resource, headers={"Accept": f"{ZIP}; transfer-syntax=*"})
        assert members(answer) == stored
        assert answer.headers["content-type"] == ZIP
        assert int(answer.headers["content-length"]) == len(answer.content)
        name = study.rpartition("/")[2]
        assert answer.headers["content-disposition"] == f'attachment; filename="{name}.zip"'
        known = {"Accept": f"{ZIP}; transfer-syntax=*", "If-None-Match": answer.headers["etag"]}
        assert (await viewer.get(resource, headers=known)).status_code == 304
    answer = await viewer.get(f"{instance}?accept=application/zip;transfer-syntax=*")
    assert members(answer) == {name_of(paths[0]): files[0]}


async def test_large_members_are_streamed(viewer: httpx.AsyncClient) -> None:
    side = 1100
    large = part10(ct_dataset(Rows=side, Columns=side, PixelData=bytes(range(250)) * 9680))
    assert len(large) > 2 * CHUNK
    (path,) = await store(viewer, large)
    answer = await viewer.get(levels(path)[0], headers={"Accept": ZIP})
    assert members(answer) == {name_of(path): large}
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("accept", "syntax"),
    [
        (ZIP, EXPLICIT),
        (f"{ZIP}; transfer-syntax=*", IMPLICIT),
        (f"{ZIP}; transfer-syntax={IMPLICIT}", IMPLICIT),
        (f"{ZIP}; transfer-syntax={J2K}", J2K),
        (f"text/html, {ZIP};q=0.9, */*;q=0.1", EXPLICIT),
    ],
)
async def test_the_transfer_syntax_is_as_asked(
    viewer: httpx.AsyncClient, accept: str, syntax: str
) -> None:
    (path,) = await store(viewer, part10(ct_dataset(), IMPLICIT))
    (member,) = members(await viewer.get(path, headers={"Accept": accept})).values()
    sent = read(member)
    assert sent.file_meta.TransferSyntaxUID == syntax
    assert sent.pixel_array.tobytes() == ct_dataset().PixelData


async def test_who_takes_anything_gets_no_archive(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    for accept in ("*/*", f"{ZIP}, */*", f"{ZIP};q=0.5, application/dicom"):
        answer = await viewer.get(path, headers={"Accept": accept})
        assert "application/dicom" in answer.headers["content-type"]


async def test_what_cannot_be_made_is_406(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    accept = f"{ZIP}; transfer-syntax=1.2.840.10008.1.2.4.50"
    answer = await viewer.get(levels(path)[0], headers={"Accept": accept})
    assert answer.status_code == 406
    assert ZIP in answer.json()["detail"]


@pytest.mark.parametrize(
    ("accept", "query", "syntax"),
    [
        (f"{ZIP}; dicomdir=true", "", EXPLICIT),
        (f"{ZIP}; transfer-syntax={J2K}", "?dicomdir=true", J2K),
        (f"{ZIP}; transfer-syntax=*", "?dicomdir=true", IMPLICIT),
    ],
)
async def test_a_dicomdir_leads_to_every_instance(
    viewer: httpx.AsyncClient, tmp_path: Path, accept: str, query: str, syntax: str
) -> None:
    study = ct_dataset().StudyInstanceUID
    datasets = [
        ct_dataset(StudyInstanceUID=study, InstanceNumber=number, SeriesNumber=1 + number // 40)
        for number in range(1, 45)
    ]
    series = [ct_dataset().SeriesInstanceUID for _ in range(2)]
    for dataset in datasets:
        dataset.SeriesInstanceUID = series[dataset.SeriesNumber - 1]
    await store(viewer, *(part10(dataset, IMPLICIT) for dataset in datasets))
    answer = await viewer.get(f"/studies/{study}{query}", headers={"Accept": accept})
    files = members(answer)
    assert list(files)[-1] == "DICOMDIR"
    for name, data in files.items():
        assert all(len(part) <= 8 and part.isupper() for part in name.split("/"))
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    file_set = FileSet(tmp_path / "DICOMDIR")
    file_set._stage["t"].cleanup()  # which nothing else would do
    found = {one.SOPInstanceUID: one for one in file_set}
    assert found.keys() == {dataset.SOPInstanceUID for dataset in datasets}
    for dataset in datasets:
        record = found[dataset.SOPInstanceUID]
        assert record.load().file_meta.TransferSyntaxUID == record.TransferSyntaxUID == syntax
        assert record.InstanceNumber == dataset.InstanceNumber
        assert record.SeriesNumber == dataset.SeriesNumber


async def test_an_archive_with_a_dicomdir_is_another_representation(
    viewer: httpx.AsyncClient,
) -> None:
    (path,) = await store(viewer, part10(ct_dataset()))
    without = await viewer.get(path, headers={"Accept": ZIP})
    again = [await viewer.get(f"{path}?dicomdir=true", headers={"Accept": ZIP}) for _ in range(2)]
    assert again[0].content == again[1].content
    assert without.headers["etag"] != again[0].headers["etag"] == again[1].headers["etag"]
    assert "DICOMDIR" not in members(await viewer.get(f"{path}?dicomdir=false&accept={ZIP}"))
    refused = await viewer.get(f"{path}?dicomdir=yes", headers={"Accept": ZIP})
    assert refused.status_code == 400
    assert "dicomdir" in refused.json()["detail"]
