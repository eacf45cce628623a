"""What a caller may see: one predicate, and the only place where it is decided.

Every statement that reads for a caller takes `visible(table)` into its WHERE for each table that it
names, and every call binds `visibility.parameters`. Whoever may see a part of the partition only
sees the tables themselves narrowed to that, see `app.index.restriction`.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, literal_column, or_
from sqlmodel import SQLModel

from app.index.restriction import Restriction
from app.index.statements import RESTRICTION, table
from app.index.tables import Instance, Series, Study


@dataclass(frozen=True, slots=True)
class Visibility:
    """The extent of what one caller may see."""

    partition_id: int
    restriction: Restriction | None = None
    """None for who sees the whole partition."""

    @property
    def parameters(self) -> dict[str, Any]:
        """Values for the parameters of `visible`."""
        if self.restriction is None:
            return {"visible_partition": self.partition_id}
        return {"visible_partition": self.partition_id, RESTRICTION: self.restriction}


def visible(model: type[SQLModel]) -> ColumnElement[bool]:
    """True of the rows of a table that a caller may see; what was removed, nobody sees."""
    rows = table(model).c
    return and_(rows.partition_id == bindparam("visible_partition"), *_there(model))


def visible_version() -> ColumnElement[bool]:
    """True of the instances that a caller may see, and of those whose place they have taken."""
    rows, live = table(Instance).c, table(Instance).alias("live").c
    there = exists().where(
        live.partition_id == rows.partition_id,
        live.sop_instance_uid == rows.sop_instance_uid,
        live.removed_at.is_(None),
    )
    replaced = and_(rows.removed_by == literal_column("'replaced'"), there)
    return and_(
        rows.partition_id == bindparam("visible_partition"),
        or_(rows.removed_at.is_(None), replaced),
    )


def _there(model: type[SQLModel]) -> list[ColumnElement[bool]]:
    rows = table(model).c
    if model is Instance:
        return [rows.removed_at.is_(None)]
    if model in (Study, Series):
        return [rows.number_of_instances > literal_column("0")]
    return []
