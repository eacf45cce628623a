"""`Writer`: requests that add instances at the same time share a transaction.

A commit waits for the disk, and whoever adds to a study holds up the others of that study until the
end of it. Many clients send one instance a request, several at once and of one study: taken one
after another, each would wait for the commits of all before it. So while one transaction is under
way, what arrives gathers, and goes into the next one together. Nobody waits for company.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from app.errors import Unavailable
from app.index.database import Database
from app.index.instances import NewInstance, Outcome
from app.index.instances.adding import add

ROWS_TOGETHER = 256
"""Beyond that a transaction gains nothing from more rows, and holds others up for longer."""


@dataclass(frozen=True, slots=True)
class _Addition:
    partition_id: int
    instances: Sequence[NewInstance]
    outcomes: "asyncio.Future[list[Outcome]]"


class Writer:
    """Adds instances for all requests of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Addition] = deque()
        self._writing: asyncio.Task[None] | None = None

    async def add(self, partition_id: int, instances: Sequence[NewInstance]) -> list[Outcome]:
        """What `app.index.instances.adding.add` makes of the instances, once it is committed.

        Raises `Unavailable` if the index is; the commit may have happened then.
        """
        outcomes: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Addition(partition_id, instances, outcomes))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())
        return await outcomes

    async def _write(self) -> None:
        try:
            while self._waiting:
                await self._add(self._next())
        finally:
            self._writing = None

    def _next(self) -> list[_Addition]:
        """What goes into one transaction: additions to one partition, in the order they came."""
        together = [self._waiting.popleft()]
        rows = len(together[0].instances)
        while self._waiting and self._waiting[0].partition_id == together[0].partition_id:
            rows += len(self._waiting[0].instances)
            if rows > ROWS_TOGETHER:
                break
            together.append(self._waiting.popleft())
        return together

    async def _add(self, together: list[_Addition]) -> None:
        partition_id = together[0].partition_id
        instances = [instance for addition in together for instance in addition.instances]
        try:
            outcomes = await self._database.transact(
                lambda connection: add(connection, partition_id, instances)
            )
        except Exception as error:
            await self._failed(together, error)
            return
        remaining = iter(outcomes)
        for addition in together:
            mine = [next(remaining) for _ in addition.instances]
            if not addition.outcomes.done():
                addition.outcomes.set_result(mine)

    async def _failed(self, together: list[_Addition], error: Exception) -> None:
        """Nobody's failure is another's: each is tried alone, unless the index is not there."""
        if len(together) > 1 and not isinstance(error, Unavailable):
            for addition in together:
                await self._add([addition])
            return
        for addition in together:
            if not addition.outcomes.done():
                addition.outcomes.set_exception(error)
