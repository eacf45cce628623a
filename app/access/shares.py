"""Sharing studies by a link, with somebody who has no token: what `/shares` and `hilum share` do.

    link     https://…/share/SECRET     exchanged, with the password if there is one, for
    session  a token that reads what the share shows, for an hour at most

Rules:
- Nobody shares what they do not see, or in an emergency alone, or may not `share`. Where the maker
  sees a part of a study, that part is shared, as it is at that moment: series, and of them the SOP
  Classes.
- What a share shows are grants of `share:ID`, so that the one predicate of all reads decides
  (`app.index.restriction`); they end with the share, and sessions with them.
- A use is an exchange. Links and sessions are kept as SHA-256, passwords as what scrypt derives.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.access import passwords
from app.access.changes import Told, untold
from app.access.credentials import GUEST_PREFIX, hash_of, new_secret
from app.access.grants import READING
from app.access.principal import Principal
from app.dicom.deidentification import KEY_BYTES
from app.dicom.uids import valid_uid
from app.errors import Forbidden, InvalidParameter, NotFound, TooOften, Unauthenticated
from app.index import grants, shares
from app.index.database import Connection, Database
from app.index.grants import NewGrant
from app.index.restriction import Action, Depth
from app.index.shares import Kind, NewShare, StoredShare, subject_of_share
from app.settings import Sharing

NAME_CHARACTERS = 100
GUESS_SECONDS = 60


class WrongPassword(Unauthenticated):
    """The password is not that of the link."""


class NoSuchLink(NotFound):
    """This link leads nowhere, or no longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A share as its maker wants it."""

    studies: Sequence[str]
    name: str
    expires_at: datetime | None = None
    """None for as long as shares may hold."""
    most_uses: int | None = None
    password: str | None = None
    deidentify: bool = False
    """Whether it is shown without who it is of."""


@dataclass(frozen=True, slots=True)
class Made:
    """A share that was made: the only moment at which its secret can be seen."""

    id: int
    secret: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Opened:
    """What a link was exchanged for."""

    token: str
    seconds: int
    """For how long it is valid."""


async def create_share(
    index: Database, caller: Principal, asked: Asked, limits: Sharing, *, told: Told = untold
) -> Made:
    """Make a share. Raises `InvalidParameter`, `Forbidden`, and `NotFound` if a study is hidden."""
    studies = list(dict.fromkeys(asked.studies))
    longest = datetime.now(UTC) + timedelta(days=limits.longest_days)
    _check(asked, studies, longest, limits)
    password = None
    if asked.password is not None:
        password = await asyncio.to_thread(passwords.derived, _normal(asked.password))
    secret = new_secret()
    new = NewShare(
        sha256=hash_of(secret),
        name=asked.name,
        studies=studies,
        password=password,
        most_uses=asked.most_uses,
        creator=caller.subject,
        created_by=caller.name,
        expires_at=asked.expires_at or longest,
        uid_key=secrets.token_bytes(KEY_BYTES) if asked.deidentify else None,
    )
    async with index.transaction() as connection:
        shown = await _shown(connection, caller, studies)
        share_id = await shares.create(connection, caller.partition_id, new)
        for scope, actions in shown:
            grant = NewGrant(
                subject=subject_of_share(share_id),
                actions=actions,
                scope=scope,
                expires_at=new.expires_at,
                created_by=caller.name,
            )
            await grants.create(connection, caller.partition_id, grant)
        await told(connection, caller.partition_id, share_id)
    return Made(share_id, secret, new.expires_at)


def _check(asked: Asked, studies: Sequence[str], longest: datetime, limits: Sharing) -> None:
    if not 0 < len(asked.name) <= NAME_CHARACTERS or not asked.name.isprintable():
        why = f"is not 1 to {NAME_CHARACTERS} printable characters"
        raise InvalidParameter("name", asked.name, why)
    if not 0 < len(studies) <= limits.studies:
        raise InvalidParameter("studies", str(len(studies)), f"are not 1 to {limits.studies}")
    for study in studies:
        if not valid_uid(study):
            raise InvalidParameter("studies", study, "is no UID")
    if asked.expires_at is not None and not datetime.now(UTC) < asked.expires_at <= longest:
        why = f"is not in the next {limits.longest_days} days"
        raise InvalidParameter("expires_at", asked.expires_at.isoformat(), why)
    if asked.most_uses is not None and not 0 < asked.most_uses < 2**31:
        raise InvalidParameter("most_uses", str(asked.most_uses), "is no such number")
    if asked.password is not None:
        length = len(_normal(asked.password))
        if not passwords.SHORTEST <= length <= passwords.LONGEST:
            why = f"is not {passwords.SHORTEST} to {passwords.LONGEST} characters long"
            raise InvalidParameter("password", "...", why)


_Shown = tuple[grants.Scope, list[Action]]


async def _shown(connection: Connection, caller: Principal, studies: Sequence[str]) -> list[_Shown]:
    """What of the studies the caller can share, and what may be done with it."""
    shareable = await _kinds(connection, caller, Action.SHARE, studies)
    seen = {
        action: shareable & await _kinds(connection, caller, action, studies) for action in READING
    }
    found = {study for kinds in seen.values() for study, _, _ in kinds}
    if missing := [study for study in studies if study not in found]:
        raise NotFound(f"There is no study {missing[0]} that you could share.")
    depth = Depth.STUDY if caller.holder is None else caller.holder.held.depth
    return list(_scopes(seen, depth))


async def _kinds(
    connection: Connection, caller: Principal, action: Action, studies: Collection[str]
) -> set[Kind]:
    try:
        visibility = caller.visibility_for(action, lasting=True)
    except Forbidden:
        return set()
    return await shares.kinds(connection, visibility, studies)


def _scopes(seen: Mapping[Action, set[Kind]], depth: Depth) -> Iterator[_Shown]:
    """As coarse as what the caller is granted: a study that grows is shared with what is added."""
    actions: dict[tuple[str, ...], list[Action]] = {}
    for action, kinds in seen.items():
        for key in sorted({kind[: depth + 1] for kind in kinds}):
            actions.setdefault(key, []).append(action)
    names = ("study_instance_uid", "series_instance_uid", "sop_class_uid")
    for key, allowed in actions.items():
        yield grants.Scope(**dict(zip(names, key, strict=False))), allowed


async def list_shares(
    index: Database,
    partition_id: int,
    creator: str | None = None,
    *,
    after: int = 0,
    limit: int = 1000,
) -> list[StoredShare]:
    """Shares of a partition (made by somebody) in the order in which they were made."""
    async with index.reading() as connection:
        return await shares.list_all(connection, partition_id, creator, after=after, limit=limit)


async def share_with_id(
    index: Database, partition_id: int, share_id: int, creator: str | None = None
) -> StoredShare:
    """One share of a partition (made by somebody). Raises `NotFound`."""
    found = await list_shares(index, partition_id, creator, after=share_id - 1, limit=1)
    if not found or found[0].id != share_id:
        raise NotFound(f"There is no share {share_id}.")
    return found[0]


async def revoke_share(
    index: Database,
    partition_id: int,
    share_id: int,
    creator: str | None = None,
    *,
    told: Told = untold,
) -> None:
    """End a share (made by somebody): its link at once, what its sessions see within seconds.

    Raises `NotFound` if there is none with this id that has not been ended before.
    """
    async with index.transaction() as connection:
        if not await shares.revoke(connection, partition_id, share_id, creator):
            raise NotFound(f"There is no share {share_id} that could be ended.")
        await told(connection, partition_id, share_id)


async def share_of_link(index: Database, secret: str) -> StoredShare:
    """The share that a link leads to. Raises `NoSuchLink`, also if it has ended or is used up."""
    async with index.reading() as connection:
        found = await shares.find_by_hash(connection, hash_of(secret))
    if found is None:
        raise NoSuchLink
    return found


async def share_of_session(index: Database, secret: str, session: str) -> StoredShare | None:
    """The share that is open in a session which came of this link; None if there is none."""
    async with index.reading() as connection:
        return await shares.find_of_session(connection, hash_of(session), hash_of(secret))


async def open_share(
    index: Database, share: StoredShare, secret: str, password: str | None, limits: Sharing
) -> Opened:
    """Exchange the link of a share for a session: a use of it.

    Raises `WrongPassword`, `TooOften` for too many of these, and `NoSuchLink` if somebody was
    faster with its last use.
    """
    if share.password is not None:
        async with index.transaction() as connection:
            if not await shares.take_guess(
                connection, share.id, limits.password_guesses, GUESS_SECONDS
            ):
                raise TooOften(GUESS_SECONDS)
        given = _normal(password or "")
        if not await asyncio.to_thread(passwords.fits, given, share.password):
            raise WrongPassword
    token = new_secret(GUEST_PREFIX)
    async with index.transaction() as connection:
        session = await shares.use(
            connection, hash_of(secret), hash_of(token), limits.session_seconds
        )
    if session is None:
        raise NoSuchLink
    seconds = (session.expires_at - datetime.now(UTC)).total_seconds()
    return Opened(token, max(1, int(seconds)))


def _normal(password: str) -> str:
    """The same however a keyboard composes it."""
    return unicodedata.normalize("NFC", password)
