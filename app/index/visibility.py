"""What a caller may see: one predicate, and the only place where it is decided.

Every statement that reads for a caller takes `visible(table)` into its WHERE, and every call binds
`visibility.parameters`.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, bindparam
from sqlmodel import SQLModel


@dataclass(frozen=True, slots=True)
class Visibility:
    """The extent of what one caller may see."""

    partition_id: int

    @property
    def parameters(self) -> dict[str, Any]:
        """Values for the parameters of `visible`."""
        return {"visible_partition": self.partition_id}


def visible(table: type[SQLModel]) -> ColumnElement[bool]:
    """True of the rows of a table that a caller may see."""
    column: ColumnElement[int] = table.__table__.c.partition_id  # type: ignore[attr-defined]
    return column == bindparam("visible_partition")
