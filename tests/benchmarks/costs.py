"""What the audit and restrictions cost, in CPU time of a request.

    python -m tests.benchmarks.costs [STUDIES] [ROUNDS] [CALLERS]

Two servers over one archive, with and without the audit, and two tokens, one that sees everything
and one with 100,000 grants: all four are asked in turns, each round in another order. Counted is
what this process (servers and client) and its PostgreSQL use; what the client uses is the same for
all, so that differences are the server's. The spread is that of the differences of the rounds. So
many callers ask at the same time; one alone shares no commit of the audit with others.
"""

import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

import httpx
from starlette.types import ASGIApp, Receive, Scope, Send

from app.access.principal import Scope as Permission
from app.access.tokens import create_token
from app.audit.event import AuditEvent, note_of
from app.index import migrate
from app.index.database import Database
from app.index.embedded import EmbeddedPostgres
from app.main import create_app
from app.settings import Settings
from app.store.outcomes import Outcome
from app.store.recorded import StoreRecord
from app.web.dependencies import DICOMWEB
from tests.benchmarks.population import Size, populate
from tests.factories import ct_dataset, part10
from tests.fixtures.server import FixedSettings, serving

GRANTS = 100_000
REQUESTS = 60
"""Of each kind, for each of the four, in a round."""
PIXELS = 256
STUDY = "1.2.3.4"
"""Where everything is stored."""
TICK = os.sysconf("SC_CLK_TCK")
FOUR = [(audited, restricted) for audited in (False, True) for restricted in (False, True)]

Ask = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


