"""How fast searches are, over HTTP, at a hospital's size.

    python -m tests.benchmarks.search fill  URL STUDIES     fill an empty, migrated database
    python -m tests.benchmarks.search plans URL             how PostgreSQL answers each query
    python -m tests.benchmarks.search run   URL [SECONDS]   8 callers at once, one server process

A study has 1.5 series on average, of 67 instances each: 100,000 studies are 10 million instances.
Callers ask for another study each time. Times are those that the callers see; `cpu` is what the
server and its database have used for a request, which a busy machine disturbs less.
"""

import asyncio
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from app.access.principal import Scope
from app.access.tokens import create_token
from app.index.database import Database
from app.index.visibility import Visibility
from tests.archive_process import ArchiveProcess
from tests.benchmarks.population import Size, populate
from tests.benchmarks.queries import COMMON, Common, examples, explained, scans

CALLERS = 8
STUDIES = 200
"""Different ones that are asked for."""
INSTANCES_PER_SERIES = 67
TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Measured:
    """One query, in milliseconds."""

    rate: float
    p50: float
    p99: float
    cpu: float
    rows: int


async def plans(url: str) -> None:
    """Print the time, the pages of tables and indexes, and the indexes of each query."""
    database = await Database.open(url, connections=1, statement_seconds=120)
    async with database.reading() as connection:
        values = await examples(connection)
        print("| query | ms | blocks | rows | read by |\n| --- | --- | --- | --- | --- |")
        for common in COMMON:
            path, query = common.filled(values)
            told = [
                await explained(connection, Visibility(1), path, query, analyze=True)
                for _ in range(3)
            ]
            best = min(told, key=_milliseconds)
            plans = [statement["Plan"] for statement in best]
            blocks = sum(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] for plan in plans)
            by = ", ".join(dict.fromkeys(scans(best)))
            rows = plans[-1]["Actual Rows"]
            print(f"| {common.name} | {_milliseconds(best):.2f} | {blocks} | {rows:.0f} | {by} |")
    await database.close()


def _milliseconds(told: Sequence[Mapping[str, Any]]) -> float:
    return sum(float(statement["Execution Time"]) for statement in told)


async def run(url: str, seconds: float) -> None:
    """Print what callers see of each query."""
    database = await Database.open(url, connections=1, statement_seconds=120)
    async with database.reading() as connection:
        last = await connection.fetchval("SELECT max(id) FROM study")
        dice = random.Random(1)
        values = [await examples(connection, dice.randrange(1, last)) for _ in range(STUDIES)]
    token = await create_token(database, "benchmark", [Scope.READ])
    name = urlsplit(url).path.strip("/")
    with tempfile.TemporaryDirectory() as folder:
        data_dir = Path(folder) / "data"
        with ArchiveProcess(data_dir, HILUM_DATABASE_URL=url) as archive:
            print("| query | requests/s | p50 ms | p99 ms | cpu ms | rows |")
            print("| --- | --- | --- | --- | --- | --- |")
            for common in COMMON:
                measured = await measure(archive, token, common, values, seconds, name)
                print(
                    f"| {common.name} | {measured.rate:.0f} | {measured.p50:.1f} |"
                    f" {measured.p99:.1f} | {measured.cpu:.2f} | {measured.rows} |"
                )
    await database.close()


async def measure(
    archive: ArchiveProcess,
    token: str,
    common: Common,
    values: Sequence[Mapping[str, str]],
    seconds: float,
    database: str,
) -> Measured:
    """Eight callers ask one after the other, for so many seconds, after some to warm up."""
    targets = ["/".join(("", "dicomweb", "?".join(common.filled(each)))) for each in values]
    at = urlsplit(archive.base)
    times: list[float] = []
    rows: list[int] = []

    async def caller(number: int, until: float, *, counts: bool) -> None:
        reader, writer = await asyncio.open_connection(at.hostname, at.port)
        turn = number
        while time.perf_counter() < until:
            begin = time.perf_counter()
            body = await ask(reader, writer, targets[turn % len(targets)], token)
            if counts:
                times.append(time.perf_counter() - begin)
                rows.append(body.count(b'"0020000D"'))
            turn += CALLERS
        writer.close()
        await writer.wait_closed()

    for length, counts in ((seconds / 4, False), (seconds, True)):
        used = cpu_seconds(archive, database)
        until = time.perf_counter() + length
        await asyncio.gather(*(caller(number, until, counts=counts) for number in range(CALLERS)))
    times.sort()
    return Measured(
        len(times) / seconds,
        times[len(times) // 2] * 1000,
        times[len(times) * 99 // 100] * 1000,
        (cpu_seconds(archive, database) - used) / len(times) * 1000,
        sum(rows) // len(rows),
    )


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: str, token: str
) -> bytes:
    """The body of the answer; raises `AssertionError` if it is no 200."""
    writer.write(
        f"GET {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), (target, head)
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return await reader.readexactly(length)


def cpu_seconds(archive: ArchiveProcess, database: str) -> float:
    """What the server's processes, and the backends of its database on this machine, have used."""
    used = 0
    for folder in Path("/proc").iterdir():
        try:
            title = (folder / "cmdline").read_text()
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except (OSError, ValueError):
            continue
        if int(fields[2]) == archive.pid or (
            title.startswith("postgres: ") and f" {database} " in title
        ):
            used += int(fields[11]) + int(fields[12])
    return used / TICK


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["fill", url, studies]:
            asyncio.run(populate(url, Size(int(studies), INSTANCES_PER_SERIES)))
        case ["plans", url]:
            asyncio.run(plans(url))
        case ["run", url, *rest]:
            asyncio.run(run(url, float(rest[0]) if rest else 3))
        case _:
            print(__doc__)
