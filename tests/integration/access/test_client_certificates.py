"""Callers who come to a proxy with a client certificate: who they are, and what they may do."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509

from app.access.grants import create_grant, scope_of
from app.index.grants import NewGrant
from app.settings import Settings
from tests.fixtures.authority import DAY, Authority, Signed
from tests.fixtures.provider import ARCHIVE, AUDIENCE, SECRET, Provider, providing
from tests.fixtures.server import FixedSettings, Server, serving
from tests.fixtures.tls_proxy import ADDRESS, tls_proxy
from tests.integration.access.population import THINGS, file_of, index_of, populate
from tests.integration.web.conftest import records

READING = ("search", "read", "render")
ALL_STUDIES = {thing.study_instance_uid for thing in THINGS}
P1 = {thing.study_instance_uid for thing in THINGS if thing.patient_id == "P1"}
NORTH = {thing.study_instance_uid for thing in THINGS if thing.institution == "North"}


@dataclass(frozen=True)
class Hospital:
    """Its authority, and machines with certificates of it."""

    authority: Authority
    folder: Path
    ct: Signed
    """May see what is of P1, by its name as a host."""
    mr: Signed
    """May see everything, by this very certificate."""
    stranger: Signed
    """Has no grants."""


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Hospital:
    authority, folder = Authority(), tmp_path_factory.mktemp("hospital")
    here = authority.sign("proxy", x509.IPAddress(ip_address("127.0.0.1")))
    here.write(folder / "proxy.pem")
    authority.signed.write(folder / "authority.pem")
    ct = authority.sign("CT 1", x509.DNSName("CT1.hospital.example"))
    made = Hospital(authority, folder, ct, authority.sign("MR 1"), authority.sign("stranger"))
    for name in ("ct", "mr", "stranger"):
        getattr(made, name).write(folder / f"{name}.pem")
    return made


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
def settings_of(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, provider: Provider
) -> Callable[..., Settings]:
    """Settings of one archive, with these of its client certificates."""
    folder = tmp_path_factory.mktemp("archive")
    oidc = {
        "issuer": provider.issuer,
        "audience": AUDIENCE,
        "introspection_url": f"{provider.issuer}/introspect",
        "client_id": ARCHIVE,
        "client_secret": SECRET,
    }

    def make(**certificates: Any) -> Settings:
        return FixedSettings.model_validate(
            {
                "database_url": module_database_url,
                "data_dir": folder,
                "trusted_proxies": [ADDRESS],
                "outgoing_networks": ["127.0.0.1"],
                "oidc": oidc,
                "client_certificates": {"form": "client-cert", "alone": True} | certificates,
            }
        )

    return make


@pytest.fixture(scope="module")
async def archive(
    settings_of: Callable[..., Settings], hospital: Hospital
) -> AsyncIterator[Server]:
    with serving(settings_of()) as server:
        await populate(server)
        async with index_of(server) as index:
            for subject, scope in (
                ("cert:dns:ct1.hospital.example", {"patient_id": "P1"}),
                (f"cert:sha256:{hospital.mr.sha256.hex()}", {}),
                ("role:machine", {"institution": "North"}),
                ("role:all", {}),
            ):
                grant = NewGrant(subject=subject, actions=READING, scope=scope_of(scope))
                await create_grant(index, 1, grant)
        yield server


def client_cert(der: bytes) -> str:
    return f":{base64.b64encode(der).decode()}:"


@asynccontextmanager
async def at_proxy(server: Server, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that sends what the proxy would, from its address."""
    async with httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(local_address=ADDRESS),
        base_url=server.dicomweb,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
        timeout=30,
    ) as http:
        yield http


async def seen(http: httpx.AsyncClient, **headers: str) -> set[str] | int:
    """The studies that are found, or the status if none can be asked for."""
    answer = await http.get("/studies", headers=headers)
    if answer.status_code != 200:
        return answer.status_code
    return {one["0020000D"]["Value"][0] for one in answer.json()}


FORMS: dict[str, Callable[[Signed], bytes]] = {
    "client-cert": lambda one: b"Client-Cert: " + client_cert(one.der).encode(),
    "pem": lambda one: b"X-SSL-Client-Cert: " + one.escaped.encode(),
    "xfcc": lambda one: (
        f'X-Forwarded-Client-Cert: Hash={one.sha256.hex()};Cert="{one.escaped}";Subject="CN=x"'
    ).encode(),
}


