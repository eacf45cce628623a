"""Names that sound like the words of a key: the studies of which the index of terms knows that.

    PatientName=meyer jo      each word begins a word of the name, or sounds like one

What has no sound, since it is short or not Latin, has to begin a word. A name that is literally as
the key says has these words anyway, since there are no wild cards in it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, or_
from sqlalchemy.types import Text

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import Key, PersonName
from app.dicom.terms import needs_sound
from app.index.search.by_terms import decided
from app.index.search.matching import Bind, Form, Parts, expressions
from app.index.statements import Connection
from app.index.terms import Unindexed
from app.index.visibility import Visibility


@dataclass(frozen=True, slots=True)
class Sounds(Form):
    """Each word begins a word of the name; or of the name is true what its form says, if any."""

    words: tuple[Form | None, ...]

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        name = table.c[self.column]
        conditions: list[ColumnElement[bool]] = []
        for word in self.words:
            if word is None:
                conditions.append(name.regexp_match(bind(Text())))
            else:
                # Names that begin so mostly sound so: with a condition that is always true of them
                # the planner takes them for few, and does not count them twice.
                known = word.condition(table, bind)
                begins = and_(name.like(bind(Text())), name.regexp_match(bind(Text())))
                conditions.append(or_(known, begins))
        return and_(*conditions)


def has_sound(key: Key) -> bool:
    """Whether a key is matched by what is in this module."""
    attribute = ATTRIBUTES.get(key.tag)
    return (
        isinstance(key.match, PersonName)
        and key.match.sounds
        and attribute is not None
        and attribute.column is not None
        and attribute.level is Level.STUDY
    )


async def by_sound(
    connection: Connection, visibility: Visibility, key: Key, unknown: Unindexed
) -> Parts:
    """The condition on studies that a key of `has_sound` makes."""
    match, column = key.match, ATTRIBUTES[key.tag].column
    assert isinstance(match, PersonName)
    assert column is not None
    forms: list[Form | None] = []
    values: list[Any] = []
    for word, expression in zip(match.words, expressions(match.words), strict=True):
        parts = await _heard(connection, visibility, key.tag, word, unknown)
        forms.append(parts and parts[0])
        values += [expression] if parts is None else [*parts[1], f"%{word}%", expression]
    return Sounds(column, tuple(forms)), values


async def _heard(
    connection: Connection, visibility: Visibility, tag: str, word: str, unknown: Unindexed
) -> Parts | None:
    needed = needs_sound(tag, word)
    if needed is None:
        return None
    alone: Sequence[Key] = [Key(tag, PersonName(((word,),), (word,), sounds=True))]
    return await decided(connection, visibility, Level.STUDY, needed, alone, unknown)
