"""Searches of what is de-identified: keys are matched with what is left, and with nothing else."""

from collections.abc import Sequence
from typing import Any

from app.deidentified.finding import View
from app.dicom.attributes import Level
from app.dicom.jsonmodel import level_attributes
from app.dicom.matcher import fits
from app.dicom.query import Query

_ALWAYS = frozenset(
    {
        *("00080005", "00080016", "00080018", "00200013", "00280008", "00280010", "00280011"),
        *("00280100",),
    }
)
_RETRIEVE_URL = "00081190"

Json = dict[str, Any]


async def search(
    view: View, query: Query, asked: Sequence[str], base: str
) -> tuple[list[Json], int]:
    """A page of results, and how many there are. `asked`: UIDs in the path. Raises `NotFound`."""
    made: dict[str, Json] = {}
    known: dict[str, Json] = {}
    counts: dict[str, tuple[set[str], set[str], int]] = {}
    async for shown in view.shown(asked):
        path = _path(shown.path, query.level)
        series, modalities, count = counts.get(path, (set(), set(), 0))
        series.add(shown.instance.series_instance_uid)
        modalities.update(shown.attributes.get("00080060", {}).get("Value") or [])
        counts[path] = series, modalities, count + 1
        if path not in made:
            known[path] = shown.attributes if query.level is Level.INSTANCE else {}
            made[path] = _result(shown.attributes, query)
            made[path][_RETRIEVE_URL] = {"vr": "UR", "Value": [base + path]}
    for path, result in made.items():
        result.update(_counted(query.level, *counts[path]))
    found = [
        dict(sorted(result.items()))
        for path, result in made.items()
        if fits(query.keys, known[path] | result)
    ]
    return found[query.offset :][: query.limit], len(found)


def _path(path: str, level: Level) -> str:
    if level is Level.INSTANCE:
        return path
    return path.partition("/series/" if level is Level.STUDY else "/instances/")[0]


def _result(attributes: Json, query: Query) -> Json:
    result = level_attributes(attributes, Level.STUDY)
    if query.level is Level.STUDY:
        return result
    result |= level_attributes(attributes, Level.SERIES)
    if query.level is Level.SERIES:
        return result
    own = level_attributes(attributes, Level.INSTANCE)
    wanted = _ALWAYS | query.included
    return result | {tag: one for tag, one in own.items() if query.everything or tag in wanted}


def _counted(level: Level, series: set[str], modalities: set[str], count: int) -> Json:
    if level is Level.INSTANCE:
        return {}
    number = {"vr": "IS", "Value": [count]}
    if level is Level.SERIES:
        return {"00201209": number}
    return {
        "00080061": {"vr": "CS", "Value": sorted(modalities)},
        "00201206": {"vr": "IS", "Value": [len(series)]},
        "00201208": number,
    }
