"""`Authenticator`: from an Authorization header to a `Principal`, or to nobody.

A valid token is remembered for `REMEMBERED_SECONDS`, so that a viewer's thousand requests cost one
look into the index, and a token that was revoked is refused everywhere within that time. What is
not valid is not remembered, so that it costs no memory.
"""

import time
from datetime import UTC, datetime

from app.access.credentials import hash_of, token_in
from app.access.grants import subject_of_role, subject_of_token
from app.access.principal import Holder, Principal, Scope
from app.archive import Archive
from app.errors import Unauthenticated
from app.index import grants, tokens
from app.index.tokens import Token

REMEMBERED_SECONDS = 30
REMEMBERED_TOKENS = 10_000


class Authenticator:
    """Knows the callers of one archive; one in each process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._remembered: dict[bytes, tuple[float, Principal]] = {}

    async def principal_of(self, authorization: str) -> Principal:
        """Who sent this header. Raises `Unauthenticated`, whatever is wrong with it."""
        presented = token_in(authorization)
        if presented is None:
            raise Unauthenticated
        sha256 = hash_of(presented)
        if (remembered := self._remembered.get(sha256)) and time.monotonic() < remembered[0]:
            return remembered[1]
        self._remembered.pop(sha256, None)
        token = await self._valid_token(sha256)
        principal = Principal(
            token_id=token.id,
            name=token.name,
            partition_id=token.partition_id,
            scopes=frozenset(scope for scope in Scope if scope in token.scopes),
            holder=await self._holder(token) if token.restricted else None,
        )
        if len(self._remembered) >= REMEMBERED_TOKENS:
            self._remembered.clear()
        self._remembered[sha256] = (time.monotonic() + _remember_seconds(token), principal)
        return principal

    async def _holder(self, token: Token) -> Holder:
        subjects = (subject_of_token(token.id), *map(subject_of_role, token.roles))
        async with self._archive.reading() as connection:
            held = await grants.held(connection, token.partition_id, subjects)
        return Holder(subjects, held, token.purpose)

    async def _valid_token(self, sha256: bytes) -> Token:
        async with self._archive.reading() as connection:
            token = await tokens.find_by_hash(connection, sha256)
        if token is None or token.revoked_at is not None or _remember_seconds(token) <= 0:
            raise Unauthenticated
        async with self._archive.transaction() as connection:
            await tokens.touch(connection, token.id)
        return token


def _remember_seconds(token: Token) -> float:
    """For how long the token may be taken without another look; not at all if it has expired."""
    if token.expires_at is None:
        return REMEMBERED_SECONDS
    left = (token.expires_at - datetime.now(UTC)).total_seconds()
    return min(left, REMEMBERED_SECONDS)
