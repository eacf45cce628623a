"""`make test-faults`: many trials with faults chosen by chance, each repeatable by its seed.

    python -m tests.faults --runs 200 --seed 7        all of them
    python -m tests.faults --runs 200 --seed 7 --only 31

One PostgreSQL with everything durable, one S3-compatible object store, one folder. A trial takes
one of them and its fault by chance: kill -9 of the server at a point of a store or at any moment,
of PostgreSQL with all its processes, or of the object store. What it stands for is told in
`tests.faults.trial`; the first promise that is broken ends the run.
"""

import argparse
import asyncio
import os
import random
import secrets
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from app.archive import open_archive
from app.faults import Point
from app.index import migrate
from tests.faults.floors import Postgres, postgres_in
from tests.faults.history import Heard, Request, requests_of
from tests.faults.nursery import Nursery, ServerProcess
from tests.faults.stages import stage_of
from tests.faults.trial import Disturb, Result, Stage, checked, send_again, trial
from tests.fixtures.s3 import SeaweedFs
from tests.fixtures.server import FixedSettings

POINTS = [point for point in Point if point.value[0] in "FD"]
AT_MOST_SECONDS = 0.6
"""A kill of what the server stands on comes within so long."""
A_REQUEST = 0.1
"""Seconds; about as long as one is under way."""
LARGE = 9_000_000
FLOORS = ("PostgreSQL", "object store")
"""What is killed beside the server; what was under way is sent again to the same one."""


@dataclass(frozen=True)
class Floors:
    """What trials are held on."""

    postgres: Postgres
    seaweedfs: SeaweedFs
    in_folder: Stage
    in_object_store: Stage


@dataclass(frozen=True)
class Choice:
    """A trial that chance has chosen."""

    name: str
    stage: Stage
    requests: list[Request]
    fault: str | None = None
    disturb: Disturb | None = None


def chosen(floors: Floors, chance: random.Random) -> Choice:
    """What the trial will be."""
    in_folder = chance.random() < 0.6
    stage = floors.in_folder if in_folder else floors.in_object_store
    requests = requests_of(chance, large=0 if in_folder else LARGE)
    kind = chance.random()
    seconds = chance.uniform(0, AT_MOST_SECONDS)
    if kind < 0.55:
        point, nth = chance.choice(POINTS), chance.randint(1, 8)
        return Choice(f"{point} {point.name}", stage, requests, f"{point}:kill:{nth}")
    if kind < 0.8:
        some = chance.randrange(sum(map(len, requests)))
        moment = chance.uniform(0, A_REQUEST)
        disturb = _killing_server(requests, some, moment)
        return Choice("any moment", stage, requests, disturb=disturb)
    if kind < 0.9 or in_folder:
        disturb = _killing(floors.postgres.kill, floors.postgres.start, seconds, stage, requests)
        return Choice(FLOORS[0], stage, requests, disturb=disturb)
    seaweedfs = floors.seaweedfs
    disturb = _killing(seaweedfs.kill, seaweedfs.start, seconds, stage, requests)
    return Choice(FLOORS[1], stage, requests, disturb=disturb)


def _killing_server(requests: list[Request], acknowledged: int, seconds: float) -> Disturb:
    """Kill it some time after it has acknowledged so many instances."""
    everything = [sent for request in requests for sent in request]

    async def disturb(server: ServerProcess) -> None:
        while sum(sent.heard is Heard.STORED for sent in everything) < acknowledged:
            await asyncio.sleep(0.002)
        await asyncio.sleep(seconds)
        server.send(signal.SIGKILL)

    return disturb


def _killing(
    kill: Callable[[], None],
    start: Callable[[], None],
    seconds: float,
    stage: Stage,
    requests: list[Request],
) -> Disturb:
    async def disturb(server: ServerProcess) -> None:
        await asyncio.sleep(seconds)
        kill()
        await asyncio.sleep(0.1)
        start()
        # The same server, as soon as it has what it stands on.
        await asyncio.to_thread(server.wait_until_ready)
        await send_again(stage, server, requests)

    return disturb


