"""Child processes: what becomes of jobs that are too long, too large, or break their child."""

import asyncio
import errno
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.errors import ArchiveError, BadRequest, TooBusy, TooLarge, Unprocessable
from app.sandbox.child import DONE, REFUSED, REPLY
from app.sandbox.pool import Allowance, ChildFailed, Sandbox
from tests.integration.sandbox import jobs

MIB = 1024 * 1024
ALLOWANCE = Allowance(seconds=1, memory_bytes=64 * MIB)


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(2, ALLOWANCE, queue_seconds=30)
    yield sandbox
    await sandbox.close()


@pytest.fixture
async def one_child() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(1, ALLOWANCE, queue_seconds=0.3)
    await until_it_serves(sandbox)
    yield sandbox
    await sandbox.close()


async def until_it_serves(sandbox: Sandbox) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                await sandbox.run(jobs.pid)
            except TooBusy:
                continue
            return


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")
    return not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while is_alive(pid):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("length", [0, 1, 3 * MIB])
async def test_a_result_comes_back_whole(sandbox: Sandbox, length: int) -> None:
    data = os.urandom(length)
    assert await sandbox.run(jobs.reverse, data) == data[::-1]


async def test_many_at_once_are_done_by_few_children(sandbox: Sandbox) -> None:
    pids = await asyncio.gather(*(sandbox.run(jobs.pid) for _ in range(50)))
    assert len(set(pids)) <= 2
    assert int(pids[0]) != os.getpid()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("unprocessable", Unprocessable), ("too large", TooLarge), ("parameter", BadRequest)],
)
async def test_an_error_about_what_was_given_is_raised_here(
    sandbox: Sandbox, name: str, kind: type[ArchiveError]
) -> None:
    with pytest.raises(kind) as raised:
        await sandbox.run(jobs.fail, name)
    assert str(raised.value) == str(jobs.ERRORS[name])


async def test_what_nobody_expected_is_told_with_its_traceback(sandbox: Sandbox) -> None:
    with pytest.raises(ChildFailed, match=r"(?s)jobs\.py.*KeyError: 'Rows'"):
        await sandbox.run(jobs.fail, "bug")
    assert await sandbox.run(jobs.reverse, b"ab") == b"ba"


@pytest.mark.parametrize("job", [jobs.calculate_for_ever, jobs.sleep_for_ever])
async def test_a_job_that_takes_too_long_is_ended_and_holds_up_nobody(
    sandbox: Sandbox, job: Callable[[], bytes]
) -> None:
    endless = asyncio.create_task(sandbox.run(job))
    while not endless.done():
        assert await sandbox.run(jobs.reverse, b"ab") == b"ba"
        await asyncio.sleep(0.05)
    with pytest.raises(Unprocessable, match="within 1 seconds"):
        await endless


async def test_a_crash_spoils_its_own_job_alone(sandbox: Sandbox) -> None:
    with pytest.raises(Unprocessable, match="crashed"):
        await sandbox.run(jobs.crash)
    assert await sandbox.run(jobs.reverse, b"ab") == b"ba"


