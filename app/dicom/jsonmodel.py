"""The DICOM JSON model as bytes (PS3.18 Annex F): written, packed, and made absolute on output.

BulkDataURIs are kept relative (`bulkdata/7FE00010`), so that stored JSON does not know under which
address the archive is reached.
"""

import zlib
from collections.abc import Iterator, Mapping
from itertools import groupby, islice
from typing import Any

import orjson

from app.dicom.attributes import Level, level_of
from app.dicom.jsontext import LONG, PACKED, JsonText
from app.errors import Corrupt

BULK_PREFIX = "bulkdata/"
"""How a kept BulkDataURI begins; the path of the value follows."""

_AT_ONCE = 32
"""Elements whose JSON is made at once; each has at most 64 KiB."""

_RELATIVE = b'"BulkDataURI":"'
_PIECE = 1024 * 1024


def dumps(attributes: Mapping[str, Any]) -> bytes:
    """The JSON of a data set, without spaces, UTF-8."""
    return b"".join(pieces(attributes))


def pieces(attributes: Mapping[str, Any]) -> Iterator[bytes]:
    """The same in pieces, however long it is."""
    comma = b""
    yield b"{"
    for packed, elements in groupby(attributes.items(), _is_packed):
        if packed:
            for key, element in elements:
                yield b'%b"%b":{"vr":"SQ","Value":' % (comma, key.encode())
                yield from element[PACKED].pieces()
                yield b"}"
                comma = b","
            continue
        while some := dict(islice(elements, _AT_ONCE)):
            yield comma + orjson.dumps(some)[1:-1]
            comma = b","
    yield b"}"


def pack(attributes: Mapping[str, Any]) -> bytes:
    """The JSON of a data set, compressed; level 1 costs a tenth of what it saves in the index."""
    text = JsonText()
    for piece in pieces(attributes):
        text.tail += piece
        if len(text.tail) > LONG:
            text.settle()
    return text.finish().data


def unpack(packed: bytes) -> bytes:
    """The JSON that `pack` was given."""
    return zlib.decompress(packed)


def unpack_short(packed: bytes, most: int) -> bytes | None:
    """The same; None if it has more than `most` bytes, which are never in memory then."""
    inflate = zlib.decompressobj()
    json = inflate.decompress(packed, most)
    return json if inflate.eof else None


def absolute(json: bytes, instance_url: str) -> bytes:
    """The JSON with BulkDataURIs below `instance_url`, which has no `/` at its end.

    Replaced as bytes: inside a JSON string the quotes would be escaped, so nothing else matches.
    """
    return json.replace(_RELATIVE, _RELATIVE + orjson.dumps(instance_url + "/")[1:-1])


def absolute_pieces(packed: bytes, instance_url: str) -> Iterator[bytes]:
    """`absolute` of what was packed, in pieces of about 1 MiB. Raises `Corrupt` if it is cut."""
    inflate = zlib.decompressobj()
    rest, kept = packed, b""
    while rest:
        text = kept + inflate.decompress(rest, _PIECE)
        rest = inflate.unconsumed_tail
        # There is no comma in what is replaced.
        end = text.rfind(b",") + 1 if rest else len(text)
        kept = text[end:]
        yield absolute(text[:end], instance_url)
    if not inflate.eof:
        raise Corrupt("The metadata that are kept of an instance are cut.")


def level_attributes(attributes: Mapping[str, Any], level: Level) -> dict[str, Any]:
    """The share of the attributes that belongs to the study, the series or the instance.

    Sequences of great length are left out: what is told of a level is told of it in every search.
    """
    return {
        tag: element
        for tag, element in attributes.items()
        if level_of(tag) is level and PACKED not in element
    }


def _is_packed(member: tuple[str, Mapping[str, Any]]) -> bool:
    return PACKED in member[1]
