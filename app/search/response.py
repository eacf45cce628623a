"""What a search returns of each match (PS3.18 10.6.3.3).

Of the level that is searched for, and of the levels above it that the URL does not name, every
attribute that `app.dicom.attributes` marks as returned; with it whatever was matched or asked for
by `includefield`, of these levels and of those above. UIDs are there down to the level searched
for, and the time zone of the study. What belongs to a lower level is never returned.

All values come from what was read at Store, but for those the archive computes itself.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson

from app.dicom import nativexml
from app.dicom.attributes import ATTRIBUTES, Level, level_of
from app.dicom.dictionary import is_private, private_creator_of
from app.dicom.mediatypes import DICOM_XML
from app.dicom.query import Query
from app.index.search import Found, FoundInstance, FoundSeries, FoundStudy, Wanted
from app.search.known import KnownInstances
from app.web.multipart import Writer

Json = dict[str, Any]
"""A data set in the DICOM JSON model: elements by tag."""

REMEMBERED = 4096
"""Studies and series whose JSON is remembered, some 3 KB each."""
SELECTIONS = 256
"""Selections that are remembered."""

_LEVELS = list(Level)
_RETURNED = {
    level: frozenset(a.tag for a in ATTRIBUTES.values() if a.level is level and a.returned)
    for level in Level
}
_EMPTY: dict[Level, Json] = {
    level: {
        a.tag: {"vr": a.vr}
        for a in ATTRIBUTES.values()
        if a.level is level and a.returned and not a.if_known
    }
    for level in Level
}
"""What is returned even without a value."""
_IF_KNOWN = {level: tags - _EMPTY[level].keys() for level, tags in _RETURNED.items()}
_NUMBER_OF_FRAMES, _TIMEZONE = "00280008", "00080201"
_ONLINE: Json = {"vr": "CS", "Value": ["ONLINE"]}
_ALWAYS = frozenset({"00080018", "00080056", "00081190", "0020000D", "0020000E"})
"""What is returned of the match itself, whatever its level: UIDs, where it is, and that it is."""


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """Which attributes are returned of a match; equal only to itself, so that to compare is cheap.

    `selection` gives the same one for the same attributes.
    """

    level: Level
    whole: frozenset[Level]
    """The levels of which everything is returned that is always returned."""
    tags: Mapping[Level, frozenset[str]]
    """The attributes to return of each level that contributes."""
    everything: bool
    """Whether every attribute of the whole levels is returned."""
    metadata: bool = False
    """Whether any of that is only in the metadata of instances."""

    @property
    def wanted(self) -> Wanted:
        """What has to be read for that."""
        return Wanted(frozenset(self.tags), self.metadata, zone=Level.STUDY not in self.tags)


def selection(query: Query) -> Selection:
    """The attributes that a query asks to return."""
    levels = _LEVELS[: _LEVELS.index(query.level) + 1]
    named = {
        Level.STUDY: query.study_instance_uid is not None,
        Level.SERIES: query.series_instance_uid is not None,
    }
    whole = frozenset(level for level in levels if not named.get(level))
    return _selection(query.level, whole, query.included - _ALWAYS, query.everything)


@lru_cache(SELECTIONS)
def _selection(
    searched: Level, whole: frozenset[Level], included: frozenset[str], everything: bool
) -> Selection:
    levels = _LEVELS[: _LEVELS.index(searched) + 1]
    tags: dict[Level, frozenset[str]] = {}
    for level in levels:
        asked = frozenset(tag for tag in included if level_of(tag) is level)
        asked |= {private_creator_of(tag) for tag in asked if is_private(tag)}
        if level in whole or asked:
            tags[level] = asked | (_RETURNED[level] if level in whole else {_TIMEZONE})
    of_instance = tags.get(Level.INSTANCE, frozenset()) - _RETURNED[Level.INSTANCE]
    # The index knows how many frames there are, but not whether an instance of one says so.
    named = bool(of_instance) or _NUMBER_OF_FRAMES in included
    metadata = searched is Level.INSTANCE and (everything or named)
    return Selection(searched, whole, tags, everything, metadata)


def results(found: Iterable[Found], selected: Selection, base: str) -> tuple[list[Json], int]:
    """What is returned of each match; `base` is the URL of the DICOMweb base.

    And of how many only the usual attributes are, since they have too many. Raises `TooLarge`.
    """
    studies: dict[str, Json] = {}
    series: dict[str, Json] = {}
    known = KnownInstances(everything=selected.everything) if selected.wanted.metadata else None
    made = [_result(match, selected, base, studies, series, known) for match in found]
    return made, known.left_out if known else 0


def found_as_json(found: Iterable[Found], selected: Selection, base: str) -> bytes:
    """What `written` makes of studies or series; what is made of one is remembered.

    Lists of them are what is asked for most, again and again, and have most in common.
    """
    return b"[%b]" % b",".join([_as_json(match, selected, base) for match in found])


@lru_cache(REMEMBERED)
def _as_json(match: Found, selected: Selection, base: str) -> bytes:
    return orjson.dumps(_result(match, selected, base, {}, {}, None), option=orjson.OPT_SORT_KEYS)


def written(matches: Sequence[Json], xml: Writer | None) -> bytes:
    """An array of DICOM JSON objects; or a message with an XML document for each match."""
    return orjson.dumps(matches, option=orjson.OPT_SORT_KEYS) if xml is None else _xml(xml, matches)


def _xml(writer: Writer, matches: Sequence[Json]) -> bytes:
    pieces = []
    for match in matches:
        pieces += [writer.part({"Content-Type": DICOM_XML}), nativexml.dumps(sorted_by_tag(match))]
    return b"".join([*pieces, writer.end()])


def sorted_by_tag(match: Json) -> Json:
    """The elements in the order of a data set."""
    return dict(sorted(match.items()))


def _result(
    match: Found,
    selected: Selection,
    base: str,
    studies: dict[str, Json],
    series: dict[str, Json],
    known: KnownInstances | None,
) -> Json:
    """One match. Parts of a study or series that several matches share are made once."""
    url = f"{base}/studies/{match.study_instance_uid}"
    result = _zone(match.telling_zone)
    if match.series_instance_uid is not None:
        url += f"/series/{match.series_instance_uid}"
    if match.sop_instance_uid is not None:
        url += f"/instances/{match.sop_instance_uid}"
    if match.instance is not None:
        attributes = known.read(match.instance.metadata_json, url) if known else {}
        result |= _instance(match.instance, attributes, selected)
    if match.series is not None and match.series_instance_uid is not None:
        if match.series_instance_uid not in series:
            series[match.series_instance_uid] = _series(match.series, selected)
        result |= series[match.series_instance_uid]
    if match.study is not None:
        if match.study_instance_uid not in studies:
            studies[match.study_instance_uid] = _study(match.study, selected)
        result |= studies[match.study_instance_uid]
    result |= _of_itself(match, url)
    return result


def _zone(attributes: bytes | None) -> Json:
    """The time zone that the attributes of a study tell, if they do: of it all dates are."""
    zone = orjson.loads(attributes or b"{}").get(_TIMEZONE, {})
    return {_TIMEZONE: zone} if "Value" in zone else {}


def _of_itself(match: Found, url: str) -> Json:
    itself: Json = {
        "00080056": _ONLINE,
        "00081190": _element("UR", url),
        "0020000D": _element("UI", match.study_instance_uid),
    }
    if match.series_instance_uid is not None:
        itself["0020000E"] = _element("UI", match.series_instance_uid)
    if match.sop_instance_uid is not None:
        itself["00080018"] = _element("UI", match.sop_instance_uid)
    return itself


def _study(study: FoundStudy, selected: Selection) -> Json:
    made = {
        "00201206": _element("IS", study.number_of_series),
        "00201208": _element("IS", study.number_of_instances),
    }
    if study.modalities:
        made["00080061"] = _element("CS", *study.modalities)
    if study.sop_classes:
        made["00080062"] = _element("UI", *study.sop_classes)
    return _part(Level.STUDY, orjson.loads(study.attributes), made, selected)


def _series(series: FoundSeries, selected: Selection) -> Json:
    made = {"00201209": _element("IS", series.number_of_instances)}
    return _part(Level.SERIES, orjson.loads(series.attributes), made, selected)


def _instance(instance: FoundInstance, known: Json, selected: Selection) -> Json:
    made = {
        "00080016": _element("UI", instance.sop_class_uid),
        "00083002": _element("UI", instance.transfer_syntax_uid),
    }
    numbers = (
        ("00200013", "IS", instance.instance_number),
        ("00280010", "US", instance.rows),
        ("00280011", "US", instance.columns),
        ("00280100", "US", instance.bits_allocated),
    )
    made |= {tag: _element(vr, value) for tag, vr, value in numbers if value is not None}
    if instance.number_of_frames is not None and instance.number_of_frames > 1:
        made["00280008"] = _element("IS", instance.number_of_frames)
    return _part(Level.INSTANCE, known, made, selected)


def _part(level: Level, known: Json, made: Json, selected: Selection) -> Json:
    """The selected attributes of one level, of those known from Store and those made here.

    What is known is changed.
    """
    known |= made
    whole = level in selected.whole
    if not (whole and selected.everything):
        unknown = {tag for tag in _IF_KNOWN[level] & known.keys() if "Value" not in known[tag]}
        for tag in (known.keys() - selected.tags[level]) | unknown:
            del known[tag]
    return _EMPTY[level] | known if whole else known


def _element(vr: str, *values: str | int) -> Json:
    return {"vr": vr, "Value": list(values)}