async def test_memory_beyond_the_limit_is_refused_each_time_anew(sandbox: Sandbox) -> None:
    for _ in range(3):
        assert await sandbox.run(jobs.take, 40 * MIB) == b"%d" % (40 * MIB)
        with pytest.raises(TooLarge, match="memory"):
            await sandbox.run(jobs.take, 80 * MIB)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (REPLY.pack(DONE, 1 << 50), Unprocessable),
        (REPLY.pack(b"?", 2) + b"no", ChildFailed),
        (REPLY.pack(REFUSED, 2) + b"no", ChildFailed),
        (REPLY.pack(REFUSED, 4) + b"null", ChildFailed),
        (REPLY.pack(REFUSED, 13) + b'{"kinds": 12}', ChildFailed),
    ],
)
async def test_a_child_that_lies_does_no_harm(
    sandbox: Sandbox, reply: bytes, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        await sandbox.run(jobs.lie, reply)


async def test_who_waits_too_long_for_a_child_hears_it(one_child: Sandbox) -> None:
    long = asyncio.create_task(one_child.run(jobs.sleep_for_ever))
    await asyncio.sleep(0)
    with pytest.raises(TooBusy):
        await one_child.run(jobs.pid)
    with pytest.raises(Unprocessable):
        await long


async def test_a_job_that_is_given_up_takes_its_child_with_it(one_child: Sandbox) -> None:
    pid = int(await one_child.run(jobs.pid))
    job = asyncio.create_task(one_child.run(jobs.sleep_for_ever))
    await asyncio.sleep(0.05)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        await job
    assert not is_alive(pid)


async def test_an_idle_child_that_was_killed_is_replaced(sandbox: Sandbox) -> None:
    pid = int(await sandbox.run(jobs.pid))
    os.kill(pid, signal.SIGKILL)
    await gone(pid)
    assert int(await sandbox.run(jobs.pid)) != pid


async def test_nothing_is_started_before_it_is_needed_and_nothing_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[int] = []
    popen = subprocess.Popen

    def recorded(*arguments: object, **more: object) -> object:
        process = popen(*arguments, **more)  # type: ignore[call-overload]
        started.append(process.pid)
        return process

    monkeypatch.setattr(subprocess, "Popen", recorded)
    sandbox = Sandbox(2, ALLOWANCE, queue_seconds=30)
    assert not started
    await sandbox.run(jobs.pid)
    endless = asyncio.create_task(sandbox.run(jobs.calculate_for_ever))
    await asyncio.sleep(0.05)
    await sandbox.close()
    with pytest.raises(Unprocessable):
        await endless
    assert started
    assert not any(map(is_alive, started))


async def test_where_no_child_can_be_started_it_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, "Resource temporarily unavailable")

    sandbox = Sandbox(1, ALLOWANCE, queue_seconds=0.3)
    with monkeypatch.context() as patched, capture_logs() as lines:
        patched.setattr(subprocess, "Popen", refused)
        with pytest.raises(TooBusy):
            await sandbox.run(jobs.pid)
    assert [(line["event"], line["why"]) for line in lines] == [
        ("sandbox.start", "Resource temporarily unavailable")
    ]
    await until_it_serves(sandbox)
    await sandbox.close()


async def test_children_know_no_secret_and_leave_nothing_behind(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HILUM_ADMIN_TOKEN", "secret")
    sandbox = Sandbox(1, ALLOWANCE, queue_seconds=30)
    assert "HILUM_ADMIN_TOKEN" not in json.loads(await sandbox.run(jobs.environment))
    with pytest.raises((ChildFailed, Unprocessable)):
        await sandbox.run(jobs.write_file, str(tmp_path / "file"))
    assert not (tmp_path / "file").exists() or not (tmp_path / "file").read_bytes()
    await sandbox.close()


async def test_modules_are_imported_before_the_first_job() -> None:
    sandbox = Sandbox(1, ALLOWANCE, queue_seconds=30, modules=["sqlite3"])
    assert await sandbox.run(jobs.imported, "sqlite3") == b"True"
    await sandbox.close()


async def test_children_end_with_a_parent_that_is_killed() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3]
    )
    with parent:
        assert parent.stdout is not None
        idle, busy = (int(parent.stdout.readline()) for _ in range(2))
        time.sleep(0.1)
        parent.kill()
    await gone(idle)
    await gone(busy)


_PARENT = """
import asyncio
from app.sandbox.child import DONE, REFUSED, REPLY
from app.sandbox.pool import Allowance, Sandbox
from tests.integration.sandbox import jobs

async def main():
    sandboxes = [Sandbox(1, Allowance(1, 1 << 26), queue_seconds=30) for _ in range(2)]
    for sandbox in sandboxes:
        print(int(await sandbox.run(jobs.pid)), flush=True)
    await sandboxes[1].run(jobs.calculate_for_ever)

asyncio.run(main())
"""
