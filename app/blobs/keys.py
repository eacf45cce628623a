"""The names of blobs: how a fresh one is made, and what a name may look like.

p1/20240229/a/abcd…    48 hex digits, made from nothing that a caller sent
│  │        └── the first digit again, so that no folder grows beyond what a disk likes
│  └── the day of its making (UTC): a new folder is dear, since it has to be made durable too
└── whose it is; a partition's blobs are all under its own prefix
"""

import re
import secrets
from datetime import UTC, datetime

_KEY = re.compile(r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*")
_LONGEST = 200


def fresh_key(owner: str) -> str:
    """A key under the prefix `owner` that no blob has had and none will have again."""
    name = secrets.token_hex(24)
    return checked(f"{owner}/{datetime.now(UTC):%Y%m%d}/{name[0]}/{name}")


def checked(key: str) -> str:
    """`key` itself; raises `ValueError` if it is not one: nothing else reaches a backend."""
    if len(key) > _LONGEST or not _KEY.fullmatch(key):
        raise ValueError(f"{key[:_LONGEST]!r} is not a key of a blob")
    return key
