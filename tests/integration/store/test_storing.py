"""Instances go in, are durable, and are told of."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
from pydicom.uid import generate_uid

from app.archive import Archive
from app.settings import Settings
from app.span import Span
from tests.factories import CT_IMAGE_STORAGE, ct_dataset, ct_series, multipart, part10
from tests.fixtures.server import Server
from tests.integration.store.conftest import Modality, blobs_of, count, value


async def test_a_stored_series_is_referenced_and_lies_there_bit_by_bit(
    modality: Modality, archive: Archive, server: Server
) -> None:
    slices = ct_series(3)
    answer = await modality.store(*slices)
    assert answer.status == 200
    assert answer.http.headers["content-type"] == "application/dicom+json"
    assert len(answer.stored) == 3
    assert answer.module.keys() == {"00081190", "00081199"}
    first = answer.module["00081199"]["Value"][0]
    assert value(first, "00081150") == CT_IMAGE_STORAGE
    study = value(answer.module, "00081190")
    assert study.startswith(f"{server.dicomweb}/studies/")
    assert value(first, "00081190").startswith(f"{study}/series/")
    lengths = await blobs_of(archive)
    stored = [await archive.blobs.read(key, Span(0, length)) for key, length in lengths.items()]
    assert sorted(stored) == sorted(slices)
    assert all(key.startswith("p") for key in lengths)
    assert await count(archive, "instance") == 3
    assert await count(archive, "series") == await count(archive, "study") == 1


async def test_a_single_instance_is_stored_without_a_message_around_it(modality: Modality) -> None:
    (instance,) = ct_series(1)
    answer = await modality.post(instance, "application/dicom")
    assert answer.status == 200
    assert len(answer.stored) == 1


async def test_instances_of_several_studies_are_stored_together(
    modality: Modality, archive: Archive
) -> None:
    answer = await modality.store(*ct_series(1), *ct_series(1))
    assert answer.status == 200
    assert "00081190" not in answer.module
    assert await count(archive, "study") == 2


async def test_more_instances_than_one_commit_takes_keep_their_order(
    modality: Modality, archive: Archive
) -> None:
    datasets = [ct_dataset(InstanceNumber=number) for number in range(150)]
    answer = await modality.store(*(part10(dataset) for dataset in datasets))
    assert answer.status == 200
    assert answer.stored == [dataset.SOPInstanceUID for dataset in datasets]
    assert await count(archive, "instance") == 150


async def test_the_study_of_the_url_is_the_only_one_stored_to(modality: Modality) -> None:
    study = generate_uid()
    of_study, of_other = ct_dataset(StudyInstanceUID=study), ct_dataset()
    answer = await modality.store(part10(of_study), part10(of_other), study=study)
    assert answer.status == 202
    assert answer.stored == [of_study.SOPInstanceUID]
    assert answer.failed == [(of_other.SOPInstanceUID, 0xA901)]
    answer = await modality.store(part10(of_other), study=study)
    assert answer.status == 409
    assert answer.failed == [(of_other.SOPInstanceUID, 0xA901)]


async def test_the_same_bytes_again_are_success_and_take_no_space(
    modality: Modality, archive: Archive
) -> None:
    slices = ct_series(3)
    await modality.store(*slices)
    before = await blobs_of(archive)
    for _ in range(5):
        answer = await modality.store(*slices)
        assert answer.status == 200
        assert len(answer.stored) == 3
    assert await blobs_of(archive) == before
    assert await count(archive, "change") == 3


async def test_a_message_that_holds_an_instance_twice_is_told_of_both(
    modality: Modality, archive: Archive
) -> None:
    (instance,) = ct_series(1)
    answer = await modality.store(instance, instance, instance)
    assert answer.status == 200
    assert len(answer.stored) == 3
    assert len(await blobs_of(archive)) == 1


async def test_other_bytes_under_the_same_uid_are_refused_and_the_stored_ones_stay(
    modality: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    first = part10(dataset)
    await modality.store(first)
    dataset.PatientName = "Doe^John"
    dataset.PatientComments = "new"
    answer = await modality.store(part10(dataset))
    assert answer.status == 409
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]
    assert answer.comments == [
        "(0010,0010) differs from the stored instance",
        "(0010,4000) is not in the stored instance",
    ]
    ((key, length),) = (await blobs_of(archive)).items()
    assert await archive.blobs.read(key, Span(0, length)) == first


async def test_of_two_different_instances_of_one_uid_in_a_message_one_is_stored(
    modality: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    first = part10(dataset)
    dataset.PatientName = "Doe^John"
    answer = await modality.store(first, part10(dataset))
    assert answer.status == 202
    assert answer.stored == [dataset.SOPInstanceUID]
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]
    assert len(await blobs_of(archive)) == 1


@pytest.mark.parametrize(
    ("keyword", "tag"), [("StudyInstanceUID", "0020,000D"), ("SeriesInstanceUID", "0020,000E")]
)
async def test_a_uid_that_is_stored_elsewhere_is_refused(
    modality: Modality, archive: Archive, keyword: str, tag: str
) -> None:
    dataset = ct_dataset()
    await modality.store(part10(dataset))
    setattr(dataset, keyword, generate_uid())
    answer = await modality.store(part10(dataset))
    assert answer.status == 409
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]
    assert answer.comments == [f"({tag}) differs from the stored instance"]
    assert len(await blobs_of(archive)) == 1


async def test_many_who_store_the_same_bytes_at_once_all_succeed(
    modality: Modality, archive: Archive
) -> None:
    (instance,) = ct_series(1)
    answers = await asyncio.gather(*(modality.store(instance) for _ in range(16)))
    assert {answer.status for answer in answers} == {200}
    assert len(await blobs_of(archive)) == 1
    assert await count(archive, "instance") == 1


async def test_of_many_who_store_different_bytes_at_once_one_wins_and_stays(
    modality: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    different = []
    for number in range(8):
        dataset.PatientComments = f"number {number}"
        different.append(part10(dataset))
    answers = await asyncio.gather(*(modality.store(instance) for instance in different))
    winners = [number for number, answer in enumerate(answers) if answer.status == 200]
    assert len(winners) == 1
    assert {answer.status for answer in answers} == {200, 409}
    ((key, length),) = (await blobs_of(archive)).items()
    assert await archive.blobs.read(key, Span(0, length)) == different[winners[0]]


async def test_many_instances_of_one_study_stored_at_once_make_one_study(
    modality: Modality, archive: Archive
) -> None:
    slices = ct_series(24)
    answers = await asyncio.gather(*(modality.store(one) for one in slices))
    assert {answer.status for answer in answers} == {200}
    async with archive.reading() as connection:
        row = await connection.fetchrow("SELECT number_of_instances, number_of_series FROM study")
    assert tuple(row) == (24, 1)


async def test_what_is_wrong_with_a_value_is_told_and_it_is_stored(
    modality: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    data = part10(dataset).replace(b"20240229", b"99999999")
    answer = await modality.store(data)
    assert answer.status == 202
    assert answer.stored == [dataset.SOPInstanceUID]
    assert value(answer.module["00081199"]["Value"][0], "00081196") == 0xB007
    assert [comment[:11] for comment in answer.comments] == ["(0008,0020)"]
    assert await count(archive, "instance") == 1


async def test_a_large_instance_goes_by_way_of_the_disk_and_leaves_nothing_there(
    modality: Modality, archive: Archive, settings: Settings
) -> None:
    dataset = ct_dataset(Rows=1200, Columns=1200, PixelData=bytes(2 * 1200 * 1200))
    data = part10(dataset)
    assert len(data) > settings.limits.spool_memory_bytes
    assert (await modality.store(data, data)).status == 200
    ((key, length),) = (await blobs_of(archive)).items()
    assert await archive.blobs.read(key, Span(0, length)) == data
    assert list((settings.data_dir / "spool").iterdir()) == []


async def test_a_body_without_a_length_is_stored(modality: Modality) -> None:
    body, content_type = multipart(ct_series(5))

    async def chunked() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 1000):
            yield body[start : start + 1000]

    answer = await modality.post(chunked(), content_type)
    assert answer.http.request.headers["transfer-encoding"] == "chunked"
    assert answer.status == 200
    assert len(answer.stored) == 5


async def test_an_archive_in_an_object_store_stores_small_and_large(s3_server: Server) -> None:
    large = ct_dataset(Rows=2400, Columns=2400, PixelData=bytes(2 * 2400 * 2400))
    async with s3_server.client("store") as http:
        modality = Modality(http)
        instances = [*ct_series(2), part10(large)]
        assert (await modality.store(*instances)).status == 200
        assert (await modality.store(*instances)).status == 200


async def test_a_token_that_may_only_read_stores_nothing(server: Server, archive: Archive) -> None:
    async with server.client("read") as http:
        assert (await Modality(http).store(*ct_series(1))).status == 403
    assert httpx.post(f"{server.dicomweb}/studies", trust_env=False).status_code == 401
    assert await blobs_of(archive) == {}
