"""Rows of uploads: which keys of blobs are in somebody's hands, and how they are taken away.

- Who puts blobs reserves their keys first. The row stays until each key belongs to an instance of
  the index or to no blob, so a blob that nobody knows of is found by its row, not by searching.
- `hold` is for the transaction that adds instances: it holds the row until the commit, and only if
  no sweeper has taken it.
- `take` is for sweepers: each takes other rows, and none that is held. Nothing can be added under a
  row that was taken, for ever; what is not in the index then never will be. That makes sweeping
  safe, whatever the clocks say: they only decide when it is done.
- Times are those of the database's clock alone.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import BigInteger, Interval, Text, bindparam, delete, func, insert, select, update

from app.index.statements import Connection, any_of, prepare, table
from app.index.tables import Instance, Upload

QUARANTINE = timedelta(days=7)
"""How long blobs that seem to be nobody's stay. No put takes so long; and a sweeper that has not
finished by then has died."""

_UPLOAD, _INSTANCE = table(Upload), table(Instance).c
_OF_THESE = _UPLOAD.c.id == any_of("ids", BigInteger())
_NOT_TAKEN = _UPLOAD.c.fence == 0
_LEASE_END = func.now() + bindparam("lease", type_=Interval())

_RESERVE = prepare(
    insert(_UPLOAD)
    .values(
        partition_id=bindparam("partition_id"),
        key_stem=bindparam("key_stem"),
        number_of_keys=bindparam("number_of_keys"),
        lease_until=_LEASE_END,
        fence=0,
    )
    .returning(_UPLOAD.c.id)
)
_EXTEND = prepare(
    update(_UPLOAD)
    .where(_OF_THESE, _NOT_TAKEN)
    .values(lease_until=_LEASE_END)
    .returning(_UPLOAD.c.id)
)
_FORGET = prepare(delete(_UPLOAD).where(_OF_THESE, _NOT_TAKEN))
_HOLD = prepare(select(_UPLOAD.c.id).where(_OF_THESE, _NOT_TAKEN).with_for_update(read=True))
_OVER = (
    select(_UPLOAD.c.id)
    .where(_UPLOAD.c.lease_until < func.now())
    .limit(bindparam("most", type_=BigInteger()))
    .with_for_update(skip_locked=True)
    .cte("over")
)
_TAKE = prepare(
    update(_UPLOAD)
    .where(_UPLOAD.c.id == _OVER.c.id)
    .values(fence=_UPLOAD.c.fence + 1, lease_until=_LEASE_END)
    .returning(_UPLOAD.c.id, _UPLOAD.c.key_stem, _UPLOAD.c.number_of_keys, _UPLOAD.c.fence)
)
_FINISH = prepare(
    delete(_UPLOAD).where(
        _UPLOAD.c.id == bindparam("upload_id"), _UPLOAD.c.fence == bindparam("fence_now")
    )
)
_INDEXED = prepare(
    select(_INSTANCE.blob_key).where(_INSTANCE.blob_key == any_of("keys", Text())).distinct()
)


_KEY = re.compile(r"(p([0-9]{1,9})/[0-9]{8}/[0-9a-f]/[0-9a-f]{1,48})-([0-9]{1,5})")
"""As `app.blobs.keys` and `key_of` make them: stem, partition and number."""


def key_of(stem: str, number: int) -> str:
    """The key with this number of an upload."""
    return f"{stem}-{number}"


class KeyParts(NamedTuple):
    """What a key of a blob is made of."""

    partition_id: int
    stem: str
    number: int


def parts_of(key: str) -> KeyParts | None:
    """What a key was made of; None if it is not one of an upload."""
    found = _KEY.fullmatch(key)
    return KeyParts(int(found[2]), found[1], int(found[3])) if found else None


@dataclass(frozen=True, slots=True)
class Taken:
    """An upload that a sweeper has taken from whoever had it."""

    id: int
    key_stem: str
    number_of_keys: int
    fence: int

    def all_keys(self) -> list[str]:
        """Every key that a blob may have got from it."""
        return [key_of(self.key_stem, number) for number in range(self.number_of_keys)]


async def reserve(
    connection: Connection, partition_id: int, key_stem: str, number_of_keys: int, lease: timedelta
) -> int:
    """Reserve keys until the lease is over; the id of the upload."""
    identity: int = await _RESERVE.fetchval(
        connection,
        partition_id=partition_id,
        key_stem=key_stem,
        number_of_keys=number_of_keys,
        lease=lease,
    )
    return identity


async def extend(connection: Connection, ids: Collection[int], lease: timedelta) -> set[int]:
    """Begin the lease anew; those of the uploads that have not been taken."""
    rows = await _EXTEND.fetch(connection, ids=list(ids), lease=lease)
    return {identity for (identity,) in rows}


async def forget(connection: Connection, ids: Collection[int]) -> None:
    """End uploads of which every key belongs to an instance of the index or to no blob."""
    await _FORGET.execute(connection, ids=list(ids))


async def hold(connection: Connection, ids: Collection[int]) -> set[int]:
    """Those of the uploads that have not been taken, and will not be in this transaction."""
    rows = await _HOLD.fetch(connection, ids=sorted(ids))
    return {identity for (identity,) in rows}


async def take(connection: Connection, *, most: int, lease: timedelta) -> list[Taken]:
    """Take uploads whose lease is over; nobody else takes them during this one."""
    return [Taken(*row) for row in await _TAKE.fetch(connection, most=most, lease=lease)]


async def indexed(connection: Connection, keys: Collection[str]) -> set[str]:
    """Those of the keys that belong to an instance, of whatever version."""
    return {key for (key,) in await _INDEXED.fetch(connection, keys=list(keys))}


async def finish(connection: Connection, upload: Taken) -> None:
    """End an upload of which no blob is left, unless another sweeper has taken it meanwhile."""
    await _FINISH.execute(connection, upload_id=upload.id, fence_now=upload.fence)
