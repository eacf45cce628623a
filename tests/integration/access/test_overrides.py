"""Who may break the glass opens one study or patient, for a while, and everybody can know."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from app.access import holdings
from app.archive import open_archive
from app.audit.verify import verify
from app.cli import commands
from app.overrides import service
from app.settings import Emergency, Settings
from app.upkeep.expiring import end_expired
from tests.fixtures.server import FixedSettings, Server, process, serving
from tests.integration.access.population import (
    CT,
    THINGS,
    Given,
    client_of,
    file_of,
    give,
    index_of,
    store,
    token_with,
)
from tests.integration.access.test_matrix import guest_of
from tests.integration.access.test_sessions import browser, cookie_for
from tests.integration.web.conftest import execute, records

OURS, HIDDEN = THINGS[0], THINGS[4]
READING = ("search", "read", "render")
OF_OURS = (("study_instance_uid", OURS.study_instance_uid),)
WARD = [Given(READING, OF_OURS), Given(("break-glass",))]
STUDY = {"study_instance_uid": HIDDEN.study_instance_uid}
BELOW = ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/bulkdata/7FE00010")


async def audit(server: Server) -> list[dict[str, Any]]:
    """The records of our partition, oldest first."""
    return [one for one in await records(server) if one["partition_id"] == 1]


async def opened(server: Server, http: httpx.AsyncClient, **asked: Any) -> dict[str, Any]:
    answer = await http.post(f"{server.url}/overrides", json={"reason": "unconscious"} | asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    told: dict[str, Any] = answer.json()
    return told


async def end(server: Server, http: httpx.AsyncClient, override: dict[str, Any]) -> int:
    return (await http.delete(f"{server.url}/overrides/{override['id']}")).status_code


async def studies(http: httpx.AsyncClient) -> set[str]:
    return {one["0020000D"]["Value"][0] for one in (await http.get("/studies")).json()}


async def sees(http: httpx.AsyncClient) -> bool:
    """Whether the hidden study is there, alike in all ways to look at it."""
    answers = [(await http.get(HIDDEN.path + below)).status_code for below in BELOW]
    found = HIDDEN.study_instance_uid in await studies(http)
    assert answers == [200 if found else 404] * len(BELOW)
    return found


@pytest.fixture
async def doctor(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Who sees one study, and may open all others."""
    async with client_of(populated, await token_with(populated, WARD)) as http:
        yield http


