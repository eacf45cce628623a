"""What an index does not know any more is stored again from the blobs, and from nowhere else."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from app.archive import Archive
from app.store.outcomes import Stored
from app.store.recovering import UNREADABLE, recover
from app.upkeep.sweep import sweep
from tests.factories import ct_series
from tests.fixtures.server import Server
from tests.integration.store.conftest import Modality, blobs_of
from tests.integration.upkeep.conftest import hilum
from tests.integration.upkeep.test_checking import execute, put
from tests.messages import parts_of

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'

NOBODY_STORES = "UPDATE upload SET lease_until = now() - interval '1 hour'"
SINCE_THE_BACKUP = (
    "DELETE FROM change WHERE sequence > 1",
    "DELETE FROM instance WHERE id > 1",
    "UPDATE study SET number_of_instances = 1",
    "UPDATE series SET number_of_instances = 1",
    NOBODY_STORES,
)
"""Makes of the index one that knows the first instance alone."""
ALL = (
    "TRUNCATE change, instance, series, study CASCADE",
    NOBODY_STORES,
    "UPDATE partition SET created_at = now() + interval '1 s'",
)
"""Makes of it a new one."""


async def recovered(archive: Archive, *arguments: str) -> tuple[int, list[str]]:
    """How `hilum recover` ends, and what it says."""
    done = await asyncio.to_thread(hilum, archive, "recover", *arguments)
    return done.returncode, done.stdout.splitlines()


async def forget(archive: Archive, statements: Sequence[str]) -> None:
    for statement in statements:
        await execute(archive, statement)


async def files_of(server: Server, study: str) -> set[bytes]:
    """The instances of a study, as they are sent."""
    async with server.client("read") as reader:
        answer = await reader.get(f"/studies/{study}", headers={"Accept": AS_STORED})
    return set(parts_of(answer))


async def test_what_was_stored_since_the_backup_is_stored_again(
    server: Server, modality: Modality, archive: Archive
) -> None:
    files = ct_series(4, StudyInstanceUID="1.2.3")
    assert (await modality.store(files[0])).status == 200
    assert (await modality.store(*files[1:])).status == 200
    await forget(archive, SINCE_THE_BACKUP)
    ended, said = await recovered(archive, "--dry-run")
    assert (ended, len(said)) == (0, 3)
    assert await files_of(server, "1.2.3") == {files[0]}
    ended, said = await recovered(archive)
    assert (ended, said[-1]) == (0, "3 stored, 0 refused.")
    assert await files_of(server, "1.2.3") == set(files)
    assert (await recovered(archive))[0] == 0, "again it changes nothing"
    async with archive.reading() as connection:
        records = await connection.fetch(
            "SELECT principal, study_instance_uid FROM audit WHERE method = 'RECOVER'"
        )
    assert [study for _, study in records] == ["1.2.3"]
    assert records[0]["principal"].startswith("hilum recover, run by user")


async def test_a_recovery_coerces_nothing(
    server: Server, modality: Modality, archive: Archive
) -> None:
    files = ct_series(1, StudyInstanceUID="1.2.3")
    assert (await modality.store(*files)).status == 200
    await forget(archive, ALL[:2])
    coercing = archive.settings.model_copy(update={"coerce_issuer_of_patient_id": "HOSPITAL"})
    blobs = [info async for info in archive.blobs.list()]
    await recover(replace(archive, settings=coercing), 1, blobs, "somebody")
    assert await files_of(server, "1.2.3") == set(files)


async def test_what_it_was_stored_from_stays_until_it_is_given_up(
    server: Server, modality: Modality, archive: Archive
) -> None:
    files = ct_series(3, StudyInstanceUID="1.2.3")
    assert (await modality.store(*files)).status == 200
    await forget(archive, SINCE_THE_BACKUP)
    assert (await recovered(archive))[0] == 0
    await sweep_a_week_later(archive)
    assert len(await blobs_of(archive)) == 5
    given_up = await asyncio.to_thread(hilum, archive, "check", "--repair", "--give-up-unknown")
    assert given_up.returncode == 0
    await sweep_a_week_later(archive)
    assert len(await blobs_of(archive)) == 3
    assert await files_of(server, "1.2.3") == set(files)


async def sweep_a_week_later(archive: Archive) -> None:
    await execute(archive, "UPDATE upload SET lease_until = now() - interval '1 s' WHERE fence > 1")
    await sweep(archive)


async def test_a_new_index_is_told_whose_blobs_they_are(
    server: Server, modality: Modality, archive: Archive
) -> None:
    files = ct_series(2, StudyInstanceUID="1.2.3")
    assert (await modality.store(*files)).status == 200
    await forget(archive, ALL)
    ended, said = await recovered(archive)
    assert (ended, said[-1]) == (1, "0 stored, 0 refused.")
    assert "2 blobs are older than the partition" in said[0]
    ended, said = await recovered(archive, "--keys-of", "1")
    assert (ended, said[-1]) == (0, "2 stored, 0 refused.")
    assert await files_of(server, "1.2.3") == set(files)


async def test_blobs_of_other_partitions_are_left_alone(server: Server, archive: Archive) -> None:
    async with server.client("store", partition="other") as http:
        assert (await Modality(http).store(*ct_series(1))).status == 200
    await forget(archive, ALL[:2])
    assert await recovered(archive) == (0, ["0 stored, 0 refused."])
    assert (await recovered(archive, "--partition", "nobody"))[0] == 1
    ended, said = await recovered(archive, "--partition", "other")
    assert (ended, said[-1]) == (0, "1 stored, 0 refused.")


async def test_what_store_refuses_stays_as_it_is(modality: Modality, archive: Archive) -> None:
    stored, other = (
        ct_series(1, SOPInstanceUID="1.2.3.4", PatientID="P"),
        ct_series(1, SOPInstanceUID="1.2.3.4", PatientID="Q"),
    )
    assert (await modality.store(*stored)).status == 200
    await put(archive, "p1/20990101/a/abcdef-7")
    await put(archive, "p1/20990101/a/abcdef-8", *other)
    ended, said = await recovered(archive)
    assert (ended, said[-1]) == (1, "0 stored, 2 refused.")
    assert "p1/20990101/a/abcdef-7: REFUSED (C000)" in "".join(said)
    assert "p1/20990101/a/abcdef-8: REFUSED (0111)" in "".join(said)
    assert len(await blobs_of(archive)) == 3


@pytest.mark.parametrize("name", ["p1/20240229/a/copy of abcdef-7", "p1/20240229/a/abc.old-7"])
async def test_what_is_no_key_keeps_neither_blobs_out_nor_sweepers_busy(
    server: Server, modality: Modality, archive: Archive, name: str
) -> None:
    files = ct_series(2, StudyInstanceUID="1.2.3")
    assert (await modality.store(*files)).status == 200
    await forget(archive, ALL[:2])
    alien = archive.settings.data_dir / "blobs" / name
    alien.parent.mkdir(parents=True)
    alien.write_bytes(files[0])
    ended, said = await recovered(archive)
    assert (ended, said[-1]) == (0, "2 stored, 0 refused.")
    assert await files_of(server, "1.2.3") == set(files)
    await asyncio.to_thread(hilum, archive, "check", "--repair", "--give-up-unknown")
    await sweep_a_week_later(archive)
    assert len(await blobs_of(archive)) == 3, "it is still there, and nothing else of nobody"


async def test_what_cannot_be_read_keeps_nothing_else_out(
    server: Server, modality: Modality, archive: Archive, bad_sector: Callable[[Path], None]
) -> None:
    files = ct_series(3, StudyInstanceUID="1.2.3")
    assert (await modality.store(*files)).status == 200
    await forget(archive, ALL[:2])
    bad, *_ = blobs = [info async for info in archive.blobs.list()]
    bad_sector(archive.settings.data_dir / "blobs" / bad.key)
    first, *others = await recover(archive, 1, blobs, "somebody")
    assert first == UNREADABLE
    assert all(isinstance(other, Stored) for other in others)
    assert len(await files_of(server, "1.2.3")) == 2
