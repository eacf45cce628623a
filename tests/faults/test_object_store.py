"""An object store that fails, answers late or not at all, or gives back what was not stored."""

import random

import pytest

from app.archive import open_archive
from app.upkeep.findings import Fault
from tests.faults.conftest import S3Stage
from tests.faults.history import AS_STORED, Heard, Sent, client_of, requests_of, send
from tests.faults.nursery import ServerProcess
from tests.faults.objectstore import Rule, Spoil
from tests.faults.trial import checked, trial

LARGE = 9_000_000
"""Put in parts, and not by one request."""


@pytest.mark.parametrize(
    "rule",
    [
        Rule(Spoil.REFUSED, times=3),
        Rule(Spoil.CUT, times=3),
        Rule(Spoil.LOST, first=2, times=3),
        Rule(Spoil.LOST, path="partNumber", times=2),
        Rule(Spoil.LOST, "POST", path="uploadId", times=1),
        Rule(Spoil.FAILED, times=40),
        Rule(Spoil.SLOW_DOWN, times=3),
        Rule(Spoil.LATE, times=3),
        Rule(Spoil.LOST, "POST", path="delete"),
        Rule(Spoil.FAILED, "HEAD", times=20),
    ],
    ids=lambda rule: f"{rule.method} {rule.path} {rule.spoil}",
)
async def test_what_spoils_a_put_costs_no_instance(s3_stage: S3Stage, rule: Rule) -> None:
    async def spoil(_: ServerProcess) -> None:
        s3_stage.proxy.rule = rule

    def calm() -> None:
        s3_stage.proxy.rule = None

    requests = requests_of(random.Random(str(rule)), large=LARGE)
    await trial(s3_stage.stage, requests, disturb=spoil, calm=calm)
    assert rule.done, "nothing was spoilt"


@pytest.fixture
async def stored(s3_stage: S3Stage) -> tuple[ServerProcess, list[Sent]]:
    """A server, and what it has stored."""
    server = await s3_stage.stage.start()
    everything = [one for request in requests_of(random.Random(1)) for one in request]
    async with client_of(server.base, s3_stage.stage.token) as client:
        assert await send(client, everything) == 200
    return server, everything


@pytest.mark.parametrize(
    "spoil",
    [Spoil.ANSWER_CUT, Spoil.ANSWER_SHORT, Spoil.ANSWER_WRONG, Spoil.FAILED, Spoil.LOST],
)
async def test_an_instance_that_does_not_come_whole_is_never_sent_as_if_it_were(
    s3_stage: S3Stage, stored: tuple[ServerProcess, list[Sent]], spoil: Spoil
) -> None:
    server, everything = stored
    s3_stage.proxy.rule = Rule(spoil, "GET", times=1000)
    async with client_of(server.base, s3_stage.stage.token) as client:
        for one in everything:
            try:
                answer = await client.get(one.path, headers=AS_STORED)
            except Exception:
                continue
            assert not answer.is_success or answer.content == one.file
    s3_stage.proxy.rule = None
    async with client_of(server.base, s3_stage.stage.token) as client:
        for one in everything:
            assert (await client.get(one.path, headers=AS_STORED)).content == one.file


async def test_a_store_that_lies_is_found_out_by_a_check(s3_stage: S3Stage) -> None:
    server = await s3_stage.stage.start()
    (request,) = requests_of(random.Random(2))[:1]
    s3_stage.proxy.rule = Rule(Spoil.LIED)
    async with client_of(server.base, s3_stage.stage.token) as client:
        await send(client, request)
        assert all(one.heard is Heard.STORED for one in request)
        s3_stage.proxy.rule = None
        answers = [await client.get(one.path, headers=AS_STORED) for one in request]
        assert sorted(a.status_code for a in answers)[-1] >= 500
    archive = await open_archive(s3_stage.stage.settings)
    found = await checked(archive)
    await archive.close()
    assert {finding.fault for finding in found} == {Fault.BLOB_MISSING}
