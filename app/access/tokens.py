"""Making, listing and ending access tokens: what `hilum token` does, and the first start."""

from collections.abc import Collection
from datetime import datetime

from app.access.credentials import hash_of, new_token
from app.access.principal import Scope
from app.errors import InvalidParameter, NotFound
from app.index import partitions, tokens
from app.index.database import Database
from app.index.tokens import Token

FIRST_NAME = "administrator"
NAME_CHARACTERS = 100
SHORTEST = 16
"""Characters of a token that somebody chose."""


async def create_token(
    index: Database,
    name: str,
    scopes: Collection[Scope],
    *,
    partition: str = partitions.DEFAULT,
    expires_at: datetime | None = None,
) -> str:
    """Make a token and return it; only its hash is kept, so it cannot be shown again.

    `name` tells logs and the audit whose it is. The partition is made if there is none of that
    name. Raises `InvalidParameter`.
    """
    if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable():
        raise InvalidParameter("name", name, f"is not 1 to {NAME_CHARACTERS} printable characters")
    token = new_token()
    async with index.transaction() as connection:
        await tokens.create(
            connection,
            partition_id=await partitions.ensure(connection, partition),
            name=name,
            sha256=hash_of(token),
            scopes=scopes,
            expires_at=expires_at,
        )
    return token


async def list_tokens(index: Database) -> list[Token]:
    """Every token that was ever made, oldest first; none can be seen itself."""
    async with index.reading() as connection:
        return await tokens.list_all(connection)


async def revoke_token(index: Database, token_id: int) -> None:
    """End a token; every process refuses it within a minute.

    Raises `NotFound` if there is none with this id that has not been ended before.
    """
    async with index.transaction() as connection:
        if not await tokens.revoke(connection, token_id):
            raise NotFound(f"There is no token {token_id} that could be revoked.")


async def ensure_first_token(index: Database, chosen: str | None = None) -> str | None:
    """Give the archive its first administrator, unless it has a token already.

    `chosen` is the token to take; otherwise one is made, and returned to be shown this once. Of
    several servers that start together, one does it. Raises `InvalidParameter` if the chosen one is
    too short to be safe.
    """
    async with index.transaction() as connection:
        await tokens.lock(connection)
        if await tokens.list_all(connection):
            return None
        if chosen is not None and len(chosen) < SHORTEST:
            why = f"is shorter than {SHORTEST} characters"
            raise InvalidParameter("HILUM_ADMIN_TOKEN", "...", why)
        token = chosen or new_token()
        await tokens.create(
            connection,
            partition_id=await partitions.ensure(connection, partitions.DEFAULT),
            name=FIRST_NAME,
            sha256=hash_of(token),
            scopes=[Scope.ADMIN],
        )
    return None if chosen else token
