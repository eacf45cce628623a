"""What a token looks like, and how a request carries it. Pure: nothing here knows who holds one.

A token is `hilum_` and 32 random bytes in base64url: 256 bits that nobody guesses, so that a plain
SHA-256 of it is all that has to be kept. By the prefix, scanners of repositories find leaked ones.
"""

import base64
import binascii
import hashlib
import secrets

PREFIX = "hilum_"
SESSION_PREFIX = PREFIX + "session_"
"""Of what a token is exchanged for, where no header can be sent."""
GUEST_PREFIX = PREFIX + "share_"
"""Of what a link is exchanged for."""
TOKEN_BYTES = 32
LONGEST = 17 * 1024
"""Characters of a header: those of an identity provider are the long ones."""


def new_secret(prefix: str = "") -> str:
    """What nobody guesses, and has never been before."""
    return prefix + secrets.token_urlsafe(TOKEN_BYTES)


def new_token() -> str:
    """A token that has never been before."""
    return new_secret(PREFIX)


def hash_of(token: str) -> bytes:
    """The SHA-256 by which a token is known."""
    return hashlib.sha256(token.encode()).digest()


def token_in(authorization: str) -> str | None:
    """The token that an Authorization header carries; None if it carries none.

    It comes as `Bearer token` (RFC 6750) or, from clients that know nothing else, as the password
    of `Basic` (RFC 7617), with any user name.
    """
    if len(authorization) > LONGEST:
        return None
    scheme, _, credentials = authorization.strip().partition(" ")
    credentials = credentials.strip()
    match scheme.lower():
        case "bearer":
            return credentials or None
        case "basic":
            return _password(credentials)
        case _:
            return None


def _password(credentials: str) -> str | None:
    try:
        user_and_password = base64.b64decode(credentials, validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    return user_and_password.partition(":")[2] or None
