"""Two servers, one PostgreSQL, one object store: whichever is asked, the answer is the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count, cycle

import httpx
import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from tests.factories import ct_dataset, ct_series, multipart, part10
from tests.fixtures.server import Server
from tests.messages import parts_of

AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
STUDY_AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
DICOM = {"Content-Type": "application/dicom"}
SLICES = 20


@dataclass(frozen=True)
class Instance:
    """What a server is asked for, and what it must say."""

    stored: bytes
    study: str
    path: str
    pixels: bytes


def instance_of(stored: bytes) -> Instance:
    dataset = dcmread(DicomBytesIO(stored))
    study = f"/studies/{dataset.StudyInstanceUID}"
    path = f"{study}/series/{dataset.SeriesInstanceUID}/instances/{dataset.SOPInstanceUID}"
    return Instance(stored, study, path, dataset.PixelData)


_numbers = count(1)


@pytest.fixture
async def both(two_servers: tuple[Server, Server]) -> AsyncIterator[list[httpx.AsyncClient]]:
    """A client of each of the two servers, in a partition that is empty."""
    partition = f"p{next(_numbers)}"
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(server.client("store", "read", partition=partition))
            for server in two_servers
        ]


async def store(client: httpx.AsyncClient, *instances: bytes) -> None:
    body, content_type = multipart(instances)
    answer = await client.post("/studies", content=body, headers={"Content-Type": content_type})
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["00081199"]["Value"]) == len(instances)


async def test_what_one_has_stored_the_other_has_at_once(both: list[httpx.AsyncClient]) -> None:
    for number, (here, there) in zip(range(6), cycle([both, both[::-1]]), strict=False):
        instance = instance_of(ct_series(1, PatientID=f"P{number}")[0])
        await store(here, instance.stored)
        found = (await there.get(f"/studies?PatientID=P{number}")).json()
        assert [study["00201208"]["Value"] for study in found] == [[1]]
        assert (await there.get(instance.path, headers=AS_STORED)).content == instance.stored
        (metadata,) = (await there.get(f"{instance.path}/metadata")).json()
        assert metadata["00100020"]["Value"] == [f"P{number}"]
        assert parts_of(await there.get(f"{instance.path}/frames/1")) == [instance.pixels]
        pixels = await there.get(metadata["7FE00010"]["BulkDataURI"])
        assert pixels.content == instance.pixels


async def test_what_one_has_stored_the_other_takes_again_and_nothing_else_for_it(
    both: list[httpx.AsyncClient],
) -> None:
    here, there = both
    dataset = ct_dataset()
    await store(here, part10(dataset))
    await store(there, part10(dataset))
    dataset.PatientName = "Doe^John"
    answer = await there.post("/studies", content=part10(dataset), headers=DICOM)
    assert answer.status_code == 409


async def test_a_large_object_that_one_has_stored_comes_from_the_other(
    both: list[httpx.AsyncClient],
) -> None:
    pixels = bytes(range(256)) * 2 * 225 * 100
    large = instance_of(ct_series(1, Rows=2400, Columns=2400, PixelData=pixels)[0])
    await store(both[0], large.stored)
    assert (await both[1].get(large.path, headers=AS_STORED)).content == large.stored
    assert parts_of(await both[1].get(f"{large.path}/frames/1")) == [pixels]


async def test_a_series_stored_through_both_at_once_is_there_once(
    both: list[httpx.AsyncClient],
) -> None:
    series = ct_series(SLICES)
    study = instance_of(series[0]).study
    stores = [
        *(store(client, *series) for client in both),
        *(store(client, one) for one in reversed(series) for client in both),
    ]
    await asyncio.gather(*stores)
    for client in both:
        (found,) = (await client.get("/studies")).json()
        assert found["00201206"]["Value"] == [1]
        assert found["00201208"]["Value"] == [SLICES]
        assert found["00080061"]["Value"] == ["CT"]
        (found,) = (await client.get("/series")).json()
        assert found["00201209"]["Value"] == [SLICES]
        assert len((await client.get("/instances")).json()) == SLICES
        assert parts_of(await client.get(study, headers=STUDY_AS_STORED)) == series


async def test_of_different_instances_of_one_uid_one_wins_on_both(
    both: list[httpx.AsyncClient],
) -> None:
    dataset = ct_dataset()
    uids = {
        name: dataset[name].value
        for name in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
    }
    rivals = [ct_series(1, PatientID=f"P{number}", **uids)[0] for number in range(8)]
    answers = await asyncio.gather(
        *(
            client.post("/studies", content=one, headers=DICOM)
            for one, client in zip(rivals, cycle(both), strict=False)
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    (won,) = [one for one, answer in zip(rivals, answers, strict=True) if answer.is_success]
    for client in both:
        assert (await client.get(instance_of(won).path, headers=AS_STORED)).content == won


async def test_of_32_stores_of_one_uid_one_is_readable_on_both_from_then_on(
    both: list[httpx.AsyncClient],
) -> None:
    dataset = ct_dataset()
    same = [part10(dataset)] * 32
    assert await statuses_of_stores_at_once(both, same) == [200] * 32
    dataset = ct_dataset()
    others = []
    for number in range(32):
        dataset.PatientComments = f"number {number}"
        others.append(part10(dataset))
    assert await statuses_of_stores_at_once(both, others) == [200] + [409] * 31


async def statuses_of_stores_at_once(both: list[httpx.AsyncClient], sent: list[bytes]) -> list[int]:
    """Store instances of one UID at once, through both servers, while both are read.

    One of them is there from the first moment, the only one, and the others hear what differs.
    """
    path = instance_of(sent[0]).path
    done = asyncio.Event()
    seen: set[bytes] = set()

    async def watch(client: httpx.AsyncClient) -> None:
        while not done.is_set():
            was_there = bool(seen)
            answer = await client.get(path, headers=AS_STORED)
            assert answer.status_code == 200 or not was_there
            if answer.status_code == 200:
                seen.add(answer.content)

    watching = [asyncio.create_task(watch(client)) for client in both]
    answers = await asyncio.gather(
        *(
            client.post("/studies", content=one, headers=DICOM)
            for one, client in zip(sent, cycle(both), strict=False)
        )
    )
    done.set()
    await asyncio.gather(*watching)
    (won,) = {one for one, answer in zip(sent, answers, strict=True) if answer.is_success}
    assert seen <= {won}
    study = instance_of(won).study
    for client in both:
        assert (await client.get(path, headers=AS_STORED)).content == won
        assert len((await client.get(f"{study}/instances")).json()) == 1
    for answer in answers:
        if not answer.is_success:
            (failed,) = answer.json()["00081198"]["Value"]
            (named,) = failed["00741048"]["Value"]
            assert named["00000902"]["Value"] == ["(0010,4000) differs from the stored instance"]
    return sorted(answer.status_code for answer in answers)
