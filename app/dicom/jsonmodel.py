"""The DICOM JSON model (PS3.18 Annex F) as it is kept and sent."""

import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from app.dicom.attributes import Level, level_of

_RELATIVE = b'"BulkDataURI":"'


def dumps(attributes: Mapping[str, Any]) -> bytes:
    """The JSON text of a data set, its attributes in ascending order."""
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)


def pack(attributes: Mapping[str, Any]) -> bytes:
    """The JSON text of a data set, compressed; `unpack` gives the text back."""
    return zlib.compress(dumps(attributes), 1)


def unpack(packed: bytes) -> bytes:
    """The JSON text that `pack` compressed."""
    return zlib.decompress(packed)


def absolute(json: bytes, instance_url: str) -> bytes:
    """The JSON text with each BulkDataURI made absolute by putting the instance's URL before it.

    Replacing bytes is safe: a quotation mark inside a JSON string is escaped, so the pattern can
    only be the key itself.
    """
    return json.replace(_RELATIVE, _RELATIVE + instance_url.encode() + b"/")


def level_attributes(attributes: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """The attributes of a data set that live at this level."""
    return {tag: element for tag, element in attributes.items() if level_of(tag) is level}
