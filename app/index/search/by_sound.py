"""Names that sound like the words of a key: the studies of which the index of terms knows that.

    PatientName=meyer jo      each word begins a word of the name, or sounds like one

What has no sound, since it is short or not Latin, has to begin a word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import ColumnElement, FromClause, and_, or_
from sqlalchemy.types import Text

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.query import Key, PersonName
from app.dicom.terms import needs_sound
from app.index.search.by_terms import decided
from app.index.search.matching import Bind, Form, Parts, expressions, take_apart
from app.index.statements import Connection
from app.index.terms import Unindexed
from app.index.visibility import Visibility


@dataclass(frozen=True, slots=True)
class Sounds(Form):
    """The name is as the form says, or of each word is true what its form says, if it has one."""

    literal: Form
    words: tuple[Form | None, ...]

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        literal = self.literal.condition(table, bind)
        name = table.c[self.column]
        heard = []
        for word in self.words:
            begins = name.regexp_match(bind(Text()))
            heard.append(or_(begins, word.condition(table, bind)) if word else begins)
        return or_(literal, and_(*heard))


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
    literal = take_apart(Key(key.tag, replace(match, words=(), sounds=False)))
    assert column is not None
    assert literal is not None
    forms: list[Form | None] = []
    values = list(literal[1])
    for word, expression in zip(match.words, expressions(match.words), strict=True):
        parts = await _heard(connection, visibility, key.tag, word, unknown)
        values.append(expression)
        if parts is not None:
            values += parts[1]
        forms.append(parts and parts[0])
    return Sounds(column, literal[0], tuple(forms)), values


async def _heard(
    connection: Connection, visibility: Visibility, tag: str, word: str, unknown: Unindexed
) -> Parts | None:
    needed = needs_sound(tag, word)
    if needed is None:
        return None
    alone: Sequence[Key] = [Key(tag, PersonName(((word,),), (word,), sounds=True))]
    return await decided(connection, visibility, Level.STUDY, needed, alone, unknown)