class Unaudited:
    """What stands in the place of the audit where there is none."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].removeprefix(DICOMWEB)
            scope["state"]["audit"] = note_of(scope["method"], path)
        await self._app(scope, receive, send)


class OwnRecord(StoreRecord):
    """The record of a store, which is none where there is no audit."""

    def tells(self, outcomes: Sequence[Outcome], *, whole: bool) -> Sequence[AuditEvent]:
        """As ever, in the server with the audit."""
        audited = hasattr(self._request.state, "record")
        return super().tells(outcomes, whole=whole) if audited else ()


@contextmanager
def served(settings: Settings, *, audited: bool) -> Iterator[str]:
    """The DICOMweb base of a server with or without the audit."""
    with nullcontext() if audited else patch("app.main.AuditTrail", Unaudited):
        made = create_app(settings)
    with serving(settings, made) as server:
        yield server.dicomweb


async def prepared(url: str, studies: int) -> dict[bool, str]:
    """A free and a restricted token, by whether it is; both may do the same."""
    await populate(url, Size(studies))
    index = await Database.open(url, connections=1, statement_seconds=600)
    scopes = [Permission.READ, Permission.STORE]
    tokens = {
        one: await create_token(index, "cost", scopes, restricted=one) for one in (False, True)
    }
    async with index.reading() as connection:
        await connection.execute(
            "INSERT INTO access_grant"
            " (partition_id, subject, actions, denies, key, depth, study_instance_uid)"
            " SELECT 1, 'token:' || (SELECT max(id) FROM token), '{search,read,render,store}',"
            " false, 'study ' || uid, 0, uid FROM ("
            "  SELECT study_instance_uid AS uid FROM study UNION ALL SELECT $1"
            "  UNION ALL SELECT '1.9.' || n FROM generate_series(1, $2::int) AS n LIMIT $2::int"
            " ) AS wanted",
            STUDY,
            GRANTS,
        )
        await connection.execute("VACUUM (ANALYZE) access_grant")
    await index.close()
    return tokens


def cpu_seconds(postmaster: int) -> float:
    """What we and the processes of the database have used."""
    used = 0
    for folder in Path("/proc").iterdir():
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == postmaster:
            used += int(fields[11]) + int(fields[12])
    return time.process_time() + used / TICK


def instance() -> bytes:
    """Another CT image of the one study."""
    size = {"Rows": PIXELS, "Columns": PIXELS, "PixelData": bytes(PIXELS * PIXELS * 2)}
    return part10(ct_dataset(StudyInstanceUID=STUDY, **size))


def getting(path: str) -> list[Ask]:
    """The same request over and over."""
    return [lambda http: http.get(path)] * REQUESTS


def storing() -> list[Ask]:
    """Requests of one new instance each."""

    def store(body: bytes) -> Ask:
        return lambda http: http.post(
            "/studies", content=body, headers={"Content-Type": "application/dicom"}
        )

    return [store(instance()) for _ in range(REQUESTS)]


async def ask_all(http: httpx.AsyncClient, requests: list[Ask], callers: int) -> None:
    """Make the requests, each of so many callers one after the other."""
    waiting = iter(requests)

    async def call() -> None:
        for ask in waiting:
            (await ask(http)).raise_for_status()

    await asyncio.gather(*(call() for _ in range(callers)))


async def measure(
    bases: dict[bool, str],
    tokens: dict[bool, str],
    rounds: int,
    callers: int,
    pid: int,
    out: TextIO,
) -> None:
    """Print what each kind of request costs each of the four."""
    clients = {
        (audited, restricted): httpx.AsyncClient(
            base_url=bases[audited],
            headers={"Authorization": f"Bearer {tokens[restricted]}"},
            trust_env=False,
            timeout=60,
            # Less than the server's, so that it never ends one as it is used again.
            limits=httpx.Limits(keepalive_expiry=2),
        )
        for audited, restricted in FOUR
    }
    stored = ct_dataset(
        StudyInstanceUID=STUDY, Rows=PIXELS, Columns=PIXELS, PixelData=bytes(PIXELS * PIXELS * 2)
    )
    answer = await clients[True, False].post(
        "/studies", content=part10(stored), headers={"Content-Type": "application/dicom"}
    )
    answer.raise_for_status()
    series = f"/studies/{STUDY}/series/{stored.SeriesInstanceUID}"
    kinds: dict[str, Callable[[], list[Ask]]] = {
        "Search, the newest 25": lambda: getting("/studies?limit=25"),
        "Search, a page of 100 patients": lambda: getting("/studies?limit=100"),
        "Series of a study": lambda: getting(f"/studies/{STUDY}/series?limit=25"),
        "Frame": lambda: getting(f"{series}/instances/{stored.SOPInstanceUID}/frames/1"),
        "Store of one instance": storing,
    }
    print(
        "| request | neither | audit | restriction | both |\n| --- | --- | --- | --- | --- |",
        file=out,
    )
    dice = random.Random(1)
    for kind, asks in kinds.items():
        costs: dict[tuple[bool, bool], list[float]] = {one: [] for one in FOUR}
        for number in range(rounds + 1):
            for one in dice.sample(FOUR, len(FOUR)):
                requests = asks()
                before = cpu_seconds(pid)
                await ask_all(clients[one], requests, callers)
                if number:  # the first round warms up
                    costs[one].append((cpu_seconds(pid) - before) / REQUESTS * 1000)
        told = [f"{statistics.median(costs[FOUR[0]]):.2f} ms"]
        for one in ((True, False), (False, True), (True, True)):
            more = [a - b for a, b in zip(costs[one], costs[FOUR[0]], strict=True)]
            low, _, high = statistics.quantiles(more, n=4)
            told.append(f"{statistics.median(more):+.2f} ({low:+.2f} to {high:+.2f})")
        print(f"| {kind} | {' | '.join(told)} |", file=out, flush=True)
    for client in clients.values():
        await client.aclose()


def main(studies: int, rounds: int, callers: int) -> None:
    """Everything, from an empty folder to the table."""
    out = sys.stdout
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        stack.enter_context(redirect_stdout(sys.stderr))  # where the log goes
        stack.enter_context(patch("app.store.routes.StoreRecord", OwnRecord))
        data = Path(folder)
        postgres = stack.enter_context(EmbeddedPostgres(data, connections=30))
        migrate.upgrade(postgres.url)
        tokens = asyncio.run(prepared(postgres.url, studies))
        settings = FixedSettings.model_validate({"database_url": postgres.url, "data_dir": data})
        bases = {
            audited: stack.enter_context(served(settings, audited=audited))
            for audited in (False, True)
        }
        pid = int((data / "postgres/cluster/postmaster.pid").read_text().split()[0])
        asyncio.run(measure(bases, tokens, rounds, callers, pid, out))


if __name__ == "__main__":
    main(*(int(word) for word in (*sys.argv[1:], *("8000", "20", "1")[len(sys.argv) - 1 :])))
