"""`verify`: is the audit as it was written? It finds what was changed, removed, moved or cut off.

Every chain is walked from its beginning to where it ends now, and the hash of each record computed
anew. Damage is told with its place, and the walk goes on behind it, so that one wound does not hide
another. The record behind a gap is sealed together with what is missing, so it cannot be vouched
for.

What a chain cannot tell by itself is that somebody with the rights of the database's owner made it
anew from some record on: for that, give checkpoints that were kept elsewhere. A chain whose old
records were removed begins behind the checkpoint that was left for them, and only the key tells
whether that is genuine. What stands in front of the beginning is of no chain, and told too.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace

from joserfc.jwk import OKPKey

from app.audit import chain
from app.audit.checkpoint import RETENTION, BadCheckpoint, Checkpoint, read_checkpoint
from app.index import audits
from app.index.audits import End, StoredRecord
from app.index.database import Connection
from app.index.retention import Retention, retentions, unremoved

LEFT_OVER = (
    "left over by a removal that was broken off, which can be done again, or put there since:"
    " nothing vouches for the first of them"
)
"""The hash of the first one covers what was removed before it, so that nobody can compute it."""
_LOWEST = -(2**63)


@dataclass(frozen=True, slots=True)
class Damage:
    """Something that is wrong with the chain of a partition, from one record to another."""

    partition_id: int
    first: int
    last: int
    what: str

    def __str__(self) -> str:
        one = self.first == self.last
        place = f"record {self.first}" if one else f"records {self.first} to {self.last}"
        return f"partition {self.partition_id}, {place}: {self.what}"


@dataclass(frozen=True, slots=True)
class Report:
    """What came out of a verification."""

    chains: tuple[int, ...]
    """Those that were read, by partition."""
    records: int
    damages: tuple[Damage, ...]
    unchecked: int
    """Chains whose beginning was removed, and no key was given to tell by whom."""


async def verify(
    connection: Connection, checkpoints: Iterable[Checkpoint] = (), key: OKPKey | None = None
) -> Report:
    """Walk all chains, and hold them against the checkpoints. Others may go on writing meanwhile;
    who removes old records has to wait, and is waited for.

    `key` tells whether what was removed was removed rightly. The connection is in no transaction,
    since a long one is a burden on the database.
    """
    kept: defaultdict[int, list[Checkpoint]] = defaultdict(list)
    for one in checkpoints:
        kept[one.partition_id].append(one)
    damages: list[Damage] = []
    count = 0
    async with unremoved(connection):
        begun = await retentions(connection)
        ends = {end.partition_id: end for end in await audits.ends(connection)}
        for partition_id in sorted({*ends, *kept}):
            end = ends.get(partition_id, End(partition_id, 0, None, 0))
            walk = _Walk(end, kept[partition_id], begun.get(partition_id))
            if key is not None:
                damages += walk.begin(key)
            damages += await _in_front(connection, partition_id, begun.get(partition_id))
            async for record in audits.records(connection, partition_id, walk.sequence):
                if record.sequence > end.last:
                    break
                damages += walk.take(record)
                count += 1
            damages += walk.finish()
    return Report(tuple(sorted(ends)), count, tuple(damages), 0 if key else len(begun))


async def _in_front(
    connection: Connection, partition_id: int, begin: Retention | None
) -> list[Damage]:
    """What is wrong with records in front of where a chain begins, since there should be none."""
    start = begin.sequence if begin else 0
    first, last, linked = 0, None, begin is not None
    async for record in audits.records(connection, partition_id, _LOWEST):
        if record.sequence > start:
            break
        if last is None:
            first = record.sequence
        else:
            follows = record.sequence == last.sequence + 1
            sealed = chain.link(last.hash, chain.digest(record)) == record.hash
            linked = linked and follows and sealed
        last = record
    if last is None:
        return []
    whole = linked and begin is not None and last.hash == begin.hash
    what = LEFT_OVER if whole else "not written here"
    return [Damage(partition_id, first, last.sequence, what)]


class _Walk:
    """Along the chain of one partition."""

    def __init__(
        self, end: End, checkpoints: Iterable[Checkpoint], begin: Retention | None
    ) -> None:
        self._end = end
        self._begin = begin
        self._hash = begin.hash if begin else chain.genesis(end.partition_id)
        self.sequence = begin.sequence if begin else 0
        self._checkpoints: defaultdict[int, list[Checkpoint]] = defaultdict(list)
        for one in checkpoints:
            if one.sequence >= self.sequence:
                self._checkpoints[one.sequence].append(one)

    def begin(self, key: OKPKey) -> list[Damage]:
        """What is wrong with what was left in the place of old records."""
        if self._begin is None:
            return []
        begin = self._begin
        damages = self._against_checkpoints()
        try:
            signed = read_checkpoint(begin.signed, key)
        except BadCheckpoint:
            signed = None
        expected = Checkpoint(begin.partition_id, begin.sequence, begin.hash, "", RETENTION)
        if signed is None or replace(signed, at="") != expected:
            what = "removed, and the checkpoint left for them is not signed with this key"
            damages.append(self._damage(what, 1, self.sequence))
        return damages

    def take(self, record: StoredRecord) -> list[Damage]:
        """Go on to the next record; what is wrong with it, or missing before it."""
        damages = []
        if record.sequence != self.sequence + 1:
            damages.append(self._damage("removed", self.sequence + 1, record.sequence - 1))
        elif chain.link(self._hash, chain.digest(record)) != record.hash:
            damages.append(self._damage("changed, or not written here", record.sequence))
        self.sequence, self._hash = record.sequence, record.hash
        return damages + self._against_checkpoints()

    def _against_checkpoints(self) -> list[Damage]:
        return [
            self._damage(f"not as at the checkpoint of {one.at}", self.sequence)
            for one in self._checkpoints.pop(self.sequence, ())
            if one.hash != self._hash
        ]

    def finish(self) -> list[Damage]:
        """What is wrong behind the last record."""
        expected = max([self._end.sequence, *self._checkpoints])
        if expected > self.sequence:
            return [self._damage("cut off", self.sequence + 1, expected)]
        if self._end.sequence < self.sequence:
            what = "behind what the archive knows as the end"
            return [self._damage(what, self._end.sequence + 1, self.sequence)]
        if self._end.hash not in {self._hash, None}:
            return [self._damage("not what the archive knows as the end", self.sequence)]
        return []

    def _damage(self, what: str, first: int, last: int | None = None) -> Damage:
        return Damage(self._end.partition_id, first, first if last is None else last, what)
