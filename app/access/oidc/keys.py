"""`Keys`: the public keys of the provider, as its JWK Set has them (RFC 7517).

Rules:
- The address comes from the settings, or from the provider's own description of itself below the
  issuer's address; never from a token.
- Keys are remembered for `FRESH_SECONDS`. A key that is not known, or has not signed what it should
  have, makes us look again, but not more often than every `PATIENCE_SECONDS`, so that nobody makes
  us ask by inventing names or signatures.
- If the provider does not answer, the keys are good for `STALE_SECONDS` after they were fetched,
  and then nobody is let in.
- A key that cannot be used, or is of a kind that is not known, is passed over.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import structlog
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, KeySet, OKPKey, RSAKey

from app.errors import Unavailable
from app.settings import Oidc

FRESH_SECONDS = 600
STALE_SECONDS = 3600
PATIENCE_SECONDS = 30
FETCH_SECONDS = 5
MOST_KEYS = 32
SHORTEST_RSA_BITS = 2048

log = structlog.get_logger()

FAILURES = (httpx.HTTPError, httpx.InvalidURL, ValueError, TypeError)
"""What calling the provider may raise."""
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "Ed25519": "Ed25519"}


class ProviderUnavailable(Unavailable):
    """The identity provider does not answer, so nobody can be recognised by its tokens."""


class Keys:
    """The keys of one provider, in one process."""

    def __init__(self, settings: Oidc, http: httpx.AsyncClient) -> None:
        self._settings = settings
        self._http = http
        self._keys: tuple[Key, ...] = ()
        self._fetched_at: float | None = None
        self._asked_at: float | None = None
        self._asking = asyncio.Lock()

    async def find(self, identity: str | None, algorithm: str) -> Sequence[Key]:
        """The key of this name that signs by this algorithm; without a name, all that do.

        Raises `ProviderUnavailable`.
        """
        if self._age() >= FRESH_SECONDS or not self._fitting(identity, algorithm):
            await self.look_again()
        if self._age() >= STALE_SECONDS:
            raise ProviderUnavailable
        return self._fitting(identity, algorithm)

    async def look_again(self) -> None:
        """Fetch the keys, unless somebody has just tried."""
        before = self._asked_at
        async with self._asking:
            now = time.monotonic()
            recently = self._asked_at is not None and now - self._asked_at < PATIENCE_SECONDS
            if recently or self._asked_at != before:
                return
            self._asked_at = now
            try:
                self._keys = await self._fetch()
                self._fetched_at = time.monotonic()
            except (*FAILURES, JoseError, LookupError) as error:
                # What is remembered may still be good.
                log.warning("identity_provider_fails", error=repr(error))

    def _age(self) -> float:
        """Seconds since the keys were fetched; for ever if they never were."""
        return float("inf") if self._fetched_at is None else time.monotonic() - self._fetched_at

    def _fitting(self, identity: str | None, algorithm: str) -> list[Key]:
        return [
            key
            for key in self._keys
            if signs(key, algorithm) and (identity is None or key.kid == identity)
        ]

    async def _fetch(self) -> tuple[Key, ...]:
        address = self._settings.jwks_url
        if address is None:
            issuer = self._settings.issuer
            described = await get_json(
                self._http, f"{issuer.rstrip('/')}/.well-known/openid-configuration"
            )
            if described["issuer"] != issuer:
                raise ValueError("the provider describes another issuer")
            address = str(described["jwks_uri"])
            if urlsplit(issuer).scheme == "https" != urlsplit(address).scheme:
                raise ValueError("the provider publishes its keys without TLS")
        fetched = await get_json(self._http, address)
        published = [key for key in fetched["keys"] if _is_public(key)][:MOST_KEYS]
        return tuple(key for one in published for key in _imported(one))


async def get_json(http: httpx.AsyncClient, address: str) -> Mapping[str, Any]:
    """The JSON object at an address. Raises what httpx raises, and `ValueError`."""
    async with http.stream("GET", address, headers={"Accept": "application/json"}) as answer:
        return await json_of(answer)


async def json_of(answer: httpx.Response) -> Mapping[str, Any]:
    """The JSON object that an answer has, if it is a success."""
    answer.raise_for_status()
    if not answer.is_success:
        raise ValueError("the provider sends us elsewhere")
    await answer.aread()
    told = answer.json()
    if not isinstance(told, dict):
        raise TypeError("the provider answers with no object")
    return told


def signs(key: Key, algorithm: str) -> bool:
    """Whether the key is one for signatures by this algorithm, and for no other one."""
    if key.alg not in {None, algorithm} or key.get("use") not in {None, "sig"}:
        return False
    match key:
        case RSAKey():
            long = key.public_key.key_size >= SHORTEST_RSA_BITS
            return algorithm[:2] in {"RS", "PS"} and long
        case ECKey() | OKPKey():
            return _CURVES.get(algorithm) == key.curve_name
        case _:
            return False


def _is_public(key: Any) -> bool:
    """No provider publishes a shared secret; whatever says that it is one, is not used."""
    return isinstance(key, dict) and key.get("kty") in ("RSA", "EC", "OKP") and "d" not in key


def _imported(key: dict[str, Any]) -> list[Key]:
    """The key; nothing of one that is broken, or of a curve that is not known (RFC 7517, 5)."""
    try:
        return list(KeySet.import_key_set({"keys": [key]}).keys)
    except (JoseError, LookupError, ValueError, TypeError):
        return []