async def run(runs: int, seed: int, only: int | None) -> bool:
    """Hold the trials; whether every promise was held."""
    with tempfile.TemporaryDirectory(prefix="faults-") as folder_name:
        folder = Path(folder_name)
        (folder / "servers").mkdir()
        (folder / "seaweedfs").mkdir()
        seaweedfs = SeaweedFs(folder / "seaweedfs")
        try:
            os.environ.update(seaweedfs.server.environment)
            with (
                postgres_in(folder / "postgres") as postgres,
                Nursery(folder / "servers") as nursery,
            ):
                floors = Floors(
                    postgres,
                    seaweedfs,
                    await _stage(nursery, postgres, folder, "folder"),
                    await _stage(nursery, postgres, folder, "objects", seaweedfs),
                )
                return await _run(floors, runs, seed, only)
        finally:
            seaweedfs.remove()


async def _stage(
    nursery: Nursery,
    postgres: Postgres,
    folder: Path,
    name: str,
    seaweedfs: SeaweedFs | None = None,
) -> Stage:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    url = urlunsplit(urlsplit(postgres.url)._replace(path=f"/{name}"))
    migrate.upgrade(url)
    values = {"database_url": url, "data_dir": folder / name}
    if seaweedfs is None:
        return await stage_of(nursery, FixedSettings.model_validate(values))
    settings = FixedSettings.model_validate(values | {"blobs_url": seaweedfs.server.url()})
    return await stage_of(nursery, settings, **seaweedfs.server.environment)


async def _run(floors: Floors, runs: int, seed: int, only: int | None) -> bool:
    results: defaultdict[str, list[Result]] = defaultdict(list)
    began = time.monotonic()
    for number in range(runs) if only is None else [only]:
        choice = chosen(floors, random.Random(f"{seed}/{number}"))
        said = f"{number:4}  {choice.name} {choice.fault or ''}"
        try:
            result = await trial(
                choice.stage, choice.requests, fault=choice.fault, disturb=choice.disturb
            )
        # Whatever it is, a promise was not held.
        except Exception:
            traceback.print_exc()
            print(f"{said}: BROKEN. To repeat: --runs {runs} --seed {seed} --only {number}")
            return False
        if choice.name in FLOORS:
            result = replace(result, met=True)
        results[choice.name].append(result)
        print(f"{said}: {result}", flush=True)
    for stage in (floors.in_folder, floors.in_object_store):
        archive = await open_archive(stage.settings)
        found = await checked(archive)
        await archive.close()
        if found:
            print(f"A check of everything finds {found}")
            return False
    print(_table(results, time.monotonic() - began, seed))
    return True


def _table(results: dict[str, list[Result]], seconds: float, seed: int) -> str:
    lines = [
        "| fault | trials | met | instances sent | acknowledged before | unknown, and there |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    total: Counter[str] = Counter()
    for name, some in sorted(results.items()):
        row = Counter(
            trials=len(some),
            met=sum(result.met for result in some),
            sent=sum(result.sent for result in some),
            acknowledged=sum(result.acknowledged for result in some),
            there=sum(result.unknown_there for result in some),
        )
        total += row
        lines.append(_line(name, row))
    lines.append(_line("all", total))
    return "\n".join([*lines, "", f"seed {seed}, {seconds:.0f} s; lost 0, half visible 0"])


def _line(name: str, row: Counter[str]) -> str:
    values = (row[key] for key in ("trials", "met", "sent", "acknowledged", "there"))
    return f"| {name} | {' | '.join(map(str, values))} |"


def main() -> None:
    """Read the arguments, and end with 1 if a promise was broken."""
    arguments = argparse.ArgumentParser(prog="tests.faults")
    arguments.add_argument("--runs", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    arguments.add_argument("--only", type=int, default=None)
    given = arguments.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that everything is ended
    print(f"seed {given.seed}, {given.runs} trials", flush=True)
    if not asyncio.run(run(given.runs, given.seed, given.only)):
        sys.exit(1)


if __name__ == "__main__":
    main()
