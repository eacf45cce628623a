"""Whatever random grants: no read path shows a hidden object, also not in a count or a total."""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.fixtures.server import Server
from tests.integration.access.population import (
    THINGS,
    Given,
    Thing,
    client_of,
    open_override,
    token_with,
    visible,
)
from tests.messages import parts_of

NAMES = ("patient_id", "study_instance_uid", "modality", "institution", "sop_class_uid", "label")
READING = ("search", "read", "render")
BREAKING = ("break-glass",)


def scopes() -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    """Mostly of values that there are."""
    by_name = {name: sorted({getattr(thing, name) for thing in THINGS}) for name in NAMES}
    one = st.one_of(
        *(st.tuples(st.just(name), st.sampled_from([*by_name[name]])) for name in NAMES),
        st.tuples(st.just("first_date"), st.sampled_from(["20220101", "20220102"])),
        st.tuples(st.just("last_date"), st.sampled_from(["20230101", "20221231"])),
        st.just(("patient_id", "nobody")),
    )
    deeper = st.sampled_from(THINGS).map(
        lambda thing: (
            ("study_instance_uid", thing.study_instance_uid),
            ("series_instance_uid", thing.series_instance_uid),
        )
    )
    issued = st.sampled_from([thing for thing in THINGS if thing.issuer_of_patient_id]).map(
        lambda thing: (
            ("patient_id", thing.patient_id),
            ("issuer_of_patient_id", str(thing.issuer_of_patient_id)),
        )
    )
    several = st.lists(one, max_size=2, unique_by=lambda pair: pair[0]).map(tuple)
    return st.one_of(several, several, deeper, issued)


GRANTS = st.lists(
    st.builds(
        Given,
        actions=st.one_of(
            st.just(READING),
            st.lists(st.sampled_from(READING), min_size=1, max_size=3, unique=True).map(tuple),
        ),
        scope=scopes(),
        denies=st.sampled_from([False, False, False, True]),
    ),
    max_size=5,
)


def denied(*names: tuple[str, str]) -> Given:
    return Given(READING, names, denies=True)


def opened() -> st.SearchStrategy[Given]:
    """A study or a patient, with or without the issuer of its ID."""
    studies = sorted({thing.study_instance_uid for thing in THINGS})
    patients = sorted({(thing.patient_id, thing.issuer_of_patient_id) for thing in THINGS}, key=str)
    return st.one_of(
        st.sampled_from(studies).map(lambda uid: Given((), (("study_instance_uid", uid),))),
        st.sampled_from(patients).map(lambda of: Given((), (("patient_id", of[0]),))),
        st.sampled_from([of for of in patients if of[1]]).map(
            lambda of: Given((), (("patient_id", of[0]), ("issuer_of_patient_id", str(of[1]))))
        ),
    )


BREAKERS = st.lists(
    st.builds(Given, st.just(BREAKING), scopes(), st.sampled_from([False, False, True])),
    min_size=1,
    max_size=3,
)
OF_PATIENT = Given((), (("patient_id", "P1"), ("issuer_of_patient_id", "A")))
OF_STUDY = Given((), (("study_instance_uid", THINGS[0].study_instance_uid),))


@pytest.mark.timeout(600)
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(grants=st.tuples(GRANTS, BREAKERS).map(lambda both: both[0] + both[1]), opened=opened())
@example([Given(READING), denied(), Given(BREAKING)], OF_STUDY)
@example([Given(READING, OF_STUDY.scope), Given(BREAKING, (("modality", "CT"),))], OF_PATIENT)
@example(
    [Given(BREAKING), Given(BREAKING, (("sop_class_uid", THINGS[1].sop_class_uid),), True)],
    OF_STUDY,
)
async def test_nothing_is_shown_but_what_an_override_opens(
    populated: Server, grants: list[Given], opened: Given
) -> None:
    token = await token_with(populated, grants)
    status = await open_override(populated, token, **dict(opened.scope))
    may_break = any(grant.actions == BREAKING and not grant.denies for grant in grants)
    anything = any(opened.covers(thing) for thing in visible(grants, "break-glass"))
    assert status == (403 if not may_break else 201 if anything else 404)
    open_now = [opened] if status == 201 else []
    async with client_of(populated, token) as http:
        await asyncio.gather(
            assert_searches(http, visible(grants, "search", open_now)),
            assert_retrieves(http, visible(grants, "read", open_now)),
            assert_renders(http, visible(grants, "render", open_now)),
        )


