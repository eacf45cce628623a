"""Other content under a UID that is stored: refused, put in its place, or passed over."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from hashlib import sha256
from itertools import groupby
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid

from app.archive import Archive
from app.index.recount import miscounted
from app.settings import Duplicates, Settings
from app.store import service
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server, serving
from tests.integration.store.conftest import Modality, StoreResponse, blobs_of, count, value


@pytest.fixture
async def editor(server: Server) -> AsyncIterator[Modality]:
    """Someone who may replace."""
    async with server.client("store", "delete", "read") as http:
        yield Modality(http)


@pytest.fixture
def replacing_server(settings: Settings) -> Iterator[Server]:
    """An archive in which everybody who stores may replace."""
    with serving(settings.model_copy(update={"duplicates": Duplicates.REPLACE})) as running:
        yield running


def path_of(dataset: Dataset) -> str:
    return (
        f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        f"/instances/{dataset.SOPInstanceUID}"
    )


async def store(client: Modality, instance: bytes, duplicates: str | None = None) -> StoreResponse:
    body, content_type = multipart([instance])
    query = "" if duplicates is None else f"?duplicates={duplicates}"
    headers = {"Content-Type": content_type}
    return StoreResponse(await client.http.post(f"/studies{query}", content=body, headers=headers))


async def retrieved(client: Modality, dataset: Dataset) -> bytes:
    answer = await client.http.get(
        path_of(dataset), headers={"Accept": "application/dicom; transfer-syntax=*"}
    )
    assert answer.status_code == 200
    return answer.content


async def test_what_replaces_is_retrieved_and_searched_for_and_says_what_differs(
    editor: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    await store(editor, part10(dataset))
    dataset.PatientName = "Doe^Joan"
    answer = await store(editor, part10(dataset), "replace")
    assert answer.status == 200
    assert answer.stored == [dataset.SOPInstanceUID]
    assert answer.comments == ["(0010,0010) differs from the stored instance"]
    (item,) = answer.module["00081199"]["Value"]
    assert value(item, "00000902") == "it takes the place of version 1"
    assert "00081196" not in item
    assert await retrieved(editor, dataset) == part10(dataset)
    (found,) = (await editor.http.get("/studies?PatientName=Doe^Joan")).json()
    assert value(found, "00201208") == 1
    (metadata,) = (await editor.http.get(f"{path_of(dataset)}/metadata")).json()
    assert value(metadata, "00100010") == {"Alphabetic": "Doe^Joan"}
    assert len(await blobs_of(archive)) == 2
    assert await count(archive, "change") == 2


async def test_what_is_kept_is_told_with_a_warning_and_stays(
    modality: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    await store(modality, first := part10(dataset))
    dataset.PatientName = "Doe^Joan"
    answer = await store(modality, part10(dataset), "keep")
    assert answer.status == 202
    assert answer.stored == [dataset.SOPInstanceUID]
    (item,) = answer.module["00081199"]["Value"]
    assert value(item, "00081196") == 0xB006
    assert answer.comments == ["(0010,0010) differs from the stored instance"]
    assert list((await blobs_of(archive)).values()) == [len(first)]
    assert await count(archive, "change") == 1


async def test_what_is_rejected_leaves_everything_as_it_is(
    editor: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    await store(editor, first := part10(dataset))
    dataset.PatientName = "Doe^Joan"
    for policy in (None, "reject"):
        assert (await store(editor, part10(dataset), policy)).status == 409
    assert await retrieved(editor, dataset) == first


@pytest.mark.parametrize("policy", ["replace", "keep"])
async def test_the_same_bytes_are_a_success_under_every_policy(
    editor: Modality, archive: Archive, policy: str
) -> None:
    instance = part10(ct_dataset())
    for _ in range(2):
        answer = await store(editor, instance, policy)
        assert answer.status == 200
        assert answer.comments == []
    assert len(await blobs_of(archive)) == 1
    assert await count(archive, "change") == 1


@pytest.mark.parametrize("policy", ["replace", "keep"])
@pytest.mark.parametrize("moved", ["StudyInstanceUID", "SeriesInstanceUID"])
async def test_a_uid_of_another_study_or_series_is_refused_under_every_policy(
    editor: Modality, archive: Archive, policy: str, moved: str
) -> None:
    dataset = ct_dataset()
    await store(editor, part10(dataset))
    setattr(dataset, moved, generate_uid())
    answer = await store(editor, part10(dataset), policy)
    assert answer.status == 409
    assert answer.failed == [(dataset.SOPInstanceUID, 0x0111)]
    assert len(await blobs_of(archive)) == 1


async def test_who_may_only_store_may_not_replace(modality: Modality, archive: Archive) -> None:
    dataset = ct_dataset()
    await store(modality, part10(dataset))
    dataset.PatientName = "Doe^Joan"
    assert (await store(modality, part10(dataset), "replace")).status == 403
    assert await count(archive, "instance") == 1


async def test_a_policy_that_is_none_is_a_bad_request(modality: Modality) -> None:
    assert (await store(modality, part10(ct_dataset()), "overwrite")).status == 400


async def test_where_the_settings_replace_everybody_who_stores_does(
    replacing_server: Server,
) -> None:
    dataset = ct_dataset()
    async with replacing_server.client("store", "read") as http:
        client = Modality(http)
        await store(client, part10(dataset))
        dataset.PatientName = "Doe^Joan"
        assert (await store(client, part10(dataset))).status == 200
        assert await retrieved(client, dataset) == part10(dataset)
        dataset.PatientName = "Doe^Jo"
        assert (await store(client, part10(dataset), "replace")).status == 200
        dataset.PatientName = "Doe^J"
        assert (await store(client, part10(dataset), "reject")).status == 409


async def test_of_two_in_one_message_the_later_one_takes_the_place_of_the_first(
    editor: Modality,
) -> None:
    dataset = ct_dataset()
    first = part10(dataset)
    dataset.PatientName = "Doe^Joan"
    body, content_type = multipart([first, second := part10(dataset)])
    answer = await editor.http.post(
        "/studies?duplicates=replace", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 200
    assert await retrieved(editor, dataset) == second


@pytest.mark.parametrize("order", ["aba", "abab", "aab", "abba"])
async def test_the_last_of_a_message_is_what_is_there_then(editor: Modality, order: str) -> None:
    """As if each had come in a request of its own."""
    dataset = ct_dataset()
    files = {}
    for comments in "ab":
        dataset.PatientComments = comments
        files[comments] = part10(dataset)
    body, content_type = multipart([files[one] for one in order])
    answer = await editor.http.post(
        "/studies?duplicates=replace", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 200
    assert await retrieved(editor, dataset) == files[order[-1]]
    versions = (await editor.http.get(f"{path_of(dataset)}/versions")).json()
    assert len(versions) == len("".join(key for key, _ in groupby(order)))


async def test_the_last_of_a_message_is_what_is_there_then_however_long_the_first_takes(
    editor: Modality, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is committed by itself, and nothing of the first before the others could be."""
    dataset = ct_dataset()
    files = []
    for comments in ("first", "broken", "last"):
        dataset.PatientComments = comments
        files.append(part10(dataset))
    files[1] = files[1][:-4]
    committed = asyncio.Event()

    async def put_late(archive: Any, keys: Any, intake: Any, spool: Any) -> Any:
        if intake.instance.sha256 == sha256(files[0]).digest():
            with suppress(TimeoutError):
                await asyncio.wait_for(committed.wait(), 0.5)
        return await put(archive, keys, intake, spool)

    async def add_told(*arguments: Any) -> Any:
        answers = await add(*arguments)
        committed.set()
        return answers

    put, add = service._put, service._add
    monkeypatch.setattr(service, "_put", put_late)
    monkeypatch.setattr(service, "_add", add_told)
    monkeypatch.setattr(service, "ROWS_OF_COMMIT", 1)
    body, content_type = multipart(files)
    answer = await editor.http.post(
        "/studies?duplicates=replace", content=body, headers={"Content-Type": content_type}
    )
    assert answer.status_code == 202
    assert await retrieved(editor, dataset) == files[-1]
    assert len((await editor.http.get(f"{path_of(dataset)}/versions")).json()) == 2


