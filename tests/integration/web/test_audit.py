"""No answer without a record of it: the audit is written first, or nothing is served."""

import asyncio

import httpx
import pytest

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
        ("/room/read?" + "x" * 9000, 414),
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
    assert len({record["at"] for record in found}) < 100
