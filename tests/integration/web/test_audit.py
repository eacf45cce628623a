"""No answer without a record of it: the audit is written first, or nothing is served."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest

from app.archive import Archive, open_archive
from app.audit.event import NOBODY, AuditEvent, audit_event, note_of
from app.audit.trail import AuditUnavailable, Trail
from app.audit.verify import verify
from app.settings import Settings
from tests.fixtures.server import Server
from tests.integration.web.conftest import execute, records, served


async def test_a_record_tells_who_asked_for_what(room_server: Server) -> None:
    async with room_server.client("read") as http:
        answer = await http.get("/room/read?PatientName=Doe*&limit=1")
    (record,) = await records(room_server)
    assert record["request_id"] == answer.headers["x-request-id"]
    assert (record["method"], record["path"]) == ("GET", "/dicomweb/room/read")
    assert record["query"] == "PatientName=&limit=1"
    assert (record["status"], record["outcome"]) == (200, 0)
    assert (record["principal"], record["client_address"]) == ("test", "127.0.0.1")
    assert record["partition_id"] is not None


async def test_who_has_the_name_of_another_is_told_from_them(server: Server) -> None:
    for _ in range(2):
        async with server.client("read") as http:
            await http.get("/studies")
            cookie = (await http.post("/session")).cookies["hilum"]
        async with httpx.AsyncClient(trust_env=False, cookies={"hilum": cookie}) as browser:
            assert (await browser.get(f"{server.dicomweb}/studies")).status_code == 200
            assert (await browser.get(f"{server.url}/shares")).status_code == 401
    told = [(record["principal"], record["subject"]) for record in await records(server)]
    nobody = [(None, None)] * 2
    assert told == nobody + [("test", "token:1")] * 3 + [("test", "token:2")] * 3


async def test_a_record_tells_the_objects(server: Server) -> None:
    async with server.client("read") as http:
        await http.get("/studies/1.2/series/1.3/instances/1.4/metadata")
    (record,) = await records(server)
    uids = [record[f"{level}_instance_uid"] for level in ("study", "series", "sop")]
    assert uids == ["1.2", "1.3", "1.4"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/room/missing", 404),
        ("/room/broken", 500),
        ("/room/administrate", 403),
        ("/nothing", 404),
        ("/room/number?limit=x", 400),
        ("/room/read?" + "x" * 40_000, 414),
    ],
)
async def test_refusals_and_failures_are_recorded(
    room_server: Server, path: str, status: int
) -> None:
    async with room_server.client("read") as http:
        assert (await http.get(path)).status_code == status
    (record,) = await records(room_server)
    assert record["status"] == status


async def test_nothing_is_served_while_the_audit_cannot_be_written(room_server: Server) -> None:
    async with room_server.client("read") as http:
        assert (await http.get("/room/read")).status_code == 200
        await execute(room_server, "ALTER TABLE audit RENAME TO elsewhere")
        for path in ("/room/read", "/room/missing", "/nothing"):
            answer = await http.get(path)
            assert answer.status_code == 503
            assert answer.json()["code"] == "audit-unavailable"
            assert int(answer.headers["retry-after"]) > 0
            assert "etag" not in answer.headers
        answer = await http.get("/room/read", headers={"Authorization": "Bearer nobody's"})
        assert answer.status_code == 503
        await execute(room_server, "ALTER TABLE elsewhere RENAME TO audit")
        assert (await http.get("/room/read")).status_code == 200
    assert [record["status"] for record in await records(room_server)] == [200, 200]
    assert served == ["read"] * 3


async def test_a_caller_who_leaves_while_sending_is_recorded(room_server: Server) -> None:
    token = await room_server.token("store")
    host, port = room_server.url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"POST /dicomweb/room/read HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {token}\r\n"
        "Content-Length: 1000\r\n\r\nonly a little".encode()
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with asyncio.timeout(5):
        while not (found := await records(room_server)):
            await asyncio.sleep(0.02)
    assert (found[0]["status"], found[0]["outcome"]) == (499, 4)


async def test_health_and_the_welcome_leave_no_record(server: Server) -> None:
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for path in ("/", "/health/live", "/health/ready"):
            assert (await http.get(path)).status_code == 200
    assert await records(server) == []


async def test_requests_at_the_same_time_share_a_transaction(room_server: Server) -> None:
    async with room_server.client("read") as http:
        answers = await asyncio.gather(*(http.get("/room/read") for _ in range(100)))
    assert {answer.status_code for answer in answers} == {200}
    found = await records(room_server)
    ids = {answer.headers["x-request-id"] for answer in answers}
    assert ids == {record["request_id"] for record in found}
    assert len({record["transaction"] for record in found}) < 100
    assert [record["sequence"] for record in found] == list(range(1, 101))


def some_event(number: int) -> AuditEvent:
    return audit_event(
        note_of("GET", "/studies"),
        at=datetime.now(UTC),
        status=200,
        request_id=f"r{number}",
        method="GET",
        path="/dicomweb/studies",
        query=b"",
        client_address=None,
        partition_id=NOBODY,
        principal=None,
    )


@pytest.fixture
async def archive(settings: Settings) -> AsyncIterator[Archive]:
    opened = await open_archive(settings)
    yield opened
    await opened.close()


async def test_what_waits_when_the_archive_closes_is_still_written(archive: Archive) -> None:
    trail = Trail(archive)
    waiting = [asyncio.create_task(trail.record(some_event(number))) for number in range(1000)]
    await asyncio.sleep(0)
    await trail.close()
    assert all(task.done() for task in waiting)
    async with archive.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit") == 1000


async def test_when_the_database_goes_away_everyone_who_waits_is_told(archive: Archive) -> None:
    trail = Trail(archive)
    async with archive.reading() as connection:
        await connection.execute("ALTER TABLE audit RENAME TO elsewhere")
    recording = (trail.record(some_event(number)) for number in range(1000))
    outcomes = await asyncio.gather(*recording, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} == {AuditUnavailable}
    async with archive.reading() as connection:
        await connection.execute("ALTER TABLE elsewhere RENAME TO audit")
    await trail.record(some_event(1))


@pytest.mark.parametrize("text", ["a NUL: \0", "half a pair: \ud800"])
@pytest.mark.parametrize("together", [256, 1])
async def test_a_record_that_is_refused_costs_no_other_its_place(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, text: str, together: int
) -> None:
    monkeypatch.setattr("app.audit.trail.BATCH", together)
    trail = Trail(archive)
    events = [some_event(number) for number in range(9)]
    events[4] = replace(events[4], path=text)
    recording = (trail.record(event) for event in events)
    outcomes = await asyncio.gather(*recording, return_exceptions=True)
    assert [n for n, one in enumerate(outcomes) if isinstance(one, AuditUnavailable)] == [4]
    with pytest.raises(AuditUnavailable):
        await trail.record(events[4])
    async with archive.reading() as connection:
        rows = await connection.fetch("SELECT request_id FROM audit ORDER BY sequence")
        assert [row[0] for row in rows] == [f"r{n}" for n in range(9) if n != 4]
        assert not (await verify(connection)).damages


async def test_who_leaves_while_waiting_leaves_a_record(archive: Archive) -> None:
    trail = Trail(archive)
    leaving = asyncio.create_task(trail.record(some_event(1)))
    await asyncio.sleep(0)
    leaving.cancel()
    await trail.record(some_event(2))
    async with archive.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM audit") == 2


async def test_too_many_who_wait_are_turned_away_at_once(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.audit.trail.WAITING", 2)
    trail = Trail(archive)
    recording = (trail.record(some_event(number)) for number in range(3))
    outcomes = await asyncio.gather(*recording, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), AuditUnavailable]


async def test_a_lost_connection_is_replaced(room_server: Server) -> None:
    async with room_server.client("read") as http:
        assert (await http.get("/room/read")).status_code == 200
        await execute(
            room_server,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        statuses = [(await http.get("/room/read")).status_code for _ in range(4)]
    assert set(statuses) <= {200, 503}
    assert statuses[-1] == 200
