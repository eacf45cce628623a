"""Closed doors: nobody gets further than a valid token lets them, on any path."""

import asyncio
import base64
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from app.access import recognition
from app.access.tokens import ensure_first_token, list_tokens, revoke_token
from app.errors import InvalidParameter, NotFound
from app.index.database import Database
from app.settings import Settings
from tests.fixtures.server import Server, serving
from tests.integration.web.conftest import records

VIEWER = {"Origin": "https://viewer.example"}


@pytest.mark.parametrize(
    "path",
    ["/dicomweb/studies", "/dicomweb/nothing", "/docs", "/openapi.json", "/health/other", "/x//"],
)
async def test_without_a_token_no_path_answers(server: Server, path: str) -> None:
    async with httpx.AsyncClient(headers=VIEWER, trust_env=False) as http:
        answer = await http.get(server.url + path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["access-control-allow-origin"] == "*"
    (record,) = await records(server)
    assert (record["path"], record["status"], record["principal"]) == (path, 401, None)
    assert (record["event"], record["outcome"]) == ("110114", 8)


async def test_a_refused_body_is_not_read(server: Server) -> None:
    """The refusal comes instead of `100 Continue`, so that the bytes never travel."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        b"POST /dicomweb/studies HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n"
        b"Expect: 100-continue\r\n\r\n"
    )
    assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()
    await writer.wait_closed()


async def test_the_token_may_come_as_a_password(server: Server) -> None:
    token = await server.token("read")
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{server.url}/openapi.json", auth=("anybody", token))
    assert answer.status_code == 200


async def test_what_is_no_valid_token_is_refused(server: Server) -> None:
    expired = await server.token("admin", expires_at=datetime.now(UTC))
    headers = ["", "Bearer", "Bearer hilum_x", "Bearer " + "x" * 20_000, f"Bearer {expired}"]
    headers.append("Basic " + base64.b64encode(b"\xff:\xff").decode())
    async with httpx.AsyncClient(trust_env=False) as http:
        for header in headers:
            answer = await http.get(f"{server.url}/docs", headers={"Authorization": header})
            assert answer.status_code == 401, header[:50]


async def test_a_token_is_good_until_it_expires(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    token = await server.token("read", expires_at=soon)
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(headers=headers, trust_env=False) as http:
        assert (await http.get(f"{server.url}/docs")).status_code == 200
        await asyncio.sleep((soon - datetime.now(UTC)).total_seconds() + 0.05)
        assert (await http.get(f"{server.url}/docs")).status_code == 401


async def test_a_revoked_token_is_refused_when_it_is_forgotten(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert recognition.REMEMBERED_SECONDS <= 60
    monkeypatch.setattr(recognition, "REMEMBERED_SECONDS", 0.2)
    index = await Database.open(server.database_url, connections=1, statement_seconds=30)
    async with server.client("read") as http:
        assert (await http.get(f"{server.url}/docs")).status_code == 200
        (token,) = await list_tokens(index)
        assert token.last_used_at is not None
        await revoke_token(index, token.id)
        await asyncio.sleep(0.25)
        assert (await http.get(f"{server.url}/docs")).status_code == 401
        with pytest.raises(NotFound):
            await revoke_token(index, token.id)
    await index.close()


@pytest.mark.parametrize(
    ("scopes", "allowed"),
    [
        ([], set()),
        (["read"], {("GET", "read")}),
        (["store"], {("POST", "read")}),
        (["delete"], {("DELETE", "read")}),
        (["read", "store"], {("GET", "read"), ("POST", "read")}),
        (
            ["admin"],
            {("GET", "read"), ("POST", "read"), ("DELETE", "read"), ("GET", "administrate")},
        ),
    ],
)
async def test_a_token_opens_what_its_scopes_say(
    room_server: Server, scopes: list[str], allowed: set[tuple[str, str]]
) -> None:
    asked = {("GET", "read"), ("POST", "read"), ("DELETE", "read"), ("GET", "administrate")}
    async with room_server.client(*scopes) as http:
        for method, route in sorted(asked):
            answer = await http.request(method, f"/room/{route}")
            assert answer.status_code in ({200, 204} if (method, route) in allowed else {403})
            if answer.status_code == 403:
                assert answer.json()["code"] == "forbidden"
                assert "insufficient_scope" in answer.headers["www-authenticate"]
    refused = [record for record in await records(room_server) if record["status"] == 403]
    assert len(refused) == len(asked - allowed)
    assert all(record["event"] == "110113" for record in refused)


async def test_of_servers_that_start_together_one_makes_the_first_token(database_url: str) -> None:
    indexes = [
        await Database.open(database_url, connections=1, statement_seconds=30) for _ in range(4)
    ]
    made = await asyncio.gather(*(ensure_first_token(index) for index in indexes))
    assert len([token for token in made if token]) == 1
    (token,) = await list_tokens(indexes[0])
    assert token.scopes == {"admin"}
    assert await ensure_first_token(indexes[0], "another token of somebody") is None
    for index in indexes:
        await index.close()


async def test_the_first_token_may_be_chosen(database_url: str) -> None:
    index = await Database.open(database_url, connections=1, statement_seconds=30)
    with pytest.raises(InvalidParameter, match="shorter than 16"):
        await ensure_first_token(index, "short")
    assert await list_tokens(index) == []
    assert await ensure_first_token(index, "chosen by somebody") is None
    assert len(await list_tokens(index)) == 1
    await index.close()


async def test_who_asks_too_much_hears_when_to_come_again(settings: Settings) -> None:
    limits = settings.limits.model_copy(update={"requests_per_second": 2})
    with serving(settings.model_copy(update={"limits": limits})) as server:
        async with server.client("read") as http, server.client("read") as other:
            answers = [await http.get("/studies") for _ in range(12)]
            refused = [answer for answer in answers if answer.status_code == 429]
            assert refused
            assert all(answer.headers["retry-after"] == "1" for answer in refused)
            assert (await other.get("/studies")).status_code == 200
        assert [one["status"] for one in await records(server)].count(429) == len(refused)
