"""A token in an address opens one study for a few minutes, and leaves no trace of itself."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import httpx
import pytest

from app.access import sessions
from app.access.tokens import list_tokens, revoke_token
from tests.fixtures.server import Server
from tests.integration.access.population import (
    THINGS,
    Given,
    Thing,
    client_of,
    file_of,
    index_of,
    token_with,
)
from tests.integration.access.test_tampered_tokens import asked, tampered
from tests.integration.web.conftest import execute, records

OURS = THINGS[0]
OTHER = next(t for t in THINGS if t.study_instance_uid != OURS.study_instance_uid)
OF_STUDY = (
    *("", "/metadata", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata"),
    *("/series", "/instances"),
)


async def token_of(server: Server, token: str, thing: Thing = OURS) -> str:
    async with client_of(server, token) as http:
        answer = await http.post(f"/studies/{thing.study_instance_uid}/token")
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told = answer.json()
    left = datetime.fromisoformat(told["expires_at"]) - datetime.now(UTC)
    assert timedelta(0) < left <= timedelta(minutes=5)
    value: str = told["access_token"]
    return value


@pytest.fixture(params=["reader", "restricted"])
async def study_token(request: pytest.FixtureRequest, populated: Server) -> str:
    """Of the first study, for somebody who may see others too."""
    if request.param == "reader":
        return await token_of(populated, await populated.token("read"))
    grants = [Given(("search", "read", "render"))]
    return await token_of(populated, await token_with(populated, grants))


@pytest.fixture
async def http(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=populated.dicomweb, trust_env=False, timeout=30
    ) as client:
        yield client


async def test_it_opens_all_of_its_study_and_nobody_keeps_that(
    http: httpx.AsyncClient, study_token: str
) -> None:
    paths = [f"/studies/{OURS.study_instance_uid}{what}" for what in OF_STUDY]
    paths += [OURS.path, f"{OURS.path}/frames/1", f"{OURS.path}/frames/1/rendered"]
    for path in paths:
        answer = await http.get(path, params={"access_token": study_token})
        assert answer.status_code == 200, path
        assert answer.headers["cache-control"] == "private, no-store"
        assert study_token not in f"{answer.headers}{answer.content!r}"
        assert (await http.head(f"{path}?access_token={study_token}")).status_code == 200


async def test_it_opens_nothing_else(http: httpx.AsyncClient, study_token: str) -> None:
    study, other = OURS.study_instance_uid, OTHER.study_instance_uid
    elsewhere = [
        *("/studies", "/series", "/instances", "/patients", "/session", ""),
        *(f"/studies/{study}/priors", f"/studies/{study}/token", f"/studies/{study}/nothing"),
        *(f"/studies/{other}{what}" for what in OF_STUDY),
        *(f"/studies/{study}0", f"/studies/{study}%2F..%2F{other}", OTHER.path),
        *(f"/patients/{OURS.patient_id}/studies", f"//studies/{study}"),
    ]
    for path in elsewhere:
        answer = await http.get(f"{path}?access_token={study_token}")
        assert answer.status_code == 401, path
    for url in ("/wado", "/admin/tokens", "/docs", "/openapi.json"):
        root = str(http.base_url).removesuffix("/dicomweb/")
        answer = await http.get(f"{root}{url}", params={"access_token": study_token})
        assert answer.status_code == 401, url
    mixed = [
        f"/studies/{study}/series/{OTHER.series_instance_uid}",
        f"/studies/{study}/series/{OURS.series_instance_uid}/instances/{OTHER.sop_instance_uid}",
    ]
    for path in mixed:
        answer = await http.get(f"{path}?access_token={study_token}")
        assert answer.status_code == 404, path


async def test_what_is_searched_is_of_its_study(http: httpx.AsyncClient, study_token: str) -> None:
    study = OURS.study_instance_uid
    for more in ({}, {"StudyInstanceUID": OTHER.study_instance_uid}, {"PatientID": "*"}):
        answer = await http.get(
            f"/studies/{study}/instances", params=more | {"access_token": study_token}
        )
        found = answer.json() if answer.status_code == 200 else []
        assert {one["0020000D"]["Value"][0] for one in found} <= {study}


async def test_nothing_is_done_with_it(http: httpx.AsyncClient, study_token: str) -> None:
    path = f"/studies/{OURS.study_instance_uid}"
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for where in (path, f"{path}/token"):
            answer = await http.request(method, f"{where}?access_token={study_token}")
            assert answer.status_code == 401
    stored = await http.post(
        f"/studies?access_token={study_token}",
        content=file_of(OURS),
        headers={"Content-Type": "application/dicom"},
    )
    assert stored.status_code == 401


async def test_it_is_given_to_who_sees_the_study(populated: Server) -> None:
    of_ours = (("study_instance_uid", OURS.study_instance_uid),)
    restricted = await token_with(populated, [Given(("render",), of_ours)])
    value = await token_of(populated, restricted)
    async with client_of(populated, restricted) as http:
        hidden = await http.post(f"/studies/{OTHER.study_instance_uid}/token")
        missing = await http.post("/studies/1.2.3.999/token")
        assert hidden.status_code == missing.status_code == 404
        assert len(hidden.content) == len(missing.content)
    async with httpx.AsyncClient(base_url=populated.dicomweb, trust_env=False) as anybody:
        for path, status in ((f"{OURS.path}/rendered", 200), (OURS.path, 404)):
            answer = await anybody.get(path, params={"access_token": value})
            assert answer.status_code == status


async def test_two_at_once_are_refused(
    populated: Server, http: httpx.AsyncClient, study_token: str
) -> None:
    path = f"{OURS.path}/metadata"
    good = await populated.token("read")
    once = f"access_token={study_token}"
    for query in (f"{once}&{once}", f"{once}&access_token=", f"{once}&ACCESS%5FTOKEN=x"):
        assert (await http.get(f"{path}?{query}")).status_code == 401
    headers = {"Authorization": f"Bearer {good}"}
    assert (await http.get(f"{path}?{once}", headers=headers)).status_code == 401
    assert (await http.get(path, headers=headers)).status_code == 200
    cookie = {"Cookie": "hilum=hilum_session_x"}
    assert (await http.get(f"{path}?{once}", headers=cookie)).status_code == 200


async def test_no_trace_of_it_is_left(server: Server, capfd: pytest.CaptureFixture[str]) -> None:
    """Nor of one that is no good, and however it is spelt."""
    async with server.client("admin") as http:
        answer = await http.post(
            "/studies", content=file_of(OURS), headers={"Content-Type": "application/dicom"}
        )
        assert answer.status_code == 200
        key = await server.token("read")
    value = await token_of(server, key)
    path = f"/dicomweb/studies/{OURS.study_instance_uid}"
    answers = ""
    async with httpx.AsyncClient(base_url=server.url, trust_env=False) as http:
        for secret in (value, key, "SECRET"):
            for where in (path, f"{path}/instances", f"{path}/rendered", "/dicomweb/x", "/wado"):
                for query in (
                    f"access_token={secret}",
                    f"limit=1&access_token={secret}&offset=0",
                    f"access%5Ftoken={quote(secret)}",
                    f"Access_Token={secret}",
                    f"access_token={secret}&window=bad&limit=bad",
                ):
                    answer = await http.get(f"{where}?{query}")
                    answers += f"{answer.status_code} {answer.headers} {answer.text}"
    assert " 200 " in f" {answers}"
    audited = str(await records(server))
    assert "limit=1" in audited
    logged = "".join(capfd.readouterr())
    for secret in (value, key, "SECRET"):
        for told in (answers, audited, logged):
            assert secret not in told


async def test_it_expires_and_ends_with_the_token_it_was_had_for(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sessions.STUDY_SECONDS <= 300
    async with server.client("admin") as http:
        await http.post(
            "/studies", content=file_of(OURS), headers={"Content-Type": "application/dicom"}
        )
    value = await token_of(server, await server.token("read"))
    async with httpx.AsyncClient(base_url=server.dicomweb, trust_env=False) as anybody:

        async def status(token: str) -> int:
            answer = await anybody.get(f"{OURS.path}/metadata", params={"access_token": token})
            return answer.status_code

        assert await status(value) == 200
        await execute(server, "UPDATE session SET expires_at = now()")
        assert await status(value) == 401
        another = await token_of(server, await server.token("read"))
        assert await status(another) == 200
        async with index_of(server) as index:
            await revoke_token(index, (await list_tokens(index))[-1].id)
        assert await status(another) == 401


async def test_a_tampered_one_opens_nothing(populated: Server) -> None:
    key = await populated.token("read")
    value = await token_of(populated, key)
    path = f"/dicomweb{OURS.path}/metadata"

    async def status(secret: str) -> int:
        async with httpx.AsyncClient(base_url=populated.url, trust_env=False) as http:
            answer = await http.get(path, params={"access_token": secret})
        if answer.status_code == 401:
            assert 'Bearer realm="Hilum"' in answer.headers["www-authenticate"]
            assert secret not in answer.text or not secret
        return answer.status_code

    assert await status(value) == 200
    assert await status(key) == 401
    assert (await asked(populated, f"Authorization: Bearer {value}".encode()))[0] == 401
    assert (await asked(populated, f"Cookie: hilum={value}".encode()))[0] == 401
    for what, header in tampered(value, "http://127.0.0.1:1/keys"):
        secret = header if what == "no scheme" else re.sub(r"^\w+ ?", "", header)
        if secret != value:
            assert await status(secret) == 401, what
    assert await status("x" * 5000) in {401, 414}
