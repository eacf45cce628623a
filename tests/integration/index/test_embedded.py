"""The embedded PostgreSQL keeps what was committed, lets nobody in and outlives nobody."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from app.index.embedded import CannotStart, EmbeddedPostgres, _let_through, running_url
from app.index.memory import buffer_megabytes
from app.index.unprivileged import Identity, child_identity

OWNER_OF_A_SERVER = """
import sys, time
from pathlib import Path
from app.index.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, server.url, flush=True)
time.sleep(60)
"""


async def execute(url: str, statement: str) -> object:
    connection = await asyncpg.connect(url, timeout=10)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


@contextmanager
def another_process(data_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A process that runs the server over the folder; the server's pid and URL."""
    with subprocess.Popen(
        [sys.executable, "-c", OWNER_OF_A_SERVER, data_dir], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pid, url = process.stdout.readline().split()
        try:
            yield process, int(pid), url
        finally:
            process.kill()


def is_alive(pid: int) -> bool:
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_what_was_committed_is_there_after_a_stop_and_a_start(short_path: Path) -> None:
    with EmbeddedPostgres(short_path) as server:
        await execute(server.url, "CREATE TABLE kept AS SELECT 42 AS answer")
    began = time.monotonic()
    with EmbeddedPostgres(short_path) as server:
        assert await execute(server.url, "SELECT answer FROM kept") == 42
        assert time.monotonic() - began < 30


async def test_the_server_is_made_to_keep_data(short_path: Path) -> None:
    with EmbeddedPostgres(short_path, connections=50) as server:
        for parameter, value in {
            "fsync": "on",
            "synchronous_commit": "on",
            "full_page_writes": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "max_connections": "60",
            "timezone": "UTC",
        }.items():
            assert await execute(server.url, f"SHOW {parameter}") == value
        assert await execute(server.url, "SELECT lower('ÄÖ')") == "äö"


async def test_the_server_keeps_as_much_in_memory_as_there_is_room_for(short_path: Path) -> None:
    with EmbeddedPostgres(short_path) as server:
        buffers = await execute(
            server.url, "SELECT pg_size_bytes(current_setting('shared_buffers'))"
        )
    assert buffers == buffer_megabytes() << 20


async def test_a_server_that_starts_again_has_in_memory_what_it_had(short_path: Path) -> None:
    in_memory = (
        "SELECT count(*) FROM pg_buffercache WHERE relfilenode = pg_relation_filenode('read')"
    )
    with EmbeddedPostgres(short_path) as server:
        await execute(server.url, "CREATE EXTENSION pg_buffercache")
        await execute(server.url, "CREATE TABLE read AS SELECT generate_series(1, 10000)")
        before = await execute(server.url, in_memory)
    with EmbeddedPostgres(short_path) as server:
        until = time.monotonic() + 30
        while await execute(server.url, in_memory) != before:
            assert time.monotonic() < until


async def test_only_the_owner_gets_near_it(short_path: Path) -> None:
    with EmbeddedPostgres(short_path) as server:
        assert await execute(server.url, "SHOW listen_addresses") == ""
        assert await execute(server.url, "SHOW unix_socket_permissions") == "0700"
        for folder in ("postgres", "postgres/socket", "postgres/cluster"):
            assert (short_path / folder).stat().st_mode & 0o777 == 0o700


async def test_the_log_holds_no_statement_and_no_value(short_path: Path) -> None:
    with EmbeddedPostgres(short_path) as server:
        await execute(server.url, "CREATE TABLE patient (name text PRIMARY KEY)")
        await execute(server.url, "INSERT INTO patient VALUES ('Doe^Jane')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await execute(server.url, "INSERT INTO patient VALUES ('Doe^Jane')")
    log = (short_path / "postgres/log").read_text()
    assert "duplicate key" in log
    assert "Doe" not in log


def test_a_second_archive_on_the_folder_is_refused(short_path: Path) -> None:
    with EmbeddedPostgres(short_path), pytest.raises(CannotStart, match="used by another Hilum"):
        EmbeddedPostgres(short_path).start()


def test_the_running_server_is_found_by_other_commands(short_path: Path) -> None:
    assert running_url(short_path) is None
    with EmbeddedPostgres(short_path) as server:
        assert running_url(short_path) == server.url
    assert running_url(short_path) is None


async def test_the_server_ends_when_its_owner_is_killed(short_path: Path) -> None:
    with another_process(short_path) as (owner, server, url):
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        owner.kill()
        owner.wait()
        # At once: the old server may still be shutting down, and is waited for.
        with EmbeddedPostgres(short_path) as successor:
            assert not is_alive(server)
            assert await execute(successor.url, "SELECT answer FROM kept") == 42


async def test_what_was_committed_survives_a_kill_of_everything(short_path: Path) -> None:
    with another_process(short_path) as (owner, server, url):
        await execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(server, signal.SIGKILL)
        owner.kill()
        owner.wait()
    assert (short_path / "postgres/cluster/postmaster.pid").exists()
    with EmbeddedPostgres(short_path) as successor:
        assert await execute(successor.url, "SELECT answer FROM kept") == 42


def test_a_process_number_used_again_is_not_taken_for_the_old_server(short_path: Path) -> None:
    with EmbeddedPostgres(short_path):
        lines = (short_path / "postgres/cluster/postmaster.pid").read_text().splitlines()
    stale = short_path / "postgres/cluster/postmaster.pid"
    stale.write_text("\n".join([str(os.getpid()), *lines[1:]]) + "\n")
    with EmbeddedPostgres(short_path):
        pass


def test_a_half_made_database_is_made_again(short_path: Path) -> None:
    unfinished = short_path / "postgres/cluster.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(short_path):
        assert not unfinished.exists()


def test_a_folder_too_deep_for_a_socket_works(short_path: Path) -> None:
    deep = short_path / ("d" * 60) / ("e" * 60)
    with EmbeddedPostgres(deep) as server:
        socket = Path(server.url.partition("host=")[2])
        assert socket.stat().st_mode & 0o777 == 0o700
        assert running_url(deep) == server.url
    assert not socket.exists()


def test_data_of_another_major_version_is_left_alone(short_path: Path) -> None:
    with EmbeddedPostgres(short_path):
        pass
    (short_path / "postgres/cluster/PG_VERSION").write_text("17\n")
    with pytest.raises(CannotStart, match="made by PostgreSQL 17, this Hilum brings 18"):
        EmbeddedPostgres(short_path).start()


def test_a_server_that_cannot_start_says_why(short_path: Path) -> None:
    with EmbeddedPostgres(short_path):
        pass
    (short_path / "postgres/cluster/postgresql.conf").write_text("nonsense = on\n")
    with pytest.raises(CannotStart, match='unrecognized configuration parameter "nonsense"'):
        EmbeddedPostgres(short_path).start()
    assert running_url(short_path) is None


def test_it_works_for_an_ordinary_user(short_path: Path) -> None:
    # Root is shown to the child as another user; an ordinary user stays who they are.
    script = OWNER_OF_A_SERVER.replace("time.sleep(60)", "server.stop()")
    seen = child_identity().run([sys.executable, "-c", "import os; assert os.geteuid()"])
    assert seen.returncode == 0, seen.stdout
    ran = child_identity().run([sys.executable, "-c", script, short_path])
    assert ran.returncode == 0, ran.stdout
    assert (short_path / "postgres/cluster/PG_VERSION").exists()


def test_a_user_that_cannot_reach_the_server_is_told_what_to_do(short_path: Path) -> None:
    (short_path / "postgres").mkdir()
    with pytest.raises(CannotStart, match="Set HILUM_DATABASE_URL"):
        _let_through(Identity(os.geteuid()), short_path / "nowhere", short_path / "postgres")
