"""What the archive computes is right while many store and replace at once, and afterwards."""

import asyncio
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from app.index.database import Database
from app.index.recount import miscounted
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server
from tests.integration.search.conftest import value

STUDIES, SERIES, INSTANCES, WRITERS, ROUNDS = 2, 3, 3, 6, 8
MODALITIES = ["CT", "MR", "PT", "SR"]
SOP_CLASSES = [f"1.2.840.10008.5.1.4.1.1.{number}" for number in (2, 4, 128)]
COUNTS = "includefield=SOPClassesInStudy,NumberOfPatientRelatedInstances"


@pytest.fixture(scope="module")
async def http(searched: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with searched.client("store", "read", "delete") as client:
        yield client


def some_instances(dice: random.Random) -> list[bytes]:
    """Of one study, of any of its series, perhaps ones that are stored with another content."""
    study = f"1.2.11.{dice.randrange(STUDIES)}"
    found = []
    for _ in range(dice.randrange(1, 4)):
        series = dice.randrange(SERIES)
        uid = f"{study}.{series}.{dice.randrange(INSTANCES)}"
        found.append(
            part10(
                ct_dataset(
                    StudyInstanceUID=study,
                    SeriesInstanceUID=f"{study}.{series}",
                    SOPInstanceUID=uid,
                    SOPClassUID=dice.choice(SOP_CLASSES),
                    Modality=dice.choice(MODALITIES),
                    PatientID="ONE",
                    ImageComments=str(dice.random()),
                )
            )
        )
    return found


async def write(http: httpx.AsyncClient, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(ROUNDS):
        body, content_type = multipart(some_instances(dice))
        answer = await http.post(
            "/studies?duplicates=replace", content=body, headers={"Content-Type": content_type}
        )
        assert answer.status_code in (200, 202), answer.text


async def search(http: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await http.get(path)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


async def watch(http: httpx.AsyncClient, done: asyncio.Event) -> int:
    """Look at what is told meanwhile: it never goes back, and never says more than there can be."""
    seen: defaultdict[str, int] = defaultdict(int)
    looks = 0
    while not done.is_set():
        for study in await search(http, f"/studies?{COUNTS}"):
            uid, instances = value(study, "0020000D"), value(study, "00201208")
            assert seen[uid] <= instances <= SERIES * INSTANCES
            assert value(study, "00201206") <= SERIES
            assert set(study["00080061"]["Value"]) <= set(MODALITIES)
            assert instances <= value(study, "00201204") <= STUDIES * SERIES * INSTANCES
            seen[uid] = instances
        looks += 1
    return looks


async def test_counts_and_lists_are_right_while_many_store_and_replace(
    http: httpx.AsyncClient, module_database_url: str
) -> None:
    done = asyncio.Event()
    watching = asyncio.create_task(watch(http, done))
    await asyncio.gather(*(write(http, seed) for seed in range(WRITERS)))
    done.set()
    assert await watching > 0

    instances = await search(http, "/instances?limit=1000&includefield=Modality,SOPClassUID")
    by_study: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for instance in instances:
        by_study[value(instance, "0020000D")].append(instance)
    studies = await search(http, f"/studies?{COUNTS}")
    assert {value(study, "0020000D") for study in studies} == by_study.keys()
    for study in studies:
        own = by_study[value(study, "0020000D")]
        assert value(study, "00201208") == len(own)
        assert value(study, "00201206") == len({value(each, "0020000E") for each in own})
        assert value(study, "00201204") == len(instances)
        assert study["00080061"]["Value"] == sorted({value(each, "00080060") for each in own})
        assert study["00080062"]["Value"] == sorted({value(each, "00080016") for each in own})
    for series in await search(http, "/series"):
        of = [each for each in instances if value(each, "0020000E") == value(series, "0020000E")]
        assert value(series, "00201209") == len(of)
    database = await Database.open(module_database_url, connections=1, statement_seconds=30)
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []
    await database.close()
