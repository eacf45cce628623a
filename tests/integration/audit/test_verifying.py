"""Whatever is done to the audit behind the archive's back is found, and told with its place."""

import asyncio
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import structlog
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from app.audit import chain
from app.audit.checkpoint import (
    BadCheckpoint,
    BadKey,
    Checkpoint,
    checkpoints_of_now,
    read_checkpoint,
    read_checkpoints,
    read_key,
)
from app.audit.retention import Damaged, Removed, retain
from app.audit.verify import LEFT_OVER, Report, verify
from app.cli import commands
from app.cli.audit import NotRecorded
from app.index import audits, retention
from app.index.audits import End
from app.index.database import Connection
from app.index.retention import Retention
from tests.integration.index.test_audits import RECORD

KEY = OKPKey.generate_key("Ed25519")
BY = "hilum audit retain, run by user 1"
RECORDS = 20


@pytest.fixture
async def audit(database_url: str) -> AsyncIterator[Connection]:
    """A connection that can do anything, to a database with records in two chains."""
    connection = await asyncpg.connect(database_url)
    await write(connection, 1, RECORDS)
    await write(connection, 2, 3)
    yield connection
    await connection.close()


async def write(connection: Connection, partition_id: int, count: int) -> None:
    """Append records, an hour between them."""
    for number in range(count):
        at = RECORD.at + timedelta(hours=number)
        record = replace(RECORD, partition_id=partition_id, at=at, request_id=f"r{number}")
        genesis, text = chain.genesis(partition_id), chain.canonical(record)
        await audits.append(connection, partition_id, genesis, [text], [chain.digest_of(text)])


async def tamper(connection: Connection, *statements: str) -> None:
    """Past all triggers, as the owner of the server can."""
    await connection.execute("SET session_replication_role = replica")
    for statement in statements:
        await connection.execute(statement)
    await connection.execute("SET session_replication_role = DEFAULT")


async def make_anew(connection: Connection, first: int) -> None:
    """Seal the records of partition 1 again from one on, as a thorough forger would."""
    before = await connection.fetchval(
        "SELECT hash FROM audit WHERE partition_id = 1 AND sequence = $1", first - 1
    )
    async for record in audits.records(connection, 1, first - 1):
        before = chain.link(before, chain.digest(record))
        await tamper(
            connection,
            f"UPDATE audit SET hash = '\\x{before.hex()}'"
            f" WHERE partition_id = 1 AND sequence = {record.sequence}",
        )
        last = record.sequence
    await tamper(
        connection,
        f"UPDATE audit_chain SET sequence = {last}, hash = '\\x{before.hex()}'"
        " WHERE partition_id = 1",
    )


async def test_what_is_as_it_was_written_is_whole(audit: Connection) -> None:
    kept = await checkpoints_of_now(audit)
    await write(audit, 1, 5)
    report = await verify(audit, kept)
    assert (report.chains, report.records, report.damages) == ((1, 2), RECORDS + 8, ())


@pytest.mark.parametrize("field", ["at", *sorted(set(chain.FIELDS) - {"at", "partition_id"})])
async def test_an_edit_of_any_field_is_found(audit: Connection, field: str) -> None:
    number = {"outcome", "override", "status"}
    of_field = {"at": "at + '1 microsecond'", "patients": """'[{"id": "P1", "issuer": ""}]'"""}
    value = of_field.get(field, "7" if field in number else "'x'")
    await tamper(
        audit, f"UPDATE audit SET {field} = {value} WHERE partition_id = 1 AND sequence = 7"
    )
    (damage,) = (await verify(audit)).damages
    assert str(damage) == "partition 1, record 7: changed, or not written here"