async def test_it_opens_for_its_caller_alone_until_it_is_ended(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    async with client_of(populated, await token_with(populated, WARD)) as colleague:
        assert not await sees(doctor)
        override = await opened(populated, doctor, **STUDY)
        assert await sees(doctor)
        assert not await sees(colleague)
        assert await studies(doctor) == {OURS.study_instance_uid, HIDDEN.study_instance_uid}
        (found,) = (await doctor.get("/studies", params=STUDY_KEY)).json()
        assert found["00201206"]["Value"] == [2]
        assert found["00201208"]["Value"] == [4]
        (listed,) = (await doctor.get(f"{populated.url}/overrides")).json()
        assert listed == override
        assert listed["reason"] == "unconscious"
        assert (await colleague.get(f"{populated.url}/overrides")).json() == []
        assert await end(populated, colleague, override) == 404
        assert await end(populated, doctor, override) == 204
        assert not await sees(doctor)
        assert await end(populated, doctor, override) == 404
        assert (await doctor.get(f"{populated.url}/overrides")).json() == []


STUDY_KEY = {"StudyInstanceUID": HIDDEN.study_instance_uid}


async def test_it_wins_over_what_is_denied_and_not_over_who_may_not_break_that(
    populated: Server,
) -> None:
    denied = Given(READING, tuple(STUDY.items()), denies=True)
    of_ct = Given(("break-glass",), (("modality", "MR"),), denies=True)
    token = await token_with(populated, [Given(READING), denied, Given(("break-glass",)), of_ct])
    async with client_of(populated, token) as http:
        assert HIDDEN.study_instance_uid not in await studies(http)
        await opened(populated, http, **STUDY)
        (study,) = (await http.get("/studies", params=STUDY_KEY)).json()
        assert study["00080061"]["Value"] == ["CT"]
        assert study["00201208"]["Value"] == [2]


async def test_it_ends_by_itself_and_the_audit_says_so_once(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    override = await opened(populated, doctor, minutes=1, **STUDY)
    assert await sees(doctor)
    past = "UPDATE emergency_override SET expires_at = now() - interval '1 s' WHERE id = "
    await execute(populated, past + str(override["id"]))
    assert not await sees(doctor)
    assert await end(populated, doctor, override) == 404
    values = {"database_url": populated.database_url, "data_dir": populated.data_dir}
    archive = await open_archive(FixedSettings.model_validate(values))
    await asyncio.gather(*(end_expired(archive) for _ in range(4)))
    await archive.close()
    ended = [
        one
        for one in await audit(populated)
        if one["override"] == override["id"] and one["subtype"] == "110138"
    ]
    assert [(one["event"], one["method"], one["reason"]) for one in ended] == [
        ("110113", "EXPIRE", "unconscious")
    ]
    assert ended[0]["study_instance_uid"] == HIDDEN.study_instance_uid
    assert ended[0]["patient_id"] == HIDDEN.patient_id


async def test_a_patient_is_opened_of_one_issuer_or_of_any(populated: Server) -> None:
    of_patient = {t.study_instance_uid for t in THINGS if t.patient_id == OURS.patient_id}
    of_issuer = {
        thing.study_instance_uid
        for thing in THINGS
        if (thing.patient_id, thing.issuer_of_patient_id) == (OURS.patient_id, "A")
    }
    assert len(of_issuer) == 1
    for issuer, expected in (({}, of_patient), ({"issuer_of_patient_id": "A"}, of_issuer)):
        async with client_of(
            populated, await token_with(populated, [Given(("break-glass",))])
        ) as http:
            assert await studies(http) == set()
            await opened(populated, http, patient_id=OURS.patient_id, **issuer)
            assert await studies(http) == expected


async def test_only_what_the_grant_covers_is_opened_and_only_while_it_holds(
    populated: Server,
) -> None:
    token = await token_with(populated, [Given(("break-glass",), (("institution", "North"),))])
    async with client_of(populated, token) as http:
        await opened(populated, http, **STUDY)
        (study,) = (await http.get("/studies")).json()
        assert study["00201206"]["Value"] == [1]
        await execute(populated, "DELETE FROM access_grant WHERE institution = 'North'")
        assert await studies(http) == set()


async def test_hidden_missing_and_others_answer_alike(populated: Server) -> None:
    async with client_of(
        populated, await populated.token("admin", partition="elsewhere")
    ) as elsewhere:
        answer = await store(elsewhere, [file_of(OURS).replace(b"1.2.3.1", b"1.2.9.1")])
        assert answer.status_code == 200
    only_theirs = "1.2.9.1"

    async def answers(token: str) -> list[tuple[int, str]]:
        async with client_of(populated, token) as http:
            told = []
            for uid in (HIDDEN.study_instance_uid, "1.2.3.77", only_theirs):
                answer = await http.post(
                    f"{populated.url}/overrides",
                    json={"reason": "curious", "study_instance_uid": uid},
                )
                body = answer.text.replace(answer.headers["x-request-id"], "")
                told.append((answer.status_code, body))
            return told

    without = await answers(await token_with(populated, [Given(READING, OF_OURS)]))
    narrow = Given(("break-glass",), OF_OURS)
    of_ours = await answers(await token_with(populated, [Given(READING), narrow]))
    for told, status in ((without, 403), (of_ours, 404)):
        assert told[0] == told[1] == told[2]
        assert told[0][0] == status
    tried = [one for one in await audit(populated) if one["reason"] == "curious"]
    assert {(one["event"], one["subtype"], one["outcome"]) for one in tried} == {
        ("110113", "110127", 4),
        ("110113", "110127", 8),
    }
    assert {one["study_instance_uid"] for one in tried} == {
        HIDDEN.study_instance_uid,
        "1.2.3.77",
        only_theirs,
    }


async def test_what_is_denied_to_be_read_alone_is_not_shared_through_it(populated: Server) -> None:
    denied = Given(READING, tuple(STUDY.items()), denies=True)
    grants = [Given((*READING, "share", "break-glass")), denied]
    token = await token_with(populated, grants, ("read", "share"))
    async with client_of(populated, token) as http:
        await opened(populated, http, **STUDY)
        assert await sees(http)
        shared = {"studies": [HIDDEN.study_instance_uid], "name": "x"}
        assert (await http.post(f"{populated.url}/shares", json=shared)).status_code == 404


async def test_nothing_is_stored_or_shared_through_it(populated: Server) -> None:
    grants = [Given((*READING, "store", "share"), OF_OURS), Given(("break-glass",))]
    token = await token_with(populated, grants, ("read", "store", "share"))
    async with client_of(populated, token) as http:
        await opened(populated, http, **STUDY)
        assert await sees(http)
        other = file_of(HIDDEN).replace(
            HIDDEN.sop_instance_uid.encode(), b"9" * len(HIDDEN.sop_instance_uid)
        )
        assert (await store(http, [other])).status_code == 409
        shared = {"studies": [HIDDEN.study_instance_uid], "name": "x"}
        assert (await http.post(f"{populated.url}/shares", json=shared)).status_code == 404


async def test_a_session_sees_what_its_user_has_opened_and_opens_nothing(
    populated: Server,
) -> None:
    token = await token_with(populated, WARD)
    async with (
        client_of(populated, token) as http,
        browser(populated, await cookie_for(populated, token)) as cookie,
    ):
        asked = {"reason": "mine"} | STUDY
        answer = await cookie.post(f"{populated.url}/overrides", json=asked)
        assert answer.status_code == 401
        assert not await sees(cookie)
        override = await opened(populated, http, **STUDY)
        assert await sees(cookie)
        of_study = await http.post(f"/studies/{HIDDEN.study_instance_uid}/token")
        in_address = {"access_token": of_study.json()["access_token"]}
        async with httpx.AsyncClient(base_url=populated.dicomweb, trust_env=False) as viewer:
            frame = f"{HIDDEN.path}/frames/1"
            assert (await viewer.get(frame, params=in_address)).status_code == 200
            of_ours = await viewer.get(f"{OURS.path}/frames/1", params=in_address)
            assert of_ours.status_code == 401
            answer = await viewer.post(f"{populated.url}/overrides", params=in_address, json=asked)
            assert answer.status_code == 401
            await end(populated, http, override)
            assert not await sees(cookie)
            assert (await viewer.get(frame, params=in_address)).status_code == 404


async def test_a_guest_opens_nothing(populated: Server) -> None:
    async with client_of(populated, await guest_of(populated, OURS.study_instance_uid)) as http:
        answer = await http.post(f"{populated.url}/overrides", json={"reason": "x"} | STUDY)
        assert answer.status_code == 403


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": " \t "}, "reason"),
        ({"reason": "x" * 501}, "reason"),
        ({"reason": "bell\x07"}, "reason"),
        ({"reason": "two\nlines"}, "reason"),
        ({"reason": "\ud800"}, "reason"),
        ({"reason": None}, "reason"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": -1}, "minutes"),
        ({"minutes": 241}, "minutes"),
        ({"minutes": 10**30}, "minutes"),
        ({"minutes": True}, "minutes"),
        ({"minutes": "5"}, "minutes"),
        ({"minutes": 5.0}, "minutes"),
        ({"reason": 7}, "reason"),
        ({"study_instance_uid": "x"}, "study_instance_uid"),
        ({"study_instance_uid": None}, "study_instance_uid"),
        ({"patient_id": "P1"}, "study_instance_uid"),
        ({"study_instance_uid": None, "patient_id": " "}, "patient_id"),
        ({"issuer_of_patient_id": "A"}, "issuer_of_patient_id"),
        ({"everything": True}, "everything"),
    ],
    ids=ascii,
)
async def test_what_makes_no_sense_is_refused(
    populated: Server, doctor: httpx.AsyncClient, wrong: dict[str, Any], parameter: str
) -> None:
    asked = {"reason": "unconscious"} | STUDY | wrong
    asked = {name: value for name, value in asked.items() if value is not None}
    answer = await doctor.post(
        f"{populated.url}/overrides",
        content=json.dumps(asked),
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code == 400, answer.text
    assert answer.json()["parameter"] == parameter


async def test_the_longest_reason_and_time_are_taken(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    told = await opened(populated, doctor, minutes=240, **STUDY | {"reason": f" {'é' * 500} "})
    assert told["reason"] == "é" * 500


async def test_so_many_an_hour_and_no_more(settings: Settings) -> None:
    limited = settings.model_copy(update={"emergency": Emergency(overrides_per_hour=3)})
    with serving(limited) as server:
        async with server.client("store") as http:
            assert (await store(http, [file_of(HIDDEN)])).status_code == 200
        async with client_of(server, await token_with(server, WARD)) as http:
            asked = {"reason": "x"} | STUDY
            answers = await asyncio.gather(
                *(http.post(f"{server.url}/overrides", json=asked) for _ in range(8))
            )
            assert sorted(answer.status_code for answer in answers) == [201] * 3 + [429] * 5
            waits = {a.headers["retry-after"] for a in answers if a.status_code == 429}
            assert all(3590 <= int(wait) <= 3600 for wait in waits)
            (first, *_) = (await http.get(f"{server.url}/overrides")).json()
            assert await end(server, http, first) == 204
            assert (await http.post(f"{server.url}/overrides", json=asked)).status_code == 429
        async with client_of(server, await token_with(server, WARD)) as colleague:
            await opened(server, colleague, **STUDY)


async def test_administrators_see_and_end_everybodys(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    override = await opened(populated, doctor, **STUDY)
    async with (
        client_of(populated, await populated.token("admin")) as admin,
        client_of(populated, await populated.token("admin", partition="far")) as stranger,
    ):
        listed = (await admin.get(f"{populated.url}/overrides")).json()
        assert override in listed
        behind = {"after": override["id"]}
        assert (await admin.get(f"{populated.url}/overrides", params=behind)).json() == []
        assert (await stranger.get(f"{populated.url}/overrides")).json() == []
        assert await end(populated, stranger, override) == 404
        assert await sees(doctor)
        assert await end(populated, admin, override) == 204
    assert not await sees(doctor)


async def test_the_command_line_shows_and_ends_them(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    override = await opened(populated, doctor, patient_id=HIDDEN.patient_id)
    environment = {
        "HILUM_DATABASE_URL": populated.database_url,
        "HILUM_DATA_DIR": str(populated.data_dir),
    }

    async def run(*arguments: str) -> Any:
        return await asyncio.to_thread(
            CliRunner().invoke, commands, ["override", *arguments], env=environment
        )

    listed = await run("list")
    (line,) = (one for one in listed.output.splitlines() if one.split()[0] == str(override["id"]))
    assert f"patient {HIDDEN.patient_id}" in line
    assert line.endswith("unconscious")
    assert (await run("end", str(override["id"]))).exit_code == 0
    assert (await run("end", str(override["id"]))).exit_code != 0
    assert not await sees(doctor)
    ended = [one for one in await audit(populated) if one["method"] == "END"]
    assert [(one["override"], one["subtype"]) for one in ended] == [(override["id"], "110138")]


async def test_there_is_none_without_its_record_and_none_of_two(
    populated: Server, doctor: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise OSError

    before = len(await audit(populated))
    with monkeypatch.context() as broken:
        broken.setattr(service, "append", fail)
        answer = await doctor.post(f"{populated.url}/overrides", json={"reason": "x"} | STUDY)
        assert answer.status_code == 500
    assert (await doctor.get(f"{populated.url}/overrides")).json() == []
    override = await opened(populated, doctor, **STUDY)
    assert await end(populated, doctor, override) == 204
    told = (await audit(populated))[before:]
    assert [(one["method"], one["status"], one["subtype"]) for one in told] == [
        ("POST", 500, "110127"),
        ("GET", 200, None),
        ("POST", 201, "110127"),
        ("DELETE", 204, "110138"),
    ]
    for one in told[2:]:
        assert one["override"] == override["id"]
        assert (one["event"], one["reason"]) == ("110113", "unconscious")
        assert one["study_instance_uid"] == HIDDEN.study_instance_uid
        assert one["patient_id"] == HIDDEN.patient_id
        assert one["query"].startswith("subject=token:")
    async with index_of(populated) as index, index.reading() as connection:
        assert (await verify(connection)).damages == ()


async def test_what_is_seen_through_it_is_told_from_the_rest(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    async def marks(*paths: str) -> list[int | None]:
        before = len(await audit(populated))
        for path in paths:
            await doctor.get(path)
        return [one["override"] for one in (await audit(populated))[before:]]

    paths = (
        HIDDEN.path,
        f"{HIDDEN.path}/metadata",
        f"{HIDDEN.path}/rendered",
        "/studies",
        f"/studies?PatientID={HIDDEN.patient_id}",
        f"/studies?PatientID={OURS.patient_id}",
        OURS.path,
        f"{HIDDEN.path}/frames/9",
        THINGS[8].path,
    )
    assert await marks(*paths) == [None] * len(paths)
    override = await opened(
        populated, doctor, patient_id=HIDDEN.patient_id, issuer_of_patient_id=None
    )
    one = override["id"]
    assert await marks(*paths) == [one, one, one, one, one, None, None, None, None]
    await end(populated, doctor, override)
    assert await marks(*paths) == [None] * len(paths)


async def test_the_audit_is_searched_for_it_and_reports_it(
    populated: Server, doctor: httpx.AsyncClient
) -> None:
    override = await opened(populated, doctor, **STUDY)
    assert (await doctor.get(HIDDEN.path)).status_code == 200
    await end(populated, doctor, override)
    async with client_of(populated, await populated.token("audit")) as auditor:
        report = await auditor.get(
            f"{populated.url}/audit/patients/{HIDDEN.patient_id}/disclosures",
            headers={"Accept": "application/x-ndjson"},
        )
        seen = [json.loads(line) for line in report.text.splitlines()]
        (through,) = (one for one in seen if one["override"] == str(override["id"]))
        assert through["sop_instance_uid"] == HIDDEN.sop_instance_uid
        for code in ("110127", "110138"):
            found = await auditor.get(
                f"{populated.url}/fhir/AuditEvent",
                params={"subtype": code, "entity": HIDDEN.study_instance_uid, "_count": "1"},
            )
            (one,) = (entry["resource"] for entry in found.json()["entry"])
            assert one["purposeOfEvent"][0]["text"] == "unconscious"
            assert one["purposeOfEvent"][0]["coding"][0]["code"] == "BTG"
            detail = {"type": "Emergency Override", "valueString": str(override["id"])}
            assert detail in one["entity"][0]["detail"]


@contextlib.contextmanager
def two_processes(populated: Server, folder: Path) -> Iterator[tuple[Server, Server]]:
    blobs = {"HILUM_BLOBS_URL": f"file://{populated.data_dir}/blobs"}
    with contextlib.ExitStack() as stack:
        servers = []
        for name in ("one", "two"):
            (folder / name).mkdir()
            running = process(populated.database_url, folder / name, **blobs)
            servers.append(stack.enter_context(running)[0])
        yield servers[0], servers[1]


async def test_every_process_opens_and_closes_at_once(populated: Server, tmp_path: Path) -> None:
    token = await token_with(populated, WARD)
    with two_processes(populated, tmp_path) as (here, there):
        async with client_of(here, token) as one, client_of(there, token) as other:
            for http in (one, other):
                assert await studies(http) == {OURS.study_instance_uid}
            for _ in range(3):
                override = await opened(here, one, **STUDY)
                assert HIDDEN.study_instance_uid in await studies(other)
                assert await end(there, other, override) == 204
                assert await studies(one) == {OURS.study_instance_uid}


async def test_who_is_given_the_right_to_it_in_the_emergency_uses_it_at_once(
    populated: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by forgetting in time what was known of them: nothing is forgotten here."""
    monkeypatch.setattr(holdings, "REMEMBERED_SECONDS", 3600.0)
    token = await token_with(populated, WARD[:1], roles=["called-in"])
    asked = {"reason": "unconscious"} | STUDY
    async with (
        client_of(populated, token) as http,
        browser(populated, await cookie_for(populated, token)) as cookie,
    ):
        assert (await http.post(f"{populated.url}/overrides", json=asked)).status_code == 403
        assert not await sees(cookie)
        async with index_of(populated) as index:
            await give(index, "role:called-in", WARD[1:])
        override = await opened(populated, http, **STUDY)
        assert await sees(http)
        assert await sees(cookie)
        assert await end(populated, http, override) == 204


async def test_other_processes_notice_within_two_seconds(
    populated: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert holdings.REMEMBERED_SECONDS <= 2
    monkeypatch.setattr(holdings, "LONGEST_REMEMBERED_SECONDS", 0.0)
    token = await token_with(populated, WARD[:1], roles=["called-in-too"])
    async with client_of(populated, token) as there:
        assert not await sees(there)
        async with index_of(populated) as index:
            await give(index, "role:called-in-too", WARD[1:])
        values = {"database_url": populated.database_url, "data_dir": populated.data_dir}
        with serving(FixedSettings.model_validate(values)) as server:
            async with client_of(server, token) as here:
                await opened(server, here, **STUDY)
        assert await sees(there)


async def test_who_is_granted_kinds_of_objects_opens_those(populated: Server) -> None:
    """The grants look as deep as instances, and so does what is opened."""
    token = await token_with(populated, [Given(("break-glass",), (("sop_class_uid", CT),))])
    async with client_of(populated, token) as http:
        await opened(populated, http, **STUDY)
        found = (await http.get("/instances")).json()
        expected = {
            thing.sop_instance_uid
            for thing in THINGS
            if thing.study_instance_uid == HIDDEN.study_instance_uid and thing.sop_class_uid == CT
        }
        assert {one["00080018"]["Value"][0] for one in found} == expected
