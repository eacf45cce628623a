"""Users of an identity provider: recognised by its keys, allowed what scopes and grants allow."""

import asyncio
import base64
import hmac
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import Key, RSAKey

from app.access import recognition
from app.access.credentials import PREFIX, SESSION_PREFIX, new_secret
from app.access.grants import create_grant, scope_of
from app.access.oidc import keys as oidc_keys
from app.access.oidc import tokens as oidc_tokens
from app.access.oidc.provider import MOST_ROLES
from app.errors import InvalidParameter
from app.index.grants import NewGrant
from app.settings import Oidc
from tests.fixtures.provider import ARCHIVE, AUDIENCE, SECRET, Provider, providing
from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import (
    THINGS,
    client_of,
    file_of,
    index_of,
    open_override,
    populate,
    store,
)
from tests.integration.web.conftest import records

READING = ("search", "read", "render")
ALL_STUDIES = {thing.study_instance_uid for thing in THINGS}
P1 = {thing.study_instance_uid for thing in THINGS if thing.patient_id == "P1"}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
async def archive(
    module_database_url: str, tmp_path_factory: pytest.TempPathFactory, provider: Provider
) -> AsyncIterator[Server]:
    """An archive that takes the provider's tokens. Role `all` sees everything, `smart-patient`
    too, as far as it is of the patient."""
    folder: Path = tmp_path_factory.mktemp("oidc")
    with serving(settings_of(module_database_url, folder, provider)) as server:
        await populate(server)
        async with index_of(server) as index:
            for role, actions in (("all", (*READING, "store")), ("smart-patient", READING)):
                await create_grant(index, 1, NewGrant(subject=f"role:{role}", actions=actions))
            await create_grant(
                index,
                1,
                NewGrant(
                    subject="user:f3a0|x", actions=READING, scope=scope_of({"patient_id": "P1"})
                ),
            )
        yield server


def settings_of(database_url: str, folder: Path, provider: Provider, **more: Any) -> FixedSettings:
    oidc = {"issuer": provider.issuer, "audience": AUDIENCE} | more
    values = {"database_url": database_url, "data_dir": folder, "oidc": oidc}
    return FixedSettings.model_validate(values | {"outgoing_networks": ["127.0.0.1"]})


async def seen(server: Server, token: str) -> set[str] | int:
    """The studies that are found, or the status if none can be asked for."""
    async with client_of(server, token) as http:
        answer = await http.get("/studies")
        if answer.status_code != 200:
            return answer.status_code
        return {one["0020000D"]["Value"][0] for one in answer.json()}


@pytest.mark.parametrize(
    ("scope", "claims", "expected"),
    [
        ("user/ImagingStudy.rs", {"roles": ["all"]}, ALL_STUDIES),
        ("user/ImagingStudy.rs", {"roles": "other all"}, ALL_STUDIES),
        ("user/*.cruds openid", {"roles": ["all"]}, ALL_STUDIES),
        ("user/ImagingStudy.read", {"roles": ["all"]}, ALL_STUDIES),
        ("user/ImagingStudy.rs", {}, set()),
        ("user/ImagingStudy.r", {"roles": ["all"]}, 403),
        ("user/ImagingStudy.c", {"roles": ["all"]}, 403),
        ("user/Patient.rs", {"roles": ["all"]}, 403),
        ("openid profile", {"roles": ["all"]}, 403),
        ("", {"roles": ["all"]}, 403),
        ("patient/ImagingStudy.rs", {"patient": "P1"}, P1),
        ("patient/*.rs", {"patient": "P1", "roles": ["all"]}, P1),
        ("patient/ImagingStudy.rs", {"patient": "nobody"}, set()),
        ("patient/ImagingStudy.rs", {}, 403),
        ("patient/ImagingStudy.rs?category=x", {"patient": "P1"}, 403),
        (
            "patient/ImagingStudy.rs user/ImagingStudy.s",
            {"patient": "P1", "roles": ["all"]},
            ALL_STUDIES,
        ),
        ("patient/ImagingStudy.rs user/ImagingStudy.s", {"patient": "P1"}, set()),
        ("patient/*.rs system/*.rs", {"patient": "P1"}, set()),
        ("patient/ImagingStudy.rs user/ImagingStudy.s?x=y", {"patient": "P1"}, P1),
        ("patient/ImagingStudy.rs share audit", {"patient": "P1"}, P1),
        ("system/ImagingStudy.rs", {"roles": ["smart-patient"]}, set()),
    ],
)
async def test_scopes_and_grants_decide_together(
    archive: Server, provider: Provider, scope: str, claims: dict[str, Any], expected: object
) -> None:
    token = await asyncio.to_thread(provider.token, scope, "user-1", **claims)
    assert await seen(archive, token) == expected


