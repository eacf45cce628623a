"""A cookie in exchange for a token: it shows what the token may look at, and does nothing else."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from http.cookies import SimpleCookie

import httpx
import pytest

from app.access import sessions
from app.access.tokens import list_tokens, revoke_token
from app.settings import Settings
from tests.fixtures.server import Server, serving
from tests.integration.access.population import (
    THINGS,
    Given,
    client_of,
    file_of,
    index_of,
    token_with,
)
from tests.integration.access.test_tampered_tokens import asked, tampered
from tests.integration.web.conftest import execute, records

OURS, OTHER = THINGS[0], THINGS[-1]
OF_OURS = (("study_instance_uid", OURS.study_instance_uid),)
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}


async def cookie_for(server: Server, token: str) -> str:
    async with client_of(server, token) as http:
        answer = await http.post("/session")
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    (morsel,) = SimpleCookie(answer.headers["set-cookie"]).values()
    assert (morsel.key, morsel["path"], morsel["samesite"]) == ("hilum", "/dicomweb", "strict")
    assert morsel["httponly"]
    assert 0 < int(morsel["max-age"]) <= 1800
    return morsel.value


@asynccontextmanager
async def browser(server: Server, cookie: str, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """What sends the cookie, and no token."""
    async with httpx.AsyncClient(
        base_url=server.dicomweb,
        headers={"Cookie": f"hilum={cookie}"} | headers,
        trust_env=False,
        timeout=30,
    ) as http:
        yield http


async def test_a_cookie_shows_images_and_nothing_is_done_with_it(populated: Server) -> None:
    cookie = await cookie_for(populated, await populated.token("admin"))
    async with browser(populated, cookie) as http:
        image = await http.get(f"{OURS.path}/rendered", headers={"Sec-Fetch-Site": "same-origin"})
        assert image.status_code == 200
        assert image.headers["cross-origin-resource-policy"] == "same-site"
        assert "Cookie" in image.headers["vary"]
        assert (await http.head(f"{OURS.path}/rendered")).status_code == 200
        assert len((await http.get("/studies")).json()) == 6
        assert (await http.get("/session")).json()["expires_at"]
        stored = await http.post(
            "/studies", content=file_of(OURS), headers={"Content-Type": "application/dicom"}
        )
        assert stored.status_code == 401
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            for path in ("/session", "/studies", OURS.path):
                if (method, path) != ("DELETE", "/session"):
                    assert (await http.request(method, path)).status_code == 401
        for path in ("/admin/tokens", "/docs", "/openapi.json", "/wado", "/dicomweb"):
            assert (await http.get(populated.url + path)).status_code == 401


async def test_a_cookie_shows_what_the_token_may_see(populated: Server) -> None:
    token = await token_with(populated, [Given(("search", "render"), OF_OURS)])
    async with browser(populated, await cookie_for(populated, token)) as http:
        (study,) = (await http.get("/studies")).json()
        assert study["0020000D"]["Value"] == [OURS.study_instance_uid]
        assert (await http.get(f"{OURS.path}/rendered")).status_code == 200
        assert (await http.get(OURS.path)).status_code == 404
        assert (await http.get(f"{OTHER.path}/rendered")).status_code == 404


async def test_who_may_not_read_gets_no_cookie(populated: Server) -> None:
    async with client_of(populated, await populated.token("store")) as http:
        answer = await http.post("/session")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_pages_of_other_sites_get_and_use_no_cookie(populated: Server) -> None:
    token = await populated.token("read")
    async with client_of(populated, token) as http:
        for headers in (CROSS_SITE, {"Origin": "https://evil.example"}):
            answer = await http.post("/session", headers=headers)
            assert answer.status_code == 403
            assert "set-cookie" not in answer.headers
            # The token itself is for every site: no browser adds it.
            assert (await http.get("/studies", headers=headers)).status_code == 200
    async with browser(populated, await cookie_for(populated, token)) as http:
        for headers in (CROSS_SITE, {"Origin": "https://evil.example"}, {"Origin": "null"}):
            for method, path in (("GET", "/studies"), ("HEAD", OURS.path), ("DELETE", "/session")):
                answer = await http.request(method, path, headers=headers)
                assert answer.status_code == 401
        assert (await http.get("/studies")).status_code == 200


async def test_a_token_counts_more_than_a_cookie(populated: Server) -> None:
    async with browser(
        populated, await cookie_for(populated, await populated.token("read"))
    ) as http:
        answer = await http.get("/studies", headers={"Authorization": "Bearer nobody's"})
        assert answer.status_code == 401


async def test_ended_it_is_refused_at_once_by_every_process(
    settings: Settings, server: Server
) -> None:
    with serving(settings) as another:
        token = await server.token("read")
        cookie, kept = [await cookie_for(server, token) for _ in range(2)]
        async with browser(server, cookie) as here, browser(another, cookie) as there:
            for http in (here, there):
                assert (await http.get("/studies")).status_code == 200
            answer = await here.delete("/session")
            assert answer.status_code == 204
            assert "max-age=0" in answer.headers["set-cookie"].lower()
            for http in (there, here):
                assert (await http.get("/studies")).status_code == 401
            assert (await here.delete("/session")).status_code == 401
        async with browser(another, kept) as http:
            assert (await http.get("/studies")).status_code == 200


async def test_a_cookie_ends_with_its_token(server: Server) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=5)
    token = await server.token("read", expires_at=soon)
    async with browser(server, await cookie_for(server, token)) as http:
        until = datetime.fromisoformat((await http.get("/session")).json()["expires_at"])
        assert until == soon
        async with index_of(server) as index:
            (stored,) = await list_tokens(index)
            await revoke_token(index, stored.id)
        assert (await http.get("/studies")).status_code == 401


async def test_an_expired_cookie_is_refused_and_forgotten(settings: Settings) -> None:
    with serving(settings.model_copy(update={"session_seconds": 1})) as server:
        token = await server.token("read")
        cookie = await cookie_for(server, token)
        async with browser(server, cookie) as http:
            assert (await http.get("/studies")).status_code == 200
            await asyncio.sleep(1.1)
            assert (await http.get("/studies")).status_code == 401
        await cookie_for(server, token)
        await execute(server, "DO $$ BEGIN ASSERT (SELECT count(*) FROM session) = 1; END $$")


async def test_nobody_has_any_number_of_sessions(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "MOST_RUNNING", 2)
    token = await server.token("read")
    cookies = [await cookie_for(server, token) for _ in range(2)]
    async with client_of(server, token) as http:
        refused = await http.post("/session")
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= 1800
    await cookie_for(server, await server.token("read"))
    async with browser(server, cookies[0]) as http:
        assert (await http.delete("/session")).status_code == 204
    await cookie_for(server, token)


async def test_use_and_refusal_are_audited(server: Server) -> None:
    token = await server.token("read")
    cookie = await cookie_for(server, token)
    async with browser(server, cookie) as http:
        await http.get("/studies")
        await http.get("/studies", headers=CROSS_SITE)
    told = [(one["event"], one["status"], one["principal"]) for one in await records(server)]
    assert sorted(told, key=str) == sorted(
        [("110114", 201, "test"), ("110112", 200, "test"), ("110114", 401, None)], key=str
    )


async def test_behind_tls_the_cookie_is_for_tls_alone(settings: Settings) -> None:
    public = settings.model_copy(update={"public_url": "https://pacs.example/archive"})
    with serving(public) as server:
        async with client_of(server, await server.token("read")) as http:
            answer = await http.post("/session")
            given = answer.headers["set-cookie"]
            assert given.startswith("__Secure-hilum=")
            assert "Secure" in given
            assert "Path=/archive/dicomweb" in given
            value = SimpleCookie(given)["__Secure-hilum"].value
        async with httpx.AsyncClient(base_url=server.dicomweb, trust_env=False) as http:
            for name, status in (("__Secure-hilum", 200), ("hilum", 401)):
                answer = await http.get("/studies", headers={"Cookie": f"{name}={value}"})
                assert answer.status_code == status


async def test_a_tampered_cookie_opens_nothing(populated: Server) -> None:
    token = await populated.token("admin")
    cookie = await cookie_for(populated, token)
    assert (await asked(populated, f"Cookie: hilum={cookie}".encode()))[0] == 200
    assert (await asked(populated, f"Cookie: hilum={token}".encode()))[0] == 401
    assert (await asked(populated, f"Authorization: Bearer {cookie}".encode()))[0] == 401
    for what, header in tampered(cookie, "http://127.0.0.1:1/keys"):
        value = header if what == "no scheme" else header.partition(" ")[2]
        if value == cookie:
            continue
        status, head = await asked(populated, b"Cookie: hilum=" + value.encode("latin-1"))
        assert status == 401, what
        assert b'www-authenticate: bearer realm="hilum"' in head, what


@pytest.mark.parametrize("second", ["hilum=x", "hilum="])
async def test_of_two_cookies_none_is_believed(populated: Server, second: str) -> None:
    cookie = f"hilum={await cookie_for(populated, await populated.token('read'))}".encode()
    other = second.encode()
    for lines in (
        [b"Cookie: " + cookie + b"; " + other],
        [b"Cookie: " + other, b"Cookie: " + cookie],
    ):
        assert (await asked(populated, *lines))[0] == 401
