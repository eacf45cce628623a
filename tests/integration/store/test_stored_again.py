"""Who hears that an instance is stored may delete its copy; so what is stored must be there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.archive import Archive
from app.settings import Settings
from app.upkeep.check import Check, Options
from app.upkeep.findings import Fault
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server, serving
from tests.integration.store.conftest import Modality, StoreResponse, blobs_of, count
from tests.integration.store.test_duplicates import retrieved, store

Damage = Callable[[Path], None]


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-2])


def make_unreadable(path: Path) -> None:
    """What a folder answers to who reads it is an error of the disk, as of a bad sector."""
    path.unlink()
    path.mkdir()


DAMAGES: list[Damage] = [Path.unlink, flip_a_bit, cut_short, make_unreadable]


async def damage(archive: Archive, how: Damage) -> None:
    """Do it to the only blob."""
    (key,) = await blobs_of(archive)
    how(archive.settings.data_dir / "blobs" / key)


async def faults(archive: Archive) -> list[Fault]:
    return [finding.fault async for finding in Check(archive, Options()).findings()]


@pytest.fixture
async def sender(server: Server) -> AsyncIterator[Modality]:
    async with server.client("store", "delete", "read") as http:
        yield Modality(http)


@pytest.mark.parametrize("how", DAMAGES)
async def test_lost_bytes_that_come_again_are_there_again(
    sender: Modality, archive: Archive, how: Damage
) -> None:
    dataset = ct_dataset()
    await sender.store(part10(dataset))
    await damage(archive, how)
    assert await faults(archive) != []
    answer = await sender.store(part10(dataset))
    assert answer.status == 200
    assert answer.stored == [dataset.SOPInstanceUID]
    assert await retrieved(sender, dataset) == part10(dataset)
    assert await faults(archive) == []
    assert await count(archive, "instance") == 1
    assert await count(archive, "change") == 1


@pytest.mark.parametrize("how", DAMAGES)
async def test_many_who_bring_lost_bytes_again_are_all_told_the_truth(
    sender: Modality, archive: Archive, how: Damage
) -> None:
    dataset = ct_dataset()
    await sender.store(part10(dataset))
    await damage(archive, how)
    again = [sender.store(part10(dataset), part10(dataset)) for _ in range(8)]
    for answer in await asyncio.gather(*again):
        assert answer.status == 200
        assert answer.stored == [dataset.SOPInstanceUID] * 2
    assert await retrieved(sender, dataset) == part10(dataset)
    assert await faults(archive) == []
    assert await count(archive, "instance") == 1


async def test_what_is_left_of_damaged_bytes_is_kept_for_a_week(
    settings: Settings, archive: Archive
) -> None:
    instance = part10(ct_dataset())
    with serving(settings) as first:
        async with first.client("store") as http:
            await Modality(http).store(instance)
    damaged = set(await blobs_of(archive))
    await damage(archive, flip_a_bit)
    with serving(settings) as second:
        async with second.client("store") as http:
            assert (await Modality(http).store(instance)).status == 200
    assert damaged < set(await blobs_of(archive))
    assert await faults(archive) == []
    async with archive.reading() as connection:
        (days,) = [
            round(row["left"].total_seconds() / 86400)
            for row in await connection.fetch(
                'SELECT lease_until - now() AS "left" FROM upload WHERE fence = 2'
            )
        ]
    assert days == 7


@pytest.mark.parametrize("how", DAMAGES)
async def test_other_content_is_not_passed_over_for_the_sake_of_lost_bytes(
    sender: Modality, archive: Archive, how: Damage
) -> None:
    dataset = ct_dataset()
    await sender.store(part10(dataset))
    await damage(archive, how)
    dataset.PatientName = "Doe^Joan"
    kept = await store(sender, part10(dataset), "keep")
    assert kept.status == 503
    replaced = await store(sender, part10(dataset), "replace")
    assert replaced.status == 200
    assert await retrieved(sender, dataset) == part10(dataset)


async def test_a_coerced_file_whose_bytes_are_lost_is_not_said_to_be_stored(
    settings: Settings, archive: Archive
) -> None:
    """What a coercion makes of it now are not the bytes that were lost."""
    coercing = settings.model_copy(update={"coerce_issuer_of_patient_id": "HOSPITAL"})
    with serving(coercing) as running:
        async with running.client("store", "delete", "read") as http:
            sender = Modality(http)
            instance = part10(ct_dataset())
            await sender.store(instance)
            assert (await sender.store(instance)).stored != []
            await damage(archive, Path.unlink)
            await asyncio.sleep(1.1)  # the moment of a coercion has no parts of a second
            assert (await sender.store(instance)).status == 503
            assert (await store(sender, instance, "replace")).stored != []


async def test_one_that_nobody_can_vouch_for_costs_the_others_nothing(
    sender: Modality, archive: Archive
) -> None:
    lost, other = ct_dataset(), ct_dataset()
    await sender.store(part10(lost))
    await damage(archive, Path.unlink)
    lost.PatientName = "Doe^Joan"
    body, content_type = multipart([part10(lost), part10(other)])
    answer = StoreResponse(
        await sender.http.post(
            "/studies?duplicates=keep", content=body, headers={"Content-Type": content_type}
        )
    )
    assert answer.status == 202
    assert answer.stored == [other.SOPInstanceUID]