async def test_no_role_is_passed_over_however_many_there_are(
    archive: Server, provider: Provider
) -> None:
    """One that denies may be the first of them."""
    async with index_of(archive) as index:
        denial = NewGrant(subject="role:suspended", actions=READING, denies=True)
        await create_grant(index, 1, denial)
    others = [f"group-{number}" for number in range(MOST_ROLES - 2)]
    for roles, expected in (
        (["suspended", *others, "all"], set[str]()),
        (["other", *others, "all"], ALL_STUDIES),
        (["suspended", "other", *others, "all"], 403),
    ):
        token = await asyncio.to_thread(
            provider.token, "user/ImagingStudy.rs", f"user-of-{len(roles)}-{roles[0]}", roles=roles
        )
        assert await seen(archive, token) == expected


async def test_a_user_has_grants_of_their_own(archive: Server, provider: Provider) -> None:
    token = await asyncio.to_thread(provider.token, "user/ImagingStudy.rs", "f3a0|x")
    assert await seen(archive, token) == P1
    record = (await records(archive))[-1]
    assert (record["principal"], record["subject"]) == ("f3a0|x", "user:f3a0|x")
    async with client_of(archive, token) as http:
        for thing in THINGS[::5]:
            status = 200 if thing.patient_id == "P1" else 404
            assert (await http.get(thing.path)).status_code == status
        assert (await store(http, [file_of(THINGS[0])])).status_code == 403
        for path in ("/admin/tokens", "/admin/grants"):
            assert (await http.get(archive.url + path)).status_code == 403


@pytest.mark.parametrize(
    ("scope", "claims", "expected"),
    [
        ("user/ImagingStudy.rs", {"roles": ["emergency"]}, 201),
        ("user/ImagingStudy.rs", {}, 403),
        ("user/ImagingStudy.s", {"roles": ["emergency"]}, 403),
        ("patient/ImagingStudy.rs", {"roles": ["emergency"], "patient": "P0"}, 201),
        ("patient/ImagingStudy.rs", {"roles": ["emergency"], "patient": "P1"}, 404),
        ("patient/*.rs user/*.s", {"roles": ["emergency"], "patient": "P1"}, 404),
    ],
)
async def test_a_role_lets_a_user_break_the_glass_of_what_scopes_let_them_read(
    archive: Server, provider: Provider, scope: str, claims: dict[str, Any], expected: int
) -> None:
    of_p0 = next(thing for thing in THINGS if thing.patient_id == "P0")
    async with index_of(archive) as index:
        emergency = NewGrant(subject="role:emergency", actions=["break-glass"])
        await create_grant(index, 1, emergency)
    name = f"user-{scope}-{expected}".replace(" ", "-")
    token = await asyncio.to_thread(provider.token, scope, name, **claims)
    asked = {"study_instance_uid": of_p0.study_instance_uid}
    assert await open_override(archive, token, **asked) == expected
    async with client_of(archive, token) as http:
        status = (await http.get(of_p0.path)).status_code
        assert (status == 200) == (expected == 201 or claims.get("patient") == "P0")


async def test_what_a_user_has_opened_is_narrowed_by_the_scopes_of_each_token(
    archive: Server, provider: Provider
) -> None:
    of_p0 = next(thing for thing in THINGS if thing.patient_id == "P0")
    async with index_of(archive) as index:
        emergency = NewGrant(subject="role:emergency", actions=["break-glass"])
        await create_grant(index, 1, emergency)

    async def token(scope: str, **claims: Any) -> str:
        return await asyncio.to_thread(
            provider.token, scope, "physician", roles=["emergency"], **claims
        )

    whole = await token("user/ImagingStudy.rs")
    asked = {"study_instance_uid": of_p0.study_instance_uid}
    assert await open_override(archive, whole, **asked) == 201
    assert await seen(archive, whole) == {of_p0.study_instance_uid}
    of_p1 = await token("patient/*.rs", patient="P1")
    for narrow, status in ((of_p1, 404), (await token("user/ImagingStudy.s"), 403)):
        async with client_of(archive, narrow) as http:
            assert (await http.get(of_p0.path)).status_code == status
    assert await seen(archive, of_p1) == P1
    sharing = await token("user/*.cruds share")
    async with client_of(archive, sharing) as http:
        assert (await http.get(of_p0.path)).status_code == 200
        shared = {"studies": [of_p0.study_instance_uid], "name": "x"}
        assert (await http.post(f"{archive.url}/shares", json=shared)).status_code == 404
        assert (await store(http, [file_of(of_p0)])).status_code == 409


