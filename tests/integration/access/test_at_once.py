"""What is denied, and what is allowed no longer, is hidden from the next request on.

Not by forgetting in time what was known of the caller: nothing is forgotten here.
"""

import asyncio
from collections.abc import Iterator

import httpx
import pytest

from app.access import holdings
from app.access.grants import create_grant, end_grant, list_grants
from app.index.grants import NewGrant
from tests.fixtures.provider import Provider, providing
from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import (
    CT,
    THINGS,
    Given,
    client_of,
    give,
    index_of,
    token_with,
    visible,
)
from tests.integration.access.test_provider import settings_of

READING = ("search", "read", "render")
ALL = Given(READING)
ONE = THINGS[0]


@pytest.fixture(autouse=True)
def nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdings, "REMEMBERED_SECONDS", 3600.0)
    monkeypatch.setattr(holdings, "LONGEST_REMEMBERED_SECONDS", 3600.0)


async def instances(http: httpx.AsyncClient) -> set[str]:
    answer = await http.get("/instances")
    assert answer.status_code == 200
    found = {one["00080018"]["Value"][0] for one in answer.json()}
    assert answer.headers["x-total-count"] == str(len(found))
    return found


@pytest.mark.parametrize(
    "scope",
    [
        (("modality", "CT"),),
        (("institution", "North"),),
        (("sop_class_uid", CT),),
        (("study_instance_uid", ONE.study_instance_uid), ("modality", ONE.modality)),
        (("patient_id", ONE.patient_id), ("sop_class_uid", ONE.sop_class_uid)),
        (
            ("study_instance_uid", ONE.study_instance_uid),
            ("series_instance_uid", ONE.series_instance_uid),
        ),
    ],
)
@pytest.mark.parametrize("before", [ALL, Given(READING, (("modality", "CT"),))])
async def test_what_is_denied_deeper_than_all_before_is_hidden_at_once(
    populated: Server, before: Given, scope: tuple[tuple[str, str], ...]
) -> None:
    role = f"on-call-{len(scope)}-{scope[-1][1]}"
    token = await token_with(populated, [before], roles=[role])
    denial = Given(READING, scope, denies=True)
    everything = {thing.sop_instance_uid for thing in visible([before], "search")}
    exact = {thing.sop_instance_uid for thing in visible([before, denial], "search")}
    about = {name: value for name, value in scope if name in {"study_instance_uid", "patient_id"}}
    untouched = {
        thing.sop_instance_uid
        for thing in visible([before], "search")
        if any(getattr(thing, name) != value for name, value in about.items())
    }
    async with client_of(populated, token) as http:
        assert await instances(http) == everything
        async with index_of(populated) as index:
            await give(index, f"role:{role}", [denial])
        assert untouched <= await instances(http) <= exact
        hidden = [thing for thing in THINGS if thing.sop_instance_uid in everything - exact]
        for thing in hidden[:3]:
            for below in ("", "/metadata", "/frames/1", "/rendered", "/bulkdata/7FE00010"):
                assert (await http.get(thing.path + below)).status_code == 404
        await _end_all(populated, f"role:{role}")
        assert await instances(http) == everything


async def test_what_an_ended_grant_allowed_is_hidden_at_once(populated: Server) -> None:
    token = await token_with(populated, [], roles=["leaving"])
    async with index_of(populated) as index:
        await give(index, "role:leaving", [ALL])
    async with client_of(populated, token) as http:
        assert await instances(http)
        await _end_all(populated, "role:leaving")
        assert await instances(http) == set()
        assert (await http.get(ONE.path)).status_code == 404


async def _end_all(server: Server, subject: str) -> None:
    async with index_of(server) as index:
        for grant in await list_grants(index, 1, subject):
            await end_grant(index, 1, grant.id)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


async def test_who_may_look_into_the_audit_no_longer_does_not(
    provider: Provider, settings: FixedSettings
) -> None:
    assert settings.database_url is not None
    url = settings.database_url.get_secret_value()
    with serving(settings_of(url, settings.data_dir, provider)) as server:
        async with index_of(server) as index:
            audit = NewGrant(subject="role:auditor", actions=["audit"])
            identity = await create_grant(index, 1, audit)
        token = await asyncio.to_thread(provider.token, "audit", "user-1", roles=["auditor"])
        async with client_of(server, token) as http:
            assert (await http.get(f"{server.url}/fhir/AuditEvent")).status_code == 200
            async with index_of(server) as index:
                await end_grant(index, 1, identity)
            for path in ("/fhir/AuditEvent", "/audit/patients/P1/disclosures", "/audit/feeds"):
                assert (await http.get(server.url + path)).status_code == 403
