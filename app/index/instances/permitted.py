"""`add_permitted`: the way into the index for who may store a part of what there is only.

Rules:
- What is stored is looked at once it is in the index, by the predicate that reading uses, and taken
  back out if the caller may not store it: so nobody stores into a study that they may not store to,
  whoever made it, and at whatever moment.
- Where grants look at series or instances, what somebody stores would make a study visible to them
  that is hidden: so nothing is added to one of which nothing else may be stored to.
- What is to be replaced is looked at before as well. It takes nothing hidden along to another
  patient or date (`app.index.instances.moving`).
- What is hidden and what is not granted are answered alike.
- The short way (`app.index.instances.appending`) is for all of a transaction or for none: it takes
  locks that the long way takes later.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial

import asyncpg
from sqlalchemy import all_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from app.index.database import Database
from app.index.failures import Contended
from app.index.instances.adding import add
from app.index.instances.appending import append
from app.index.instances.moving import (
    Before,
    can_be_hidden_in_part,
    described,
    look_at,
    moved_in_part,
)
from app.index.instances.replacing import replace
from app.index.instances.values import Added, Hidden, Lapsed, NewInstance, Outcome
from app.index.statements import Connection, any_of, prepare, table
from app.index.tables import Instance, Series, Study
from app.index.visibility import Visibility, visible

_STUDY, _SERIES, _INSTANCE = table(Study).c, table(Series).c, table(Instance).c
_UIDS = _INSTANCE.sop_instance_uid == any_of("uids", Text())
_PERMITTED = prepare(
    select(_INSTANCE.sop_instance_uid)
    .select_from(table(Instance))
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(*(visible(model) for model in (Study, Series, Instance)), _UIDS),
    joined=True,
)
_THERE = prepare(
    select(_INSTANCE.sop_instance_uid).where(
        _INSTANCE.partition_id == bindparam("partition_id"), _UIDS, _INSTANCE.removed_at.is_(None)
    )
)
_ANOTHER = prepare(
    select(_INSTANCE.id)
    .select_from(table(Instance))
    .join(table(Series), _SERIES.id == _INSTANCE.series_id)
    .join(table(Study), _STUDY.id == _INSTANCE.study_id)
    .where(
        *(visible(model) for model in (Study, Series, Instance)),
        _STUDY.study_instance_uid == bindparam("study", type_=Text()),
        _INSTANCE.sop_instance_uid != all_(bindparam("uids", type_=ARRAY(Text()))),
    )
    .limit(1),
    joined=True,
)


Tell = Callable[[Connection, Sequence[Outcome]], Awaitable[None]]
"""Tells of the outcomes of all instances in the transaction in which they come to be."""


async def _tell_nobody(_: Connection, __: Sequence[Outcome]) -> None:
    """Of what has no witness."""


class _NotPermitted(Exception):
    """Undoes what has been added."""

    def __init__(self, uids: Collection[str]) -> None:
        super().__init__()
        self.uids = uids


class _NotShort(Exception):
    """Undoes what went the short way, since not all could."""


async def add_permitted(
    database: Database,
    visibility: Visibility,
    instances: Sequence[NewInstance],
    *,
    replacing: bool = False,
    familiar: bool = False,
    tell: Tell = _tell_nobody,
) -> list[Outcome]:
    """As `add` in a transaction and, if `replacing`, `replace` of those that differ; `Hidden` for
    what may not be stored by who has this visibility for storing.

    `familiar`: the series of all of them are there, so that the short way is worth trying.
    """
    hidden: set[str] = set()

    def all_of(found: Sequence[Outcome]) -> list[Outcome]:
        answered = iter(found)
        return [Hidden() if one.sop_instance_uid in hidden else next(answered) for one in instances]

    while True:
        offered = [one for one in instances if one.sop_instance_uid not in hidden]
        way = _appended if familiar else partial(_added, replacing=replacing)
        done = partial(way, visibility=visibility, instances=offered)

        async def work(
            connection: Connection, done: Callable[..., Awaitable[list[Outcome]]] = done
        ) -> list[Outcome]:
            found = all_of(await done(connection))
            await tell(connection, found)
            return found

        try:
            return await database.transact(work) if offered else all_of([])
        except _NotPermitted as refused:
            hidden |= set(refused.uids)
            continue
        except (_NotShort, Contended, asyncpg.IntegrityConstraintViolationError):
            if not familiar:
                raise
            familiar = False
            continue


async def _appended(
    connection: Connection, visibility: Visibility, instances: Sequence[NewInstance]
) -> list[Outcome]:
    appended = await append(connection, visibility.partition_id, instances)
    if len(appended) < len(instances):
        raise _NotShort
    await _demand(connection, visibility, {instance.sop_instance_uid for instance in instances})
    await _demand_studies(connection, visibility, instances)
    return [Added()] * len(instances)


async def _added(
    connection: Connection,
    visibility: Visibility,
    instances: Sequence[NewInstance],
    *,
    replacing: bool,
) -> list[Outcome]:
    uids = {instance.sop_instance_uid for instance in instances}
    there: set[str] = set()
    before = Before()
    if replacing or can_be_hidden_in_part(visibility):
        rows = await _THERE.fetch(
            connection, partition_id=visibility.partition_id, uids=sorted(uids)
        )
        there = {uid for (uid,) in rows}
    if replacing:
        await _demand(connection, visibility, there)
        before = await look_at(connection, visibility, {i.study_instance_uid for i in instances})
    put = replace if replacing else add
    outcomes = await put(connection, visibility.partition_id, instances)
    told = list(zip(instances, outcomes, strict=True))
    lapsed = {one.sop_instance_uid for one, outcome in told if isinstance(outcome, Lapsed)}
    await _demand(connection, visibility, uids - lapsed)
    new = [one for one, outcome in told if isinstance(outcome, Added)]
    new = [one for one in new if one.sop_instance_uid not in there]
    if moved := await moved_in_part(connection, visibility.partition_id, before, new):
        raise _NotPermitted(_uids_in(moved, instances))
    await _demand_studies(connection, visibility, new)
    return outcomes


async def _demand(connection: Connection, visibility: Visibility, uids: Collection[str]) -> None:
    """Return if all that is stored under these UIDs may be stored to."""
    if not uids:
        return
    found = await _PERMITTED.fetch(connection, **visibility.parameters, uids=sorted(uids))
    if hidden := set(uids) - {uid for (uid,) in found}:
        raise _NotPermitted(hidden)


async def _demand_studies(
    connection: Connection, visibility: Visibility, new: Sequence[NewInstance]
) -> None:
    """Return if there was nothing in the studies of these, or something that may be stored to.

    They have just been added, so that nobody else adds to their studies, and may all be stored.
    """
    if not new or not can_be_hidden_in_part(visibility):
        return
    added = Counter(instance.study_instance_uid for instance in new)
    uids = sorted({instance.sop_instance_uid for instance in new})
    alone = [
        study
        for study in added
        if await _ANOTHER.fetchval(connection, **visibility.parameters, study=study, uids=uids)
        is None
    ]
    whole = await described(connection, Visibility(visibility.partition_id), alone)
    hidden = {study for study, one in whole.items() if one.counted > added[study]}
    if hidden:
        raise _NotPermitted(_uids_in(hidden, new))


def _uids_in(studies: Collection[str], instances: Sequence[NewInstance]) -> list[str]:
    return [one.sop_instance_uid for one in instances if one.study_instance_uid in studies]
