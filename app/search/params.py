"""The query string of a search, as a `Query` (PS3.18 8.3.4).

- Attributes go by tag or keyword, in any case; attributes of sequence items by a path of them,
  joined by dots. Each may be given once; UIDs may be given again, which means one of them.
- What looks like an attribute and is none, or has a value that its VR does not allow, is refused. A
  key that was passed over would show what was not asked for, perhaps of the wrong person.
- Every other unknown parameter is passed over, and so is an unknown `includefield`.
- What a query in DIMSE tells of itself (`SpecificCharacterSet`, `QueryRetrieveLevel`) is no key.
- `Modality` asked of studies means `ModalitiesInStudy`; with both, both have to match.
- `orderby` is a list of attributes, a hyphen before one that is to descend; `after` comes from the
  link to a next page.
- `TimezoneOffsetFromUTC` is no key, but the zone of the values of DT that tell none.
- A `limit` above the archive's own is lowered to it, with a warning.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from app.dicom import moments
from app.dicom.attributes import ATTRIBUTES, Level, level_of
from app.dicom.dictionary import is_private_creator, tag_of, vr_of
from app.dicom.keys import EMPTY_VALUE, combined, in_zone, match
from app.dicom.query import InOneItem, Key, Kinds, Match, Order, Query, Unmatchable
from app.errors import BadRequest, InvalidParameter
from app.index.search import ORDERING
from app.search.paging import AFTER, place_of
from app.search.patient_counts import PATIENT_COUNTS
from app.settings import Limits

MOST_PARAMETERS = 1000
MOST_ORDERS = 4
DEEPEST_PATH = 16

_ORDER_BY = "orderby"
_OPTIONS = {
    *("limit", "offset", "includefield", _ORDER_BY, AFTER),
    *("fuzzymatching", "emptyvaluematching", "multiplevaluematching"),
}
_LIKE_AN_ATTRIBUTE = re.compile(
    r"""[0-9A-F]{8}|0X[0-9A-F]+|[0-9][0-9A-FX]{5,8}  # a tag, or one with too few or many digits
    | \(?[0-9A-F]{4}\W{1,2}[0-9A-F]{4}\)?  # (0010,0010)
    | (?-i:[A-Z])[A-Z0-9]*  # a keyword
    | [A-Z0-9]*(?:\.[A-Z0-9]*)+  # a path
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_BETWEEN_NAMES = re.compile(r"[^A-Za-z0-9]+")
_NO_KEYS = frozenset({"00080005", "00080052"})
"""SpecificCharacterSet and QueryRetrieveLevel: of a query in DIMSE they tell how to read it."""
_NOT_OF_DATA_SETS = ("0000", "0002")
"""Groups of commands and of the heads of files."""
_TIMEZONE = ("00080201",)
_BY_THE_CLOCK = (
    "The TimezoneOffsetFromUTC key adjusts values of DT alone. Dates and times are matched as they"
    " are written."
)
_MODALITY, _MODALITIES_IN_STUDY = "00080060", "00080061"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request asks for, and what its caller has to be warned of."""

    query: Query
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class _Given:
    """One attribute of the query string: under which name it came first, and its values."""

    name: str
    values: list[str] = field(default_factory=list)

    def refused(self, why: str) -> InvalidParameter:
        return InvalidParameter(self.name, ",".join(self.values), why)


def read_query_string(
    query_string: bytes,
    level: Level,
    *,
    limits: Limits,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
) -> Asked:
    """What a query string asks of the resources of a level, in a study or series if one is given.

    Raises `BadRequest`; if a single parameter is to blame, `InvalidParameter`.
    """
    attributes, options = _sorted_out(_pairs(query_string))
    if len(attributes) > limits.search_keys:
        raise BadRequest(f"There are more than {limits.search_keys} attributes in the query.")
    kinds = Kinds(
        fuzzy=_truth(options, "fuzzymatching"),
        empty_values=_truth(options, "emptyvaluematching"),
        multiple_values=_truth(options, "multiplevaluematching"),
    )
    included = frozenset(path[0] for path in attributes)
    zone = _zone(attributes)
    keys = combined(_keys(attributes, kinds, level))
    if zone is not None:
        keys = tuple(Key(key.tag, in_zone(key.match, zone)) for key in keys)
    fields = [name.strip() for text in options.get("includefield", ()) for name in text.split(",")]
    most_results = limits.search_results
    limit = _number(options, "limit", most_results)
    offset = _number(options, "offset", 0)
    if offset > limits.search_offset:
        why = f"at most {limits.search_offset} can be skipped"
        raise InvalidParameter("offset", str(offset), why)
    token = _single(options, AFTER)
    after, before = (None, 0) if token is None else place_of(token)
    query = Query(
        level=level,
        keys=keys,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        included=included | _included(fields),
        everything="all" in map(str.lower, fields),
        limit=min(limit, most_results),
        offset=offset,
        order=_order(options, level),
        after=after,
        before=before,
    )
    warnings = []
    if limit > most_results:
        warnings.append(f"The limit parameter was lowered to the maximum of {most_results}.")
    if zone is not None and any(vr_of(path[-1]) in {"DA", "TM"} for path in attributes):
        warnings.append(_BY_THE_CLOCK)
    return Asked(query, tuple(warnings))


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    try:
        pairs = parse_qsl(
            query_string.decode(),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise BadRequest("The query string is not UTF-8.") from None
    except ValueError:
        raise BadRequest(f"There are more than {MOST_PARAMETERS} query parameters.") from None
    for name, value in pairs:
        if "\0" in name or "\0" in value:
            raise InvalidParameter(name.replace("\0", ""), value, "it contains a NUL character")
    return pairs


_Path = tuple[str, ...]
_Attributes = dict[_Path, _Given]
_Options = dict[str, list[str]]


def _sorted_out(pairs: Sequence[tuple[str, str]]) -> tuple[_Attributes, _Options]:
    """The attributes by the path of their tags, and the options by name."""
    attributes: _Attributes = {}
    options: _Options = {}
    for name, value in pairs:
        if name.lower() in _OPTIONS:
            options.setdefault(name.lower(), []).append(value)
            continue
        tags = [tag_of(part) for part in name.split(".")]
        path = tuple(tag for tag in tags if tag is not None)
        if len(path) < len(tags):
            if _is_like_an_attribute(name):
                raise InvalidParameter(name, value, "there is no such attribute")
            continue
        if len(path) == 1 and path[0] in _NO_KEYS:
            continue
        if any(tag.startswith(_NOT_OF_DATA_SETS) for tag in path):
            raise InvalidParameter(name, value, "data sets have no such attribute")
        if len(path) > DEEPEST_PATH:
            raise InvalidParameter(name, value, f"a path has at most {DEEPEST_PATH} attributes")
        given = attributes.setdefault(path, _Given(name))
        given.values.append(value)
        if len(given.values) > 1 and vr_of(path[-1]) != "UI":
            raise InvalidParameter(name, value, "the attribute is given more than once")
    return attributes, options


def _is_like_an_attribute(name: str) -> bool:
    """Whether somebody means an attribute by it, and not a parameter such as `_dc` or `x-id`."""
    if name[:2].upper() == "X-":
        return False
    parts = _BETWEEN_NAMES.split(name)
    named = any(part[:1].isupper() and tag_of(part) is not None for part in parts)
    return named or _LIKE_AN_ATTRIBUTE.fullmatch(name.strip()) is not None


def _zone(attributes: _Attributes) -> int | None:
    """Minutes ahead of UTC that the query gives; what gives them is none of its keys then."""
    given = attributes.get(_TIMEZONE)
    if given is None or not given.values[0].strip(" *"):
        return None
    zone = moments.offset(given.values[0])
    if zone is None:
        raise given.refused("it must be an offset such as -0500")
    del attributes[_TIMEZONE]
    return zone


def _keys(attributes: _Attributes, kinds: Kinds, level: Level) -> list[Key]:
    """The keys, those in items of one sequence together."""
    matches: list[tuple[_Path, Match]] = []
    for path, given in attributes.items():
        vr = _matched_vr(path, given, kinds)
        try:
            found = match(vr, given.values, kinds)
        except Unmatchable as error:
            raise given.refused(str(error)) from None
        if found is not None:
            of_studies = path == (_MODALITY,) and level is Level.STUDY
            matches.append(((_MODALITIES_IN_STUDY,) if of_studies else path, found))
    return _nested(matches)


def _nested(matches: Sequence[tuple[_Path, Match]]) -> list[Key]:
    keys = [Key(path[0], found) for path, found in matches if len(path) == 1]
    within: dict[str, list[tuple[_Path, Match]]] = {}
    for (sequence, *path), found in matches:
        if path:
            within.setdefault(sequence, []).append((tuple(path), found))
    return keys + [Key(tag, InOneItem(tuple(_nested(below)))) for tag, below in within.items()]


def _matched_vr(path: _Path, given: _Given, kinds: Kinds) -> str | None:
    """The VR of the attribute, None if only data sets tell. Raises `InvalidParameter`."""
    vr = vr_of(path[-1])
    if any(is_private_creator(tag) or vr_of(tag) not in {"SQ", None} for tag in path[:-1]):
        raise given.refused("only attributes of the items of a sequence have a path")
    asks_for_empty = kinds.empty_values and given.values == [EMPTY_VALUE]
    if vr == "SQ" and not asks_for_empty and any(value.strip(" *") for value in given.values):
        raise given.refused("a sequence is matched by the attributes of its items")
    attribute = ATTRIBUTES.get(path[0])
    has_none = attribute is not None and attribute.computed and attribute.column is None
    if has_none or path[0] in PATIENT_COUNTS:
        raise given.refused("its value is made by the archive and cannot be matched")
    if is_private_creator(path[-1]):
        return "LO"
    return None if vr is None else vr.partition(" ")[0]


_LEVELS = list(Level)
_PLURAL = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}


def _included(fields: Sequence[str]) -> frozenset[str]:
    """The tags of the fields that there are; of a path the sequence, which is returned whole."""
    tags = (tag_of(name.partition(".")[0]) for name in fields)
    return frozenset(tag for tag in tags if tag is not None)


def _order(options: _Options, level: Level) -> tuple[Order, ...]:
    text = _single(options, _ORDER_BY) or ""
    found: dict[str, Order] = {}
    for name in filter(None, map(str.strip, text.split(","))):
        tag = tag_of(name.removeprefix("-"))
        if tag not in ORDERING or _LEVELS.index(level_of(tag)) > _LEVELS.index(level):
            raise InvalidParameter(_ORDER_BY, name, f"{_PLURAL[level]} cannot be ordered by it")
        found.setdefault(tag, Order(tag, name.startswith("-")))
    if len(found) > MOST_ORDERS:
        raise InvalidParameter(_ORDER_BY, text, f"at most {MOST_ORDERS} attributes make an order")
    return tuple(found.values())


def _number(options: _Options, name: str, default: int) -> int:
    value = _single(options, name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 19):
        raise InvalidParameter(name, value, "it must be a non-negative integer")
    return int(value)


def _truth(options: _Options, name: str) -> bool:
    value = (_single(options, name) or "false").lower()
    if value not in {"true", "false"}:
        raise InvalidParameter(name, value, "it must be true or false")
    return value == "true"


def _single(options: _Options, name: str) -> str | None:
    values = options.get(name, [])
    if len(values) > 1:
        raise InvalidParameter(name, values[1], "it is given more than once")
    return values[0] if values else None
