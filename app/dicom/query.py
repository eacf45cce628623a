"""`Query`: what a search asks for, by whatever door it came (PS3.4 C.2.2.2).

    all its keys       a Key is an attribute and a Match
    ├─ OneOf           Single Value Matching and List of UID Matching
    ├─ Wildcard        Wild Card Matching
    ├─ Between         Range Matching of dates and of times
    ├─ BetweenMoments  ... of a date and a time as one
    ├─ Overlaps        ... of a DT
    ├─ PersonName      names, also with Fuzzy Semantic Matching
    ├─ AllOf           Multiple Value Matching
    ├─ Empty           Empty Value Matching
    ├─ InOneItem       Sequence Matching
    └─ ByItsVr         any of these, of an attribute whose VR only the data sets tell

Every value is a normal form of `app.dicom.normal`, to be compared with values that are normal forms
too. How the text of a key becomes a match is told in `app.dicom.keys`.
"""

from dataclasses import dataclass, field

from app.dicom.attributes import Level


class Unmatchable(ValueError):
    """A key has a value that its VR does not allow; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """The kinds of matching that are only done if they are asked for."""

    fuzzy: bool = False
    empty_values: bool = False
    multiple_values: bool = False


@dataclass(frozen=True, slots=True)
class OneOf:
    """Equal to one of the values."""

    values: tuple[str | int | float, ...]


@dataclass(frozen=True, slots=True)
class Wildcard:
    """Like one of the patterns, where `*` is any run of characters and `?` any single one."""

    patterns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """From `low` to `high`, both included, None being open."""

    low: str | None
    high: str | None
    of_one_value: bool = False
    """Whether it is what a single value of limited precision means, and no range was asked for."""

    @property
    def form(self) -> tuple[bool, bool]:
        """Which ends are open."""
        return self.low is None, self.high is None


@dataclass(frozen=True, slots=True)
class BetweenMoments:
    """Range Matching of a date and a time as one (PS3.4 C.2.2.2.5.4), on the date's attribute.

    An end is a date and a time of that date.
    """

    time: str
    """The tag of the attribute that holds the time."""
    low: tuple[str, str] | None
    high: tuple[str, str] | None


@dataclass(frozen=True, slots=True)
class Overlaps:
    """A DT, which means a span of time, that has a moment between the ends, themselves included.

    Ends are moments of `app.dicom.moments`, open if None, each with minutes ahead of UTC if told.
    """

    low: tuple[str, int | None] | None
    high: tuple[str, int | None] | None


@dataclass(frozen=True, slots=True)
class PersonName:
    """Each of `groups` is like a component group of the name, in any order.

    Of a group it is enough that one of its patterns fits. With Fuzzy Semantic Matching it is also
    enough that each of `words` begins a word of the name, in any order, or with `sounds`, that it
    sounds like one.
    """

    groups: tuple[tuple[str, ...], ...]
    words: tuple[str, ...] = ()
    sounds: bool = False


@dataclass(frozen=True, slots=True)
class AllOf:
    """Each of the matches fits one of the values that the attribute has."""

    matches: "tuple[Match, ...]"


@dataclass(frozen=True, slots=True)
class Empty:
    """The attribute is not there, or has no value."""


@dataclass(frozen=True, slots=True)
class InOneItem:
    """One and the same item matches all the keys."""

    keys: "tuple[Key, ...]"


@dataclass(frozen=True, slots=True)
class ByItsVr:
    """What the texts mean for the VR that the attribute has where it is."""

    texts: tuple[str, ...]
    kinds: "Kinds"


Match = (
    OneOf
    | Wildcard
    | Between
    | BetweenMoments
    | Overlaps
    | PersonName
    | AllOf
    | Empty
    | InOneItem
    | ByItsVr
)


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute, by its tag, and what its value must be."""

    tag: str
    match: Match


@dataclass(frozen=True, slots=True)
class Order:
    """An attribute, by its tag, that results are ordered by."""

    tag: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """All keys must match. Keys and included fields of higher levels are allowed, not of lower."""

    level: Level
    keys: tuple[Key, ...] = ()
    study_instance_uid: str | None = None
    """The study to search in, if not all of them."""
    series_instance_uid: str | None = None
    """The series of that study to search in."""
    included: frozenset[str] = field(default_factory=frozenset)
    """Tags to return besides those that a search of this level always returns."""
    everything: bool = False
    """Whether to return every attribute that is known."""
    limit: int = 1000
    offset: int = 0
    order: tuple[Order, ...] = ()
    """What comes before the usual order of the level."""
    after: tuple[str | int, ...] | None = None
    """The place in the order after which results begin; with it, `offset` counts from there."""
    before: int = 0
    """How many results came before that place when it was given."""
