"""Tokens, grants and labels over HTTP and on the command line."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from typer.testing import CliRunner

from app.access.certificates import certificate_of
from app.cli import commands
from tests.fixtures.authority import Authority
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, client_of
from tests.integration.web.conftest import execute, records

READING = ["search", "read", "render"]
JSON = {"Content-Type": "application/json"}


async def made(http: httpx.AsyncClient, **asked: object) -> tuple[int, str]:
    """A token, by the API."""
    answer = await http.post("/admin/tokens", json={"name": "made", "restricted": True} | asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["id"], answer.json()["token"]


async def grant(http: httpx.AsyncClient, subject: str, **asked: object) -> int:
    answer = await http.post("/admin/grants", json={"subject": subject, "actions": READING} | asked)
    assert answer.status_code == 201, answer.text
    identity: int = answer.json()["id"]
    return identity


async def seen(server: Server, token: str) -> set[str]:
    """The studies that a token finds."""
    async with client_of(server, token) as http:
        return {one["0020000D"]["Value"][0] for one in (await http.get("/studies")).json()}


def admin_of(server: Server, token: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False
    )


STUDIES = sorted({thing.study_instance_uid for thing in THINGS})


async def test_a_grant_holds_until_it_is_ended(populated: Server) -> None:
    async with admin_of(populated, await populated.token("admin")) as http:
        identity, token = await made(http, name="Dr. Who")
        assert await seen(populated, token) == set()
        number = await grant(http, f"token:{identity}", patient_id="P1", purpose=None)
        listed = (await http.get("/admin/grants", params={"subject": f"token:{identity}"})).json()
        assert [one["id"] for one in listed] == [number]
        assert listed[0]["patient_id"] == "P1"
        assert "study_instance_uid" not in listed[0]
        assert (await http.get("/admin/grants", params={"after": number})).json() == []
        __, other = await made(http)
        assert await seen(populated, other) == set()
        tokens = {one["id"]: one for one in (await http.get("/admin/tokens")).json()}
        assert tokens[identity]["name"] == "Dr. Who"
        assert tokens[identity]["last_used_at"]
        assert not any("sha256" in one or "token" in one for one in tokens.values())
        assert (await http.delete(f"/admin/grants/{number}")).status_code == 204
        assert await seen(populated, token) == set()
        assert (await http.delete(f"/admin/grants/{number}")).status_code == 404


async def test_roles_give_their_grants_to_who_has_them(populated: Server) -> None:
    async with admin_of(populated, await populated.token("admin")) as http:
        await grant(http, "role:cardiology", label="vip")
        await grant(http, "role:quarantined", actions=["search"], denies=True, patient_id="P0")
        __, one = await made(http, roles=["cardiology"])
        __, both = await made(http, roles=["cardiology", "quarantined"])
        vip = {thing.study_instance_uid for thing in THINGS if thing.label == "vip"}
        assert await seen(populated, one) == vip
        ill = {thing.study_instance_uid for thing in THINGS if thing.patient_id == "P0"}
        assert await seen(populated, both) == vip - ill


async def test_a_grant_asks_for_its_purpose_and_ends_by_itself(populated: Server) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    async with admin_of(populated, await populated.token("admin")) as http:
        await grant(http, "role:science", purpose="HRESCH", expires_at=soon.isoformat())
        __, treating = await made(http, roles=["science"], purpose="TREAT")
        __, without = await made(http, roles=["science"])
        __, research = await made(http, roles=["science"], purpose="HRESCH")
        assert await seen(populated, treating) == set()
        assert await seen(populated, without) == set()
        assert await seen(populated, research) == set(STUDIES)
        await execute(populated, "UPDATE access_grant SET expires_at = now() WHERE purpose <> ''")
        assert await seen(populated, research) == set()


async def test_another_partition_does_not_exist(populated: Server) -> None:
    async with (
        admin_of(populated, await populated.token("admin")) as http,
        admin_of(populated, await populated.token("admin", partition="other")) as other,
    ):
        identity, token = await made(http)
        number = await grant(http, f"token:{identity}")
        assert (await other.get("/admin/grants")).json() == []
        assert identity not in {one["id"] for one in (await other.get("/admin/tokens")).json()}
        # A grant of theirs for a token of ours gives nothing.
        await grant(other, f"token:{identity}", actions=["search"], denies=True)
        for path in (f"/admin/grants/{number}", f"/admin/tokens/{identity}"):
            assert (await other.delete(path)).status_code == 404
        labels = f"/admin/studies/{STUDIES[0]}/labels"
        assert (await other.get(labels)).status_code == 404
        assert (await other.put(labels, json={"labels": ["mine"]})).status_code == 404
        assert await seen(populated, token) == set(STUDIES)
        assert (await http.get(labels)).json() == {"labels": [THINGS[0].label]}


@pytest.mark.parametrize(
    "wrong",
    [
        {"subject": "somebody"},
        {"subject": "role:a b"},
        {"actions": []},
        {"actions": ["fly"]},
        {"study_instance_uid": "x"},
        {"series_instance_uid": "1.2.3"},
        {"issuer_of_patient_id": "A"},
        {"first_date": "yesterday"},
        {"first_date": "20240101", "last_date": "20230101"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2050-01-01T00:00:00"},
        {"expires_at": 2524608000},
        {"expires_at": "2524608000"},
        {"expires_at": True},
        {"denies": "no"},
        {"denies": 0},
        {"patient_id": 1},
        {"patient_id": "  "},
        {"patient_id": "half of a character: \ud800"},
        {"purpose": "a\0b"},
        {"label": "x" * 65},
        {"studyuid": "1.2.3"},
    ],
    ids=str,
)
async def test_a_grant_that_makes_no_sense_is_refused(
    populated: Server, wrong: dict[str, object]
) -> None:
    asked = {"subject": "role:x", "actions": ["read"]} | wrong
    async with admin_of(populated, await populated.token("admin")) as http:
        answer = await http.post("/admin/grants", content=json.dumps(asked), headers=JSON)
        assert answer.status_code == 400


async def test_a_token_that_makes_no_sense_is_refused(populated: Server) -> None:
    async with admin_of(populated, await populated.token("admin")) as http:
        for wrong in (
            {"scopes": ["admin"], "restricted": True},
            {"restricted": False, "roles": ["x"]},
            {"roles": ["a:b"], "restricted": True},
            {"scopes": ["fly"]},
            {"scopes": "read"},
            {"restricted": 1},
            {"expires_at": 2524608000},
            {"expires_at": "0001-01-01T00:00:00+01:00"},
            {"name": ""},
            {"roles": ["\ud800"], "restricted": True},
        ):
            asked = json.dumps({"name": "x"} | wrong)
            answer = await http.post("/admin/tokens", content=asked, headers=JSON)
            assert answer.status_code == 400, wrong


@pytest.mark.parametrize("asked", [{"roles": ["x"]}, {"purpose": "care"}])
async def test_what_only_restricted_tokens_have_is_refused_by_its_name(
    populated: Server, asked: dict[str, object]
) -> None:
    async with admin_of(populated, await populated.token("admin")) as http:
        answer = await http.post("/admin/tokens", json={"name": "x"} | asked)
    assert (answer.status_code, answer.json()["parameter"]) == (400, *asked)


async def test_what_no_id_or_subject_can_be_is_refused(populated: Server) -> None:
    async with admin_of(populated, await populated.token("admin")) as http:
        for kind in ("tokens", "grants"):
            for number, status in (("0", 400), (str(2**63), 400), (str(2**63 - 1), 404)):
                answer = await http.delete(f"/admin/{kind}/{number}")
                assert answer.status_code == status, (kind, number)
        refused = await http.get("/admin/grants", params={"subject": "token:1\0"})
        assert (refused.status_code, refused.json()["parameter"]) == (400, "subject")


async def test_only_administrators_administrate_and_it_is_recorded(populated: Server) -> None:
    token = await populated.token("read", "store", "delete")
    async with admin_of(populated, token) as http:
        assert (await http.get("/admin/tokens")).status_code == 403
        assert (await http.post("/admin/grants", json={})).status_code == 403
    async with admin_of(populated, await populated.token("admin")) as http:
        number = await grant(http, "role:nobody")
        await http.delete(f"/admin/grants/{number}")
    recorded = [
        (one["event"], one["action"], one["status"])
        for one in await records(populated)
        if one["partition_id"] == 1
    ]
    assert recorded[-2:] == [("110113", "C", 201), ("110113", "D", 204)]
    assert ("110113", "E", 403) in recorded


async def test_the_command_line_makes_and_ends_grants(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", database_url)

    async def hilum(*arguments: str, code: int = 0) -> str:
        ran = await asyncio.to_thread(CliRunner().invoke, commands, list(arguments))
        assert ran.exit_code == code, ran.output
        return ran.output

    await hilum("token", "create", "--name", "w", "--restricted", "--role", "ward")
    assert "restricted ward" in await hilum("token", "list")
    await hilum("grant", "add", "role:ward", "--institution", "North", "--days", "2")
    await hilum("grant", "add", "token:1", "--action", "search", "--deny", "--label", "vip")
    listed = await hilum("grant", "list")
    assert "role:ward" in listed
    assert "may search, read, render  institution=North  until 20" in listed
    assert "may not search  label=vip" in await hilum("grant", "list", "token:1")
    await hilum("grant", "end", "1")
    assert "role:ward" not in await hilum("grant", "list")
    await hilum("grant", "end", "1", code=1)
    await hilum("grant", "list", "--partition", "nowhere", code=1)


async def test_the_command_line_tells_what_grants_call_a_certificate(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", database_url)
    signed = Authority().sign("CT 2", x509.DNSName("CT2.example.org"))
    signed.write(tmp_path / "ct2.pem")

    def hilum(*arguments: str) -> tuple[int, str]:
        ran = CliRunner().invoke(commands, ["grant", *arguments])
        return ran.exit_code, ran.output

    code, told = await asyncio.to_thread(hilum, "subjects", "ct2.pem")
    subjects = told.splitlines()
    assert (code, subjects) == (0, list(certificate_of(signed.der).subjects))
    for subject in subjects:
        assert (await asyncio.to_thread(hilum, "add", subject))[0] == 0
    listed = (await asyncio.to_thread(hilum, "list"))[1]
    assert all(subject in listed for subject in subjects)
    (tmp_path / "none.pem").write_text("nothing")
    for wrong in (
        ("subjects", "none.pem"),
        ("subjects", "missing.pem"),
        ("add", "cert:sha256:AB"),
        ("add", "cert:dns:CT2.example.org"),
        ("add", "cert:CN=CT 2"),
    ):
        assert (await asyncio.to_thread(hilum, *wrong))[0] == 1, wrong
