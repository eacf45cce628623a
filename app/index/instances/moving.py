"""Studies that get another patient or date by what is replaced in them.

Of a study of which something may not be stored to, nobody does that: grants might show it then. So
studies are looked at before and after. What has been described anew is locked until the end of the
transaction; if others have added to it in between, it may be hidden in part since then, and all has
to be done again.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.types import Text

from app.index.failures import Contended
from app.index.instances.values import NewInstance
from app.index.restriction import Depth
from app.index.statements import Connection, any_of, prepare, table
from app.index.tables import Study
from app.index.visibility import Visibility, visible

_STUDY = table(Study).c
_DESCRIBED = prepare(
    select(
        _STUDY.study_instance_uid,
        _STUDY.number_of_instances,
        _STUDY.patient_id,
        _STUDY.issuer_of_patient_id,
        _STUDY.study_date,
    ).where(visible(Study), _STUDY.study_instance_uid == any_of("studies", Text()))
)


class Description(NamedTuple):
    """A study, as far as something of it is visible."""

    counted: int
    """Instances."""
    of: tuple[str | None, ...]
    """Patient, issuer and date: what grants look at."""


@dataclass(frozen=True, slots=True)
class Before:
    """Studies as they were."""

    whole: Mapping[str, Description] = field(default_factory=dict)
    in_part: Collection[str] = ()
    """Those of which something may not be stored to."""


def can_be_hidden_in_part(visibility: Visibility) -> bool:
    """Whether there can be studies of which some is visible and some is not."""
    restriction = visibility.restriction
    return restriction is not None and restriction.depth is not Depth.STUDY


async def described(
    connection: Connection, visibility: Visibility, studies: Collection[str]
) -> dict[str, Description]:
    """Those of the studies that are visible, by their UIDs."""
    if not studies:
        return {}
    rows = await _DESCRIBED.fetch(connection, **visibility.parameters, studies=sorted(studies))
    return {study: Description(number, tuple(of)) for study, number, *of in rows}


async def look_at(
    connection: Connection, visibility: Visibility, studies: Collection[str]
) -> Before:
    """Those of the studies that are there, if a part of them may be hidden."""
    if not can_be_hidden_in_part(visibility):
        return Before()
    whole = await described(connection, Visibility(visibility.partition_id), studies)
    seen = await described(connection, visibility, whole.keys())
    shown = {study for study, one in seen.items() if one.counted == whole[study].counted}
    return Before(whole, whole.keys() - shown)


async def moved_in_part(
    connection: Connection, partition_id: int, before: Before, new: Sequence[NewInstance]
) -> set[str]:
    """The studies that were hidden in part, and have another patient or date now.

    `new`: what has been added since they were looked at. Raises `Contended` if others have added to
    a study that has moved.
    """
    now = await described(connection, Visibility(partition_id), before.whole.keys())
    moved = {study for study, was in before.whole.items() if now[study].of != was.of}
    added = Counter({one.sop_instance_uid: one.study_instance_uid for one in new}.values())
    hidden = moved.intersection(before.in_part)
    for study in moved - hidden:
        if now[study].counted != before.whole[study].counted + added[study]:
            raise Contended("Others have added to a study that was about to be described anew.")
    return hidden
