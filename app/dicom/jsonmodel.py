"""The DICOM JSON model as bytes (PS3.18 Annex F): written, packed, and made absolute on output.

BulkDataURIs are kept relative (`bulkdata/7FE00010`), so that stored JSON does not know under which
address the archive is reached.
"""

import zlib
from collections.abc import Mapping
from typing import Any

import orjson

from app.dicom.attributes import Level, level_of

BULK_PREFIX = "bulkdata/"
"""How a kept BulkDataURI begins; the path of the value follows."""

_RELATIVE = b'"BulkDataURI":"'


def dumps(attributes: Mapping[str, Any]) -> bytes:
    """The JSON of a data set, without spaces, UTF-8."""
    return orjson.dumps(attributes)


def pack(attributes: Mapping[str, Any]) -> bytes:
    """The JSON of a data set, compressed; level 1 costs a tenth of what it saves in the index."""
    return zlib.compress(dumps(attributes), level=1)


def unpack(packed: bytes) -> bytes:
    """The JSON that `pack` was given."""
    return zlib.decompress(packed)


def absolute(json: bytes, instance_url: str) -> bytes:
    """The JSON with BulkDataURIs below `instance_url`, which has no `/` at its end.

    Replaced as bytes: inside a JSON string the quotes would be escaped, so nothing else matches.
    """
    return json.replace(_RELATIVE, _RELATIVE + orjson.dumps(instance_url + "/")[1:-1])


def level_attributes(attributes: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """The share of the attributes that belongs to the study, the series or the instance."""
    return {tag: element for tag, element in attributes.items() if level_of(tag) is level}
