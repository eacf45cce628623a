"""Making, listing and ending access tokens: what `hilum token` does, and the first start."""

from collections.abc import Collection
from datetime import datetime

from app.access.credentials import hash_of, new_token
from app.access.principal import Scope
from app.archive import Archive
from app.errors import InvalidParameter, NotFound
from app.index import partitions, tokens
from app.index.tokens import Token

FIRST_NAME = "first administrator"
NAME_CHARACTERS = 100
SHORTEST = 16
"""Characters of a token that somebody chose."""


async def create_token(
    archive: Archive,
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
    async with archive.transaction() as connection:
        await tokens.create(
            connection,
            partition_id=await partitions.ensure(connection, partition),
            name=name,
            sha256=hash_of(token),
            scopes=scopes,
            expires_at=expires_at,
        )
    return token


async def list_tokens(archive: Archive) -> list[Token]:
    """Every token that was ever made, oldest first; none can be seen itself."""
    async with archive.snapshot() as connection:
        return await tokens.list_all(connection)


async def revoke_token(archive: Archive, token_id: int) -> None:
    """End a token; every process refuses it within a minute.

    Raises `NotFound` if there is none with this id that has not been ended before.
    """
    async with archive.transaction() as connection:
        if not await tokens.revoke(connection, token_id):
            raise NotFound(f"There is no token {token_id} that could be revoked.")


async def ensure_first_token(archive: Archive) -> str | None:
    """Make the first administrator's token, and return it, if the archive has none at all.

    It is the one in the settings, or a new one; of several servers that start at once, one makes
    it. Raises `InvalidParameter` if the one in the settings is too short to be safe.
    """
    chosen = archive.settings.admin_token
    token = chosen.get_secret_value() if chosen else new_token()
    async with archive.transaction() as connection:
        await tokens.lock(connection)
        if await tokens.list_all(connection):
            return None
        if len(token) < SHORTEST:
            raise InvalidParameter(
                "HILUM_ADMIN_TOKEN", "...", f"is shorter than {SHORTEST} characters"
            )
        await tokens.create(
            connection,
            partition_id=await partitions.ensure(connection, partitions.DEFAULT),
            name=FIRST_NAME,
            sha256=hash_of(token),
            scopes=[Scope.ADMIN],
        )
    return token
