"""What is stored is committed together with a record of it, wherever the process is killed."""

from pathlib import Path

import asyncpg
import httpx
import pytest
from pydicom import Dataset

from app.audit.verify import verify
from tests.factories import ct_dataset, multipart, part10
from tests.fixtures.server import Server, process
from tests.integration.access.population import Given, token_with
from tests.integration.web.conftest import execute, records

COMMITS, ANSWERS = "F10:kill", "F11:kill"


async def send(server: Server, token: str, datasets: list[Dataset], query: str = "") -> int | None:
    """The status of the answer; None if there is none."""
    body, content_type = multipart(map(part10, datasets))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": content_type}
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        try:
            url = f"{server.dicomweb}/studies{query}"
            return (await http.post(url, content=body, headers=headers)).status_code
        except httpx.TransportError:
            return None


async def stored(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        assert not (await verify(connection)).damages
        rows = await connection.fetch("SELECT sop_instance_uid FROM instance")
        return {row[0] for row in rows}
    finally:
        await connection.close()


def a_series(number: int) -> list[Dataset]:
    first = ct_dataset()
    uids = {
        "StudyInstanceUID": first.StudyInstanceUID,
        "SeriesInstanceUID": first.SeriesInstanceUID,
    }
    return [ct_dataset(**uids) for _ in range(number)]


@pytest.mark.parametrize("number", [1, 3, 70])
@pytest.mark.parametrize("fault", [COMMITS, ANSWERS])
@pytest.mark.parametrize("restricted", [False, True])
async def test_whoever_is_killed_leaves_a_record_of_what_is_stored(
    database_url: str, tmp_path: Path, fault: str, number: int, restricted: bool
) -> None:
    datasets = a_series(number)
    with process(database_url, tmp_path, FAULT_OF_TEST=f"{fault}:1") as (server, _):
        token = await server.token("store")
        if restricted:
            token = await token_with(server, [Given(("store",))], roles=["modality"])
        assert await send(server, token, datasets) is None
        found = await stored(database_url)
        assert found
        study = datasets[0].StudyInstanceUID
        told = [one for one in await records(server) if one["method"] == "POST"]
        assert {(one["study_instance_uid"], one["patient_id"]) for one in told} == {
            (study, datasets[0].PatientID)
        }
        assert {one["principal"] for one in told} == {"restricted" if restricted else "test"}
        assert {one["outcome"] for one in told} == {0}


async def test_what_is_added_to_a_series_that_is_known_is_told_too(
    database_url: str, tmp_path: Path
) -> None:
    one, two, three = a_series(3)
    with process(database_url, tmp_path, FAULT_OF_TEST=f"{COMMITS}:3") as (server, _):
        token = await server.token("store")
        assert await send(server, token, [one]) == 200
        assert await send(server, token, [two]) == 200
        assert await send(server, token, [three]) is None
        assert len(await stored(database_url)) == 3
        told = [one["sop_instance_uid"] for one in await records(server)]
        assert told == [one.SOPInstanceUID, two.SOPInstanceUID, three.SOPInstanceUID]


async def test_a_request_in_one_commit_has_one_record_and_others_one_more(server: Server) -> None:
    token = await server.token("store", "delete")
    for number, statuses in ((1, [200]), (5, [200]), (70, [202, 200])):
        datasets = a_series(number)
        before = len(await records(server))
        assert await send(server, token, datasets) == 200
        assert [one["status"] for one in (await records(server))[before:]] == statuses
    before = len(await records(server))
    (again,) = a_series(1)
    assert await send(server, token, [datasets[0], again]) == 200
    assert await send(server, token, [datasets[0]]) == 200
    datasets[0].PatientName = "Other"
    (new,) = a_series(1)
    assert await send(server, token, [datasets[0], new]) == 202
    assert await send(server, token, [datasets[0]]) == 409
    told = [one["status"] for one in (await records(server))[before:]]
    # The first is about two studies, and has a record of each.
    assert told == [200, 200, 200, 202, 409]


async def test_nothing_is_stored_while_the_audit_cannot_be_written(server: Server) -> None:
    token = await server.token("store")
    await execute(server, "ALTER TABLE audit RENAME TO elsewhere")
    assert await send(server, token, a_series(2)) == 503
    await execute(server, "ALTER TABLE elsewhere RENAME TO audit")
    assert await stored(server.database_url) == set()
