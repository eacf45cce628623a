"""The authorisation matrix: every route and method, asked for by every kind of caller.

It is made from the routes of the application: one that has no row here fails.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any

import httpx
import pytest
from cryptography import x509

from app.access.principal import Scope
from app.access.tokens import issue_token, list_tokens, revoke_token
from app.main import create_app
from app.settings import Settings
from tests.fixtures.authority import Authority
from tests.fixtures.server import FixedSettings, Server, serving
from tests.fixtures.tls_proxy import ADDRESS
from tests.integration.access.population import (
    THINGS,
    Given,
    file_of,
    give,
    index_of,
    token_with,
)

OURS = THINGS[0]
READING = ("search", "read", "render")
OF_OURS = (("study_instance_uid", OURS.study_instance_uid),)
OF_ANOTHER = (("study_instance_uid", THINGS[-1].study_instance_uid),)

UNKNOWN = (
    *("nobody", "garbage", "expired", "revoked", "wrong scheme", "empty"),
    *("in the query", "as a cookie"),
)
RESTRICTED: dict[str, list[Given]] = {
    "without grants": [],
    "study": [Given((*READING, "store"), OF_OURS)],
    "patient": [Given((*READING, "store"), (("patient_id", OURS.patient_id),))],
    "institution": [Given((*READING, "store"), (("institution", OURS.institution),))],
    "another study": [Given((*READING, "store"), OF_ANOTHER)],
    "searches": [Given(("search",))],
    "reads": [Given(("read",))],
    "renders": [Given(("render",))],
    "stores": [Given(("store",))],
    "shares": [Given((*READING, "share"), OF_OURS)],
    "breaks the glass": [Given(("break-glass",))],
    "denied": [Given((*READING, "store")), Given((*READING, "store"), OF_OURS, denies=True)],
}
SCOPED: dict[str, tuple[str, ...]] = {
    "no scope": (),
    "reader": ("read",),
    "storer": ("store",),
    "deleter": ("delete",),
    "sharer": ("share",),
    "reader and storer": ("read", "store"),
    "auditor": ("audit",),
    "administrator": ("admin",),
}
OF_OTHERS = {
    "reader elsewhere": ("read",),
    "auditor elsewhere": ("audit",),
    "administrator elsewhere": ("admin",),
}
GUESTS = {
    "guest": OURS.study_instance_uid,
    "guest of another study": THINGS[-1].study_instance_uid,
}
"""Who has exchanged a link to this study for a token."""
CALLERS = (*UNKNOWN, *SCOPED, *OF_OTHERS, *RESTRICTED, *GUESTS)

Expected = dict[str, int]


def expected(of: dict[str, int], otherwise: int) -> Expected:
    """The status for each caller: 401 for who is not known."""
    return {caller: of.get(caller, otherwise) for caller in CALLERS} | dict.fromkeys(UNKNOWN, 401)


STORING = ("study", "patient", "institution")
ALLOWED = (*STORING, "shares", "guest")
_READERS = dict.fromkeys(("reader", "reader and storer", "administrator"), 200)
_NO_READERS = dict.fromkeys(
    ("no scope", "storer", "deleter", "auditor", "auditor elsewhere", "sharer"), 403
)
_NO_STORERS = dict.fromkeys(
    (
        *("no scope", "reader", "deleter", "auditor", "sharer"),
        *("reader elsewhere", "auditor elsewhere", *GUESTS),
    ),
    403,
)
_ADMINISTRATORS = ("administrator", "administrator elsewhere")

OPEN = dict.fromkeys(CALLERS, 200)
NOWHERE = dict.fromkeys(CALLERS, 404)
KNOWN = expected({}, 200)
SEARCH = expected(_NO_READERS, 200)
SEARCH_IN_STUDY = expected(_READERS | _NO_READERS | dict.fromkeys((*ALLOWED, "searches"), 200), 404)
READ = expected(_READERS | _NO_READERS | dict.fromkeys((*ALLOWED, "reads"), 200), 404)
RENDER = expected(_READERS | _NO_READERS | dict.fromkeys((*ALLOWED, "renders"), 200), 404)
TOKEN_OF_STUDY = {
    caller: 201 if 200 in {READ[caller], RENDER[caller]} else READ[caller] for caller in CALLERS
}
SESSION = expected(_NO_READERS, 201)
STORE = expected(
    _NO_STORERS
    | dict.fromkeys((*OF_OTHERS, *SCOPED), 200)
    | _NO_STORERS
    | dict.fromkeys((*STORING, "stores"), 200),
    409,
)


def administrate(status: int, elsewhere: int) -> Expected:
    """For administrators, here and in another partition."""
    return expected({"administrator": status, "administrator elsewhere": elsewhere}, 403)


def audit(status: int, elsewhere: int) -> Expected:
    """For who may look into the audit, here and in another partition."""
    here = dict.fromkeys(("auditor", "administrator"), status)
    there = dict.fromkeys(("auditor elsewhere", "administrator elsewhere"), elsewhere)
    return expected(here | there, 403)


def share(ours: int, others: int) -> Expected:
    """For who may share; administrators elsewhere have the study too, which is their own."""
    may = dict.fromkeys(("administrator", "administrator elsewhere", "sharer"), ours)
    return expected(may | {"shares": ours} | dict.fromkeys(SHARERS_OF_NOTHING, others), 403)


def override(ours: int) -> Expected:
    """For who reads and is restricted: nobody but who has a grant may open anything."""
    return expected(
        dict.fromkeys((*_READERS, "reader elsewhere", "administrator elsewhere"), 409)
        | {"breaks the glass": ours},
        403,
    )


SHARERS_OF_NOTHING = tuple(name for name in RESTRICTED if name != "shares")


@dataclass(frozen=True)
class Row:
    """What is asked of a route, and who is answered how."""

    expected: Expected
    body: dict[str, Any] | bytes | None = None


SERIES = "/studies/{study}/series/{series}"
INSTANCE = SERIES + "/instances/{instance}"
FRAME = INSTANCE + "/frames/{frame}"
FILE = file_of(OURS)
MATRIX: dict[tuple[str, str], Row] = (
    {("GET", path): Row(OPEN) for path in ("/", "/health/live", "/health/ready")}
    | {
        ("GET", path): Row(KNOWN)
        for path in ("/docs", "/docs/oauth2-redirect", "/redoc", "/openapi.json")
    }
    | {
        ("GET", f"/dicomweb{path}"): Row(SEARCH)
        for path in (
            *("/studies", "/series", "/instances", "/studies/{study}/series"),
            *("/studies/{study}/instances", SERIES + "/instances"),
            *("/patients", "/patients/{patient:path}/studies"),
        )
    }
    | {("GET", "/dicomweb/studies/{study}/priors"): Row(SEARCH_IN_STUDY)}
    | {
        ("GET", f"/dicomweb{path}"): Row(READ)
        for path in (
            *("/studies/{study}", SERIES, INSTANCE, INSTANCE + "/frames/{frames}"),
            *(INSTANCE + "/bulkdata/{path:path}", INSTANCE + "/versions"),
            *(INSTANCE + "/versions/{version}", "/studies/{study}/metadata"),
            *(SERIES + "/metadata", INSTANCE + "/metadata"),
        )
    }
    | {
        ("GET", f"/dicomweb{path}/{what}"): Row(READ)
        for path in ("/studies/{study}", SERIES, INSTANCE)
        for what in ("bulkdata", "pixeldata")
    }
    | {
        ("GET", f"/dicomweb{path}/{what}"): Row(RENDER)
        for path in ("/studies/{study}", SERIES, INSTANCE, FRAME)
        for what in ("rendered", "thumbnail")
    }
    | {("GET", "/wado"): Row(READ)}
    | {
        # For guests to whom it is shown without who it is of, and nobody else.
        ("GET", f"/dicomweb/deidentified{path}"): Row(expected({}, 403))
        for path in (
            *("/studies", "/series", "/instances", "/studies/{study}/series"),
            *("/studies/{study}/instances", SERIES + "/instances"),
            *("/studies/{study}", SERIES, INSTANCE, "/studies/{study}/metadata"),
            *(SERIES + "/metadata", INSTANCE + "/metadata", INSTANCE + "/frames/{frames}"),
            *(INSTANCE + "/rendered", FRAME + "/rendered", "/studies/{study}/thumbnail"),
            *(SERIES + "/thumbnail", INSTANCE + "/thumbnail", FRAME + "/thumbnail"),
        )
    }
    | {
        ("POST", "/dicomweb/session"): Row(SESSION),
        ("GET", "/dicomweb/session"): Row(SEARCH),
        ("POST", "/dicomweb/studies/{study}/token"): Row(TOKEN_OF_STUDY),
        # None of them has a cookie; tests/integration/access/test_sessions.py has.
        ("DELETE", "/dicomweb/session"): Row(expected(_NO_READERS, 404)),
    }
    | {
        ("POST", f"/dicomweb{path}"): Row(STORE, FILE)
        for path in ("/studies", "/studies/{study_instance_uid}")
    }
    | {
        ("POST", "/shares"): Row(
            share(201, 404), {"studies": [OURS.study_instance_uid], "name": "x"}
        ),
        ("GET", "/shares"): Row(share(200, 200)),
        ("GET", "/shares/{share}"): Row(share(404, 404)),
        ("DELETE", "/shares/{share}"): Row(share(404, 404)),
        ("POST", "/overrides"): Row(
            override(404), {"study_instance_uid": "1.2.3.77", "reason": "emergency"}
        ),
        ("GET", "/overrides"): Row(SEARCH),
        ("DELETE", "/overrides/{override}"): Row(expected(_NO_READERS, 404)),
        # A link asks nobody who they are, and this one leads nowhere.
        ("GET", "/share/{secret}"): Row(NOWHERE),
        ("POST", "/share/{secret}"): Row(NOWHERE),
        ("POST", "/admin/tokens"): Row(administrate(201, 201), {"name": "x"}),
        ("GET", "/admin/tokens"): Row(administrate(200, 200)),
        ("DELETE", "/admin/tokens/{token}"): Row(administrate(404, 404)),
        ("POST", "/admin/grants"): Row(
            administrate(201, 201), {"subject": "role:x", "actions": ["read"]}
        ),
        ("GET", "/admin/grants"): Row(administrate(200, 200)),
        ("DELETE", "/admin/grants/{grant}"): Row(administrate(404, 404)),
        # Elsewhere they have stored a study with this UID by then, which is their own.
        ("PUT", "/admin/studies/{study}/labels"): Row(administrate(204, 204), {"labels": ["vip"]}),
        ("GET", "/admin/studies/{study}/labels"): Row(administrate(200, 200)),
    }
    | {
        ("GET", "/fhir/AuditEvent"): Row(audit(200, 200)),
        ("POST", "/fhir/AuditEvent/_search"): Row(audit(200, 200)),
        ("GET", "/fhir/AuditEvent/{identity}"): Row(audit(200, 404)),
        ("GET", "/fhir/metadata"): Row(KNOWN),
        ("GET", "/audit/patients/{patient:path}/disclosures"): Row(audit(200, 200)),
        ("GET", "/audit/feeds"): Row(audit(200, 200)),
    }
)
SEGMENTS = {
    "study": OURS.study_instance_uid,
    "study_instance_uid": OURS.study_instance_uid,
    "series": OURS.series_instance_uid,
    "instance": OURS.sop_instance_uid,
    "frame": "1",
    "frames": "1",
    "path:path": "7FE00010",
    "patient:path": OURS.patient_id,
    "version": "1",
    "token": "999999",
    "share": "999999",
    "override": "999999",
    "secret": "x" * 43,
    "grant": "999999",
    "identity": "1-1",
}
WADO = {
    "requestType": "WADO",
    "studyUID": OURS.study_instance_uid,
    "seriesUID": OURS.series_instance_uid,
    "objectUID": OURS.sop_instance_uid,
    "contentType": "application/dicom",
}


def routes_of(routes: list[Any], prefix: str = "") -> set[tuple[str, str]]:
    """Every method and path, whatever the routes are nested in."""
    found: set[tuple[str, str]] = set()
    for route in routes:
        if hasattr(route, "methods"):
            found |= {(method, prefix + route.path) for method in route.methods or ()}
        else:
            nested = getattr(route, "routes", None) or route.original_router.routes
            found |= routes_of(list(nested), prefix)
    return {(method, path) for method, path in found if method != "HEAD"}


def test_every_route_has_a_row(settings: Settings) -> None:
    assert routes_of(create_app(settings).routes) == MATRIX.keys()


@pytest.fixture(scope="module")
async def tokens(populated: Server) -> dict[str, str]:
    """What each kind of caller sends."""
    past = datetime.now(UTC) - timedelta(seconds=1)
    async with index_of(populated) as index:
        revoked = await issue_token(index, "revoked", [Scope.ADMIN])
        await revoke_token(index, revoked.id)
        assert (await list_tokens(index))[-1].revoked_at
    known = {name: await populated.token(*scopes) for name, scopes in SCOPED.items()}
    others = {
        name: await populated.token(*scopes, partition=name) for name, scopes in OF_OTHERS.items()
    }
    restricted = {
        name: await token_with(populated, grants, ("read", "store", "share"))
        for name, grants in RESTRICTED.items()
    }
    guests = {name: await guest_of(populated, study) for name, study in GUESTS.items()}
    unknown = {
        "garbage": "hilum_" + "x" * 43,
        "expired": await populated.token("admin", expires_at=past),
        "revoked": revoked.token,
    }
    return unknown | known | others | restricted | guests


async def guest_of(server: Server, study: str) -> str:
    """What a link to a study is exchanged for."""
    async with server.client("share") as http:
        asked = {"studies": [study], "name": "guest"}
        link = (await http.post(f"{server.url}/shares", json=asked)).json()["url"]
        token: str = (await http.post(link, headers={"Authorization": ""})).json()["access_token"]
    return token


@pytest.fixture(scope="module")
async def http(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=populated.url, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
async def http_in_development(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    """The same archive, served in development mode."""
    values = {"database_url": populated.database_url, "data_dir": populated.data_dir}
    with serving(FixedSettings.model_validate(values | {"development": True})) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
            yield client


@pytest.mark.parametrize("caller", CALLERS)
async def test_everybody_is_answered_as_the_matrix_says(
    http: httpx.AsyncClient, tokens: dict[str, str], caller: str
) -> None:
    found = await answers_to(http, tokens, caller)
    assert found == {route: row.expected[caller] for route, row in MATRIX.items()}


@pytest.mark.parametrize("caller", [*UNKNOWN, "no scope", "another study", "guest"])
async def test_in_development_mode_nobody_administrates_and_all_others_are_who_they_are(
    http_in_development: httpx.AsyncClient, tokens: dict[str, str], caller: str
) -> None:
    found = await answers_to(http_in_development, tokens, caller)
    taken_for = "administrator" if caller == "nobody" else caller
    assert found == {route: row.expected[taken_for] for route, row in MATRIX.items()}


CERTIFIED = (
    *("without grants", "study", "another study", "stores", "shares"),
    *("breaks the glass", "denied"),
)
EXCHANGES = (("POST", "/dicomweb/session"), ("POST", "/dicomweb/studies/{study}/token"))


@pytest.fixture(scope="module")
async def http_with_certificate(
    populated: Server,
) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """The same archive behind a proxy that has seen the certificate of a host of this name."""
    values = {
        "database_url": populated.database_url,
        "data_dir": populated.data_dir,
        "trusted_proxies": [ADDRESS],
        "client_certificates": {"form": "client-cert", "alone": True},
    }
    authority = Authority()

    def client(name: str) -> httpx.AsyncClient:
        der = authority.sign(name, x509.DNSName(host_of(name))).der
        return httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(local_address=ADDRESS),
            base_url=server.url,
            headers={"Client-Cert": f":{base64.b64encode(der).decode()}:"},
            timeout=30,
        )

    async with index_of(populated) as index:
        for name in CERTIFIED:
            await give(index, f"cert:dns:{host_of(name)}", RESTRICTED[name])
    with serving(FixedSettings.model_validate(values)) as server:
        yield client


def host_of(name: str) -> str:
    return name.replace(" ", "-") + ".example"


@pytest.mark.parametrize("caller", CERTIFIED)
async def test_who_has_a_certificate_is_answered_as_who_has_a_restricted_token(
    http_with_certificate: Callable[[str], httpx.AsyncClient],
    tokens: dict[str, str],
    caller: str,
) -> None:
    """But for that it is exchanged for nothing that would be good without it."""
    async with http_with_certificate(caller) as http:
        found = await answers_to(http, tokens, "nobody")
    for route in EXCHANGES:
        assert found.pop(route) in {403, 404}
    assert found == {
        route: row.expected[caller] for route, row in MATRIX.items() if route not in EXCHANGES
    }


async def answers_to(
    http: httpx.AsyncClient, tokens: dict[str, str], caller: str
) -> dict[tuple[str, str], int]:
    """The status with which each route answers this caller; of reads in a row, all at once."""
    found: dict[tuple[str, str], int] = {}
    for only_read, routes in groupby(MATRIX, key=lambda route: route[0] == "GET"):
        asked = [(route, _answer_to(http, tokens, caller, *route)) for route in routes]
        if only_read:
            answers = await asyncio.gather(*(answer for _, answer in asked))
            found |= dict(zip((route for route, _ in asked), answers, strict=True))
        else:
            found |= {route: await answer for route, answer in asked}
    return found


async def _answer_to(
    http: httpx.AsyncClient, tokens: dict[str, str], caller: str, method: str, path: str
) -> int:
    row, url = MATRIX[method, path], path
    for name, value in SEGMENTS.items():
        url = url.replace("{" + name + "}", value)
    sent: dict[str, Any] = {"params": WADO if path == "/wado" else {}, "headers": {}}
    if isinstance(row.body, bytes):
        sent |= {"content": row.body, "headers": {"Content-Type": "application/dicom"}}
    elif row.body is not None:
        sent["json"] = row.body
    if path.endswith("labels") and method == "PUT":
        sent["json"] = {"labels": [OURS.label]}
    match caller:
        case "nobody":
            pass
        case "wrong scheme":
            sent["headers"]["Authorization"] = f"Token {tokens['administrator']}"
        case "in the query":
            token = tokens["administrator"]
            sent["params"] = {**sent["params"], "token": token, "access_token": token}
        case "as a cookie":
            sent["headers"]["Cookie"] = f"hilum={tokens['administrator']}"
        case "empty":
            sent["headers"]["Authorization"] = "Bearer"
        case _:
            sent["headers"]["Authorization"] = f"Bearer {tokens[caller]}"
    answer = await http.request(method, url, **sent)
    http.cookies.clear()
    if answer.status_code == 401:
        assert "Bearer" in answer.headers["www-authenticate"]
    return answer.status_code


async def test_every_route_that_is_read_answers_head_alike(
    http: httpx.AsyncClient, tokens: dict[str, str]
) -> None:
    for caller in ("administrator", "another study", "garbage"):
        for (method, path), row in MATRIX.items():
            if method != "GET" or not path.startswith("/dicomweb"):
                continue
            url = path
            for name, value in SEGMENTS.items():
                url = url.replace("{" + name + "}", value)
            answer = await http.head(url, headers={"Authorization": f"Bearer {tokens[caller]}"})
            assert answer.status_code == row.expected[caller], path
            assert answer.content == b""
