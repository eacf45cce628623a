"""What the patients of a page of results cost its record of the audit, and how soon it is found.

    python -m tests.benchmarks.lists [RECORDS]

Records of pages with so many patients are appended in turns, each round in another order; counted
is the CPU time of this process and of its PostgreSQL. Then the disclosures of a patient are looked
for among RECORDS records, of which every fifth lists 25 patients.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from app.audit import chain
from app.audit.disclosures import all_of, page_of
from app.index import audits, migrate
from app.index.database import Connection, Database
from app.index.embedded import EmbeddedPostgres
from tests.benchmarks.costs import cpu_seconds
from tests.integration.index.test_audits import RECORD

PATIENTS = 20_000
PAGES = (0, 25, 100, 1000)
ROUNDS, EACH = 12, 40

FILL = f"""
INSERT INTO audit (partition_id, sequence, hash, at, request_id, event, action, outcome, method,
    path, status, study_instance_uid, patient_id, patients)
SELECT 2, n, '\\x00', now() - ($1 - n) * interval '1 minute', 'r', '110104', 'R', 0, 'GET',
    '/', 200, '1.2.' || n % 50000, CASE WHEN n % 5 > 0 THEN 'P' || n % {PATIENTS} END,
    CASE WHEN n % 5 = 0 THEN (
        SELECT jsonb_agg(jsonb_build_object(
            'id', 'P' || (n * 7919 + m * 104729) % {PATIENTS}, 'issuer', ''
        )) FROM generate_series(1, 25) AS m
    ) END
FROM generate_series(1, $1::bigint) AS n
"""


async def append(connection: Connection, pid: int) -> None:
    """Print what a record costs, by the patients that it lists."""
    dice = random.Random(1)
    costs: dict[int, list[float]] = {size: [] for size in PAGES}
    for _ in range(ROUNDS):
        for size in dice.sample(PAGES, len(PAGES)):
            listed = [
                [{"id": f"P{dice.randrange(PATIENTS)}", "issuer": ""} for _ in range(size)]
                for _ in range(EACH)
            ]
            records = [replace(RECORD, patients=patients or None) for patients in listed]
            before = cpu_seconds(pid)
            for one in records:
                text = chain.canonical(one)
                digests = [chain.digest_of(text)]
                await audits.append(connection, 1, chain.genesis(1), [text], digests)
            costs[size].append((cpu_seconds(pid) - before) / EACH * 1000)
    for size, spent in costs.items():
        print(f"{size} patients: {statistics.median(spent):.2f} ms")


async def find(connection: Connection, records: int) -> None:
    """Print how long the report of a patient's disclosures takes."""
    await connection.execute(FILL, records)
    await connection.execute("VACUUM (ANALYZE) audit")
    for number in (77, 78, 79):
        began = time.perf_counter()
        told, _ = await page_of(connection, all_of(2, f"P{number}"))
        print(f"{len(told)} disclosures: {(time.perf_counter() - began) * 1000:.0f} ms")


async def main(url: str, pid: int, records: int) -> None:
    """Both."""
    index = await Database.open(url, connections=1, statement_seconds=3600)
    async with index.reading() as connection:
        await append(connection, pid)
        await find(connection, records)
    await index.close()


if __name__ == "__main__":
    with (
        tempfile.TemporaryDirectory() as folder,
        EmbeddedPostgres(Path(folder), connections=5) as server,
    ):
        migrate.upgrade(server.url)
        postmaster = Path(folder) / "postgres/cluster/postmaster.pid"
        number = int(postmaster.read_text().split()[0])
        asyncio.run(main(server.url, number, int((sys.argv[1:] or ["600000"])[0])))