@pytest.mark.parametrize(
    ("scope", "roles", "status"),
    [
        ("audit", ["auditor"], 200),
        ("user/ImagingStudy.rs audit", ["all", "auditor"], 200),
        ("user/ImagingStudy.rs", ["auditor"], 403),
        ("user/*.cruds", ["auditor"], 403),
        ("audit", ["all"], 403),
        ("audit", [], 403),
        ("audit", ["auditor", "not-auditor"], 403),
        ("patient/*.rs audit", [], 403),
    ],
)
async def test_to_look_into_the_audit_needs_the_scope_and_the_grant(
    archive: Server, provider: Provider, scope: str, roles: list[str], status: int
) -> None:
    async with index_of(archive) as index:
        for role, denies in (("auditor", False), ("not-auditor", True)):
            grant = NewGrant(subject=f"role:{role}", actions=["audit"], denies=denies)
            await create_grant(index, 1, grant)
    token = await asyncio.to_thread(provider.token, scope, "user-1", roles=roles)
    async with client_of(archive, token) as http:
        for path in ("/fhir/AuditEvent", "/audit/patients/P1/disclosures", "/audit/feeds"):
            assert (await http.get(archive.url + path)).status_code == status
        assert (await http.get(archive.url + "/admin/tokens")).status_code == 403
        if "all" not in roles:  # the audit is all that is granted
            answer = await http.get("/studies")
            assert answer.status_code == 403 or answer.json() == []


async def test_a_grant_to_look_into_the_audit_covers_all_of_it(archive: Server) -> None:
    bounded = {"scope": scope_of({"patient_id": "P1"})}, {"purpose": "TREAT"}
    async with index_of(archive) as index:
        for more in bounded:
            grant = NewGrant(subject="role:x", actions=["read", "audit"], **more)
            with pytest.raises(InvalidParameter, match="covers all of a partition"):
                await create_grant(index, 1, grant)


async def test_a_purpose_that_is_no_text_is_none(archive: Server, provider: Provider) -> None:
    token = await asyncio.to_thread(
        provider.token, "user/*.rs", "app", roles=["all"], purpose_of_use="a\0b"
    )
    async with client_of(archive, token) as http:
        assert (await http.get("/studies")).status_code == 200


async def test_what_scopes_narrow_to_a_patient_is_narrowed_on_every_path(
    archive: Server, provider: Provider
) -> None:
    token = await asyncio.to_thread(
        provider.token, "patient/ImagingStudy.rs", "app", patient="P1", roles=["all"]
    )
    async with client_of(archive, token) as http:
        for thing in THINGS[::5]:
            status = 200 if thing.patient_id == "P1" else 404
            study = f"/studies/{thing.study_instance_uid}"
            for path in (study, f"{study}/metadata", f"{study}/thumbnail", thing.path):
                assert (await http.get(path)).status_code == status, path


async def test_who_is_narrowed_to_a_patient_shares_what_is_of_the_patient(
    archive: Server, provider: Provider
) -> None:
    async with index_of(archive) as index:
        grant = NewGrant(subject="role:sharing", actions=(*READING, "share"))
        await create_grant(index, 1, grant)
    token = await asyncio.to_thread(
        provider.token, "patient/*.rs share", "app-2", patient="P1", roles=["sharing"]
    )
    async with client_of(archive, token) as http:
        for thing in THINGS[::5]:
            shared = {"studies": [thing.study_instance_uid], "name": "x"}
            status = 201 if thing.patient_id == "P1" else 404
            assert (await http.post(f"{archive.url}/shares", json=shared)).status_code == status


async def test_storing_needs_the_scope_and_the_grant(archive: Server, provider: Provider) -> None:
    writer = await asyncio.to_thread(provider.token, "user/ImagingStudy.c", roles=["all"])
    reader = await asyncio.to_thread(provider.token, "user/ImagingStudy.rs", roles=["all"])
    stranger = await asyncio.to_thread(provider.token, "user/ImagingStudy.cruds", "stranger")
    for token, status in ((writer, 200), (reader, 403), (stranger, 409)):
        async with client_of(archive, token) as http:
            assert (await store(http, [file_of(THINGS[0])])).status_code == status


