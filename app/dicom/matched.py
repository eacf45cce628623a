"""The values of a data set that the index matches, in the normal forms that it matches them in.

Rules:
- Which attribute goes into which column is a matter of `app.dicom.attributes` alone.
- A column holds the first value that can be matched. Of texts and names the others are kept beside.
- A value that has no normal form (a date of 99999999) is not matched.
- Beside the names of a study is kept how they sound, their first values alone.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

from app.dicom import normal
from app.dicom.attributes import ATTRIBUTES, REQUEST_ATTRIBUTES, Attribute, Level
from app.dicom.dataset import Problem
from app.dicom.phonetic import codes_of_name

Json = Mapping[str, Any]
"""A data set in the DICOM JSON model: elements by tag."""

SEVERAL = frozenset(["AE", "CS", "LO", "SH", "PN"])
"""The VRs of which every value is matched. All columns are of attributes of one value by PS3.6, but
texts come with more: as soon as there is a backslash in them."""

MOST_VALUES = 64
"""Of one text or name; what is behind is not matched, since every search looks through them all."""
REMEMBERED = 1024
"""Names of which it is remembered how they sound."""

_OF_PARTS = {"PN", "SQ"}
"""The VRs whose values are objects in JSON."""
_SMALLEST, _LARGEST = -(2**31), 2**31 - 1


def level_columns(attributes: Json, level: Level) -> tuple[dict[str, Any], list[Problem]]:
    """The columns of one level by name, and the values among them that cannot be matched.

    What the archive computes (counts, modalities of a study) and the UIDs are not among them.
    """
    columns: dict[str, Any] = {}
    problems: list[Problem] = []
    further: dict[str, list[str]] = {}
    sounds: set[str] = set()
    for attribute in _MATCHED[level]:
        assert attribute.column is not None
        element = attributes.get(attribute.tag)
        if attribute.vr == "SQ":
            columns[attribute.column] = request_attributes(element)
            if element is not None and element["vr"] != "SQ":
                problems.append(_unmatched(attribute))
            continue
        forms = _forms(attribute.vr, element)
        columns[attribute.column] = next(iter(forms), None)
        if attribute.vr in SEVERAL and len(forms) > 1:
            further[attribute.column] = forms[1:MOST_VALUES]
        if attribute.vr == "PN":
            for name in forms[:1]:
                sounds.update(_sounds(attribute.column, name))
        if not forms and first_value(element) not in (None, ""):
            problems.append(_unmatched(attribute))
    if level is not Level.INSTANCE:
        columns["further_values"] = further or None
    if level is Level.STUDY:
        columns["sounds"] = sorted(sounds)
    return columns, problems


def _unmatched(attribute: Attribute) -> Problem:
    return Problem(attribute.tag, f"no {attribute.vr} that can be searched for")


@lru_cache(REMEMBERED)
def _sounds(column: str, name: str) -> tuple[str, ...]:
    """Those of a name in its normal form, which all instances of a study have."""
    return tuple(sounds_of(column, codes_of_name(name)))


def sounds_of(column: str, codes: Iterable[str]) -> list[str]:
    """What is kept of a name in a column of which a word has one of these codes."""
    return [f"{column}~{code}" for code in codes]


def _forms(vr: str, element: Mapping[str, Any] | None) -> list[Any]:
    """The normal forms of the values of an element, each once; none of another kind of objects."""
    if element is None or element["vr"] in _OF_PARTS - {vr}:
        return []
    values = element.get("Value") or []
    forms = (_NORMAL[vr](value) for value in values if value is not None)
    return list(dict.fromkeys(form for form in forms if form is not None))


def first_value(element: Mapping[str, Any] | None) -> Any:
    """The first value of a DICOM JSON element; None if it has none."""
    values = (element or {}).get("Value")
    return values[0] if values else None


def request_attributes(element: Mapping[str, Any] | None) -> list[dict[str, str]]:
    """Of each item of Request Attributes Sequence, the values that can be matched, by tag.

    None of an element of another VR.
    """
    if element is None or element["vr"] != "SQ":
        return []
    items = []
    for item in element.get("Value") or []:
        matched = {tag: _text(first_value((item or {}).get(tag))) for tag in REQUEST_ATTRIBUTES}
        items.append({tag: value for tag, value in matched.items() if value is not None})
    return [item for item in items if item]


def _text(value: Any) -> str | None:
    return None if value is None or isinstance(value, dict) else normal.text(str(value))


def _person_name(value: Any) -> str | None:
    return normal.person_name(value) if isinstance(value, dict) else None


def _integer(value: Any) -> int | None:
    return normal.integer(str(value))


def _small(value: Any) -> int | None:
    number = _integer(value)
    return number if number is not None and _SMALLEST <= number <= _LARGEST else None


_NORMAL: dict[str, Callable[[Any], Any]] = {
    "AE": _text,
    "CS": _text,
    "LO": _text,
    "SH": _text,
    "DA": lambda value: normal.date(str(value)),
    "TM": lambda value: normal.time(str(value)),
    "PN": _person_name,
    "IS": _integer,
    "US": _small,
}

_MATCHED: dict[Level, list[Attribute]] = {
    level: [
        attribute
        for attribute in ATTRIBUTES.values()
        if attribute.level is level
        and attribute.column
        and not attribute.computed
        and attribute.vr != "UI"
    ]
    for level in Level
}
