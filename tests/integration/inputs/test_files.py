"""Every bad file of the list is answered as it says, at once, in little memory, harming nobody."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from tests.elements import element, file_of, instance
from tests.factories import multipart
from tests.integration.inputs import contents, structure
from tests.integration.inputs.conftest import MIB, Process
from tests.integration.inputs.row import Kept, Refused, Row

SECONDS = 5
"""Of a processor; on the clock it is longer where tests share one."""
SECONDS_ON_THE_CLOCK = 20
MAY_GROW = 64 * MIB
ROWS = structure.rows() + contents.rows()
STORED, FAILED, OTHER_FAILURES = "00081199", "00081198", "0008119A"
RETRIEVE_URL, FAILURE_REASON, WARNING_REASON = "00081190", "00081197", "00081196"
AS_STORED = "application/dicom; transfer-syntax=*"


@pytest.fixture
async def caller(process: Process) -> AsyncIterator[httpx.AsyncClient]:
    async with process.client() as client:
        yield client


def legal_json(text: bytes) -> Any:
    """What the text says; NaN and Infinity, which Python would let through, are not legal."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


class Watched:
    """A caller whose every request is answered in time, in little memory, and not by a failure."""

    def __init__(self, caller: httpx.AsyncClient, process: Process) -> None:
        self._caller = caller
        self._process = process

    async def request(self, method: str, url: str, **more: Any) -> httpx.Response:
        before, begin = self._process.memory(), self._process.seconds()
        async with asyncio.timeout(SECONDS_ON_THE_CLOCK):
            answer = await self._caller.request(method, url, **more)
        seconds, grown = self._process.seconds() - begin, self._process.peak() - before
        assert answer.status_code < 500, (url, answer.status_code, answer.text[:500])
        assert seconds < SECONDS, (url, seconds)
        assert grown < MAY_GROW, (url, grown // MIB)
        return answer

    async def begin(self, url: str, accept: str = "*/*") -> httpx.Response:
        """The beginning of an answer that may be long."""
        begin = self._process.seconds()
        async with (
            asyncio.timeout(SECONDS_ON_THE_CLOCK),
            self._caller.stream("GET", url, headers={"Accept": accept}) as answer,
        ):
            await anext(answer.aiter_raw(), None)
        assert answer.status_code < 500
        assert self._process.seconds() - begin < SECONDS
        return answer

    async def store(self, body: bytes, content_type: str) -> httpx.Response:
        headers = {"Content-Type": content_type}
        return await self.request("POST", "/studies", content=body, headers=headers)

    async def get(self, url: str, accept: str = "*/*") -> httpx.Response:
        return await self.request("GET", url, headers={"Accept": accept})


def items_of(module: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = module.get(tag, {}).get("Value", [])
    return items


def value(item: dict[str, Any], tag: str) -> Any:
    (only,) = item[tag]["Value"]
    return only


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_bad_file_is_answered_as_listed(
    row: Row, caller: httpx.AsyncClient, process: Process
) -> None:
    watched, body = Watched(caller, process), row.make()
    alone = await watched.store(body, "application/dicom") if body else None
    if isinstance(row.answer, Kept):
        assert alone is not None
        await _is_kept(row.answer, body, alone, watched)
    else:
        await _is_refused(row.answer, body, alone, watched)


async def test_a_file_that_is_cut_at_any_byte_is_refused(
    caller: httpx.AsyncClient, process: Process
) -> None:
    """5b-07; between two elements it is a whole data set that lacks a UID."""
    file = file_of(b"".join(element(tag, "UI", b"1.2\0") for tag in sorted(structure.IDENTITY)))
    cuts = [file[:length] for length in range(len(file))]
    answer = await Watched(caller, process).store(*multipart(cuts))
    assert answer.status_code == 409
    reasons = _failures(answer.json())
    assert len(reasons) == len(file)
    assert set(reasons) == {0xC000, 0x0120}
    assert reasons.count(0x0120) < 20


async def _is_refused(
    expected: Refused, body: bytes, alone: httpx.Response | None, watched: Watched
) -> None:
    if alone is not None:
        assert alone.status_code == 409, alone.text
        assert items_of(alone.json(), STORED) == []
        assert _failures(alone.json()) == [expected.reason]
    good = instance()
    both = await watched.store(*multipart([good, body]))
    assert both.status_code == 202
    assert _failures(both.json()) == [expected.reason]
    (stored,) = items_of(both.json(), STORED)
    kept = await watched.get(value(stored, RETRIEVE_URL), AS_STORED)
    assert kept.content == good


def _failures(module: dict[str, Any]) -> list[int]:
    failed = items_of(module, FAILED) + items_of(module, OTHER_FAILURES)
    return [value(item, FAILURE_REASON) for item in failed]


async def _is_kept(expected: Kept, body: bytes, answer: httpx.Response, watched: Watched) -> None:
    assert answer.status_code in {200, 202}, answer.text
    module = legal_json(answer.content)
    (stored,) = items_of(module, STORED)
    warned = WARNING_REASON in stored
    assert answer.status_code == (202 if warned else 200)
    if expected.warned is not None:
        assert warned == expected.warned, stored
    url = value(stored, RETRIEVE_URL)
    kept = await watched.get(url, AS_STORED)
    assert kept.content == body
    assert kept.headers["x-content-type-options"] == "nosniff"
    sent = await (watched.begin if expected.large else watched.get)(url, "application/dicom")
    assert sent.status_code == 200
    metadata = await watched.get(f"{url}/metadata")
    assert metadata.status_code == 200
    (attributes,) = legal_json(metadata.content)
    await _is_found(value(attributes, "0020000D"), watched)
    if expected.large:
        return
    await _bulk_values_come(attributes, watched)
    file_set = await watched.get(url, "application/zip; dicomdir=true")
    assert file_set.status_code == 200
    frame = await watched.get(f"{url}/frames/1")
    assert expected.frame in {None, frame.status_code}, frame.status_code
    rendered = await watched.get(f"{url}/rendered", "image/png")
    assert expected.rendered in {None, rendered.status_code}, rendered.text[:200]
    await watched.get(f"{url}/thumbnail", "image/jpeg")
    if expected.absent_frame is not None:
        absent = await watched.get(f"{url}/frames/{expected.absent_frame}")
        assert absent.status_code == 404


async def _bulk_values_come(attributes: dict[str, Any], watched: Watched) -> None:
    for attribute in attributes.values():
        if "BulkDataURI" in attribute:
            bulk = await watched.begin(attribute["BulkDataURI"])
            assert bulk.status_code in {200, 404, 406}
            assert bulk.headers["x-content-type-options"] == "nosniff"


async def _is_found(study: str, watched: Watched) -> None:
    for resource in ("studies", "series", "instances"):
        found = await watched.get(f"/{resource}?StudyInstanceUID={study}&includefield=all")
        assert found.status_code == 200
        (match,) = legal_json(found.content)
        assert value(match, "0020000D") == study
