"""A PostgreSQL whose answers are lost, that is killed with -9, and that comes back."""

import asyncio
import random
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.settings import Settings
from tests.faults.floors import Postgres, postgres_in
from tests.faults.history import requests_of
from tests.faults.nursery import Nursery, ServerProcess
from tests.faults.postgres import Break, Proxy, Rule, proxy_to
from tests.faults.stages import stage_of
from tests.faults.trial import Stage, send_again, trial


@pytest.fixture
async def proxied(nursery: Nursery, settings: Settings) -> AsyncIterator[tuple[Stage, Proxy]]:
    """A stage whose servers reach the database through a proxy."""
    assert settings.database_url is not None
    async with proxy_to(settings.database_url.get_secret_value()) as proxy:
        yield await stage_of(nursery, settings, HILUM_DATABASE_URL=proxy.url), proxy


@pytest.mark.parametrize(
    "rule",
    [
        # The first few are of the token, which is noted to be in use.
        Rule(Break.UNANSWERED, b"COMMIT", first=4, times=2),
        Rule(Break.UNHEARD, b"COMMIT", first=4, times=2),
        Rule(Break.UNANSWERED, b"BEGIN"),
        Rule(Break.UNANSWERED, b"INSERT INTO instance"),
        Rule(Break.UNANSWERED, b"INSERT INTO audit", first=2),
        Rule(Break.UNANSWERED, b"INSERT INTO upload"),
    ],
    ids=lambda rule: f"{rule.holds.decode()} {rule.what}",
)
async def test_an_answer_that_is_lost_costs_no_instance(
    proxied: tuple[Stage, Proxy], rule: Rule
) -> None:
    stage, proxy = proxied

    async def spoil(_: ServerProcess) -> None:
        proxy.rule = rule

    def calm() -> None:
        proxy.rule = None

    requests = requests_of(random.Random(str(rule)))
    result = await trial(stage, requests, disturb=spoil, calm=calm)
    assert rule.done, "nothing was spoilt"
    if rule.holds == b"COMMIT":
        assert result.acknowledged < result.sent
        assert (result.unknown_there > 0) is (rule.what is Break.UNANSWERED)


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A PostgreSQL that only this test kills. Its path is short, so that its socket stays in it."""
    with (
        tempfile.TemporaryDirectory(prefix="faults-") as folder,
        postgres_in(Path(folder)) as postgres,
    ):
        yield postgres


@pytest.mark.parametrize("seconds", [0.05, 0.3])
async def test_a_database_that_is_killed_and_comes_back_costs_no_instance(
    nursery: Nursery, settings: Settings, own_postgres: Postgres, seconds: float
) -> None:
    """And the probes tell it (I10)."""
    settings = settings.model_copy(update={"database_url": SecretStr(own_postgres.url)})
    stage = await stage_of(nursery, settings)
    requests = requests_of(random.Random(seconds))

    async def kill(server: ServerProcess) -> None:
        await asyncio.sleep(seconds)
        own_postgres.kill()
        assert await asyncio.to_thread(server.comes_to_say, "ready", 503)
        assert await asyncio.to_thread(server.comes_to_say, "live", 200)
        own_postgres.start()
        await asyncio.to_thread(server.wait_until_ready)
        await send_again(stage, server, requests)

    await trial(stage, requests, disturb=kill)
