"""Shares: links that show exactly what they are of, to who has them, for as long as they hold."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest
from typer.testing import CliRunner

from app.access import passwords
from app.cli import commands
from tests.fixtures.server import Server
from tests.integration.access.population import (
    CT,
    THINGS,
    Given,
    client_of,
    file_of,
    store,
    token_with,
)
from tests.integration.web.conftest import execute, records

OURS = THINGS[0].study_instance_uid
OTHER = THINGS[-1].study_instance_uid
READING = ("search", "read", "render")
PASSWORD = "correct horse"
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture(scope="module")
async def admin(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    token = await populated.token("admin")
    async with browser_of(populated, Authorization=f"Bearer {token}") as http:
        yield http


def browser_of(server: Server, **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=server.url, headers=headers, trust_env=False, timeout=30)


async def shared(http: httpx.AsyncClient, *studies: str, **asked: Any) -> tuple[int, str]:
    """The id and the link of a new share."""
    body = {"studies": studies or [OURS], "name": "Dr. Who"} | asked
    answer = await http.post("/shares", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    made = answer.json()
    return made["id"], made["url"].removeprefix(str(http.base_url).rstrip("/"))


async def opened(server: Server, link: str, **body: str) -> str:
    """The token that a link is exchanged for."""
    async with browser_of(server) as http:
        answer = await http.post(link, json=body)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["token_type"] == "Bearer"
    assert told["dicomweb"] == server.dicomweb
    token: str = told["access_token"]
    return token


async def seen(server: Server, token: str) -> set[str]:
    async with client_of(server, token) as http:
        answer = await http.get("/instances")
    assert answer.status_code == 200
    return {one["00080018"]["Value"][0] for one in answer.json()}


def instances_of(*studies: str) -> set[str]:
    return {one.sop_instance_uid for one in THINGS if one.study_instance_uid in studies}


async def test_a_link_shows_its_studies_and_nothing_else(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    __, link = await shared(admin, OURS, OTHER)
    token = await opened(populated, link)
    assert await seen(populated, token) == instances_of(OURS, OTHER)
    async with client_of(populated, token) as http:
        for thing in THINGS:
            there = thing.study_instance_uid in {OURS, OTHER}
            for what in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/pixeldata"):
                answer = await http.get(f"{thing.path}{what}")
                assert answer.status_code == (200 if there else 404), what
            zipped = await http.get(
                f"/studies/{thing.study_instance_uid}", headers={"Accept": "application/zip"}
            )
            assert zipped.status_code == (200 if there else 404)


async def test_who_has_a_link_can_look_and_nothing_more(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    __, link = await shared(admin)
    token = await opened(populated, link)
    async with client_of(populated, token) as http:
        assert (await store(http, [file_of(THINGS[0])])).status_code == 403
    async with browser_of(populated, Authorization=f"Bearer {token}") as http:
        body = {"studies": [OURS], "name": "x"}
        assert (await http.post("/shares", json=body)).status_code == 403
        assert (await http.get("/shares")).status_code == 403
        assert (await http.get("/admin/tokens")).status_code == 403


async def test_a_link_has_no_patient_in_it_and_is_kept_as_a_hash(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin)
    secret = link.removeprefix("/share/")
    assert len(secret) == 43
    listed = (await admin.get(f"/shares/{number}")).json()
    assert listed["studies"] == [OURS]
    assert not listed["has_password"]
    assert secret not in str(listed)
    connection_rows = str(await rows(populated, "SELECT share::text FROM share"))
    assert secret not in connection_rows
    assert OURS not in link


async def rows(server: Server, statement: str) -> list[Any]:
    connection = await asyncpg.connect(server.database_url)
    try:
        return [tuple(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def test_a_link_is_used_as_often_as_it_may_be(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin, most_uses=3)
    async with browser_of(populated) as http:
        answers = await asyncio.gather(*(http.post(link) for _ in range(8)))
        assert sorted(one.status_code for one in answers) == [200] * 3 + [404] * 5
        assert (await http.get(link)).status_code == 404
    assert (await admin.get(f"/shares/{number}")).json()["uses"] == 3
    tokens = [one.json()["access_token"] for one in answers if one.status_code == 200]
    assert len(set(tokens)) == 3
    # A session goes on, and a request is no use.
    for _ in range(5):
        assert await seen(populated, tokens[0]) == instances_of(OURS)


async def test_a_share_that_is_ended_is_ended_at_once(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin)
    token = await opened(populated, link)
    async with client_of(populated, token) as http:
        assert (await http.get(f"/studies/{OURS}/metadata")).status_code == 200
        assert (await admin.delete(f"/shares/{number}")).status_code == 204
        # This very process has looked the token up a moment ago.
        assert (await http.get(f"/studies/{OURS}/metadata")).status_code == 404
        assert (await http.get("/studies")).json() == []
    async with browser_of(populated) as http:
        assert (await http.post(link)).status_code == 404
    assert (await admin.delete(f"/shares/{number}")).status_code == 404
    assert "revoked_at" in (await admin.get(f"/shares/{number}")).json()


async def test_a_share_and_its_sessions_end_by_themselves(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=2)
    __, link = await shared(admin, expires_at=soon.isoformat())
    async with browser_of(populated) as http:
        answer = (await http.post(link)).json()
        assert answer["expires_in"] <= 2
        token = answer["access_token"]
        assert await seen(populated, token) == instances_of(OURS)
        await asyncio.sleep(2.1)
        assert (await http.post(link)).status_code == 404
    async with client_of(populated, token) as http:
        assert (await http.get("/studies")).status_code == 401


async def test_a_password_is_asked_for_and_cannot_be_guessed(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin, password=PASSWORD, most_uses=1)
    assert (await admin.get(f"/shares/{number}")).json()["has_password"]
    async with browser_of(populated) as http:
        for wrong in ({}, {"password": ""}, {"password": "correct horse "}):
            answer = await http.post(link, json=wrong)
            assert answer.status_code == 401
            assert answer.json()["code"] == "wrong-password"
        # A wrong password is no use, and one that is right ends the row of wrong ones.
        assert await seen(populated, await opened(populated, link, password=PASSWORD))
        number, link = await shared(admin, password=PASSWORD)
        answers = await asyncio.gather(
            *(http.post(link, json={"password": "wrong"}) for _ in range(12))
        )
        assert sorted(one.status_code for one in answers) == [401] * 5 + [429] * 7
        refused = await http.post(link, json={"password": PASSWORD})
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "60"
        minute = "UPDATE share SET guessed_at = guessed_at - interval '1 minute'"
        await execute(populated, f"{minute} WHERE id = {number}")
        assert (await http.post(link, json={"password": PASSWORD})).status_code == 200


async def test_passwords_are_the_same_however_they_are_composed(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    __, link = await shared(admin, password="Müllerstraße")
    await opened(populated, link, password="Mu\u0308llerstraße")


@pytest.mark.parametrize(
    "wrong",
    [
        {"studies": []},
        {"studies": ["x"]},
        {"studies": [f"1.2.{n}" for n in range(101)]},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "a\nb"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2099-01-01T00:00:00Z"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"most_uses": 0},
        {"most_uses": 2**40},
        {"most_uses": True},
        {"most_uses": "3"},
        {"expires_at": True},
        {"deidentify": "no"},
        {"deidentify": 1},
        {"password": "short"},
        {"password": "x" * (passwords.LONGEST + 1)},
        {"patient": "P1"},
    ],
    ids=lambda wrong: str(wrong)[:40],
)
async def test_a_share_that_makes_no_sense_is_refused(
    admin: httpx.AsyncClient, wrong: dict[str, object]
) -> None:
    body = {"studies": [OURS], "name": "x"} | wrong
    answer = await admin.post("/shares", json=body)
    assert answer.status_code == 400
    assert "xxxxxxxxxxxx" not in answer.text or "name" in wrong


async def test_what_is_not_there_cannot_be_shared(admin: httpx.AsyncClient) -> None:
    before = len((await admin.get("/shares")).json())
    answer = await admin.post("/shares", json={"studies": [OURS, "1.2.3.999"], "name": "x"})
    assert answer.status_code == 404
    assert len((await admin.get("/shares")).json()) == before


async def sharer(
    server: Server, *grants: Given, scopes: tuple[str, ...] = ("read", "share")
) -> str:
    return await token_with(server, grants, scopes)


SHARING = (*READING, "share")


@pytest.mark.parametrize(
    ("grants", "shares"),
    [
        ([Given(SHARING, (("study_instance_uid", OURS),))], instances_of(OURS)),
        ([Given(READING, (("study_instance_uid", OURS),))], None),
        ([Given(("share",), (("study_instance_uid", OURS),))], None),
        ([Given(SHARING, (("study_instance_uid", OTHER),))], None),
        (
            [Given(SHARING, (("institution", "North"),))],
            {
                one.sop_instance_uid
                for one in THINGS
                if one.study_instance_uid == OURS and one.institution == "North"
            },
        ),
        (
            [Given(SHARING), Given(("search", "read"), (("sop_class_uid", CT),), denies=True)],
            {
                one.sop_instance_uid
                for one in THINGS
                if one.study_instance_uid == OURS and one.sop_class_uid != CT
            },
        ),
        (
            [Given(SHARING), Given(("share",), (("sop_class_uid", CT),), denies=True)],
            {
                one.sop_instance_uid
                for one in THINGS
                if one.study_instance_uid == OURS and one.sop_class_uid != CT
            },
        ),
        ([Given(SHARING), Given(("share",), denies=True)], None),
    ],
    ids=["own", "no share", "share alone", "another", "part", "no CT", "no CT shared", "denied"],
)
async def test_nobody_shares_what_they_do_not_see_or_may_not_share(
    populated: Server, grants: list[Given], shares: set[str] | None
) -> None:
    token = await sharer(populated, *grants)
    async with browser_of(populated, Authorization=f"Bearer {token}") as http:
        answer = await http.post("/shares", json={"studies": [OURS], "name": "x"})
        if shares is None:
            assert answer.status_code == 404
            return
        link = answer.json()["url"].removeprefix(populated.url)
    guest = await opened(populated, link)
    assert await seen(populated, guest) == shares
    async with client_of(populated, guest) as http:
        (study,) = (await http.get("/studies")).json()
        assert study["00201208"]["Value"] == [len(shares)]


async def test_what_may_only_be_rendered_is_shared_so(populated: Server) -> None:
    given = Given(("search", "render", "share"), (("study_instance_uid", OURS),))
    token = await sharer(populated, given)
    async with browser_of(populated, Authorization=f"Bearer {token}") as http:
        __, link = await shared(http)
    async with client_of(populated, await opened(populated, link)) as http:
        assert (await http.get(f"{THINGS[0].path}/rendered")).status_code == 200
        assert (await http.get(THINGS[0].path)).status_code == 404
        assert (await http.get(f"{THINGS[0].path}/metadata")).status_code == 404


async def test_everybody_sees_and_ends_the_own_shares(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    given = Given(SHARING, (("study_instance_uid", OURS),))
    one, two = await sharer(populated, given), await sharer(populated, given)
    other = await populated.token("admin", partition="elsewhere")
    async with (
        browser_of(populated, Authorization=f"Bearer {one}") as first,
        browser_of(populated, Authorization=f"Bearer {two}") as second,
        browser_of(populated, Authorization=f"Bearer {other}") as elsewhere,
    ):
        number, __ = await shared(first)
        assert [share["id"] for share in (await first.get("/shares")).json()] == [number]
        for http in (second, elsewhere):
            assert (await http.get("/shares")).json() == []
            assert (await http.get(f"/shares/{number}")).status_code == 404
            assert (await http.delete(f"/shares/{number}")).status_code == 404
        everybodys = [share["id"] for share in (await admin.get("/shares")).json()]
        assert number in everybodys
        after = (await admin.get("/shares", params={"after": number - 1, "limit": 1})).json()
        assert [share["id"] for share in after] == [number]
        assert (await first.delete(f"/shares/{number}")).status_code == 204


async def test_the_scope_is_needed(populated: Server) -> None:
    for scopes in (("read",), ("store", "delete"), ()):
        token = await populated.token(*scopes)
        async with browser_of(populated, Authorization=f"Bearer {token}") as http:
            assert (await http.get("/shares")).status_code == 403
    # A token that sees the whole partition and may share, but not read, shares what it likes.
    token = await populated.token("share")
    async with browser_of(populated, Authorization=f"Bearer {token}") as http:
        await shared(http)


async def test_in_a_browser_a_link_opens_into_a_page_with_the_images(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin, password=PASSWORD)
    async with browser_of(populated, **HTML) as http:
        closed = await http.get(link)
        assert closed.status_code == 200
        assert 'type="password"' in closed.text
        assert "DOE" not in closed.text.upper()
        assert OURS not in closed.text
        assert closed.headers["referrer-policy"] == "no-referrer"
        assert closed.headers["cache-control"] == "no-store"
        assert "default-src 'none'" in closed.headers["content-security-policy"]
        assert (await admin.get(f"/shares/{number}")).json()["uses"] == 0
        wrong = await http.post(link, data={"password": "wrong"})
        assert wrong.status_code == 401
        assert "not the password" in wrong.text
        answer = await http.post(link, data={"password": PASSWORD})
        assert answer.status_code == 303
        assert answer.headers["location"] == link
        cookies = answer.headers.get_list("set-cookie")
        assert {one.partition("Path=")[2].partition(";")[0] for one in cookies} == {
            "/dicomweb",
            "/share",
        }
        for cookie in cookies:
            assert "HttpOnly" in cookie
            assert "SameSite=strict" in cookie
            assert "Max-Age=" in cookie
        top = await http.get(link)
        series = {one.series_instance_uid for one in THINGS if one.study_instance_uid == OURS}
        for uid in series:
            assert f"/dicomweb/studies/{OURS}/series/{uid}/thumbnail" in top.text
        assert OTHER not in top.text
        uid = min(series)
        of_series = await http.get(link, params={"study": OURS, "series": uid})
        for thing in THINGS:
            shown = f"/dicomweb{thing.path}/rendered" in of_series.text
            assert shown == (thing.series_instance_uid == uid)
        frames = await http.get(
            link, params={"study": OURS, "series": uid, "instance": THINGS[0].sop_instance_uid}
        )
        assert f"/dicomweb{THINGS[0].path}/frames/1/rendered" in frames.text
        picture = await http.get(f"/dicomweb{THINGS[0].path}/thumbnail", headers={"Accept": "*/*"})
        assert picture.status_code == 200
        assert picture.headers["content-type"] == "image/jpeg"
        hidden = await http.get(f"/dicomweb{THINGS[-1].path}/thumbnail")
        assert hidden.status_code == 404
        assert (await admin.get(f"/shares/{number}")).json()["uses"] == 1
        assert (await admin.delete(f"/shares/{number}")).status_code == 204
        assert (await http.get(link)).status_code == 404
        assert (await http.get(f"/dicomweb{THINGS[0].path}/thumbnail")).status_code == 404


async def test_a_cookie_is_good_for_looking_from_pages_of_ours_alone(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin)
    async with browser_of(populated, **HTML) as http:
        # Of a page that tells no address, as ours, the origin is `null`.
        there = {"Sec-Fetch-Site": "cross-site", "Origin": "null"}
        refused = await http.post(link, headers=there)
        assert (refused.status_code, refused.cookies) == (403, httpx.Cookies())
        assert (await admin.get(f"/shares/{number}")).json()["uses"] == 0
        here = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
        assert (await http.post(link, headers=here)).status_code == 303
        path = f"/dicomweb{THINGS[0].path}/thumbnail"
        assert (await http.get(path)).status_code == 200
        assert (await http.head(path)).status_code == 200
        for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}):
            assert (await http.get(path, headers=headers)).status_code == 401
        assert (await http.post("/dicomweb/studies", content=b"x")).status_code == 401
        assert (await http.get("/shares")).status_code in {401, 403}
        # Of one share in a browser where another is open, the page is closed.
        __, another = await shared(admin, OTHER)
        assert "<form" in (await http.get(another)).text


@pytest.mark.parametrize("secret", ["x", "x" * 43, "x" * 500, "%00", "..%2f", "a b"])
async def test_a_link_that_never_was_leads_nowhere(populated: Server, secret: str) -> None:
    async with browser_of(populated) as http:
        assert (await http.get(f"/share/{secret}", headers=HTML)).status_code in {401, 404}
        assert (await http.post(f"/share/{secret}")).status_code in {401, 404}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", "application/json"),
        (b'{"password": 1}', "application/json"),
        (b"\xff", "application/json"),
        (b"x" * 5000, "application/x-www-form-urlencoded"),
        (b"&".join([b"password=x"] * 9), "application/x-www-form-urlencoded"),
    ],
)
async def test_a_body_that_makes_no_sense_is_refused(
    populated: Server, admin: httpx.AsyncClient, body: bytes, kind: str
) -> None:
    __, link = await shared(admin)
    async with browser_of(populated) as http:
        answer = await http.post(link, content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400


async def test_every_use_is_recorded_with_the_share_as_who_asks(
    populated: Server, admin: httpx.AsyncClient
) -> None:
    number, link = await shared(admin, password=PASSWORD)
    secret = link.removeprefix("/share/")
    async with browser_of(populated) as http:
        await http.get(link)
        await http.post(link, json={"password": "wrong"})
        for mistyped in (f"/{link}", f"/SHARE/{secret}/", f"/dicomweb{link}", f"/pacs{link}/x"):
            assert (await http.get(populated.url + mistyped)).status_code == 401
        token = (await http.post(link, json={"password": PASSWORD})).json()["access_token"]
    async with client_of(populated, token) as http:
        await http.get(f"/studies/{OURS}/metadata")
    await admin.delete(f"/shares/{number}")
    everything = await records(populated)
    assert secret not in str(everything)
    assert token not in str(everything)
    assert PASSWORD not in str(everything)
    told = [
        (one["event"], one["action"], one["outcome"], one["path"], one["status"])
        for one in everything
        if one["principal"] == f"share {number}"
    ]
    assert told == [
        ("110114", "E", 0, "/share/*", 200),
        ("110114", "E", 8, "/share/*", 401),
        ("110114", "E", 0, "/share/*", 200),
        ("110103", "R", 0, f"/dicomweb/studies/{OURS}/metadata", 200),
    ]
    assert {one["partition_id"] for one in everything if one["principal"] == f"share {number}"} == {
        1
    }
    made, ended = [one for one in everything if (one["query"] or "").startswith(f"share={number}")]
    assert made["query"] == f"share={number}&study={OURS}"
    assert (made["event"], made["action"], made["study_instance_uid"]) == ("110113", "C", OURS)
    assert (ended["event"], ended["action"]) == ("110113", "D")


async def test_two_servers_agree_that_a_share_has_ended(
    two_servers: tuple[Server, Server],
) -> None:
    one, two = two_servers
    async with one.client("admin", partition="two servers") as http:
        assert (await store(http, [file_of(THINGS[0])])).status_code == 200
    token = await one.token("admin", partition="two servers")
    async with browser_of(one, Authorization=f"Bearer {token}") as http:
        number, link = await shared(http)
        guest = await opened(two, link)
        assert await seen(one, guest) == await seen(two, guest) == {THINGS[0].sop_instance_uid}
        assert (await http.delete(f"/shares/{number}")).status_code == 204
    for server in two_servers:
        async with client_of(server, guest) as http:
            assert (await http.get(THINGS[0].path)).status_code == 404
            assert (await http.get("/studies")).json() == []


async def test_the_command_line_makes_and_ends_shares(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server.client("admin") as http:
        assert (await store(http, [file_of(THINGS[0])])).status_code == 200
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", server.database_url)
    monkeypatch.setenv("HILUM_PUBLIC_URL", server.url)

    async def hilum(*arguments: str, code: int = 0, **more: Any) -> str:
        ran = await asyncio.to_thread(CliRunner().invoke, commands, list(arguments), **more)
        assert ran.exit_code == code, ran.output
        return ran.output

    link = (await hilum("share", "add", OURS, "--name", "GP", "--days", "2", "--uses", "1")).strip()
    link = link.splitlines()[-1]
    assert link.startswith(f"{server.url}/share/")
    asked = await hilum(
        *("share", "add", OURS, "--name", "patient", "--password"),
        input=f"{PASSWORD}\n{PASSWORD}\n",
    )
    assert PASSWORD not in asked
    listed = await hilum("share", "list")
    assert "used 0 of 1" in listed
    assert "password" in listed
    assert await seen(server, await opened(server, link.removeprefix(server.url)))
    assert "used 1 of 1" in await hilum("share", "list")
    await hilum("share", "revoke", "1")
    assert "revoked" in await hilum("share", "list")
    await hilum("share", "revoke", "1", code=1)
    await hilum("share", "add", "1.2.3.999", "--name", "x", code=1)