def signed(key: Key, claims: dict[str, Any], **header: Any) -> str:
    """A token that no library of a provider would make."""
    head = {"alg": "RS256", "typ": "at+jwt"} | header
    parts = [json.dumps(part).encode() for part in (head, claims)]
    if head["alg"] != "RS256" or "crit" in head:
        first, second = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        return f"{first}.{second}.{'A' * 342}"
    return jws.serialize_compact(
        head, parts[1], key, registry=jws.JWSRegistry(strict_check_header=False)
    )


def with_shared_secret(key: Key, claims: dict[str, Any]) -> str:
    """Signed with the public key, which everybody has, as if it were a secret."""
    assert isinstance(key, RSAKey)
    said = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256"}, claims)
    )
    signature = hmac.digest(key.as_pem(private=False), said, "sha256")
    return f"{said.decode()}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_tampered_tokens_are_refused(archive: Server, provider: Provider) -> None:
    """Whatever is wrong, it is 401, and nothing but the provider's own keys is fetched."""
    fetched: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fetched.append(await reader.readline())
        writer.close()

    canary = await asyncio.start_server(serve, "127.0.0.1", 0)
    elsewhere = f"http://127.0.0.1:{canary.sockets[0].getsockname()[1]}/keys"
    ours, other = provider.keys[-1], RSAKey.generate_key(2048)
    now = int(time.time())
    good = {
        "iss": provider.issuer,
        "aud": AUDIENCE,
        "sub": "user-1",
        "exp": now + 300,
        "iat": now,
        "scope": "user/ImagingStudy.rs",
        "roles": ["all"],
    }

    def without(name: str) -> dict[str, Any]:
        return {key: value for key, value in good.items() if key != name}

    valid = signed(ours, good)
    head, body, signature = valid.split(".")
    another = signed(ours, good | {"sub": "x"}).split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    bad = {
        "expired": signed(ours, good | {"exp": now - 61}),
        "expires never": signed(ours, without("exp")),
        "expires as text": signed(ours, good | {"exp": str(now + 300)}),
        "expires true": signed(ours, good | {"exp": True}),
        "not yet": signed(ours, good | {"nbf": now + 120}),
        "from the future": signed(ours, good | {"iat": now + 120}),
        "other audience": signed(ours, good | {"aud": "https://other.example"}),
        "other audiences": signed(ours, good | {"aud": ["https://other.example"]}),
        "no audience": signed(ours, without("aud")),
        "other issuer": signed(ours, good | {"iss": "https://evil.example"}),
        "issuer with slash": signed(ours, good | {"iss": provider.issuer + "/"}),
        "no issuer": signed(ours, without("iss")),
        "no subject": signed(ours, without("sub")),
        "subject a number": signed(ours, good | {"sub": 7}),
        "subject with newline": signed(ours, good | {"sub": "a\nb"}),
        "other key": signed(other, good),
        "other key in jwk": signed(other, good, jwk=other.as_dict(private=False)),
        "other key at jku": signed(other, good, jku=elsewhere),
        "other key at x5u": signed(other, good, x5u=elsewhere),
        "unknown kid": signed(ours, good, kid="nobody"),
        "kid is a path": signed(ours, good, kid="../../x"),
        "an ID token": signed(ours, good, typ="JOSE"),
        "alg none": f"{none}.{body}.",
        "alg none, signed": f"{none}.{body}.{signature}",
        "HS256 with the public key": with_shared_secret(ours, good),
        "critical": signed(ours, good, crit=["exp"]),
        "other algorithm": signed(ours, good, alg="PS256"),
        "no algorithm": signed(ours, good, alg=None),
        "signature cut": valid[:-3],
        "signature of another": f"{head}.{body}.{another[2]}",
        "claims of another": f"{head}.{another[1]}.{signature}",
        "no object": f"{head}.W10.{signature}",
        "empty parts": "..",
        "huge": valid + "A" * 16_000,
    }
    async with canary:
        assert await seen(archive, valid) == ALL_STUDIES
        for what, token in bad.items():
            assert await seen(archive, token) in {401, 431}, what
    assert fetched == []
    assert set(provider.asked) <= {"/.well-known/openid-configuration", "/keys", "/token"}


