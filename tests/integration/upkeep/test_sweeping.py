"""A sweep removes what nobody will ever own, and never anything else."""

import asyncio
import dataclasses
import time
from collections.abc import Iterator
from datetime import timedelta

import pytest

from app.archive import Archive
from app.blobs.contract import BlobsUnavailable, Upload
from app.blobs.local import LocalBlobs
from app.blobs.spool import Spool, spool_directory
from app.index.instances import Added, Lapsed, replace
from app.index.reservations import Loan, ReservedKey
from app.upkeep.sweep import Swept, sweep
from tests.factories import ct_series
from tests.integration.index.rows import PARTITION, new_instance
from tests.integration.store.conftest import Modality, blobs_of, count

NOTHING = Swept()


@pytest.fixture
def loan(archive: Archive) -> Iterator[Loan]:
    """Keys of somebody who puts blobs, and does not get as far as committing them."""
    with archive.reservations.lend(PARTITION) as loan:
        yield loan


async def put(archive: Archive, key: ReservedKey) -> None:
    """Put a blob."""
    with Spool(1000, spool_directory(archive.settings.data_dir)) as spool:
        spool.write(b"never acknowledged")
        await archive.blobs.put(key.blob_key, spool)


async def left_behind(archive: Archive, loan: Loan) -> ReservedKey:
    """The key of a blob that was put, and of which no more was heard."""
    key = await loan.take()
    await put(archive, key)
    return key


async def end_leases(archive: Archive) -> None:
    """What time does when nobody extends them."""
    async with archive.writing() as connection:
        await connection.execute("UPDATE upload SET lease_until = now() - interval '1 second'")


async def take(archive: Archive) -> None:
    """What sweepers do to begin with. A week is over after it."""
    await end_leases(archive)
    assert (await sweep(archive)).keys == 0
    await end_leases(archive)


async def test_a_blob_that_nobody_owns_goes_and_all_others_stay(
    modality: Modality, archive: Archive, loan: Loan
) -> None:
    assert (await modality.store(*ct_series(3))).status == 200
    owned = await blobs_of(archive)
    key = await left_behind(archive, loan)
    await take(archive)
    assert (await blobs_of(archive)).keys() == owned.keys() | {key.blob_key}
    swept = await sweep(archive)
    assert (swept.taken, swept.ended) == (0, 2)
    assert await blobs_of(archive) == owned
    assert await count(archive, "upload") == 0


async def test_nothing_goes_before_a_week_is_over(archive: Archive, loan: Loan) -> None:
    key = await left_behind(archive, loan)
    await end_leases(archive)
    assert await sweep(archive) == Swept(taken=1)
    async with archive.reading() as connection:
        wait = await connection.fetchval("SELECT lease_until - now() FROM upload")
    assert timedelta(days=6) < wait < timedelta(days=8)
    assert await sweep(archive) == NOTHING
    assert list(await blobs_of(archive)) == [key.blob_key]


async def test_nothing_is_swept_before_its_lease_is_over(
    archive: Archive, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_hour_ahead = time.time() + 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_ahead)
    key = await left_behind(archive, loan)
    assert await sweep(archive) == NOTHING
    assert key.blob_key in await blobs_of(archive)


async def test_what_a_stopped_process_puts_after_it_was_taken_goes_too(
    archive: Archive, loan: Loan
) -> None:
    key = await loan.take()
    await take(archive)
    await put(archive, key)
    await sweep(archive)
    assert await blobs_of(archive) == {}
    assert await count(archive, "upload") == 0


async def test_any_number_of_sweepers_share_the_work(archive: Archive, loan: Loan) -> None:
    for _ in range(6):
        loan.lose(await left_behind(archive, loan))
    await end_leases(archive)
    taken = await asyncio.gather(*(sweep(archive) for _ in range(4)))
    assert sum(one.taken for one in taken) == 6
    await end_leases(archive)
    swept = await asyncio.gather(*(sweep(archive) for _ in range(4)))
    assert sum(one.ended for one in swept) == 6
    assert await blobs_of(archive) == {}


async def test_what_is_committed_late_never_counts_on_a_blob_that_was_swept(
    archive: Archive, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sweeper is stopped between its check and its delete; a writer commits meanwhile."""
    checked, go_on = asyncio.Event(), asyncio.Event()
    original = LocalBlobs.delete

    async def delete(self: LocalBlobs, key: str) -> None:
        checked.set()
        await go_on.wait()
        await original(self, key)

    monkeypatch.setattr(LocalBlobs, "delete", delete)
    key = await left_behind(archive, loan)
    late = new_instance(upload_id=key.upload_id, blob_key=key.blob_key)
    await take(archive)
    stopped = asyncio.create_task(sweep(archive))
    await checked.wait()
    assert await archive.writer.add(PARTITION, [late]) == [Lapsed()]
    go_on.set()
    await stopped
    assert await archive.writer.add(PARTITION, [late]) == [Lapsed()]
    assert await count(archive, "instance") == 0
    assert await blobs_of(archive) == {}


async def test_what_was_committed_just_before_is_not_swept(archive: Archive, loan: Loan) -> None:
    key = await left_behind(archive, loan)
    await end_leases(archive)
    rows = [new_instance(upload_id=key.upload_id, blob_key=key.blob_key)]
    await archive.writer.add(PARTITION, rows)
    await take(archive)
    await sweep(archive)
    assert await archive.writer.add(PARTITION, rows) == [Added()]
    assert list(await blobs_of(archive)) == [key.blob_key]


async def test_what_was_swept_takes_the_place_of_nothing(archive: Archive, loan: Loan) -> None:
    stored, late = await left_behind(archive, loan), await loan.take()
    first = new_instance(upload_id=stored.upload_id, blob_key=stored.blob_key)
    await archive.writer.add(PARTITION, [first])
    await put(archive, late)
    await take(archive)
    await sweep(archive)
    second = dataclasses.replace(first, sha256=b"other", blob_key=late.blob_key)
    answers = await archive.transact(lambda c: replace(c, PARTITION, [second, first]))
    assert answers == [Lapsed(), Added()]
    assert list(await blobs_of(archive)) == [stored.blob_key]


async def test_a_store_that_is_overtaken_by_a_sweep_is_told_to_try_again(
    modality: Modality, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, here = LocalBlobs.put, asyncio.get_running_loop()

    async def overtake() -> None:
        await end_leases(archive)
        await sweep(archive)

    async def put(self: LocalBlobs, key: str, upload: Upload) -> None:
        await original(self, key, upload)
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(overtake(), here))

    slices = ct_series(2)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBlobs, "put", put)
        assert (await modality.store(*slices)).status == 503
    assert await count(archive, "instance") == 0
    await end_leases(archive)
    await sweep(archive)
    assert await blobs_of(archive) == {}
    assert (await modality.store(*slices)).status == 200
    assert len(await blobs_of(archive)) == 2


async def test_a_sweep_that_fails_is_done_again_later(
    archive: Archive, loan: Loan, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete(self: LocalBlobs, key: str) -> None:
        raise BlobsUnavailable

    await left_behind(archive, loan)
    await take(archive)
    with monkeypatch.context() as patch:
        patch.setattr(LocalBlobs, "delete", delete)
        with pytest.raises(BlobsUnavailable):
            await sweep(archive)
    await end_leases(archive)
    await sweep(archive)
    assert await blobs_of(archive) == {}
