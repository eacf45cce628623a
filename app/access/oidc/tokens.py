"""`verified`: the claims of a signed access token, if each is as it has to be (RFC 9068).

Rules:
- The algorithm is one of the settings, and the key is one for that algorithm; what the token says
  of keys beyond a name (`jku`, `x5u`, `jwk`) is not looked at; what it calls critical is refused.
- Issuer and audience are ours, it has not expired and is not for later; clocks may differ by
  `LEEWAY_SECONDS`.
- Whatever is wrong, it is one refusal.
"""

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key

from app.access.oidc.keys import Keys
from app.errors import Unauthenticated
from app.settings import Oidc

LEEWAY_SECONDS = 60
LONGEST = 16 * 1024
_TYPES = {None, "jwt", "at+jwt", "application/at+jwt"}


def looks_signed(token: str) -> bool:
    """Whether the token has the three parts of a signed one."""
    return token.count(".") == 2


async def verified(token: str, keys: Keys, settings: Oidc) -> Mapping[str, Any]:
    """The claims. Raises `Unauthenticated`, and `ProviderUnavailable` without any keys."""
    if len(token) > LONGEST:
        raise Unauthenticated
    header = _header(token)
    algorithm, identity, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(identity, str | None) or not isinstance(kind, str | None):
        raise Unauthenticated
    if not isinstance(algorithm, str) or algorithm not in settings.algorithms or "crit" in header:
        raise Unauthenticated
    if (kind.lower() if kind else None) not in _TYPES:
        raise Unauthenticated
    payload = _payload(token, await keys.find(identity, algorithm), algorithm)
    if payload is None:
        # It may be of a key that is new, and has no name, or that of the one before.
        await keys.look_again()
        payload = _payload(token, await keys.find(identity, algorithm), algorithm)
    if payload is None:
        raise Unauthenticated
    try:
        claims = orjson.loads(payload)
    except ValueError as error:
        raise Unauthenticated from error
    if not isinstance(claims, dict):
        raise Unauthenticated
    check_claims(claims, settings)
    return claims


def _payload(token: str, keys: Sequence[Key], algorithm: str) -> bytes | None:
    """What one of the keys has signed; None if none of them has."""
    for key in keys:
        try:
            return jws.deserialize_compact(token, key, algorithms=[algorithm]).payload
        except (JoseError, ValueError):
            continue
    return None


def check_claims(claims: Mapping[str, Any], settings: Oidc) -> None:
    """Raise `Unauthenticated` unless they are of our issuer, for us, and hold now."""
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    now = time.time()
    right = (
        claims.get("iss") == settings.issuer
        and settings.audience in audiences
        and _is_moment(claims.get("exp"))
        and now < claims["exp"] + LEEWAY_SECONDS
        and all(
            _is_moment(claims[name]) and claims[name] - LEEWAY_SECONDS <= now
            for name in ("nbf", "iat")
            if name in claims
        )
        and isinstance(claims.get("sub"), str)
    )
    if not right:
        raise Unauthenticated


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _header(token: str) -> Mapping[str, Any]:
    first = token.partition(".")[0]
    try:
        header = orjson.loads(base64.b64decode(first + "=" * (-len(first) % 4), b"-_", True))
    except (binascii.Error, ValueError) as error:
        raise Unauthenticated from error
    if not isinstance(header, dict):
        raise Unauthenticated
    return header