async def test_a_token_has_a_minute_before_and_after_its_time(
    archive: Server, provider: Provider
) -> None:
    now = int(time.time())
    claims = {
        "iss": provider.issuer,
        "aud": AUDIENCE,
        "sub": "late",
        "exp": now + 300,
        "scope": "user/ImagingStudy.rs",
        "roles": ["all"],
    }
    for more, lets_in in (
        ({"exp": now - 40}, True),
        ({"nbf": now + 40}, True),
        ({"exp": now - 61}, False),
        ({"nbf": now + 120}, False),
    ):
        token = signed(provider.keys[-1], claims | more)
        assert await seen(archive, token) == (ALL_STUDIES if lets_in else 401), more


async def test_a_token_may_be_only_so_long(
    archive: Server, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "REMEMBERED_SECONDS", 0.001)
    token = await asyncio.to_thread(provider.token, "user/*.rs", "long", roles=["all"])
    for longest, answer in (
        (len(token) + 1, ALL_STUDIES),
        (len(token), ALL_STUDIES),
        (len(token) - 1, 401),
    ):
        monkeypatch.setattr(oidc_tokens, "LONGEST", longest)
        assert await seen(archive, token) == answer


async def test_a_new_key_is_found_and_an_old_one_is_forgotten(
    module_database_url: str, archive: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_keys, "PATIENCE_SECONDS", 0.0)
    with (
        providing("ES256") as provider,
        serving(
            settings_of(module_database_url, tmp_path, provider, algorithms=["ES256"])
        ) as server,
    ):
        first = await asyncio.to_thread(provider.token, "user/*.rs", roles=["all"])
        assert await seen(server, first) == ALL_STUDIES
        await asyncio.to_thread(provider.rotate)
        second = await asyncio.to_thread(provider.token, "user/*.rs", roles=["all"])
        assert await seen(server, second) == ALL_STUDIES
        del provider.keys[0]
        monkeypatch.setattr(oidc_keys, "FRESH_SECONDS", 0.0)
        monkeypatch.setattr(recognition, "REMEMBERED_SECONDS", 0.001)
        third = await asyncio.to_thread(provider.token, "user/*.rs", "u3", roles=["all"])
        assert await seen(server, third) == ALL_STUDIES
        fourth = await asyncio.to_thread(provider.token, "user/*.rs", "u4", roles=["all"])
        assert await seen(server, fourth) == ALL_STUDIES
        assert provider.asked.count("/keys") >= 3


async def test_a_new_key_may_have_the_name_of_the_one_before(
    module_database_url: str, archive: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_keys, "PATIENCE_SECONDS", 0.0)
    now = int(time.time())
    with (
        providing() as provider,
        serving(settings_of(module_database_url, tmp_path, provider)) as server,
    ):
        claims = {"iss": provider.issuer, "aud": AUDIENCE, "sub": "u", "exp": now + 300}
        claims |= {"scope": "user/ImagingStudy.rs", "roles": ["all"]}
        for turn in ("first", "second"):
            provider.keys = [RSAKey.generate_key(2048, {"use": "sig", "kid": "default"})]
            token = signed(provider.keys[0], claims | {"jti": turn}, kid="default")
            assert await seen(server, token) == ALL_STUDIES, turn


async def test_invented_keys_do_not_make_us_ask(archive: Server, provider: Provider) -> None:
    before = provider.asked.count("/keys")
    claims = {"iss": provider.issuer}
    for number in range(20):
        assert await seen(archive, signed(provider.keys[-1], claims, kid=f"x{number}")) == 401
    assert provider.asked.count("/keys") <= before + 1


async def test_without_the_provider_its_keys_are_good_for_a_while(
    module_database_url: str, archive: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recognition, "REMEMBERED_SECONDS", 0.001)
    monkeypatch.setattr(oidc_keys, "PATIENCE_SECONDS", 0.0)
    with (
        providing() as provider,
        serving(settings_of(module_database_url, tmp_path, provider)) as server,
    ):
        token = await asyncio.to_thread(provider.token, "user/*.rs", roles=["all"])
        provider.down = True
        assert await seen(server, token) == 503, "nobody is let in without keys"
        assert isinstance(await seen(server, await server.token("read")), set)
        provider.down = False
        assert await seen(server, token) == ALL_STUDIES
        provider.down = True
        monkeypatch.setattr(oidc_keys, "FRESH_SECONDS", 0.0)
        assert await seen(server, token) == ALL_STUDIES
        monkeypatch.setattr(oidc_keys, "STALE_SECONDS", 0.0)
        assert await seen(server, token) == 503


