"""A check names what is wrong, mends what follows from what is there, and disturbs nobody."""

import asyncio
import json
import os
import zlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.archive import Archive
from app.blobs.spool import Spool, spool_directory
from app.index import checking, mending
from app.upkeep.check import Check, Options
from app.upkeep.findings import Fault, Finding
from app.upkeep.rows import check_parent
from app.upkeep.sweep import sweep
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server
from tests.integration.index.test_replacing import somebody_waits
from tests.integration.store.conftest import Modality, blobs_of, count
from tests.integration.upkeep.conftest import hilum

Tear = Callable[[Archive], Awaitable[None]]


async def run(archive: Archive, **options: Any) -> tuple[list[Finding], Check]:
    check = Check(archive, Options(**options))
    return [finding async for finding in check.findings()], check


async def faults(archive: Archive, **options: Any) -> set[Fault]:
    return {finding.fault for finding in (await run(archive, **options))[0]}


async def execute(archive: Archive, statement: str, *values: Any) -> None:
    async with archive.writing() as connection:
        await connection.execute(statement, *values)


def sql(*statements: str) -> Tear:
    """What somebody has done to the database."""

    async def tear(archive: Archive) -> None:
        for statement in statements:
            await execute(archive, statement)

    return tear


def blob(change: Callable[[bytes], bytes | None]) -> Tear:
    """What somebody has done to a blob."""

    async def tear(archive: Archive) -> None:
        path = archive.settings.data_dir / "blobs" / min(await blobs_of(archive))
        content = path.read_bytes()
        path.unlink()
        changed = change(content)
        if changed is not None:
            path.write_bytes(changed)

    return tear


async def put(archive: Archive, key: str, content: bytes = b"whose?") -> None:
    with Spool(10_000, spool_directory(archive.settings.data_dir)) as spool:
        spool.write(content)
        await archive.blobs.put(key, spool)


async def a_blob_of_nobody(archive: Archive) -> None:
    await put(archive, "p1/20240229/a/abcdef-7")


async def a_blob_that_is_not_ours(archive: Archive) -> None:
    (archive.settings.data_dir / "blobs" / "notes.txt").write_text("remember the milk")


async def a_file_of_which_even_the_name_is_no_text(archive: Archive) -> None:
    folder = os.fsencode(archive.settings.data_dir / "blobs")
    Path(os.fsdecode(folder + b"/\xff\xfe")).write_text("remember the milk")


async def an_upload_that_nobody_swept(archive: Archive) -> None:
    with archive.reservations.lend(1) as loan:
        await put(archive, (await loan.take()).blob_key)
    await execute(archive, "UPDATE upload SET lease_until = now() - interval '2 hours'")


async def metadata_kept_of_another_series(archive: Archive) -> None:
    deflated = zlib.compress(b'{"00100020":{"vr":"LO","Value":["another"]}}', wbits=-15)
    async with archive.writing() as connection:
        await connection.execute(
            "UPDATE series_metadata SET deflated = $1, length = 1, crc32 = 2", deflated
        )


async def metadata_of_another_instance(archive: Archive) -> None:
    packed = zlib.compress(orjson.dumps({"00080018": {"vr": "UI", "Value": ["1.2"]}}))
    await execute(archive, "UPDATE instance SET metadata_json = $1 WHERE id = 1", packed)
    await execute(archive, "DELETE FROM series_metadata")


