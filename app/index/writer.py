"""`Writer`: requests that add instances at the same time share a transaction.

A commit waits for the disk, and whoever adds to a study holds up the others of that study until the
end of it. Many clients send one instance a request, several at once and of one study: taken one
after another, each would wait for the commits of all before it. So while one transaction is under
way, what arrives gathers, and goes into the next one together. Nobody waits for company.

Instances of series that this process has added to before go by the short way first
(`app.index.instances.appending`), of several of one UID the first alone; what that leaves goes by
the long one, as all the others do. Who may store a part only shares a transaction with nobody else
(`app.index.instances.permitted`).
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from app.errors import Unavailable
from app.index.database import Connection, Database
from app.index.failures import Contended
from app.index.instances import Added, NewInstance, Outcome
from app.index.instances.adding import add
from app.index.instances.appending import append
from app.index.instances.permitted import add_permitted
from app.index.instances.witness import Seen, Witness, testify
from app.index.visibility import Visibility

ROWS_TOGETHER = 256
"""Beyond that a transaction gains nothing from more rows, and holds others up for longer."""


SERIES_REMEMBERED = 10_000

_SeriesKey = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class _Addition:
    partition_id: int
    visibility: Visibility | None
    instances: Sequence[NewInstance]
    witness: Witness | None
    outcomes: "asyncio.Future[list[Outcome]]"


class Writer:
    """Adds instances for all requests of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[_Addition] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._series: OrderedDict[_SeriesKey, None] = OrderedDict()
        """Those that were added to last."""

    async def add(
        self,
        partition_id: int,
        instances: Sequence[NewInstance],
        visibility: Visibility | None = None,
        witness: Witness | None = None,
    ) -> list[Outcome]:
        """What `app.index.instances.adding.add` makes of the instances, once it is committed.

        `visibility`: what may be stored, if not everything; the rest is `Hidden`. `witness`: what
        it tells is committed with that. Raises `Unavailable` if the index is; the commit may have
        happened then.
        """
        outcomes: asyncio.Future[list[Outcome]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Addition(partition_id, visibility, instances, witness, outcomes))
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
        """What goes into one transaction: additions of one extent, in the order they came."""
        together = [self._waiting.popleft()]
        rows = len(together[0].instances)
        while self._waiting and _extent(self._waiting[0]) == _extent(together[0]):
            rows += len(self._waiting[0].instances)
            if rows > ROWS_TOGETHER:
                break
            together.append(self._waiting.popleft())
        return together

    async def _add(self, together: list[_Addition]) -> None:
        partition_id, visibility = _extent(together[0])
        instances = [instance for addition in together for instance in addition.instances]
        try:
            if visibility is None:
                outcomes = await self._outcomes(partition_id, together, instances)
            else:
                outcomes = await self._permitted(visibility, together, instances)
        except Exception as error:
            await self._failed(together, error)
            return
        remaining = iter(outcomes)
        for addition in together:
            mine = [next(remaining) for _ in addition.instances]
            if not addition.outcomes.done():
                addition.outcomes.set_result(mine)

    async def _outcomes(
        self, partition_id: int, together: list[_Addition], instances: Sequence[NewInstance]
    ) -> list[Outcome]:
        """The outcomes of instances, by the short way for those that can go it."""
        appended = await self._append(partition_id, together, instances)
        rest = [instance for instance in instances if instance.blob_key not in appended]
        outcomes: dict[str, Outcome] = dict.fromkeys(appended, Added())
        if rest:
            left = {instance.blob_key for instance in rest}
            waiting = [one for one in together if not left.isdisjoint(_keys(one.instances))]

            async def work(connection: Connection) -> dict[str, Outcome]:
                others = await add(connection, partition_id, rest)
                found = outcomes | dict(zip(_keys(rest), others, strict=True))
                await testify(connection, _seen(waiting, found))
                return found

            outcomes = await self._database.transact(work)
        self._remember(partition_id, instances)
        return [outcomes[instance.blob_key] for instance in instances]

    async def _permitted(
        self,
        visibility: Visibility,
        together: list[_Addition],
        instances: Sequence[NewInstance],
    ) -> list[Outcome]:
        familiar = self._familiar(visibility.partition_id, instances)

        async def tell(connection: Connection, found: Sequence[Outcome]) -> None:
            by_key = dict(zip(_keys(instances), found, strict=True))
            await testify(connection, _seen(together, by_key))

        outcomes = await add_permitted(
            self._database,
            visibility,
            instances,
            familiar=len(familiar) == len(instances),
            tell=tell,
        )
        added = zip(instances, outcomes, strict=True)
        stored = [instance for instance, outcome in added if isinstance(outcome, Added)]
        self._remember(visibility.partition_id, stored)
        return outcomes

    def _familiar(self, partition_id: int, instances: Sequence[NewInstance]) -> list[NewInstance]:
        """Those of series that were added to before."""
        return [one for one in instances if _series(partition_id, one) in self._series]

    async def _append(
        self, partition_id: int, together: list[_Addition], instances: Sequence[NewInstance]
    ) -> set[str]:
        """The keys of the blobs of those that went the short way."""
        familiar = self._familiar(partition_id, _first_of_each(instances))
        if not familiar:
            return set()
        try:
            async with self._database.transaction() as connection:
                appended = await append(connection, partition_id, familiar)
                found = dict.fromkeys(appended, Added())
                await testify(connection, _seen(together, found))
                return appended
        # None of them is there then: somebody was in the way, or something against the rules.
        except (Contended, asyncpg.IntegrityConstraintViolationError):
            return set()

    def _remember(self, partition_id: int, instances: Sequence[NewInstance]) -> None:
        """Note the series of instances: they are there now, and for all we know stay so."""
        for instance in instances:
            self._series[_series(partition_id, instance)] = None
            self._series.move_to_end(_series(partition_id, instance))
        while len(self._series) > SERIES_REMEMBERED:
            self._series.popitem(last=False)

    async def _failed(self, together: list[_Addition], error: Exception) -> None:
        """Nobody's failure is another's: each is tried alone, unless the index is not there."""
        if len(together) > 1 and not isinstance(error, Unavailable):
            for addition in together:
                await self._add([addition])
            return
        for addition in together:
            if not addition.outcomes.done():
                addition.outcomes.set_exception(error)


def _extent(addition: _Addition) -> tuple[int, Visibility | None]:
    return addition.partition_id, addition.visibility


def _keys(instances: Sequence[NewInstance]) -> list[str]:
    return [instance.blob_key for instance in instances]


def _seen(together: Sequence[_Addition], found: Mapping[str, Outcome]) -> Iterator[Seen]:
    for addition in together:
        yield addition.witness, [found.get(key) for key in _keys(addition.instances)]


def _first_of_each(instances: Sequence[NewInstance]) -> list[NewInstance]:
    """Of those of one UID the first, with which the others are compared."""
    first: dict[str, NewInstance] = {}
    for instance in instances:
        first.setdefault(instance.sop_instance_uid, instance)
    return list(first.values())


def _series(partition_id: int, instance: NewInstance) -> _SeriesKey:
    return partition_id, instance.study_instance_uid, instance.series_instance_uid
