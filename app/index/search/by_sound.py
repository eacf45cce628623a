"""Names that sound like the words of a key: the studies that keep with their names how these sound.

    PatientName=meyer jo      each word begins a word of the name, or sounds like one

What has no sound, since it is short or not Latin, has to begin a word. A name that is literally as
the key says has these words anyway, since there are no wild cards in it.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, or_
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from app.dicom.attributes import ATTRIBUTES, Level
from app.dicom.matched import sounds_of
from app.dicom.phonetic import codes
from app.dicom.query import Key, PersonName
from app.index.search.matching import Bind, Form, Parts, expressions


@dataclass(frozen=True, slots=True)
class Sounds(Form):
    """Each word begins a word of the name; or it sounds like one, if it has a sound."""

    heard: tuple[bool, ...]
    """Of each word, whether it has a sound."""

    def condition(self, table: FromClause, bind: Bind) -> ColumnElement[bool]:
        name, sounds = table.c[self.column], table.c["sounds"]
        conditions: list[ColumnElement[bool]] = []
        for heard in self.heard:
            if heard:
                alike = sounds.op("&&", is_comparison=True)(bind(ARRAY(Text())))
                # Names that begin so mostly sound so: with a condition that is always true of them
                # the planner takes them for few, and does not count them twice.
                begins = and_(name.like(bind(Text())), name.regexp_match(bind(Text())))
                conditions.append(or_(alike, begins))
            else:
                conditions.append(name.regexp_match(bind(Text())))
        return and_(*conditions)


def by_sound(key: Key) -> Parts | None:
    """The form of a key by which names are found that sound so; None if it is no such key."""
    match, attribute = key.match, ATTRIBUTES.get(key.tag)
    if not isinstance(match, PersonName) or not match.sounds:
        return None
    if attribute is None or attribute.column is None or attribute.level is not Level.STUDY:
        return None
    values: list[Any] = []
    for word, expression in zip(match.words, expressions(match.words), strict=True):
        sounds = sounds_of(attribute.column, codes(word))
        values += [sounds, f"%{word}%", expression] if sounds else [expression]
    return Sounds(attribute.column, tuple(bool(codes(word)) for word in match.words)), values