OFF_BY_ONE = "SET number_of_instances = number_of_instances + 1"
OTHER_HASH = "UPDATE instance SET sha256 = sha256('other') WHERE id = 1"
SECOND_ROW = """
DO $$ DECLARE second instance; BEGIN
    SELECT * INTO second FROM instance WHERE id = 1;
    second.id := 77; second.version := 2;
    second.removed_at := '2024-02-29'; second.removed_by := 'replaced';
    INSERT INTO instance OVERRIDING SYSTEM VALUE VALUES (second.*);
END $$
"""
TORN: dict[str, tuple[Tear, set[Fault], bool]] = {
    "blob gone": (blob(lambda _: None), {Fault.BLOB_MISSING}, False),
    "blob empty": (blob(lambda _: b""), {Fault.BLOB_LENGTH}, False),
    "blob cut": (blob(lambda b: b[:-1]), {Fault.BLOB_LENGTH}, False),
    "blob with more": (blob(lambda b: b + b"\0"), {Fault.BLOB_LENGTH}, False),
    "one bit": (blob(lambda b: b[:-1] + bytes([b[-1] ^ 1])), {Fault.BLOB_CONTENT}, False),
    "other hash": (sql(OTHER_HASH), {Fault.BLOB_CONTENT}, False),
    "other length": (
        sql("UPDATE instance SET length = length + 1 WHERE id = 1"),
        {Fault.BLOB_LENGTH},
        False,
    ),
    "blob of nobody": (a_blob_of_nobody, {Fault.BLOB_UNKNOWN}, False),
    "a file of somebody else": (a_blob_that_is_not_ours, {Fault.BLOB_UNKNOWN}, False),
    "a file of a strange name": (
        a_file_of_which_even_the_name_is_no_text,
        {Fault.BLOB_UNKNOWN},
        False,
    ),
    "no key": (
        sql("UPDATE instance SET blob_key = '../x' WHERE id = 1"),
        {Fault.BLOB_MISSING},
        False,
    ),
    "one blob for two": (
        sql(SECOND_ROW),
        {Fault.BLOB_SHARED, Fault.CHANGE_MISSING},
        False,
    ),
    "old upload": (
        an_upload_that_nobody_swept,
        {Fault.UPLOAD_ABANDONED, Fault.BLOB_UNKNOWN},
        False,
    ),
    "study counts": (sql(f"UPDATE study {OFF_BY_ONE}"), {Fault.COUNTS}, True),
    "series counts": (sql(f"UPDATE series {OFF_BY_ONE}"), {Fault.COUNTS}, True),
    "number of series": (sql("UPDATE study SET number_of_series = 0"), {Fault.COUNTS}, True),
    "modalities": (sql("UPDATE study SET modalities = '{MR}'"), {Fault.COUNTS}, True),
    "patient": (sql("UPDATE study SET patient_id = 'other'"), {Fault.COLUMNS}, True),
    "series number": (sql("UPDATE series SET series_number = 9"), {Fault.COLUMNS}, True),
    "rows": (sql("UPDATE instance SET rows = 9 WHERE id = 1"), {Fault.COLUMNS}, True),
    "attributes": (sql("UPDATE study SET attributes = 'x'"), {Fault.ROW}, False),
    "no attributes": (sql("UPDATE study SET attributes = '[]'"), {Fault.ROW}, False),
    "no elements": (
        sql("""UPDATE series SET attributes = '{"00080060":5}'"""),
        {Fault.ROW},
        False,
    ),
    "metadata": (
        sql("UPDATE instance SET metadata_json = 'x' WHERE id = 1", "DELETE FROM series_metadata"),
        {Fault.ROW},
        False,
    ),
    "other metadata": (metadata_of_another_instance, {Fault.ROW, Fault.COLUMNS}, False),
    "places of values": (
        sql("""UPDATE instance SET bulk = '[["7FE00010"]]' WHERE id = 1"""),
        {Fault.ROW},
        False,
    ),
    "frames outside": (
        sql("UPDATE instance SET pixel_offset = 100000 WHERE id = 1"),
        {Fault.ROW},
        False,
    ),
    "frames without an end": (
        sql("UPDATE instance SET frame_table = 'x' WHERE id = 1"),
        {Fault.ROW},
        False,
    ),
    "kept metadata": (metadata_kept_of_another_series, {Fault.KEPT_METADATA}, True),
    "kept of the future": (
        sql("UPDATE series_metadata SET revision = revision + 5, crc32 = 0"),
        {Fault.KEPT_METADATA},
        True,
    ),
    "kept of a series that is wrong": (
        sql("UPDATE series SET series_number = 9", "UPDATE series_metadata SET crc32 = 0"),
        {Fault.KEPT_METADATA, Fault.COLUMNS},
        True,
    ),
    "not told": (
        sql("DELETE FROM change WHERE sequence = (SELECT min(sequence) FROM change)"),
        {Fault.CHANGE_MISSING},
        True,
    ),
    "told twice": (
        sql(
            "INSERT INTO change (partition_id, action, study_instance_uid, series_instance_uid,"
            " sop_instance_uid, version) SELECT partition_id, action, study_instance_uid,"
            " series_instance_uid, sop_instance_uid, version FROM change LIMIT 1"
        ),
        {Fault.CHANGE_TWICE},
        False,
    ),
    "told of nothing": (
        sql("UPDATE change SET version = 9 WHERE sequence = (SELECT min(sequence) FROM change)"),
        {Fault.CHANGE_OF_NOTHING, Fault.CHANGE_MISSING},
        False,
    ),
    "audit changed": (
        sql(
            "ALTER TABLE audit DISABLE TRIGGER ALL",
            "UPDATE audit SET status = 404 WHERE sequence = 1",
        ),
        {Fault.AUDIT},
        False,
    ),
    "audit cut": (
        sql("UPDATE audit_chain SET sequence = sequence + 1"),
        {Fault.AUDIT},
        False,
    ),
}
"""What is torn, what a check names, and whether that can be mended wholly."""