@asynccontextmanager
async def through(
    server: Server, hospital: Hospital, who: str | None, form: str = "client-cert"
) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a certificate, of a real proxy with TLS."""

    def headers(der: bytes) -> list[bytes]:
        return [FORMS[form](Signed(x509.load_der_x509_certificate(der), hospital.ct.key))]

    context = ssl.create_default_context(cafile=hospital.folder / "authority.pem")
    if who is not None:
        context.load_cert_chain(hospital.folder / f"{who}.pem")
    ends = hospital.folder / "proxy.pem", hospital.folder / "authority.pem"
    async with (
        tls_proxy(server.url, *ends, headers) as url,
        httpx.AsyncClient(base_url=f"{url}/dicomweb", verify=context, trust_env=False) as http,
    ):
        yield http


@pytest.mark.parametrize("form", FORMS)
async def test_a_certificate_opens_what_grants_let_its_holder_see(
    archive: Server, settings_of: Callable[..., Settings], hospital: Hospital, form: str
) -> None:
    with serving(settings_of(form=form)) as server:
        for who, expected in (("ct", P1), ("mr", ALL_STUDIES), ("stranger", set()), (None, 401)):
            async with through(server, hospital, who, form) as http:
                assert await seen(http) == expected, who


async def test_its_holder_is_restricted_and_never_administrates(
    archive: Server, hospital: Hospital
) -> None:
    async with through(archive, hospital, "ct") as http:
        for thing in THINGS[::5]:
            status = 200 if thing.patient_id == "P1" else 404
            for path in (f"/studies/{thing.study_instance_uid}/metadata", thing.path):
                assert (await http.get(path)).status_code == status
    async with at_proxy(archive, Client_Cert=client_cert(hospital.ct.der)) as http:
        for path in ("/admin/tokens", "/admin/grants", "/fhir/AuditEvent"):
            assert (await http.get(archive.url + path)).status_code == 403
        stored = await http.post(
            "/studies", content=file_of(THINGS[0]), headers={"Content-Type": "application/dicom"}
        )
        assert stored.status_code == 409


async def test_its_holder_looks_into_the_audit_by_a_grant_to_it(
    archive: Server, hospital: Hospital
) -> None:
    async with index_of(archive) as index:
        subject = f"cert:sha256:{hospital.stranger.sha256.hex()}"
        await create_grant(index, 1, NewGrant(subject=subject, actions=["audit"]))
    for who, status in (("stranger", 200), ("mr", 403)):
        async with through(archive, hospital, who) as http:
            url = str(http.base_url).replace("/dicomweb", "")
            assert (await http.get(f"{url.rstrip('/')}/fhir/AuditEvent")).status_code == status
    async with through(archive, hospital, "stranger") as http:
        assert await seen(http) == set()


async def test_the_audit_tells_who_it_was(archive: Server, hospital: Hospital) -> None:
    async with through(archive, hospital, "ct") as http:
        await seen(http)
    told = [record["principal"] for record in await records(archive)]
    number = hospital.ct.sha256.hex()
    assert told[-1] == f"cert:dn:CN=CT 1,O=Hospital cert:sha256:{number}"


async def test_its_holder_breaks_the_glass_by_a_grant_to_it_and_the_audit_names_them(
    archive: Server, hospital: Hospital
) -> None:
    """What is opened is open to this certificate, not to another one of the same name."""
    name = x509.DNSName("ward.hospital.example")
    ward, renewed = (hospital.authority.sign("Ward", name) for _ in range(2))
    async with index_of(archive) as index:
        subject = f"cert:dns:{name.value}"
        await create_grant(index, 1, NewGrant(subject=subject, actions=["break-glass"]))
    overrides, hidden = f"{archive.url}/overrides", THINGS[0]
    asked = {"reason": "unconscious", "study_instance_uid": hidden.study_instance_uid}
    async with (
        at_proxy(archive, Client_Cert=client_cert(ward.der)) as http,
        at_proxy(archive, Client_Cert=client_cert(renewed.der)) as other,
        at_proxy(archive, Client_Cert=client_cert(hospital.stranger.der)) as stranger,
    ):
        assert await seen(http) == set()
        assert (await stranger.post(overrides, json=asked)).status_code == 403
        of_others = {"Origin": "https://evil.example"}
        assert (await http.post(overrides, json=asked, headers=of_others)).status_code == 401
        answer = await http.post(overrides, json=asked)
        assert answer.status_code == 201
        override = answer.json()
        assert override["subject"] == f"cert:sha256:{ward.sha256.hex()}"
        assert await seen(http) == {hidden.study_instance_uid}
        for path in (hidden.path, f"{hidden.path}/rendered"):
            assert (await http.get(path)).status_code == 200
        assert (await http.get(overrides)).json() == [override]
        assert await seen(other) == set()
        assert (await other.get(overrides)).json() == []
        assert (await other.delete(f"{overrides}/{override['id']}")).status_code == 404
        assert (await http.delete(f"{overrides}/{override['id']}")).status_code == 204
        assert await seen(http) == set()
        assert (await http.get(hidden.path)).status_code == 404
    told = [one for one in await records(archive) if one["override"] == override["id"]]
    assert [(one["method"], one["subtype"]) for one in told] == [
        ("POST", "110127"),
        ("GET", None),
        ("GET", None),
        ("GET", None),
        ("DELETE", "110138"),
    ]
    number = ward.sha256.hex()
    assert {one["principal"] for one in told} == {
        f"cert:dn:CN=Ward,O=Hospital cert:sha256:{number}"
    }
    assert {one["reason"] for one in told if one["subtype"]} == {"unconscious"}


async def test_roles_of_the_settings_are_those_of_all(
    archive: Server, settings_of: Callable[..., Settings], hospital: Hospital
) -> None:
    with serving(settings_of(roles=["machine"])) as server:
        async with through(server, hospital, "stranger") as http:
            assert await seen(http) == NORTH
    with serving(settings_of(partition="elsewhere")) as server:
        async with through(server, hospital, "mr") as http:
            assert await seen(http) == 401, "there is no such partition yet"
            await server.token("read", partition="elsewhere")
            assert await seen(http) == set()


async def test_nobody_but_the_proxy_is_believed(archive: Server, hospital: Hospital) -> None:
    told = {"Client-Cert": client_cert(hospital.mr.der)}
    async with httpx.AsyncClient(base_url=archive.dicomweb, headers=told) as http:
        assert await seen(http) == 401
    async with archive.client("read", **told) as http:
        assert await seen(http) == ALL_STUDIES, "who has a token may send what they like"
    async with at_proxy(archive, Client_Cert=told["Client-Cert"]) as http:
        assert await seen(http) == ALL_STUDIES


async def test_what_callers_add_is_refused(archive: Server, hospital: Hospital) -> None:
    """The proxy of these tests lets everything pass."""
    told = client_cert(hospital.mr.der)
    async with through(archive, hospital, "ct") as http:
        for name in ("Client-Cert", "client_cert"):
            for value in (told, "", "nonsense"):
                assert await seen(http, **{name: value}) == 401, (name, value)
        for name in ("X-Forwarded-Client-Cert", "X-SSL-Client-Cert", "Client-Cert-Chain"):
            assert await seen(http, **{name: told}) == P1, name
    async with through(archive, hospital, None) as http:
        assert await seen(http, client_cert=told) == 401


async def test_a_certificate_that_is_not_valid_now_is_refused(
    archive: Server, hospital: Hospital
) -> None:
    token = await archive.token("read")
    for signed in (
        hospital.authority.sign("x", begins=-2 * DAY, ends=timedelta(seconds=-1)),
        hospital.authority.sign("x", begins=timedelta(hours=1)),
    ):
        async with at_proxy(archive, Client_Cert=client_cert(signed.der)) as http:
            assert await seen(http) == 401
            assert await seen(http, Authorization=f"Bearer {token}") == 401


async def test_a_certificate_alone_is_enough_only_where_the_settings_say_so(
    archive: Server, settings_of: Callable[..., Settings], hospital: Hospital
) -> None:
    told = client_cert(hospital.mr.der)
    token = await archive.token("read")
    unaware = settings_of().model_copy(update={"client_certificates": None})
    for settings in (settings_of(alone=False), unaware):
        with serving(settings) as server:
            async with at_proxy(server, Client_Cert=told) as http:
                assert await seen(http) == 401
                assert await seen(http, Authorization=f"Bearer {token}") == ALL_STUDIES


def test_certificates_need_a_proxy_to_tell_of_them() -> None:
    with pytest.raises(ValueError, match="HILUM_TRUSTED_PROXIES"):
        FixedSettings.model_validate({"client_certificates": {"form": "pem"}})
    for wrong in ({"form": "other"}, {"form": "pem", "header": "A B"}, {"header": "X-Cert"}):
        with pytest.raises(ValueError, match="client_certificates"):
            FixedSettings.model_validate(
                {"trusted_proxies": ["10.0.0.1"], "client_certificates": wrong}
            )


async def test_a_token_tells_who_it_is_even_with_a_certificate(
    archive: Server, hospital: Hospital
) -> None:
    async with through(archive, hospital, "ct") as http:
        for token, expected in (
            (await archive.token("read"), ALL_STUDIES),
            (await archive.token("read", restricted=True), set()),
            (await archive.token("store"), 403),
            ("hilum_" + "x" * 43, 401),
        ):
            assert await seen(http, Authorization=f"Bearer {token}") == expected
        assert await seen(http, Authorization="") == 401


@pytest.mark.parametrize("opaque", [False, True])
async def test_a_bound_token_is_worth_nothing_without_its_certificate(
    archive: Server, hospital: Hospital, provider: Provider, opaque: bool
) -> None:
    """RFC 8705, of the token itself and of what the provider says of it."""
    thumbprint = base64.urlsafe_b64encode(hospital.stranger.sha256).rstrip(b"=").decode()
    scope = "user/*.cruds"
    bound, broken, free = [
        await asyncio.to_thread(
            provider.token, scope, name, opaque=opaque, roles=["all"], **confirmed
        )
        for name, confirmed in (
            ("bound", {"cnf": {"x5t#S256": thumbprint}}),
            ("broken", {"cnf": {"x5t#S256": thumbprint[:-1]}}),
            ("free", {}),
        )
    ]
    for who, expected in (("stranger", ALL_STUDIES), ("mr", 401), (None, 401)):
        async with through(archive, hospital, who) as http:
            for _ in range(2):
                assert await seen(http, Authorization=f"Bearer {bound}") == expected, who
            assert await seen(http, Authorization=f"Bearer {broken}") == 401
            assert await seen(http, Authorization=f"Bearer {free}") == ALL_STUDIES
    told = {"Client-Cert": client_cert(hospital.stranger.der)}
    async with httpx.AsyncClient(base_url=archive.dicomweb, headers=told) as http:
        assert await seen(http, Authorization=f"Bearer {bound}") == 401, "past the proxy"


async def test_what_is_bound_to_a_certificate_is_not_exchanged(
    archive: Server, hospital: Hospital, provider: Provider
) -> None:
    thumbprint = base64.urlsafe_b64encode(hospital.mr.sha256).rstrip(b"=").decode()
    bound = await asyncio.to_thread(
        provider.token, "user/*.rs", "b2", roles=["all"], cnf={"x5t#S256": thumbprint}
    )
    async with at_proxy(archive, Client_Cert=client_cert(hospital.mr.der)) as http:
        for headers in ({}, {"Authorization": f"Bearer {bound}"}):
            assert isinstance(await seen(http, **headers), set)
            for path in ("/session", f"/studies/{THINGS[0].study_instance_uid}/token"):
                answer = await http.post(path, headers=headers)
                assert answer.status_code == 403
                assert "certificate" in answer.json()["detail"]


async def test_a_browser_with_a_certificate_does_nothing_for_pages_of_other_sites(
    archive: Server, hospital: Hospital
) -> None:
    async with at_proxy(archive, Client_Cert=client_cert(hospital.ct.der)) as http:
        assert await seen(http, **{"Sec-Fetch-Site": "same-origin"}) == P1
        assert await seen(http, **{"Sec-Fetch-Site": "cross-site"}) == 401
        assert await seen(http, Origin="https://evil.example") == 401
        ours = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pacs.example"}
        assert await seen(http, Origin="https://pacs.example", **ours) == P1


async def test_a_cookie_tells_who_it_is_where_it_may(archive: Server, hospital: Hospital) -> None:
    token = await archive.token("read")
    async with at_proxy(archive, Client_Cert=client_cert(hospital.ct.der)) as http:
        assert (
            await http.post("/session", headers={"Authorization": f"Bearer {token}"})
        ).status_code == 201
        assert await seen(http) == ALL_STUDIES
        http.cookies.clear()
        assert await seen(http) == P1
        assert await seen(http, Cookie="hilum=hilum_session_x") == 401
