"""Making, listing and ending access tokens: what `hilum token` does, and the first start."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from app.access.changes import Told, untold
from app.access.credentials import hash_of, new_token
from app.access.grants import subject_of_role
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
    restricted: bool = False,
    roles: Collection[str] = (),
    purpose: str | None = None,
    told: Told = untold,
) -> str:
    """Make a token and return it; only its hash is kept, so it cannot be shown again.

    `name` tells logs and the audit whose it is. The partition is made if there is none of that
    name. A `restricted` token sees only what grants let it see, its own and those of its `roles`;
    `purpose` is what it is used for, where grants ask that. Raises `InvalidParameter`.
    """
    made = await issue_token(
        index,
        name,
        scopes,
        partition=partition,
        expires_at=expires_at,
        restricted=restricted,
        roles=roles,
        purpose=purpose,
        told=told,
    )
    return made.token


@dataclass(frozen=True, slots=True)
class Issued:
    """A token that was made: the only moment at which it can be seen."""

    id: int
    token: str


async def issue_token(
    index: Database,
    name: str,
    scopes: Collection[Scope],
    *,
    partition: str | int = partitions.DEFAULT,
    expires_at: datetime | None = None,
    restricted: bool = False,
    roles: Collection[str] = (),
    purpose: str | None = None,
    told: Told = untold,
) -> Issued:
    """As `create_token`; `partition` may be the id of one that is there."""
    if not 0 < len(name) <= NAME_CHARACTERS or not name.isprintable():
        raise InvalidParameter("name", name, f"is not 1 to {NAME_CHARACTERS} printable characters")
    for scope in {Scope.ADMIN, Scope.AUDIT} & set(scopes) if restricted else ():
        raise InvalidParameter("scopes", scope, "cannot be had by a restricted token")
    for given, value in (("roles", ",".join(roles)), ("purpose", purpose or "")):
        if value and not restricted:
            raise InvalidParameter(given, value, "is for restricted tokens alone")
    for role in roles:
        subject_of_role(role)
    token = new_token()
    async with index.transaction() as connection:
        if isinstance(partition, str):
            partition = await partitions.ensure(connection, partition)
        identity = await tokens.create(
            connection,
            partition_id=partition,
            name=name,
            sha256=hash_of(token),
            scopes=scopes,
            expires_at=expires_at,
            restricted=restricted,
            roles=roles,
            purpose=purpose,
        )
        assert identity is not None, "two tokens of 256 random bits are one"
        await told(connection, partition, identity)
    return Issued(identity, token)


async def list_tokens(index: Database, partition_id: int | None = None) -> list[Token]:
    """Every token that was ever made (for a partition), oldest first; none can be seen itself."""
    async with index.reading() as connection:
        return await tokens.list_all(connection, partition_id)


async def revoke_token(
    index: Database, token_id: int, partition_id: int | None = None, *, told: Told = untold
) -> None:
    """End a token (of a partition); every process refuses it within half a minute.

    Raises `NotFound` if there is none with this id that has not been ended before.
    """
    async with index.transaction() as connection:
        of = await tokens.revoke(connection, token_id, partition_id)
        if of is None:
            raise NotFound(f"There is no token {token_id} that could be revoked.")
        await told(connection, of, token_id)


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