OF_ONE = "WHERE partition_id = 1 AND"
OTHERS = ", ".join(name for name in chain.FIELDS if name != "partition_id")
COPY = f"INSERT INTO audit (partition_id, sequence, hash, {OTHERS}) SELECT 1,"
REST = f"hash, {OTHERS} FROM audit WHERE partition_id = 1"
"""What makes of a record another one, with the number between."""


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        ([f"DELETE FROM audit {OF_ONE} sequence = 1"], ["record 1: removed"]),
        ([f"DELETE FROM audit {OF_ONE} sequence IN (5, 6)"], ["records 5 to 6: removed"]),
        ([f"DELETE FROM audit {OF_ONE} sequence > 15"], ["records 16 to 20: cut off"]),
        (["DELETE FROM audit WHERE partition_id = 1"], ["records 1 to 20: cut off"]),
        (
            [
                f"UPDATE audit SET sequence = -sequence {OF_ONE} sequence IN (4, 9)",
                f"UPDATE audit SET sequence = 13 + sequence {OF_ONE} sequence < 0",
            ],
            ["record 4: changed", "record 5: changed", "record 9: changed", "record 10: changed"],
        ),
        (
            [
                f"UPDATE audit SET sequence = -sequence {OF_ONE} sequence > 7",
                f"DELETE FROM audit {OF_ONE} sequence = 7",
                f"UPDATE audit SET sequence = -sequence - 1 {OF_ONE} sequence < 0",
            ],
            ["record 7: changed", "record 20: cut off"],
        ),
        (
            ["DELETE FROM audit_chain WHERE partition_id = 1"],
            ["records 1 to 20: behind what the archive knows as the end"],
        ),
        (
            ["UPDATE audit SET partition_id = 2, sequence = 4 WHERE sequence = 20"],
            ["partition 1, record 20: cut off", "partition 2, record 4: changed"],
        ),
        (
            [f"{COPY} 0, {REST} AND sequence = 5", f"{COPY} -7, {REST} AND sequence = 6"],
            ["records -7 to 0: not written here"],
        ),
        (
            ["UPDATE audit_chain SET hash = '\\x00' WHERE partition_id = 1"],
            ["record 20: not what the archive knows as the end"],
        ),
    ],
    ids=[
        "first",
        "middle",
        "tail",
        "all",
        "swapped",
        "moved up",
        "head",
        "elsewhere",
        "before",
        "end",
    ],
)
async def test_what_is_removed_or_moved_is_found(
    audit: Connection, statements: list[str], told: list[str]
) -> None:
    await tamper(audit, *statements)
    damages = sorted(map(str, (await verify(audit)).damages))
    assert len(damages) >= len(told)
    for one in told:
        assert any(one in damage for damage in damages), damages


async def test_a_chain_made_anew_is_found_by_a_checkpoint(audit: Connection) -> None:
    kept = await checkpoints_of_now(audit)
    await tamper(audit, "UPDATE audit SET principal = 'x' WHERE partition_id = 1 AND sequence = 7")
    await make_anew(audit, 7)
    assert (await verify(audit)).damages == ()
    (damage,) = (await verify(audit, kept)).damages
    assert "record 20: not as at the checkpoint of 2" in str(damage)


async def test_a_tail_that_is_cut_and_forgotten_is_found_by_a_checkpoint(audit: Connection) -> None:
    kept = await checkpoints_of_now(audit)
    await tamper(audit, "DELETE FROM audit WHERE partition_id = 1 AND sequence > 15")
    await make_anew(audit, 15)
    assert (await verify(audit)).damages == ()
    (damage,) = (await verify(audit, kept)).damages
    assert "records 16 to 20: cut off" in str(damage)


async def test_what_is_older_goes_and_a_checkpoint_stays(audit: Connection) -> None:
    before = await checkpoints_of_now(audit)
    removed = await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)
    assert [one.records for one in removed] == [11, 2]
    told = await audit.fetch(
        "SELECT partition_id, event, action, principal, query FROM audit WHERE method = 'RETAIN'"
        " ORDER BY partition_id"
    )
    asked = "before=2026-01-02T14:04:05Z&last="
    assert [tuple(row) for row in told] == [
        (1, "110113", "D", BY, f"{asked}11"),
        (2, "110113", "D", BY, f"{asked}2"),
    ]
    await write(audit, 1, 2)
    left = read_checkpoints([one.signed for one in removed], KEY)
    report = await verify(audit, [*before, *left], KEY)
    assert (report.records, report.damages, report.unchecked) == (RECORDS - 11 + 2 + 1 + 2, (), 0)
    assert (await verify(audit)).unchecked == 2
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
        await audit.execute("DELETE FROM audit")
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
        await audit.execute("DELETE FROM audit_retention")


@pytest.mark.parametrize("number", [1, 7, 11, 0])
async def test_what_stands_where_old_records_were_is_found(audit: Connection, number: int) -> None:
    await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)
    await tamper(audit, f"{COPY} {number}, {REST} AND sequence = 15")
    (damage,) = (await verify(audit, (), KEY)).damages
    assert str(damage) == f"partition 1, record {number}: not written here"
    with pytest.raises(Damaged):
        await retain(audit, RECORD.at + timedelta(hours=12), KEY, BY)


