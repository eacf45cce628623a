"""Our DICOM JSON of an instance beside pydicom's; where they differ, why ours may.

Numbers compare as numbers and text without padding. A value that ours links to by a BulkDataURI is
fetched, and compared with pydicom's bytes.
"""

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pydicom
from pydicom.dataelem import DataElement

Bulk = Callable[[str], str]
"""From a BulkDataURI to the value, in base64."""

BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
PIXEL_DATA = "7FE00010"
CHARACTER_SET = "00080005"
_ITEM = b"\xfe\xff\x00\xe0"


@dataclass(frozen=True, slots=True)
class Difference:
    """An attribute that is not the same."""

    what: str
    explained: str | None = None


def differences(ours: dict[str, Any], dataset: pydicom.Dataset, bulk: Bulk) -> Iterator[Difference]:
    """Every difference between `ours` and what pydicom makes of the data set."""
    yield from _items(ours, dataset, bulk, "")


def _items(
    ours: dict[str, Any], dataset: pydicom.Dataset, bulk: Bulk, path: str
) -> Iterator[Difference]:
    tags = {f"{tag:08X}" for tag in dataset.keys() if tag.element != 0}  # noqa: SIM118 - parses less
    for tag in sorted(tags | ours.keys()):
        where = f"{path}{tag}"
        if tag not in ours:
            yield Difference(f"{where} is missing")
        elif tag not in tags:
            yield Difference(f"{where} is ours alone")
        else:
            try:
                element = dataset[tag]
            except Exception as error:
                yield Difference(f"{where}", f"pydicom cannot read it: {error}"[:120])
                continue
            yield from _element(ours[tag], element, bulk, where)


def _element(
    ours: dict[str, Any], element: DataElement, bulk: Bulk, where: str
) -> Iterator[Difference]:
    if ours.get("vr") != element.VR:
        begins = base64.b64decode(ours.get("InlineBinary", ""))[:4]
        text = element.VR == "SQ" and ours.get("vr") == "UN" and begins != _ITEM
        yield Difference(
            f"{where} is {ours.get('vr')}, pydicom says {element.VR}",
            "its bytes are no sequence: ours keeps them as they are" if text else None,
        )
        return
    if element.VR == "SQ":
        items = ours.get("Value", [])
        if len(items) != len(element.value):
            yield Difference(f"{where} has {len(items)} items, pydicom's {len(element.value)}")
            return
        for number, (item, theirs) in enumerate(zip(items, element.value, strict=True)):
            yield from _items(item, theirs, bulk, f"{where}/{number}/")
        return
    if where == PIXEL_DATA or where.endswith(CHARACTER_SET):
        return  # the round trip compares frames; ours is always in UTF-8 and says so
    try:
        theirs = json.loads(json.dumps(element.to_json_dict(None, 2**40)))
    except Exception as error:
        yield Difference(where, f"pydicom cannot write it as JSON: {error}"[:120])
        return
    if "BulkDataURI" in ours:
        if element.VR in BINARY and bulk(ours["BulkDataURI"]) != theirs.get("InlineBinary", ""):
            yield Difference(f"{where} differs in bulk")
    elif ours.get("InlineBinary") != theirs.get("InlineBinary"):
        yield Difference(f"{where} differs in its bytes")
    elif _plain(ours.get("Value")) != _plain(theirs.get("Value")):
        yield Difference(
            f"{where} is {str(ours.get('Value'))[:60]}, not {str(theirs.get('Value'))[:60]}",
            _why(ours.get("Value"), theirs.get("Value")),
        )


def _why(ours: Any, theirs: Any) -> str | None:
    if not isinstance(ours, list) or not isinstance(theirs, list) or len(ours) != len(theirs):
        return None
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if _plain([a]) != _plain([b])]
    if all(a is None and b == "" for a, b in pairs):
        return "an empty value among others is null (PS3.18 F.2.5)"
    if all(isinstance(b, float) and not math.isfinite(b) and str(a) for a, b in pairs):
        return "JSON has no NaN and no infinity: they are strings"
    return None


def _plain(value: Any) -> Any:
    """The value with all that makes no difference taken off."""
    match value:
        case list() if all(item in (None, "", {}) for item in value):
            return None
        case list():
            return [_plain(item) for item in value]
        case dict():
            return {key: _plain(item) for key, item in value.items() if item}
        case bool() | None:
            return value
        case int() | float():
            return float(value) if math.isfinite(value) else str(value)
        case str():
            stripped = value.strip(" \0")
            try:
                return _plain(float(stripped))
            except ValueError:
                return stripped
        case _:
            return value