@pytest.fixture
async def filled(server: Server, modality: Modality, archive: Archive) -> Archive:
    """An archive with a series whose metadata is kept, with nothing wrong."""
    assert (await modality.store(*ct_series(3))).status == 200
    async with server.client("read") as reader:
        (study,) = (await reader.get("/studies")).json()
        uid = study["0020000D"]["Value"][0]
        assert len((await reader.get(f"/studies/{uid}/metadata")).json()) == 3
    assert await count(archive, "series_metadata") == 1
    assert await faults(archive) == set()
    return archive


@pytest.mark.parametrize("torn", TORN)
async def test_what_is_torn_is_named_and_mended_only_if_that_is_certain(
    filled: Archive, torn: str
) -> None:
    tear, named, can_be_mended = TORN[torn]
    untouched = (await blobs_of(filled)).keys() - {min(await blobs_of(filled))}
    await tear(filled)
    assert await faults(filled) == named
    assert await faults(filled) == named, "to look changes nothing"
    found, check = await run(filled, repair=True)
    assert {finding.fault for finding in found} == named
    assert check.whole is can_be_mended
    assert await faults(filled) == {finding.fault for finding in found if not finding.mended}
    assert (await blobs_of(filled)).keys() >= untouched


async def test_what_a_disk_cannot_read_is_named_and_costs_no_other_its_check(
    filled: Archive, bad_sector: Callable[[Path], None]
) -> None:
    key = min(await blobs_of(filled))
    bad_sector(filled.settings.data_dir / "blobs" / key)
    found, check = await run(filled)
    assert [(one.fault, one.blob_key, one.what) for one in found] == [
        (Fault.BLOB_CONTENT, key, "its bytes cannot be read")
    ]
    assert check.instances == 3
    assert check.audit_records


async def test_two_repairs_at_once_tell_of_an_instance_once(filled: Archive) -> None:
    await sql("DELETE FROM change")(filled)
    async with filled.transaction() as first:
        await mending.tell_of(first, 1)
        second = asyncio.create_task(filled.transact(lambda c: mending.tell_of(c, 1)))
        await somebody_waits(filled.database)
    await second
    assert Fault.CHANGE_TWICE not in await faults(filled)


async def test_what_has_changed_since_it_was_found_is_not_mended(filled: Archive) -> None:
    await sql("UPDATE study SET patient_id = 'other'")(filled)
    async with filled.reading() as connection:
        (study,) = await checking.studies(connection, 0)
    ((_, mend),) = check_parent(filled, study)
    assert mend is not None
    await sql(
        "UPDATE study SET patient_id = 'A', attributes ="
        """ convert_to('{"00100020":{"vr":"LO","Value":["A"]}}', 'UTF8')"""
    )(filled)
    await mend()
    async with filled.reading() as connection:
        assert await connection.fetchval("SELECT patient_id FROM study") == "A"


async def test_each_repair_is_in_the_audit(filled: Archive) -> None:
    await sql(f"UPDATE series {OFF_BY_ONE}", "UPDATE study SET patient_id = 'other'")(filled)
    await run(filled, repair=True)
    async with filled.reading() as connection:
        rows = await connection.fetch("SELECT path, study_instance_uid FROM audit ORDER BY at")
    assert [row["path"] for row in rows[-2:]] == ["/columns", "/counts"]
    assert all(row["study_instance_uid"] for row in rows[-2:])


async def test_a_mended_patient_is_found_again(server: Server, filled: Archive) -> None:
    await sql("UPDATE study SET patient_id = 'other'")(filled)
    async with server.client("read") as reader:
        assert (await reader.get("/studies?PatientID=PID-1")).json() == []
        await run(filled, repair=True)
        assert len((await reader.get("/studies?PatientID=PID-1")).json()) == 1


