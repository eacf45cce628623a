"""The names of blobs: how a fresh one is made, and what a name may look like.

p1/20240229/a/abcd…-0    48 hex digits, made from nothing that a caller sent, and a number
│  │        └── the first digit again, so that no folder grows beyond what a disk likes
│  └── the day of its making (UTC): a new folder is dear, since it has to be made durable too
└── whose it is; a partition's blobs are all under its own prefix

Keys are reserved many at a time (`app.index.reservations`): those have all but the number in
common, which is their stem.
"""

import re
import secrets
from datetime import UTC, date, datetime

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_DAY = re.compile(r"p[0-9]+/([0-9]{8})/.+")
_LONGEST = 200


def fresh_stem(partition_id: int) -> str:
    """What keys of a partition's blobs begin with that no others have begun with, or ever will."""
    name = secrets.token_hex(24)
    return f"p{partition_id}/{datetime.now(UTC):%Y%m%d}/{name[0]}/{name}"


def made_on(key: str) -> date | None:
    """The day on which a key was made; None if it is not one of a partition's blob."""
    found = _DAY.fullmatch(key)
    try:
        return datetime.strptime(found[1], "%Y%m%d").replace(tzinfo=UTC).date() if found else None
    except ValueError:
        return None


def checked(key: str) -> str:
    """`key` itself; raises `ValueError` if it is not one: nothing else reaches a backend."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise ValueError(f"{key[:_LONGEST]!r} is not a key of a blob")
    return key
