"""`Checkpoint`: where a chain ended at some moment, signed, to be kept elsewhere.

It is a JSON Web Signature in compact form (RFC 7515) with an Ed25519 key (RFC 9864), so that it is
a line of a log, and any library can check it:

    {"iss": "hilum", "is": "checkpoint", "partition": 1, "sequence": 1234, "hash": "9f86…",
     "at": "2026-01-02T03:04:05Z"}

Whoever has the private key can sign anything: it does not belong where the database can be written.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey

from app.errors import ArchiveError
from app.index import audits
from app.index.database import Connection

ALGORITHM = "Ed25519"
ISSUER = "hilum"
CHECKPOINT = "checkpoint"
RETENTION = "retention"
"""What a checkpoint `is`; the latter allows what it covers to be missing."""


class BadKey(ArchiveError):
    """The key cannot be used: an Ed25519 key in a PEM file is needed."""


class BadCheckpoint(ArchiveError):
    """A checkpoint is none, or is not signed with this key."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the end of the chain of a partition was."""

    partition_id: int
    sequence: int
    hash: bytes
    at: str
    """When, as it was signed."""
    kind: str = CHECKPOINT

    def signed(self, key: OKPKey) -> str:
        """The line to be kept. Raises `BadKey` if the key is no private one."""
        if not key.is_private:
            raise BadKey("The key cannot sign: a private one is needed.")
        told = {
            "iss": ISSUER,
            "is": self.kind,
            "partition": self.partition_id,
            "sequence": self.sequence,
            "hash": self.hash.hex(),
            "at": self.at,
        }
        header = {"alg": ALGORITHM}
        return jws.serialize_compact(header, orjson.dumps(told), key, algorithms=[ALGORITHM])


def moment(at: datetime) -> str:
    """A moment as checkpoints tell it."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def checkpoints_of_now(connection: Connection) -> list[Checkpoint]:
    """One for each chain that has a record."""
    at = moment(datetime.now(UTC))
    return [
        Checkpoint(end.partition_id, end.sequence, end.hash, at)
        for end in await audits.ends(connection)
        if end.hash is not None and end.sequence
    ]


def read_key(path: Path) -> OKPKey:
    """The private or the public key in a PEM file. Raises `BadKey`."""
    try:
        key = OKPKey.import_key(path.read_bytes())
    except (OSError, ValueError, JoseError) as error:
        raise BadKey from error
    if key.curve_name != "Ed25519":
        raise BadKey
    return key


def read_checkpoint(line: str, key: OKPKey) -> Checkpoint:
    """The checkpoint in a line. Raises `BadCheckpoint`."""
    try:
        signed = jws.deserialize_compact(line.strip(), key, algorithms=[ALGORITHM])
        told = orjson.loads(signed.payload)
        return Checkpoint(
            int(told["partition"]),
            int(told["sequence"]),
            bytes.fromhex(told["hash"]),
            str(told["at"]),
            str(told["is"]),
        )
    except (JoseError, ValueError, LookupError, TypeError) as error:
        raise BadCheckpoint from error


def read_checkpoints(lines: Iterable[str], key: OKPKey) -> Iterator[Checkpoint]:
    """The checkpoints in lines as they were kept; empty ones are passed over.

    Raises `BadCheckpoint` for a line that is none or was signed with another key.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            yield read_checkpoint(line, key)
        except BadCheckpoint as error:
            raise BadCheckpoint(
                f"Line {number} is no checkpoint that was signed with this key."
            ) from error
