"""Witnesses of what is added: what they tell is written in the transaction that adds it.

So nothing is added that nobody was told of, whatever is killed in between.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from app.index.instances.values import Outcome
from app.index.statements import Connection


class Witness(Protocol):
    """Sees what becomes of instances that are offered together."""

    def tells(self, outcomes: Sequence[Outcome | None]) -> Sequence[Any]:
        """What is to be written of outcomes that count with the commit, if it comes.

        They are in the order of the instances, with None for one that is not known yet. It may be
        asked again, since transactions are tried again.
        """

    async def write(self, connection: Connection, told: Sequence[Any]) -> None:
        """Write what some witnesses of the same kind tell; it is the last of the transaction."""


Seen = tuple[Witness | None, Sequence[Outcome | None]]


async def testify(connection: Connection, seen: Iterable[Seen]) -> None:
    """Write what all the witnesses tell, in one piece."""
    telling: Witness | None = None
    told: list[Any] = []
    for witness, outcomes in seen:
        if witness is not None:
            telling = witness
            told += witness.tells(outcomes)
    if telling is not None and told:
        await telling.write(connection, told)