async def test_blobs_of_nobody_go_only_on_demand_and_after_a_time(filled: Archive) -> None:
    owned = await blobs_of(filled)
    await a_blob_of_nobody(filled)
    await a_blob_that_is_not_ours(filled)
    found, check = await run(filled, repair=True, give_up_unknown=True)
    assert sorted(finding.mended for finding in found) == [False, True]
    assert check.found - check.mended == 1, "what has no name of ours is never given up"
    (filled.settings.data_dir / "blobs" / "notes.txt").unlink()
    assert await faults(filled) == set()
    await sweep(filled)
    assert len(await blobs_of(filled)) == len(owned) + 1
    async with filled.reading() as connection:
        wait = await connection.fetchval("SELECT max(lease_until) - now() FROM upload")
    assert timedelta(days=6) < wait < timedelta(days=8)
    await execute(filled, "UPDATE upload SET lease_until = now() - interval '1 s' WHERE fence > 0")
    await sweep(filled)
    assert await blobs_of(filled) == owned


async def test_an_index_restored_from_a_backup_costs_no_blob_that_is_not_given_up(
    modality: Modality, archive: Archive
) -> None:
    """Its uploads are from before, and instances were acknowledged under them since."""
    before, *since = ct_series(4)
    assert (await modality.store(before)).status == 200
    async with archive.reading() as connection:
        backup = await connection.fetch("SELECT * FROM upload")
    assert (await modality.store(*since)).status == 200
    there = await blobs_of(archive)
    async with archive.transaction() as connection:
        await connection.execute("DELETE FROM change WHERE sequence > 1")
        await connection.execute("DELETE FROM instance WHERE id > 1")
        await connection.execute("UPDATE study SET number_of_instances = 1")
        await connection.execute("UPDATE series SET number_of_instances = 1")
        assert await connection.fetch("SELECT id FROM upload") == [
            (upload["id"],) for upload in backup
        ]
    await execute(archive, "UPDATE upload SET lease_until = now() - interval '1 hour'")
    for _ in range(3):
        found, check = await run(archive, repair=True)
        unknown = [finding for finding in found if finding.fault is Fault.BLOB_UNKNOWN]
        assert len(unknown) == 3
        assert not check.whole
        await sweep(archive)
    assert await blobs_of(archive) == there
    await execute(archive, "DELETE FROM upload")
    await sweep(archive)
    assert await faults(archive) == {Fault.BLOB_UNKNOWN}
    assert await blobs_of(archive) == there


async def test_stores_that_are_under_way_disturb_no_check(
    filled: Archive, modality: Modality
) -> None:
    async def keep_storing() -> None:
        for number in range(15):
            size = 1500 if number % 3 == 0 else 16
            large = ct_dataset(Rows=size, Columns=16, PixelData=bytes(2 * 16 * size))
            await modality.store(part10(large), *ct_series(2))

    storing = asyncio.gather(keep_storing(), keep_storing())
    found: list[Finding] = []
    while not storing.done():
        found += (await run(filled))[0]
    await storing
    assert found == []
    _, check = await run(filled)
    assert check.instances == 3 + 2 * 15 * 3


async def test_what_is_read_can_be_bounded(filled: Archive) -> None:
    await blob(lambda b: b[:-1] + b"?")(filled)
    found, check = await run(filled, percent_read=0)
    assert (found, check.instances, check.blobs_read) == ([], 3, 0)
    await execute(filled, "UPDATE instance SET created_at = '2020-01-01' WHERE id < 3")
    async with filled.reading() as connection:
        moment = await connection.fetchval("SELECT now() - interval '1 hour'")
    _, check = await run(filled, since=moment)
    assert check.instances == 1


async def test_the_command_tells_in_words_or_json_and_by_its_end(filled: Archive) -> None:
    said = await asyncio.to_thread(hilum, filled, "check")
    assert (said.returncode, said.stdout.count("\n")) == (0, 1), said.stderr
    assert said.stdout.startswith("3 instances, 3 blobs read")
    assert "everything is as it must be" in said.stdout
    await sql(f"UPDATE study {OFF_BY_ONE}")(filled)
    said = await asyncio.to_thread(hilum, filled, "check")
    assert said.returncode == 1
    assert said.stdout.startswith("WRONG   counts")
    said = await asyncio.to_thread(hilum, filled, "check", "--repair", "--json")
    assert said.returncode == 0, said.stderr
    finding, summary = map(json.loads, said.stdout.splitlines())
    assert (finding["fault"], finding["mended"]) == ("counts", True)
    assert (summary["found"], summary["mended"], summary["whole"]) == (1, 1, True)
