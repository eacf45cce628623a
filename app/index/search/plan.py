"""`Plan`: which keys of a query the database decides, and by what.

    by a column    what `app.dicom.attributes` gives one
    by terms       everything else, as far as terms tell (see `app.index.search.by_terms`)
    by sound       names, with fuzzy matching, by a column too (see `app.index.search.by_sound`)
    by looking     what they narrow down but do not decide: the JSON of each candidate is read

Where a key tells which study or patient it is, or the URL does, little is left: then everything
without a column is decided by looking.

A key of a lower level than that of the search is matched if something below is: all such keys by
one and the same series, or one and the same instance and its series.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.dicom.attributes import ATTRIBUTES, Level, level_of
from app.dicom.dictionary import keyword_of
from app.dicom.query import (
    Between,
    BetweenMoments,
    Key,
    OneOf,
    PersonName,
    Query,
    Wildcard,
)
from app.errors import BadRequest, Unavailable
from app.index.search.by_sound import by_sound
from app.index.search.by_terms import by_terms
from app.index.search.further import may_have_further, or_further
from app.index.search.matching import Equals, EqualsOne, Form, HasOne, Parts, take_apart
from app.index.search.ordering import LEVELS, Rank, checked, order_of
from app.index.search.statements import Shape
from app.index.search.values import Wanted
from app.index.statements import Connection
from app.index.tables import PATTERN_MATCHED
from app.index.terms import unindexed
from app.index.visibility import Visibility

MOST_UNINDEXED = 20_000
"""Changes that a search copes with; beyond that nothing is found by terms."""

_NARROW = {"0020000D", "0020000E", "00080018", "00100020", "00080050"}
"""Of attributes with these tags a value leaves a study or a few."""

FEW_DAYS = 31
"""Of their studies it is quicker to look at each than to look up a modality, which many have."""
_ORDERING = {"00080020", "00080030"}
_MODALITY, _MODALITIES = "00080060", "modalities"
_TRIGRAM = re.compile(r"[^\W_]{3}")


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered."""

    query: Query
    order: tuple[Rank, ...]
    forms: tuple[tuple[Level, Form], ...]
    values: Mapping[str, Any]
    """Those of the statements' parameters that the query gives."""
    looked_at: Mapping[Level, Sequence[Key]]
    """What has to be decided by looking."""
    hints: tuple[tuple[Level, Form], ...] = ()
    """What is true of all that matches, too."""
    presumes: bool = False
    """Whether it is right only if the partition has no further values that a key could match."""

    def shape(self, wanted: Wanted) -> Shape:
        """Of the statements."""
        query = self.query
        return Shape(
            query.level,
            wanted,
            query.study_instance_uid is not None,
            query.series_instance_uid is not None,
            self.forms,
            self.order,
            query.after is not None,
            self.hints,
            self.presumes,
        )


def has_terms(query: Query) -> bool:
    """Whether a plan for the query reads what the index of terms knows."""
    return any(take_apart(key) is None for key in query.keys)


def leaves_little(query: Query) -> bool:
    """Whether one plan is right whatever the values of the keys are.

    They leave a study or a few, or those of few days; or the newest are read one after the other.
    """
    return (
        _is_narrow(query)
        or any(map(_leaves_few_days, query.keys))
        or all(key.tag in _ORDERING for key in query.keys)
    )


def is_indexed(query: Query) -> bool:
    """Whether one index finds all that matches, whatever the value of the key is.

    One plan is right then for reading all matches, as long as these are few.
    """
    return len(query.keys) == 1 and _is_indexed(query.keys[0])


def _is_indexed(key: Key) -> bool:
    attribute = ATTRIBUTES.get(key.tag)
    column = attribute.column if attribute is not None else None
    match key.match:
        case OneOf():
            return column == _MODALITIES
        case Wildcard((pattern,)):
            return column in PATTERN_MATCHED and _has_letters(pattern)
        case PersonName(groups, words):
            patterns = [pattern for group in groups for pattern in group]
            return column in PATTERN_MATCHED and all(map(_has_letters, [*patterns, *words]))
        case _:
            return False


def _has_letters(pattern: str) -> bool:
    """Whether an index of trigrams knows a part of it."""
    return _TRIGRAM.search(pattern) is not None


