"""The chain of the audit: each record is sealed by a hash over itself and over all before it.

    hash 0 of partition p    = SHA-256("hilum audit, partition p")
    hash n                   = SHA-256(hash n-1, digest of record n)
    digest                   = SHA-256(the record as canonical JSON)

So whoever changes, removes or moves a record breaks the chain from there on. Who can write the
database could make a new one: that is what checkpoints, kept elsewhere, are for. Everything here
can be done again by anybody with SHA-256 and JSON.
"""

import hashlib
from dataclasses import fields
from datetime import UTC
from typing import Any

import orjson

from app.audit.event import AuditEvent

FIELDS = tuple(field.name for field in fields(AuditEvent))
LATER = (
    "subtype",
    "patient_id",
    "issuer_of_patient_id",
    "purpose",
    "reason",
    "override",
    "patients",
    "subject",
)
"""Fields that the first records did not have."""


def genesis(partition_id: int) -> bytes:
    """The hash before the first record of a partition."""
    return hashlib.sha256(b"hilum audit, partition %d" % partition_id).digest()


def canonical(record: Any) -> bytes:
    """A record as JSON: every field of `AuditEvent`, keys in order, no white space, UTF-8.

    Of `LATER` only those with a value: they were added, and older records keep their hashes.
    The moment is in UTC with microseconds, as `2026-01-02T03:04:05.678900Z`.
    """
    values = {name: getattr(record, name) for name in FIELDS}
    for name in LATER:
        if values[name] is None:
            del values[name]
    at = values["at"].astimezone(UTC)
    return orjson.dumps(values | {"at": f"{at:%Y-%m-%dT%H:%M:%S.%fZ}"}, option=orjson.OPT_SORT_KEYS)


def digest(record: Any) -> bytes:
    """What stands for a record in the chain."""
    return digest_of(canonical(record))


def digest_of(text: bytes) -> bytes:
    """The same of a record that is canonical JSON already."""
    return hashlib.sha256(text).digest()


def link(before: bytes, record_digest: bytes) -> bytes:
    """The hash of a record that comes after one with the hash `before`."""
    return hashlib.sha256(before + record_digest).digest()
