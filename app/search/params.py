"""The query string of a search, as a `Query` (PS3.18 8.3.4).

- Attributes go by tag or keyword, in any case; attributes of sequence items by a path of them,
  joined by dots. Each may be given once; UIDs may be given again, which means one of them.
- What looks like an attribute and is none, or cannot be matched here, is refused. A key that was
  passed over would show what was not asked for, perhaps of the wrong person.
- Every other unknown parameter is passed over, and so is an unknown `includefield`.
- `Modality` asked of studies means `ModalitiesInStudy`; other keys of lower levels are refused.
- `orderby` is a list of attributes, a hyphen before one that is to descend; `after` comes from the
  link to a next page.
- A `limit` above the archive's own is lowered to it, with a warning.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from app.dicom.attributes import ATTRIBUTES, REQUEST_ATTRIBUTES, Attribute, Level, level_of
from app.dicom.dictionary import tag_of, vr_of
from app.dicom.keys import combined, match
from app.dicom.query import InOneItem, Key, Kinds, Order, Query, Unmatchable
from app.errors import BadRequest, InvalidParameter
from app.index.search import ORDERING
from app.search.paging import AFTER, place_of

MOST_PARAMETERS = 1000
MOST_KEYS = 64
LARGEST_OFFSET = 1_000_000
MOST_ORDERS = 4

_NOT_SUPPORTED = {
    "emptyvaluematching": "Empty Value Matching",
    "multiplevaluematching": "Multiple Value Matching",
}
_ORDER_BY = "orderby"
_OPTIONS = {"limit", "offset", "fuzzymatching", "includefield", _ORDER_BY, AFTER, *_NOT_SUPPORTED}
_LIKE_AN_ATTRIBUTE = re.compile(
    r"[0-9A-Fa-f]{8}|[A-Z][A-Za-z0-9]*|[A-Za-z0-9]+(?:\.[A-Za-z0-9]+)+", re.ASCII
)
_MODALITY, _MODALITIES_IN_STUDY = "00080060", "00080061"
_REQUEST_ATTRIBUTES_SEQUENCE = "00400275"


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
    most_results: int,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
) -> Asked:
    """What a query string asks of the resources of a level, in a study or series if one is given.

    Raises `BadRequest`; if a single parameter is to blame, `InvalidParameter`.
    """
    attributes, options = _sorted_out(_pairs(query_string), level)
    fuzzy = _truth(options, "fuzzymatching")
    keys = combined(_keys(attributes, level, fuzzy=fuzzy))
    fields = [name.strip() for text in options.get("includefield", ()) for name in text.split(",")]
    limit = _number(options, "limit", most_results)
    offset = _number(options, "offset", 0)
    if offset > LARGEST_OFFSET:
        raise InvalidParameter("offset", str(offset), f"at most {LARGEST_OFFSET} can be skipped")
    after = _single(options, AFTER)
    query = Query(
        level=level,
        keys=keys,
        study_instance_uid=study_instance_uid,
        series_instance_uid=series_instance_uid,
        included=frozenset(path[0] for path in attributes) | _included(fields),
        everything="all" in map(str.lower, fields),
        limit=min(limit, most_results),
        offset=offset,
        order=_order(options, level),
        after=None if after is None else place_of(after),
    )
    return Asked(query, tuple(_warnings(options, limit, most_results)))


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


def _sorted_out(pairs: Sequence[tuple[str, str]], level: Level) -> tuple[_Attributes, _Options]:
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
            if _LIKE_AN_ATTRIBUTE.fullmatch(name):
                raise InvalidParameter(name, value, "there is no such attribute")
            continue
        if path == (_MODALITY,) and level is Level.STUDY:
            path = (_MODALITIES_IN_STUDY,)
        given = attributes.setdefault(path, _Given(name))
        given.values.append(value)
        if len(given.values) > 1 and vr_of(path[-1]) != "UI":
            raise InvalidParameter(name, value, "the attribute is given more than once")
    if len(attributes) > MOST_KEYS:
        raise BadRequest(f"There are more than {MOST_KEYS} attributes in the query.")
    return attributes, options


def _keys(attributes: _Attributes, level: Level, *, fuzzy: bool) -> list[Key]:
    keys: list[Key] = []
    in_item: list[Key] = []
    for path, given in attributes.items():
        if all(not value.strip(" *") for value in given.values):
            continue
        vr = _matched_vr(path, given, level)
        try:
            found = match(vr, given.values, Kinds(fuzzy=fuzzy))
        except Unmatchable as error:
            raise given.refused(str(error)) from None
        if found is not None:
            (keys if len(path) == 1 else in_item).append(Key(path[-1], found))
    if in_item:
        keys.append(Key(_REQUEST_ATTRIBUTES_SEQUENCE, InOneItem(tuple(in_item))))
    return keys


def _matched_vr(path: _Path, given: _Given, level: Level) -> str:
    """The VR of the attribute. Raises `InvalidParameter` if a key of it cannot be matched."""
    attribute = ATTRIBUTES.get(path[0])
    vr = vr_of(path[-1])
    if len(path) == 1 and vr == "SQ":
        raise given.refused("a sequence is matched by the attributes of its items")
    if any(vr_of(tag) != "SQ" for tag in path[:-1]):
        raise given.refused("only attributes of the items of a sequence have a path")
    if not _has_column(path, attribute) or vr is None:
        raise given.refused("this attribute cannot be matched yet")
    if _LEVELS.index(level_of(path[0])) > _LEVELS.index(level):
        raise given.refused(
            f"an attribute of the {level_of(path[0])} is no key to {_PLURAL[level]}"
        )
    return vr


def _has_column(path: _Path, attribute: Attribute | None) -> bool:
    if len(path) > 1:
        return path[0] == _REQUEST_ATTRIBUTES_SEQUENCE and path[1:] in _IN_REQUEST_ATTRIBUTES
    return attribute is not None and attribute.column is not None


_LEVELS = list(Level)
_PLURAL = {Level.STUDY: "studies", Level.SERIES: "series", Level.INSTANCE: "instances"}
_IN_REQUEST_ATTRIBUTES = {(tag,) for tag in REQUEST_ATTRIBUTES}


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


def _warnings(options: _Options, limit: int, most_results: int) -> list[str]:
    """In the words of PS3.18 8.3.4 where it has some."""
    warnings = [
        f"The {name} parameter is not supported. {what} has not been performed."
        for name, what in _NOT_SUPPORTED.items()
        if _truth(options, name)
    ]
    if limit > most_results:
        warnings.append(f"The limit parameter was lowered to the maximum of {most_results}.")
    return warnings