async def plan_of(
    connection: Connection, visibility: Visibility, query: Query, *, presuming: bool = False
) -> Plan:
    """The plan for a query; what it says of ids is true of the moment that the connection sees.

    With `presuming` it may presume that no row has further values. Raises `BadRequest` if a key
    cannot be decided where it is.
    """
    forms: list[tuple[Level, Form]] = []
    values: list[Any] = []
    without_column: defaultdict[Level, list[Key]] = defaultdict(list)
    for key in query.keys:
        if take_apart(key) is None:
            without_column[level_of(key.tag)].append(key)
    below = [level for level in without_column if not _is_at_hand(level, query)]
    unknown = None
    if below or (without_column and not _is_narrow(query)):
        unknown = await unindexed(connection, visibility, most=MOST_UNINDEXED)
    hints: list[tuple[Level, Form]] = []
    hinted: list[Any] = []
    by_columns = _by_columns(query)
    presumes = presuming and any(may_have_further(key) for key, _ in by_columns)
    if not presumes:
        by_columns = await or_further(connection, visibility, by_columns)
    for key, parts in by_columns:
        forms.append((level_of(key.tag), parts[0]))
        values += parts[1]
        if query.level is not Level.STUDY and (hint := _of_their_studies(visibility, key, parts)):
            hints.append((Level.STUDY, hint[0]))
            hinted += hint[1]
    looked_at: dict[Level, Sequence[Key]] = {}
    for level, keys in without_column.items():
        decided = False
        if unknown is not None:
            (form, given), decided = await by_terms(connection, visibility, level, keys, unknown)
            forms.append((level, form))
            values += given
        elif level in below:
            raise Unavailable("The index of attributes is being made. Try again in a while.")
        if not decided and level in below:
            raise _undecidable(keys, level, query.level)
        if not decided:
            looked_at[level] = keys
    order = order_of(query)
    if any(map(_leaves_few_days, query.keys)):
        forms = [(level, _among_few(form)) for level, form in forms]
        hints = [(level, _among_few(form)) for level, form in hints]
    named = _named(query, order, values + hinted)
    return Plan(query, order, tuple(forms), named, looked_at, tuple(hints), presumes)


def _leaves_few_days(key: Key) -> bool:
    """Whether it leaves the studies of few days, which an index has side by side."""
    match key.tag, key.match:
        case "00080020", OneOf():
            return True
        case "00080020", Between(str(low), str(high)):
            return _days(low, high) <= FEW_DAYS
        case "00080020", BetweenMoments(_, (low, _), (high, _)):
            return _days(low, high) <= FEW_DAYS
        case _:
            return False


def _days(low: str, high: str) -> int:
    """In months of 31 days, since a date need not be one of the calendar."""
    (first, last) = (int(d[:4]) * 372 + int(d[4:6]) * 31 + int(d[6:]) for d in (low, high))
    return last - first


def _among_few(form: Form) -> Form:
    return replace(form, among_few=True) if isinstance(form, HasOne) else form


def _by_columns(query: Query) -> list[tuple[Key, Parts]]:
    """The keys that columns decide, in the order of their tags."""
    found: list[tuple[Key, Parts]] = []
    for key in sorted(query.keys, key=lambda key: key.tag):
        parts = by_sound(key) or take_apart(key)
        if parts is not None:
            found.append((key, parts))
    return found


def _of_their_studies(visibility: Visibility, key: Key, parts: Parts) -> Parts | None:
    """What is true of the studies of series that match: an index knows their modalities.

    The order of results begins with the studies, so it is them that have to be few.
    """
    kept = visibility.restriction is None and isinstance(parts[0], Equals | EqualsOne)
    if key.tag != _MODALITY or not kept or not isinstance(key.match, OneOf):
        return None
    return HasOne(_MODALITIES), [list(key.match.values)]


def _is_at_hand(level: Level, query: Query) -> bool:
    return LEVELS.index(level) <= LEVELS.index(query.level)


def _is_narrow(query: Query) -> bool:
    return query.study_instance_uid is not None or any(
        key.tag in _NARROW and isinstance(key.match, OneOf) for key in query.keys
    )


def _undecidable(keys: Sequence[Key], level: Level, searched: Level) -> BadRequest:
    names = ", ".join(keyword_of(key.tag) for key in keys)
    plural = "series" if level is Level.SERIES else "instances"
    return BadRequest(
        f"{names}: to find a {searched} by what is kept of its {plural}, search for {plural}; of a "
        "series, whole values can be asked for here."
    )


def _named(query: Query, order: Sequence[Rank], values: Sequence[Any]) -> dict[str, Any]:
    named = {f"v{number}": value for number, value in enumerate(values)}
    if query.study_instance_uid is not None:
        named["study"] = query.study_instance_uid
    if query.series_instance_uid is not None:
        named["series"] = query.series_instance_uid
    if query.after is not None:
        place = checked(query.after, order)
        named |= {f"p{number}": value for number, value in enumerate(place)}
    return named
