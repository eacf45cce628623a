"""Who may do what is changed together with the record of it in the audit, or not at all."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner

from app.cli import commands
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, file_of, store
from tests.integration.web.conftest import execute, records

STUDY = THINGS[0].study_instance_uid
TABLES = {
    "token": "id, revoked_at",
    "access_grant": "id, subject",
    "share": "id, revoked_at",
    "study": "id, labels",
}


@dataclass(frozen=True)
class Change:
    method: str
    path: str
    body: dict[str, Any] | None
    told: str | None
    """What the record says of it."""
    study: str | None = None


CHANGES = (
    Change(
        "POST",
        "/admin/tokens",
        {"name": "new one", "scopes": ["read"], "restricted": True, "roles": ["a", "b"]},
        "token={}&name=new+one&scopes=read&restricted=true&roles=a,b",
    ),
    Change("DELETE", "/admin/tokens/{}", None, None),
    Change(
        "POST",
        "/admin/grants",
        {"subject": "role:x", "actions": ["read", "search"], "denies": True, "patient_id": "P 1"},
        "grant={}&subject=role:x&actions=read,search&patient_id=P+1&denies=true",
    ),
    Change("DELETE", "/admin/grants/{}", None, None),
    Change(
        "PUT", f"/admin/studies/{STUDY}/labels", {"labels": ["vip", "x"]}, "labels=vip,x", STUDY
    ),
    Change("POST", "/shares", {"studies": [STUDY], "name": "x"}, "share={}&study=" + STUDY, STUDY),
    Change("DELETE", "/shares/{}", None, "share={}"),
)


@pytest.fixture
async def admin(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THINGS[0])])).status_code == 200
        yield http


async def made(server: Server, http: httpx.AsyncClient) -> dict[str, int]:
    """One of each kind, to be ended."""
    return {
        change.path: (await asked(server, http, change)).json()["id"]
        for change in CHANGES
        if change.method == "POST"
    }


async def asked(
    server: Server, http: httpx.AsyncClient, change: Change, number: int = 0
) -> httpx.Response:
    url = server.url + change.path.format(number)
    return await http.request(change.method, url, json=change.body)


def number_of(change: Change, numbers: dict[str, int]) -> int:
    return numbers.get(change.path.removesuffix("/{}"), 0)


async def kept(server: Server) -> dict[str, Any]:
    connection = await asyncpg.connect(server.database_url)
    try:
        return {
            table: await connection.fetch(f"SELECT {columns} FROM {table} ORDER BY id")
            for table, columns in TABLES.items()
        }
    finally:
        await connection.close()


async def test_nothing_is_changed_without_a_record_of_it(
    server: Server, admin: httpx.AsyncClient
) -> None:
    numbers = await made(server, admin)
    before = await kept(server)
    await execute(server, "ALTER TABLE audit RENAME TO elsewhere")
    for change in CHANGES:
        answer = await asked(server, admin, change, number_of(change, numbers))
        assert answer.status_code == 503
    await execute(server, "ALTER TABLE elsewhere RENAME TO audit")
    assert await kept(server) == before


async def test_a_record_tells_what_was_changed(server: Server, admin: httpx.AsyncClient) -> None:
    numbers = await made(server, admin)
    for change in CHANGES:
        answer = await asked(server, admin, change, number_of(change, numbers))
        number = answer.json()["id"] if change.method == "POST" else number_of(change, numbers)
        last = (await records(server))[-1]
        assert last["request_id"] == answer.headers["x-request-id"]
        assert (last["event"], last["status"]) == ("110113", answer.status_code)
        assert last["path"] == change.path.format(number)
        assert last["query"] == (change.told.format(number) if change.told else None)
        assert last["study_instance_uid"] == change.study
        if change.method == "DELETE":
            assert (await asked(server, admin, change, number)).status_code == 404
            last = (await records(server))[-1]
            assert (last["status"], last["query"]) == (404, None)


async def test_what_commands_change_is_recorded(
    server: Server, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", server.database_url)
    before = len(await records(server))
    for command in (
        "token create --name w --restricted --role ward",
        "token revoke 2",
        "grant add role:ward --institution North",
        "grant end 1",
        f"share add {STUDY} --name x",
        "share revoke 1",
    ):
        ran = await asyncio.to_thread(CliRunner().invoke, commands, command.split())
        assert ran.exit_code == 0, ran.output
    told = [
        (one["principal"].split(",")[0], one["method"], one["path"], one["query"], one["action"])
        for one in (await records(server))[before:]
    ]
    assert told == [
        (
            *("hilum token create", "CREATE", "/admin/tokens"),
            *("token=2&name=w&scopes=read&restricted=true&roles=ward", "C"),
        ),
        ("hilum token revoke", "REVOKE", "/admin/tokens/2", None, "D"),
        (
            *("hilum grant add", "ADD", "/admin/grants"),
            *("grant=1&subject=role:ward&actions=search,read,render&institution=North", "C"),
        ),
        ("hilum grant end", "END", "/admin/grants/1", None, "D"),
        ("hilum share add", "ADD", "/shares", f"share=1&study={STUDY}", "C"),
        ("hilum share revoke", "REVOKE", "/shares/1", None, "D"),
    ]