async def test_what_poses_as_left_over_by_a_removal_is_not_vouched_for(audit: Connection) -> None:
    """It has the hash that is known of where the chain begins, and says what it likes."""
    await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)
    await tamper(
        audit,
        f"{COPY} 11, {REST} AND sequence = 15",
        "UPDATE audit SET principal = 'forged', hash = audit_retention.hash FROM audit_retention"
        " WHERE (audit.partition_id, audit.sequence) = (1, 11) AND audit_retention.sequence = 11",
    )
    (damage,) = (await verify(audit, (), KEY)).damages
    assert (damage.first, damage.last) == (11, 11)
    assert damage.what.endswith("or put there since: nothing vouches for the first of them")
    await retain(audit, RECORD.at, KEY, BY)
    assert (await verify(audit, (), KEY)).damages == ()


async def test_a_removal_that_is_broken_off_is_told_and_done_again(
    audit: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    class _Broken(Exception):
        pass

    async def broken(connection: Connection, _: Retention) -> int:
        monkeypatch.undo()
        await tamper(connection, f"DELETE FROM audit {OF_ONE} sequence <= 8")
        raise _Broken

    monkeypatch.setattr("app.index.retention.remove", broken)
    with pytest.raises(_Broken):
        await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)
    (damage,) = (await verify(audit, (), KEY)).damages
    assert (damage.first, damage.last, damage.what) == (9, 11, LEFT_OVER)
    (ended,) = await retain(audit, RECORD.at, KEY, BY)
    assert (ended.records, read_checkpoint(ended.signed, KEY).sequence) == (3, 11)
    report = await verify(audit, (), KEY)
    assert (report.records, report.damages) == (RECORDS - 11 + 3 + 1, ())


async def test_a_removal_that_cannot_be_done_is_not_recorded(audit: Connection) -> None:
    await audit.execute(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no room'; END $$;"
        "CREATE TRIGGER refuse BEFORE INSERT ON audit_retention EXECUTE FUNCTION refuse()"
    )
    with pytest.raises(asyncpg.RaiseError):
        await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)
    assert await audit.fetchval("SELECT count(*) FROM audit WHERE method = 'RETAIN'") == 0
    assert (await verify(audit, (), KEY)).records == RECORDS + 3


