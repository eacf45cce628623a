"""Development mode: no token is needed on this machine, and nobody else gains by that."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from app.access.development import ANNOUNCEMENT
from app.settings import Settings
from tests import factories
from tests.fixtures.server import Server, serving
from tests.integration.web.conftest import records

DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture
def development(settings: Settings) -> Iterator[Server]:
    with serving(settings.model_copy(update={"development": True})) as server:
        yield server


@pytest.fixture
async def http(development: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=development.url, trust_env=False, timeout=30) as client:
        yield client


async def test_who_has_no_token_administrates_and_is_recorded(
    development: Server, http: httpx.AsyncClient
) -> None:
    stored = await http.post("/dicomweb/studies", content=factories.ct_series(1)[0], headers=DICOM)
    assert stored.status_code == 200
    assert len((await http.get("/dicomweb/studies")).json()) == 1
    made = await http.post("/admin/tokens", json={"name": "viewer", "scopes": ["read"]})
    assert made.status_code == 201
    authorization = {"Authorization": f"Bearer {made.json()['token']}"}
    assert len((await http.get("/dicomweb/studies", headers=authorization)).json()) == 1
    names = [record["principal"] for record in await records(development)]
    assert names == ["development", "development", "development", "viewer"]


async def test_what_is_presented_is_judged_as_always(
    development: Server, http: httpx.AsyncClient
) -> None:
    reader = await development.token("read")
    for path, headers, status in (
        ("/dicomweb/studies", {"Authorization": "Bearer hilum_x"}, 401),
        ("/dicomweb/studies", {"Authorization": ""}, 401),
        ("/dicomweb/studies", {"Authorization": "Negotiate x"}, 401),
        ("/dicomweb/studies", {"Cookie": "hilum=hilum_session_x"}, 401),
        ("/dicomweb/studies", {"Cookie": "hilum_share=hilum_share_x"}, 401),
        ("/dicomweb/studies", {"Cookie": "another=x"}, 200),
        ("/dicomweb/studies/1.2.3/metadata?access_token=x", {}, 401),
        ("/admin/tokens", {"Authorization": f"Bearer {reader}"}, 403),
        ("/admin/tokens", {}, 200),
    ):
        answer = await http.get(path, headers=headers)
        assert answer.status_code == status, (path, headers)


async def test_a_bad_cookie_does_not_store_either(http: httpx.AsyncClient) -> None:
    headers = DICOM | {"Cookie": "hilum=hilum_session_x"}
    body = factories.ct_series(1)[0]
    assert (await http.post("/dicomweb/studies", content=body, headers=headers)).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "images.example"},
        {"Host": "images.example:80", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://images.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"X-Forwarded-For": "192.0.2.1"},
    ],
)
async def test_pages_of_others_gain_nothing(
    development: Server, http: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for method, path in (
        ("GET", "/dicomweb/studies"),
        ("POST", "/admin/tokens"),
        ("GET", "/fhir/AuditEvent"),
        ("GET", "/nowhere"),
    ):
        assert (await http.request(method, path, headers=headers)).status_code == 401
    assert {record["principal"] for record in await records(development)} == {None}
    token = {"Authorization": f"Bearer {await development.token('read')}"}
    assert (await http.get("/dicomweb/studies", headers=headers | token)).status_code == 200


async def test_a_page_of_this_machine_may_use_it(http: httpx.AsyncClient) -> None:
    headers = {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "same-site"}
    answer = await http.get("/dicomweb/studies", headers=headers | {"Host": "localhost:8080"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "*"


async def test_it_is_announced(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(settings.model_copy(update={"development": True})) as server:
        assert ANNOUNCEMENT in httpx.get(server.url, trust_env=False).text
    assert f"[warning  ] {ANNOUNCEMENT}" in capsys.readouterr().out
    with serving(settings) as server:
        assert ANNOUNCEMENT not in httpx.get(server.url, trust_env=False).text
    assert ANNOUNCEMENT not in capsys.readouterr().out
