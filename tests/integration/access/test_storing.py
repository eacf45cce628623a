"""Storing is access too: nobody changes what is hidden from them, nor learns that it is there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

from app.index.instances import permitted
from app.index.instances import replace as replace_instances
from app.settings import Duplicates
from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import (
    THINGS,
    Given,
    Thing,
    client_of,
    file_of,
    populate,
    store,
    token_with,
)

OWN, FOREIGN = THINGS[0], THINGS[4]
ALL = ("search", "read", "render", "store")


@pytest.fixture(params=list(Duplicates))
async def archive(settings: FixedSettings, request: pytest.FixtureRequest) -> AsyncIterator[Server]:
    """An archive with the things in it, for each policy of duplicates."""
    with serving(settings.model_copy(update={"duplicates": request.param})) as server:
        await populate(server)
        yield server


async def state_of(server: Server) -> list[object]:
    """Everything that an administrator sees."""
    async with server.client("admin") as http:
        paths = ["/studies?includefield=all", "/series", "/instances"]
        paths += [thing.path + "/versions" for thing in THINGS]
        return [(await http.get(path)).json() for path in paths]


def new(thing: Thing, number: int) -> Thing:
    """Another instance of the same series."""
    return replace(thing, sop_instance_uid=f"1.2.3.1000.{number}")


async def test_what_is_hidden_is_neither_changed_nor_told_of(archive: Server) -> None:
    grants = [Given(ALL, (("patient_id", OWN.patient_id),))]
    before = await state_of(archive)
    mine = {"patient_id": OWN.patient_id}
    attempts = {
        "the same bytes": file_of(FOREIGN),
        "other content under its UID": file_of(FOREIGN, PatientName="Mallory"),
        "its UID, as if it were mine": file_of(replace(FOREIGN, **mine)),
        "a new instance in its series": file_of(new(FOREIGN, 1)),
        "a new instance in its study, as mine": file_of(replace(new(FOREIGN, 2), **mine)),
        "a new series in its study": file_of(
            replace(new(FOREIGN, 3), series_instance_uid="1.2.3.55", **mine)
        ),
        "its UID in a study of mine": file_of(
            replace(OWN, sop_instance_uid=FOREIGN.sop_instance_uid)
        ),
        "somebody else's new study": file_of(
            replace(new(FOREIGN, 4), study_instance_uid="1.2.3.66", series_instance_uid="1.2.3.67")
        ),
    }
    async with client_of(archive, await token_with(archive, grants)) as http:
        answers = {what: await store(http, [file]) for what, file in attempts.items()}
        together = await store(http, attempts.values())
    assert await state_of(archive) == before
    failures = {
        (answer.status_code, str(answer.json()["00081198"]["Value"][0]["00081197"]), said_of(item))
        for answer in answers.values()
        for item in answer.json()["00081198"]["Value"]
    }
    assert len(failures) == 1, "one of them is answered in another way"
    assert failures.pop()[:2] == (409, "{'vr': 'US', 'Value': [292]}")
    assert len(together.json()["00081198"]["Value"]) == len(attempts)
    assert "00081199" not in together.json()


def said_of(item: dict[str, object]) -> str:
    """All but the UIDs that the caller has sent."""
    return "".join(str(item[tag]) for tag in sorted(item) if tag not in {"00081150", "00081155"})


@pytest.mark.parametrize("by", ["modality", "institution", "sop_class_uid"])
async def test_nobody_stores_their_way_into_a_hidden_study(archive: Server, by: str) -> None:
    own = str(getattr(OWN, by))
    hidden = [one for one in THINGS if getattr(one, by) != own][:2]
    study, series = "1.2.3.70", "1.2.3.71"
    hidden = [replace(one, study_instance_uid=study, series_instance_uid=series) for one in hidden]
    hidden = [replace(one, sop_instance_uid=f"1.2.3.72.{n}") for n, one in enumerate(hidden)]
    mine = replace(
        OWN,
        study_instance_uid=study,
        series_instance_uid=series if by == "sop_class_uid" else "1.2.3.73",
        sop_instance_uid="1.2.3.74",
    )
    first = replace(mine, study_instance_uid="1.2.3.75", series_instance_uid="1.2.3.76")
    first = replace(first, sop_instance_uid="1.2.3.77")
    async with archive.client("admin") as http:
        assert (await store(http, map(file_of, hidden))).status_code == 200
    before = await state_of(archive)
    token = await token_with(archive, [Given(ALL, ((by, own),))])
    async with client_of(archive, token) as http:
        assert (await store(http, [file_of(mine)])).status_code == 409
        assert (await http.get("/studies", params={"StudyInstanceUID": study})).json() == []
        assert await state_of(archive) == before
        together = await store(http, [file_of(mine), file_of(first)])
        assert len(together.json()["00081198"]["Value"]) == 1
        assert len(together.json()["00081199"]["Value"]) == 1
        later = replace(first, sop_instance_uid="1.2.3.78")
        async with archive.client("admin") as admin:
            other = replace(hidden[0], study_instance_uid="1.2.3.75", sop_instance_uid="1.2.3.79")
            other = replace(other, series_instance_uid="1.2.3.80")
            assert (await store(admin, [file_of(other)])).status_code == 200
        further = replace(later, series_instance_uid="1.2.3.81", sop_instance_uid="1.2.3.82")
        for one in (first, later, further):
            assert (await store(http, [file_of(one)])).status_code == 200


async def test_what_is_granted_is_stored(archive: Server) -> None:
    grants = [
        Given(ALL, (("patient_id", OWN.patient_id),)),
        Given(("store",), (("modality", "MR"),), denies=True),
    ]
    fresh = replace(new(OWN, 5), study_instance_uid="1.2.3.88", series_instance_uid="1.2.3.89")
    refused = replace(new(THINGS[2], 6))
    assert (OWN.modality, refused.modality) == ("CT", "MR")
    async with client_of(archive, await token_with(archive, grants)) as http:
        answer = await store(http, map(file_of, [new(OWN, 1), refused, fresh]))
        assert answer.status_code == 202
        assert len(answer.json()["00081199"]["Value"]) == 2
        assert len(answer.json()["00081198"]["Value"]) == 1
        for thing in (new(OWN, 1), fresh):
            assert (await http.get(thing.path)).status_code == 200
        assert (await store(http, [file_of(fresh)])).status_code == 200
        assert (await http.get(refused.path)).status_code == 404


async def test_who_may_only_read_stores_nothing(archive: Server) -> None:
    grants = [Given(("search", "read"))]
    before = await state_of(archive)
    async with client_of(archive, await token_with(archive, grants)) as http:
        assert (await store(http, map(file_of, [OWN, new(OWN, 1)]))).status_code == 409
    assert await state_of(archive) == before


async def test_what_is_granted_is_replaced_once_where_the_settings_say_so(
    settings: FixedSettings,
) -> None:
    changed = {"duplicates": Duplicates.REPLACE, "coerce_issuer_of_patient_id": "HOSPITAL"}
    grants = [Given(ALL, (("patient_id", OWN.patient_id),))]
    other = file_of(OWN, PatientName="Another^Name")
    with serving(settings) as before:
        await populate(before)
    with serving(settings.model_copy(update=changed)) as archive:
        async with client_of(archive, await token_with(archive, grants)) as http:
            for _ in range(3):
                answer = await store(http, [other])
                assert "00081198" not in answer.json()
                assert len((await http.get(OWN.path + "/versions")).json()) == 2


@pytest.mark.parametrize("scope", [("patient_id", OWN.patient_id), ("modality", OWN.modality)])
@pytest.mark.parametrize("order", ["ba", "bba", "abab"])
async def test_the_last_of_a_message_is_what_is_there_then(
    settings: FixedSettings, scope: tuple[str, str], order: str
) -> None:
    """However deep grants look, and though the last may be what was there before the first."""
    files = {"a": file_of(OWN), "b": file_of(OWN, PatientComments="other")}
    with serving(settings) as archive:
        async with archive.client("admin") as admin:
            assert (await store(admin, [files["a"]])).status_code == 200
        token = await token_with(archive, [Given(ALL, (scope,))], ("read", "store", "delete"))
        async with client_of(archive, token) as http:
            sent = [files[one] for one in order]
            answer = await store(http, sent, "/studies?duplicates=replace")
            assert answer.status_code == 200, answer.text
            told = await http.get(OWN.path, headers={"Accept": "application/dicom"})
            assert told.content == files[order[-1]]
            versions = (await http.get(OWN.path + "/versions")).json()
            assert len(versions) == len("".join(key for key, _ in groupby("a" + order)))


async def test_by_replacing_nobody_takes_what_is_hidden_of_a_study_to_another_patient(
    settings: FixedSettings,
) -> None:
    hidden = next(
        one
        for one in THINGS
        if one.study_instance_uid == OWN.study_instance_uid and one.modality != OWN.modality
    )
    grants = [Given(ALL, (("modality", OWN.modality),)), Given(ALL[:3], (("patient_id", "MINE"),))]
    with serving(settings) as archive:
        await populate(archive)
        before = await state_of(archive)
        token = await token_with(archive, grants, ("read", "store", "delete"))
        async with client_of(archive, token) as http:
            for other in ({"patient_id": "MINE"}, {"date": "19990101"}):
                file = file_of(replace(OWN, **other))
                answer = await store(http, [file], "/studies?duplicates=replace")
                assert answer.status_code == 409
                assert (await http.get(hidden.path)).status_code == 404
            assert await state_of(archive) == before
            same = file_of(OWN, SeriesDescription="another")
            answer = await store(http, [same], "/studies?duplicates=replace")
            assert answer.status_code == 200


async def test_what_arrives_hidden_while_a_study_is_replaced_is_not_taken_along_either(
    settings: FixedSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = Given(ALL, (("patient_id", "MINE"),))
    grants = [Given(ALL, (("modality", OWN.modality),)), mine]
    hidden = replace(
        OWN,
        series_instance_uid="1.2.3.91",
        sop_instance_uid="1.2.3.92",
        modality="MR" if OWN.modality == "CT" else "CT",
    )
    with serving(settings) as archive:
        token = await token_with(archive, grants, ("read", "store", "delete"))
        async with archive.client("admin") as admin, client_of(archive, token) as http:
            assert (await store(http, [file_of(OWN)])).status_code == 200
            late = [file_of(hidden)]

            async def replace_late(*arguments: Any) -> Any:
                """Others store between the look and the change."""
                if late:
                    assert (await store(admin, [late.pop()])).status_code == 200
                return await replace_instances(*arguments)

            monkeypatch.setattr(permitted, "replace", replace_late)
            file = file_of(replace(OWN, patient_id="MINE"))
            answer = await store(http, [file], "/studies?duplicates=replace")
            assert late == []
            assert answer.status_code == 409
            assert (await http.get(hidden.path)).status_code == 404
            (study,) = (await http.get("/studies")).json()
            assert study["00100020"]["Value"] == [OWN.patient_id]