async def test_a_provider_where_nobody_may_be_called_is_not_asked(
    module_database_url: str,
    archive: Server,
    tmp_path: Path,
    provider: Provider,
    capfd: pytest.CaptureFixture[str],
) -> None:
    asking = {"introspection_url": f"{provider.issuer}/introspect"}
    settings = settings_of(module_database_url, tmp_path, provider, **asking)
    token = await asyncio.to_thread(provider.token, "user/*.rs", roles=["all"])
    before = len(provider.asked)
    with serving(settings.model_copy(update={"outgoing_networks": []})) as server:
        assert await seen(server, token) == 503
        assert await seen(server, "opaque") == 503
    assert len(provider.asked) == before
    assert capfd.readouterr().out.count("which HILUM_OUTGOING_NETWORKS does not allow") == 2


@pytest.mark.parametrize(
    "published",
    ["http://localhost/keys", "http://login.example/keys", "//login.example/keys", "https://[", ""],
)
async def test_keys_are_not_fetched_without_tls_where_the_provider_has_it(published: str) -> None:
    """Nor from an address that is none."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(200, json={"issuer": issuer, "jwks_uri": published, "keys": []})

    issuer, asked = "https://login.example", list[str]()
    settings = Oidc(issuer=issuer, audience=AUDIENCE)
    described = f"{issuer}/.well-known/openid-configuration"
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        await oidc_keys.Keys(settings, http).look_again()
    assert asked == [described]


@pytest.mark.parametrize(
    "odd",
    [
        {"kty": "OKP", "crv": "X9", "x": "AA"},
        {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
        {"kty": "RSA", "n": "AQAB"},
        {"kty": ["RSA"]},
        "no key",
        None,
    ],
)
async def test_a_key_that_cannot_be_used_costs_no_other_its_place(odd: object) -> None:
    """RFC 7517, 5: what is not understood in a set is passed over."""
    good = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "good"})

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"keys": [odd, good.as_dict(private=False)]})

    address = "https://login.example/keys"
    settings = Oidc(issuer="https://login.example", audience=AUDIENCE, jwks_url=address)
    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        (found,) = await oidc_keys.Keys(settings, http).find("good", "RS256")
    assert found.thumbprint() == good.thumbprint()


async def test_tokens_that_say_nothing_are_asked_about(
    module_database_url: str, archive: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with providing() as provider:
        asking = {
            "introspection_url": f"{provider.issuer}/introspect",
            "client_id": ARCHIVE,
            "client_secret": SECRET,
        }
        with serving(settings_of(module_database_url, tmp_path, provider, **asking)) as server:
            remembered, forgotten = [
                await asyncio.to_thread(
                    provider.token, "user/ImagingStudy.rs", user, opaque=True, roles=["all"]
                )
                for user in ("user-8", "user-9")
            ]
            for _ in range(3):
                assert await seen(server, remembered) == ALL_STUDIES
            assert provider.asked.count("/introspect") == 1
            assert await seen(server, "opaque-unknown") == 401
            asked = len(provider.asked)
            for prefix in (PREFIX, SESSION_PREFIX):
                assert await seen(server, new_secret(prefix)) == 401
            assert len(provider.asked) == asked, "secrets of ours are told to nobody"
            monkeypatch.setattr(recognition, "REMEMBERED_SECONDS", 0.0)
            assert await seen(server, forgotten) == ALL_STUDIES
            provider.revoke(forgotten)
            assert await seen(server, forgotten) == 401
            provider.down = True
            assert await seen(server, "opaque-other") == 503


async def test_a_user_is_forgotten_when_the_token_expires(
    archive: Server, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oidc_tokens, "LEEWAY_SECONDS", 0)
    now = time.time()
    claims = {
        "iss": provider.issuer,
        "aud": [AUDIENCE, "x"],
        "sub": "s",
        "exp": now + 1.0,
        "scope": "user/*.s",
    }
    token = signed(provider.keys[-1], claims)
    assert await seen(archive, token) == set()
    await asyncio.sleep(max(0.0, now + 1.05 - time.time()))
    assert await seen(archive, token) == 401


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://issuer.example"},
        {"jwks_url": "file:///etc/passwd"},
        {"introspection_url": "http://10.0.0.1/introspect"},
        {"algorithms": ["HS256"]},
        {"algorithms": ["none"]},
    ],
    ids=str,
)
def test_settings_that_would_let_anybody_in_are_refused(wrong: dict[str, Any]) -> None:
    oidc = {"issuer": "https://issuer.example", "audience": "x"}
    FixedSettings.model_validate({"oidc": oidc})
    with pytest.raises(ValueError, match="oidc"):
        FixedSettings.model_validate({"oidc": oidc | wrong})