async def test_who_verifies_and_who_removes_wait_for_each_other(
    audit: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is removed between two looks of one verification would be missing for the second."""
    other = await asyncpg.connect(database_url)
    removals: list[asyncio.Task[list[Removed]]] = []

    async def ends_while_somebody_removes(connection: Connection) -> list[End]:
        monkeypatch.undo()
        removing = retain(other, RECORD.at + timedelta(hours=11), KEY, BY)
        removals.append(asyncio.create_task(removing))
        await asyncio.wait(removals, timeout=1)
        return await audits.ends(connection)

    monkeypatch.setattr("app.audit.verify.audits.ends", ends_while_somebody_removes)
    report = await verify(audit)
    assert (report.records, report.damages) == (RECORDS + 3, ())
    assert [one.records for one in await removals[0]] == [11, 2]

    async def removed_while_somebody_verifies(connection: Connection, row: Retention) -> int:
        monkeypatch.undo()
        verifying = asyncio.create_task(verify(other, (), KEY))
        await asyncio.wait([verifying], timeout=1)
        removed = await retention.remove(connection, row)
        reports.append(verifying)
        return removed

    reports: list[asyncio.Task[Report]] = []
    monkeypatch.setattr("app.audit.retention.retention.remove", removed_while_somebody_verifies)
    await retain(audit, RECORD.at + timedelta(hours=13), KEY, BY)
    assert (await reports[0]).damages == ()
    await other.close()


async def test_the_last_record_of_a_chain_stays(audit: Connection) -> None:
    await retain(audit, datetime.now(UTC) + timedelta(days=1), KEY, BY)
    assert (await verify(audit, (), KEY)).records == 2 + 2
    removed = await retain(audit, datetime.now(UTC) + timedelta(days=1), KEY, BY)
    assert [one.records for one in removed] == [1, 1]


async def test_a_beginning_that_was_removed_without_the_key_is_found(audit: Connection) -> None:
    """Neither another key nor a checkpoint that was shipped allows records to be missing."""
    other = OKPKey.generate_key("Ed25519")
    shipped = (await checkpoints_of_now(audit))[0]
    await tamper(audit, "DELETE FROM audit WHERE partition_id = 1")
    for signed in (replace(shipped, kind="retention").signed(other), shipped.signed(KEY)):
        await tamper(audit, "DELETE FROM audit_retention")
        await audit.execute(
            "INSERT INTO audit_retention VALUES (1, $1, $2, $3)",
            shipped.sequence,
            shipped.hash,
            signed,
        )
        (damage,) = (await verify(audit, (), KEY)).damages
        assert "records 1 to 20: removed, and the checkpoint" in str(damage)


async def test_nothing_is_removed_of_a_damaged_audit(audit: Connection) -> None:
    await tamper(audit, "UPDATE audit SET status = 7 WHERE partition_id = 1 AND sequence = 7")
    with pytest.raises(Damaged):
        await retain(audit, RECORD.at + timedelta(hours=11), KEY, BY)


def test_a_checkpoint_is_believed_only_with_its_key() -> None:
    line = Checkpoint(1, 2, b"\x03", "2026-01-02T03:04:05Z").signed(KEY)
    (read,) = read_checkpoints(["\n", line + "\n"], KEY)
    assert read == Checkpoint(1, 2, b"\x03", "2026-01-02T03:04:05Z")
    for forged in (line[:-4] + "AAAA", "x", "eyJhbGciOiJub25lIn0.e30."):
        with pytest.raises(BadCheckpoint, match="Line 1"):
            list(read_checkpoints([forged], KEY))
    with pytest.raises(BadCheckpoint):
        list(read_checkpoints([line], OKPKey.generate_key("Ed25519")))
    with pytest.raises(BadKey):
        Checkpoint(1, 2, b"", "").signed(OKPKey.import_key(KEY.as_dict(private=False)))


def test_a_key_is_an_ed25519_key(tmp_path: Path) -> None:
    other = tmp_path / "x.pem"
    other.write_bytes(OKPKey.generate_key("X25519").as_pem())
    for path in (other, tmp_path / "missing.pem", Path(__file__)):
        with pytest.raises(BadKey):
            read_key(path)


async def hilum(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[int, str]:
    """How the command ends, and what it says."""
    # One that is kept would write to what another command had as its output.
    monkeypatch.setattr("app.index.database.log", structlog.get_logger())
    ran = await asyncio.to_thread(CliRunner().invoke, commands, ["audit", *arguments])
    return ran.exit_code, ran.output + str(ran.exception or "")


async def test_damage_is_told_also_where_the_look_cannot_be_recorded(
    audit: Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_DATABASE_URL", database_url)
    name = await audit.fetchval("SELECT quote_ident(current_database())")
    await audit.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    code, said = await hilum(monkeypatch, "verify")
    assert "partition 1, this look: not recorded (The database can only be read" in said
    assert "nothing changed" in said
    assert (code, said.splitlines()[-1]) == (1, str(NotRecorded()))
    await tamper(audit, "DELETE FROM audit WHERE partition_id = 1 AND sequence = 7")
    code, said = await hilum(monkeypatch, "verify")
    assert code == 1
    assert "partition 1, record 7: removed" in said
    assert "1 damages" in said


async def test_the_command_line_makes_checkpoints_and_verifies(
    audit: Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", database_url)
    (tmp_path / "key.pem").write_bytes(KEY.as_pem(private=True))
    (tmp_path / "public.pem").write_bytes(KEY.as_pem(private=False))

    make = ("checkpoint", "--key", "key.pem")
    assert (await hilum(monkeypatch, *make, "--into", "kept"))[0] == 0
    code, said = await hilum(monkeypatch, *make)
    assert (tmp_path / "kept").read_text().split(".")[0] in said
    check = ("verify", "--checkpoints", "kept", "--key", "public.pem")
    code, said = await hilum(monkeypatch, *check)
    assert code == 0, said
    assert "23 records in 2 chains, 2 checkpoints: nothing changed" in said
    looks = await audit.fetch("SELECT * FROM audit WHERE event = '110101' ORDER BY partition_id")
    by = f"hilum audit verify, run by user {os.getuid()}"
    assert [(look["partition_id"], look["action"], look["principal"]) for look in looks] == [
        (1, "R", by),
        (2, "R", by),
    ]
    await tamper(audit, "DELETE FROM audit WHERE partition_id = 1 AND sequence > 15")
    await make_anew(audit, 15)
    code, said = await hilum(monkeypatch, *check)
    assert code == 1
    assert "partition 1, records 16 to 20: cut off" in said
    assert (await hilum(monkeypatch, "verify"))[0] == 0
    code, said = await hilum(monkeypatch, "retain", "--days", "1", "--key", "key.pem")
    assert code == 0, said
    assert "15 records removed" in said
