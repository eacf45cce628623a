"""What a caller may not see answers as if it were not there: status, headers, body and time."""

import asyncio
import math
import time
from collections.abc import AsyncIterator

import httpx
import numpy as np
import pytest

from app.web import even_time
from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, Given, client_of, token_with

SHOWN, HIDDEN = THINGS[0], THINGS[4]
MISSING_STUDY, MISSING = "1.2.3.77", "1.2.3.7777"
READING = ("search", "read", "render")
PATHS = (
    "/studies/{study}",
    "/studies/{study}/metadata",
    "/studies/{study}/thumbnail",
    "/studies/{study}/rendered",
    "/studies/{study}/series",
    "/studies/{study}/instances",
    "/studies/{study}/series/{series}",
    "/studies/{study}/series/{series}/metadata",
    "/studies/{study}/series/{series}/instances",
    "/studies/{study}/series/{series}/instances/{instance}",
    "/studies/{study}/series/{series}/instances/{instance}/metadata",
    "/studies/{study}/series/{series}/instances/{instance}/frames/1",
    "/studies/{study}/series/{series}/instances/{instance}/frames/1/rendered",
    "/studies/{study}/series/{series}/instances/{instance}/rendered",
    "/studies/{study}/series/{series}/instances/{instance}/thumbnail",
    "/studies/{study}/series/{series}/instances/{instance}/bulkdata/7FE00010",
    "/studies/{study}/series/{series}/instances/{instance}/versions",
    "/studies/{study}/series/{series}/instances/{instance}/versions/1",
    "/studies/{study}/bulkdata",
    "/studies/{study}/series/{series}/pixeldata",
    "/studies/{study}/series/{series}/instances/{instance}/pixeldata",
    "/studies?StudyInstanceUID={study}",
    "/instances?SOPInstanceUID={instance}",
)
UNLIKE = ("date", "x-request-id")
XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture(scope="module")
async def restricted(populated: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who may see one study, and not whole."""
    grants = [
        Given(READING, (("study_instance_uid", SHOWN.study_instance_uid),)),
        Given(READING, (("modality", "MR"),), denies=True),
    ]
    async with client_of(populated, await token_with(populated, grants)) as http:
        yield http


def of(path: str, thing: tuple[str, str, str]) -> str:
    study, series, instance = thing
    return path.format(study=study, series=series, instance=instance)


def told(answer: httpx.Response, *uids: str) -> tuple[int, dict[str, str], str]:
    """The answer without what differs between any two."""
    headers = {name: value for name, value in answer.headers.items() if name not in UNLIKE}
    body = answer.text.replace(answer.headers["x-request-id"], "")
    for uid in uids:
        body = body.replace(uid, "")
    return answer.status_code, headers, body


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("condition", [{}, {"If-None-Match": "*"}, {"Range": "bytes=0-9"}])
async def test_hidden_and_missing_answer_alike(
    restricted: httpx.AsyncClient, path: str, condition: dict[str, str]
) -> None:
    hidden = (HIDDEN.study_instance_uid, HIDDEN.series_instance_uid, HIDDEN.sop_instance_uid)
    missing = (MISSING_STUDY, f"{MISSING_STUDY}.1", MISSING)
    answers = [
        told(await restricted.get(of(path, thing), headers=condition), *thing)
        for thing in (hidden, missing)
    ]
    assert answers[0] == answers[1]
    assert answers[0][0] == (200 if answers[0][2] == "[]" else 404)


async def test_a_hidden_series_of_a_shown_study_is_missing(restricted: httpx.AsyncClient) -> None:
    hidden = THINGS[2]
    assert hidden.modality == "MR"
    for path in PATHS[6:18]:
        uids = (hidden.study_instance_uid, hidden.series_instance_uid, hidden.sop_instance_uid)
        other = (hidden.study_instance_uid, f"{MISSING_STUDY}.1", MISSING)
        answers = [told(await restricted.get(of(path, thing)), *thing) for thing in (uids, other)]
        assert answers[0] == answers[1], path


async def test_uids_that_do_not_belong_together_lead_nowhere(restricted: httpx.AsyncClient) -> None:
    """A study that may be seen is no way to a series or an instance of one that may not."""
    shown = (SHOWN.study_instance_uid, SHOWN.series_instance_uid)
    hidden = (HIDDEN.series_instance_uid, HIDDEN.sop_instance_uid)
    for mixed in (
        (shown[0], *hidden),
        (*shown, hidden[1]),
        (HIDDEN.study_instance_uid, shown[1], SHOWN.sop_instance_uid),
        (HIDDEN.study_instance_uid, hidden[0], SHOWN.sop_instance_uid),
    ):
        for path in PATHS[9:18]:
            assert (await restricted.get(of(path, mixed))).status_code == 404, path
        for path in PATHS[8:9]:
            found = (await restricted.get(of(path, mixed))).json()
            assert (found == []) == (mixed[:2] != shown)


async def test_validators_are_of_what_is_seen(
    populated: Server, restricted: httpx.AsyncClient
) -> None:
    """A part has another validator than the whole, so that neither is taken for the other."""
    path = f"/studies/{SHOWN.study_instance_uid}/metadata"
    part = await restricted.get(path)
    async with populated.client("read") as http:
        whole = await http.get(path)
        assert part.headers["etag"] != whole.headers["etag"]
        answer = await http.get(path, headers={"If-None-Match": part.headers["etag"]})
        assert answer.status_code == 200
    answer = await restricted.get(path, headers={"If-None-Match": whole.headers["etag"]})
    assert len(answer.json()) == 2


@pytest.mark.parametrize("accept", ["application/dicom+json", XML])
@pytest.mark.parametrize(
    "path", ["/studies?StudyInstanceUID={}", "/studies/{}/series", "/patients"]
)
async def test_nothing_is_found_at_the_end_of_a_beat(
    restricted: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str, accept: str
) -> None:
    waited: list[float] = []

    async def wait(began: float) -> None:
        waited.append(began)

    monkeypatch.setattr(even_time, "_wait", wait)
    for study, times in ((HIDDEN, 1), (SHOWN, 0)):
        waited.clear()
        asked = path.format(study.study_instance_uid)
        of_study = {} if "{" in path else {"StudyInstanceUID": study.study_instance_uid}
        answer = await restricted.get(asked, params=of_study or None, headers={"Accept": accept})
        assert answer.status_code == 200
        assert len(waited) == times


PAIRS = 1000
AT_ONCE = 20


async def test_hidden_and_missing_take_the_same_time(
    restricted: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 1,000 pairs, by the rank sum test of Mann and Whitney."""
    assert even_time.BEAT_SECONDS >= 0.02
    hidden = of("/studies/{study}/metadata", (HIDDEN.study_instance_uid, "", ""))
    missing = of("/studies/{study}/metadata", (MISSING_STUDY, "", ""))
    places = asyncio.Semaphore(AT_ONCE)

    async def seconds(path: str) -> float:
        async with places:
            began = time.perf_counter()
            assert (await restricted.get(path)).status_code == 404
            return time.perf_counter() - began

    order = np.random.default_rng(1).permuted([hidden, missing] * PAIRS)
    took = np.array(await asyncio.gather(*map(seconds, map(str, order))))
    ranks = took.argsort().argsort() + 1.0
    u = ranks[order == hidden].sum() - PAIRS * (PAIRS + 1) / 2
    z = (u - PAIRS**2 / 2) / math.sqrt(PAIRS**2 * (2 * PAIRS + 1) / 12)
    assert math.erfc(abs(z) / math.sqrt(2)) > 0.01