async def test_32_who_replace_one_instance_all_succeed_and_one_is_readable_at_every_moment(
    editor: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    await store(editor, first := part10(dataset))
    candidates = []
    for number in range(32):
        dataset.PatientComments = f"number {number}"
        candidates.append(part10(dataset))
    seen: set[bytes] = set()
    done = asyncio.Event()

    async def watch() -> None:
        while not done.is_set():
            seen.add(await retrieved(editor, dataset))

    watching = asyncio.create_task(watch())
    answers = await asyncio.gather(*(store(editor, one, "replace") for one in candidates))
    done.set()
    await watching
    assert {answer.status for answer in answers} == {200}
    assert seen <= {first, *candidates}
    assert await retrieved(editor, dataset) in candidates
    assert await count(archive, "instance") == 33
    async with archive.snapshot() as connection:
        assert await miscounted(connection) == []
        live = await connection.fetchval("SELECT count(*) FROM instance WHERE removed_at IS NULL")
    assert live == 1


async def test_that_something_was_replaced_is_in_the_audit(
    editor: Modality, archive: Archive
) -> None:
    dataset = ct_dataset()
    await store(editor, part10(dataset))
    dataset.PatientName = "Doe^Joan"
    await store(editor, part10(dataset), "replace")
    async with archive.reading() as connection:
        rows = await connection.fetch(
            "SELECT action, status, query, sop_instance_uid FROM audit WHERE method = 'POST'"
            " ORDER BY sequence"
        )
    # With the commit of what replaces, and when all is over.
    assert [tuple(row) for row in rows] == [
        ("C", 200, None, dataset.SOPInstanceUID),
        ("U", 202, "duplicates=replace", dataset.SOPInstanceUID),
        ("U", 200, "duplicates=replace", dataset.SOPInstanceUID),
    ]


async def test_two_policies_in_one_request_are_refused(editor: Modality) -> None:
    body, content_type = multipart([part10(ct_dataset())])
    answer = await editor.http.post(
        "/studies?duplicates=keep&duplicates=replace",
        content=body,
        headers={"Content-Type": content_type},
    )
    assert answer.status_code == 400
