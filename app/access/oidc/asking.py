"""`Introspection`: what the provider says of a token (RFC 7662), if the settings allow it.

For tokens that say nothing by themselves. Rules:
- The provider is asked once for as long as a caller is remembered, and about a token by one
  question at a time, however many requests wait for the answer.
- Whoever invents tokens makes it no harder for the provider than it can bear, nor for others who
  wait: so many questions are asked at a time, and fewer for one address. A token that was just
  refused is refused without a question.
"""

import asyncio
import time
from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import httpx
import structlog

from app.access.credentials import hash_of
from app.access.oidc.keys import FAILURES, ProviderUnavailable, json_of
from app.access.oidc.tokens import LONGEST, check_claims
from app.errors import TooBusy, Unauthenticated
from app.settings import Oidc

AT_A_TIME = 16
AT_A_TIME_OF_ADDRESS = 4
ANSWER_SECONDS = 10
"""For which a token waits for its turn and the answer."""
REFUSED_SECONDS = 5
REFUSED_TOKENS = 10_000

log = structlog.get_logger()


class Introspection:
    """The questions of one process to one provider."""

    def __init__(self, settings: Oidc, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._under_way: dict[bytes, asyncio.Task[Mapping[str, Any]]] = {}
        self._refused: dict[bytes, float] = {}

    async def asked(self, token: str, address: str) -> Mapping[str, Any]:
        """The claims of a token that came from this address.

        Raises `Unauthenticated`, `ProviderUnavailable` and `TooBusy`.
        """
        if self._settings.introspection_url is None or len(token) > LONGEST or not token.isascii():
            raise Unauthenticated
        sha256 = hash_of(token)
        if time.monotonic() < self._refused.get(sha256, 0.0):
            raise Unauthenticated
        asking = self._under_way.get(sha256)
        if asking is None:
            asking = asyncio.create_task(self._ask_in_turn(token, address))
            self._under_way[sha256] = asking
            asking.add_done_callback(lambda done: self._end(sha256, done))
        return await asyncio.shield(asking)

    def _end(self, sha256: bytes, asking: asyncio.Task[Mapping[str, Any]]) -> None:
        del self._under_way[sha256]
        if asking.cancelled() or not isinstance(asking.exception(), Unauthenticated):
            return
        if len(self._refused) >= REFUSED_TOKENS:
            self._refused.clear()
        self._refused[sha256] = time.monotonic() + REFUSED_SECONDS

    async def _ask_in_turn(self, token: str, address: str) -> Mapping[str, Any]:
        turns_of_address = self._turns_of.setdefault(
            address, asyncio.Semaphore(AT_A_TIME_OF_ADDRESS)
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS), turns_of_address, self._turns:
                return await self._ask(token)
        except TimeoutError:
            raise TooBusy("Too many tokens wait for an answer of the identity provider.") from None

    async def _ask(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        try:
            async with self._http.stream(
                "POST",
                str(settings.introspection_url),
                data={"token": token, "token_type_hint": "access_token"},
                auth=httpx.BasicAuth(settings.client_id or "", secret),
            ) as answer:
                claims = await json_of(answer)
        except FAILURES as error:
            log.warning("identity_provider_fails", error=repr(error))
            raise ProviderUnavailable from error
        if claims.get("active") is not True:
            raise Unauthenticated
        # Whoever answers there is the issuer, unless it says that somebody else is.
        claims = {"iss": settings.issuer, **claims}
        check_claims(claims, settings)
        return claims
