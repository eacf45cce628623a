"""How a page tells where the next one begins: a `Link` whose URL goes on after the last result.

The place is told by the values that results are ordered by, not by their number, so that no result
is missed or told twice while others are stored.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from urllib.parse import quote, unquote_to_bytes

import orjson

from app.errors import InvalidParameter

AFTER = "after"
LONGEST_URL = 3 * 1024
"""Of a link: by default nginx lets 4 KiB of headers through, and makes an error of any more."""

Place = tuple[str | int, ...]

_SAFE = "%=+,:*@!$'()/?;~-._"
_MOST = 2**53


def token_of(place: Place, before: int) -> str:
    """The place as the value of a parameter, with how many results come before it."""
    return urlsafe_b64encode(orjson.dumps([before, *place])).decode().rstrip("=")


def place_of(token: str) -> tuple[Place, int]:
    """What a token tells. Raises `InvalidParameter`."""
    try:
        padded = token[:LONGEST_URL].encode("ascii") + b"=" * (-len(token) % 4)
        values = orjson.loads(urlsafe_b64decode(padded))
    except (ValueError, binascii.Error):
        raise InvalidParameter(AFTER, token, "it is none that this archive gave") from None
    if not isinstance(values, list) or not all(type(value) in (str, int) for value in values):
        raise InvalidParameter(AFTER, token, "it is none that this archive gave")
    if any(isinstance(value, str) and "\0" in value for value in values):
        raise InvalidParameter(AFTER, token, "it contains a NUL character")
    before, *place = values or [""]
    if not isinstance(before, int) or not 0 <= before < _MOST:
        raise InvalidParameter(AFTER, token, "it is none that this archive gave")
    return tuple(place), before


def link_to_next(url: str, query_string: bytes, place: Place, before: int) -> str | None:
    """The value of a Link header to what comes after a place; None if it would be too long.

    `url` and `query_string` are those of the page itself.
    """
    kept = [piece for piece in query_string.split(b"&") if piece and _name(piece) not in _REPLACED]
    after = f"{AFTER}={token_of(place, before)}"
    query = "&".join([*(quote(piece, safe=_SAFE) for piece in kept), after])
    return f'<{url}?{query}>; rel="next"' if len(url) + len(query) < LONGEST_URL else None


def told_of(remaining: int, *, counted: bool = True) -> str:
    """That so many results are left, in the words of PS3.18 8.3.4."""
    number = str(remaining) if counted else f"at least {remaining}"
    return f"There are {number} additional results that can be requested"


def without_a_link(place: Place, before: int) -> str:
    """How the page after a place is had to which a link would be too long."""
    token = token_of(place, before)
    if len(token) >= LONGEST_URL:
        return "A link to the next page would be too long: it is had by offset."
    return (
        "A link to the next page would be too long: it is had by the same query, with"
        f" {AFTER}={token} in the place of any offset."
    )


_REPLACED = {b"offset", AFTER.encode()}


def _name(piece: bytes) -> bytes:
    return unquote_to_bytes(piece.partition(b"=")[0]).lower()
