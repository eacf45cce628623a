"""Whoever invents tokens makes the provider no crowd of questions, and holds nobody else up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import parse_qs

import httpx
import pytest
import structlog

from app.access.oidc import asking
from app.access.oidc.asking import Introspection
from app.access.oidc.keys import ProviderUnavailable
from app.errors import TooBusy, Unauthenticated
from app.settings import Oidc

SETTINGS = Oidc(
    issuer="https://login.example",
    audience="images",
    introspection_url="https://login.example/introspect",
)
KNOWN = {"active": True, "aud": "images", "sub": "s", "exp": 2**40}


class Slow:
    """A provider that answers when it is let."""

    def __init__(self) -> None:
        self.asked = Counter[str]()
        self.waiting = 0
        self.most = 0
        self.arrived = asyncio.Condition()
        self.open = asyncio.Event()

    async def answer(self, request: httpx.Request) -> httpx.Response:
        (token,) = parse_qs(request.content.decode())["token"]
        self.asked[token] += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        async with self.arrived:
            self.arrived.notify_all()
        await self.open.wait()
        self.waiting -= 1
        if token.startswith("broken"):
            return httpx.Response(500)
        return httpx.Response(200, json=KNOWN if token.startswith("good") else {"active": False})

    async def has(self, count: int) -> None:
        """Return when so many questions have come."""
        async with self.arrived:
            await self.arrived.wait_for(lambda: self.asked.total() >= count)


@pytest.fixture
def provider() -> Slow:
    return Slow()


@pytest.fixture
async def introspection(provider: Slow) -> AsyncIterator[Introspection]:
    async with httpx.AsyncClient(transport=httpx.MockTransport(provider.answer)) as http:
        yield Introspection(SETTINGS, http)


async def test_one_address_has_few_questions_at_a_time_and_others_have_theirs(
    provider: Slow, introspection: Introspection
) -> None:
    invented = [asyncio.create_task(introspection.asked(f"bad{n}", "192.0.2.1")) for n in range(40)]
    await provider.has(asking.AT_A_TIME_OF_ADDRESS)
    other = asyncio.create_task(introspection.asked("good", "192.0.2.2"))
    await provider.has(asking.AT_A_TIME_OF_ADDRESS + 1)
    assert provider.asked["good"] == 1
    assert provider.waiting == asking.AT_A_TIME_OF_ADDRESS + 1
    provider.open.set()
    assert (await other)["sub"] == "s"
    for told in await asyncio.gather(*invented, return_exceptions=True):
        assert isinstance(told, Unauthenticated)
    assert provider.most == asking.AT_A_TIME_OF_ADDRESS + 1


async def test_all_addresses_together_have_so_many(
    provider: Slow, introspection: Introspection
) -> None:
    tasks = [asyncio.create_task(introspection.asked(f"bad{n}", f"192.0.2.{n}")) for n in range(40)]
    await provider.has(asking.AT_A_TIME)
    provider.open.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert provider.most == asking.AT_A_TIME


async def test_who_waits_too_long_is_told_to_come_again(
    provider: Slow, introspection: Introspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ANSWER_SECONDS", 0)
    with pytest.raises(TooBusy):
        await introspection.asked("good", "192.0.2.1")
    monkeypatch.undo()
    provider.open.set()
    assert (await introspection.asked("good", "192.0.2.1"))["sub"] == "s"


async def test_about_one_token_there_is_one_question(
    provider: Slow, introspection: Introspection
) -> None:
    first, *others = [
        asyncio.create_task(introspection.asked("good", "192.0.2.1")) for _ in range(20)
    ]
    await provider.has(1)
    first.cancel()
    provider.open.set()
    for told in await asyncio.gather(*others):
        assert told["sub"] == "s"
    assert provider.asked["good"] == 1


async def test_what_was_just_refused_is_refused_again_without_a_question(
    provider: Slow, introspection: Introspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider.open.set()

    async def refused(token: str) -> None:
        with pytest.raises(Unauthenticated):
            await introspection.asked(token, "192.0.2.1")

    await refused("bad")
    await refused("bad")
    assert provider.asked["bad"] == 1
    monkeypatch.setattr(asking, "REFUSED_TOKENS", 1)
    await refused("other")
    await refused("bad")
    assert provider.asked["bad"] == 2
    monkeypatch.setattr(asking, "REFUSED_SECONDS", 0)
    await refused("third")
    await refused("third")
    assert provider.asked["third"] == 2


async def test_no_answer_is_no_refusal(
    provider: Slow, introspection: Introspection, monkeypatch: pytest.MonkeyPatch
) -> None:
    # One that is kept would write to what this test alone has as its output.
    monkeypatch.setattr(asking, "log", structlog.get_logger())
    provider.open.set()
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await introspection.asked("broken", "192.0.2.1")
    assert provider.asked["broken"] == 2