@pytest.mark.timeout(600)
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(grants=GRANTS)
@example([Given(READING), Given(READING, (("modality", "CT"),), denies=True)])
@example([Given(READING), Given(READING, (("sop_class_uid", THINGS[1].sop_class_uid),), True)])
@example([Given(READING, (("patient_id", "P1"), ("last_date", "20221231")))])
@example([Given(("search",)), Given(("read",), (("institution", "North"),))])
async def test_nothing_hidden_is_shown(populated: Server, grants: list[Given]) -> None:
    token = await token_with(populated, grants)
    async with client_of(populated, token) as http:
        await asyncio.gather(
            assert_searches(http, visible(grants, "search")),
            assert_retrieves(http, visible(grants, "read")),
            assert_renders(http, visible(grants, "render")),
        )


async def found(http: httpx.AsyncClient, path: str, **parameters: str) -> list[dict[str, Any]]:
    answer = await http.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    results: list[dict[str, Any]] = answer.json()
    return results


def value(result: dict[str, Any], tag: str) -> Any:
    return result[tag]["Value"][0]


def uids(things: Sequence[Thing]) -> set[str]:
    return {thing.sop_instance_uid for thing in things}


async def assert_searches(http: httpx.AsyncClient, expected: list[Thing]) -> None:
    """Results, counts, modalities, SOP classes and totals are those of what may be seen."""
    studies: dict[str, list[Thing]] = {}
    series: dict[str, list[Thing]] = {}
    for thing in expected:
        studies.setdefault(thing.study_instance_uid, []).append(thing)
        series.setdefault(thing.series_instance_uid, []).append(thing)
    results = await found(http, "/studies", includefield="SOPClassesInStudy")
    assert {value(result, "0020000D") for result in results} == studies.keys()
    for result in results:
        seen = studies[value(result, "0020000D")]
        assert set(result["00080061"]["Value"]) == {thing.modality for thing in seen}
        assert set(result["00080062"]["Value"]) == {thing.sop_class_uid for thing in seen}
        assert value(result, "00201206") == len({thing.series_instance_uid for thing in seen})
        assert value(result, "00201208") == len(seen)
    for result in await found(http, "/series"):
        seen = series[value(result, "0020000E")]
        assert value(result, "00201209") == len(seen)
    assert Counter(value(result, "0020000E") for result in await found(http, "/series")) == Counter(
        series.keys()
    )
    instances = await found(http, "/instances", includefield="all")
    assert Counter(value(one, "00080018") for one in instances) == Counter(uids(expected))
    for modality in ("CT", "MR"):
        wanted = {t.study_instance_uid for t in expected if t.modality == modality}
        results = await found(http, "/studies", ModalitiesInStudy=modality)
        assert {value(result, "0020000D") for result in results} == wanted
    results = await found(http, "/studies", SOPClassesInStudy=THINGS[1].sop_class_uid)
    wanted = {t.study_instance_uid for t in expected if t.sop_class_uid == THINGS[1].sop_class_uid}
    assert {value(result, "0020000D") for result in results} == wanted
    for level, matches in (("studies", studies), ("series", series), ("instances", expected)):
        for offset in (0, 1):
            answer = await http.get(f"/{level}", params={"limit": "1", "offset": str(offset)})
            more = max(0, len(matches) - 1 - offset)
            told = re.findall(r"There are (\d+) additional", answer.headers.get("warning", ""))
            assert told == ([str(more)] if more else [])
    for thing in (THINGS[0], THINGS[7]):
        below = studies.get(thing.study_instance_uid, [])
        path = f"/studies/{thing.study_instance_uid}"
        for one in ("/series", "/instances", f"/series/{thing.series_instance_uid}/instances"):
            results = await found(http, path + one)
            tag = "0020000E" if one == "/series" else "00080018"
            if one.startswith("/series/"):
                below = [t for t in below if t.series_instance_uid == thing.series_instance_uid]
            name = "series_instance_uid" if one == "/series" else "sop_instance_uid"
            wanted = {getattr(t, name) for t in below}
            assert {value(result, tag) for result in results} == wanted


AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}


BELOW = (
    *("", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/pixeldata", "/bulkdata"),
    *("/versions", "/versions/1"),
)


async def assert_retrieves(http: httpx.AsyncClient, expected: list[Thing]) -> None:
    """Objects, metadata (kept or made), frames, values and versions of what may be read."""
    studies = sorted({thing.study_instance_uid for thing in THINGS})
    series = sorted({thing.series_instance_uid for thing in THINGS})[::3]
    await asyncio.gather(
        *(_assert_retrieves_study(http, study, expected) for study in studies),
        *(_assert_retrieves_series(http, one, expected) for one in series),
        *(_assert_retrieves_instance(http, thing, thing in expected) for thing in THINGS[::5]),
    )


async def _assert_retrieves_study(
    http: httpx.AsyncClient, study: str, expected: list[Thing]
) -> None:
    seen = [thing for thing in expected if thing.study_instance_uid == study]
    for encoding in ("gzip", "identity"):
        answer = await http.get(f"/studies/{study}/metadata", headers={"Accept-Encoding": encoding})
        assert answer.status_code == (200 if seen else 404)
        if seen:
            assert {value(one, "00080018") for one in answer.json()} == uids(seen)
    answer = await http.get(f"/studies/{study}", headers=AS_STORED)
    assert answer.status_code == (200 if seen else 404)
    for what in ("pixeldata", "bulkdata"):
        pixels = await http.get(f"/studies/{study}/{what}")
        assert pixels.status_code == (200 if seen else 404)
        if seen:
            locations = re.findall(rb"/instances/([0-9.]+)", pixels.content)
            assert {location.decode() for location in locations} == uids(seen)
    if seen:
        assert len(parts_of(answer)) == len(seen)
        locations = re.findall(rb"/instances/([0-9.]+)", answer.content)
        told = {location.decode() for location in locations}
        assert told == uids(seen)


async def _assert_retrieves_series(
    http: httpx.AsyncClient, series: str, expected: list[Thing]
) -> None:
    seen = [thing for thing in expected if thing.series_instance_uid == series]
    path = f"/studies/{series.rpartition('.')[0]}/series/{series}/metadata"
    answer = await http.get(path)
    assert answer.status_code == (200 if seen else 404)
    if seen:
        assert {value(one, "00080018") for one in answer.json()} == uids(seen)


async def _assert_retrieves_instance(http: httpx.AsyncClient, thing: Thing, seen: bool) -> None:
    for below in BELOW:
        answer = await http.get(thing.path + below)
        assert answer.status_code == (200 if seen else 404), below


async def assert_renders(http: httpx.AsyncClient, expected: list[Thing]) -> None:
    """Images and thumbnails of what may be looked at."""
    await asyncio.gather(*(_assert_renders(http, thing, expected) for thing in THINGS[::7]))


async def _assert_renders(http: httpx.AsyncClient, thing: Thing, expected: list[Thing]) -> None:
    status = 200 if thing in expected else 404
    seen = [one for one in expected if one.study_instance_uid == thing.study_instance_uid]
    answers = {
        f"{thing.path}/rendered": status,
        f"{thing.path}/frames/1/thumbnail": status,
        f"/studies/{thing.study_instance_uid}/thumbnail": 200 if seen else 404,
    }
    for path, wanted in answers.items():
        assert (await http.get(path)).status_code == wanted, path
    answer = await http.get(
        f"/studies/{thing.study_instance_uid}/rendered",
        headers={"Accept": 'multipart/related; type="image/png"'},
    )
    assert answer.status_code == (200 if seen else 404)
    if seen:
        locations = re.findall(rb"/instances/([0-9.]+)/", answer.content)
        assert {location.decode() for location in locations} == uids(seen)
