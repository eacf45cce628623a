"""`ContentType`: the media type of a body, parsed (RFC 9110 8.3.1), leniently where clients differ.

Names are compared in lower case, values may be quoted or not, and an unquoted value may hold what
RFC 9110 would have quoted (`type=application/dicom`), since many clients send it so.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from app.errors import BadRequest

_TYPE = re.compile(r"\s*([\w!#$&^.+*-]+/[\w!#$&^.+*-]+)\s*", re.ASCII)
_PARAMETER = re.compile(
    r"""\s*([\w!#$&^.+*'`|~%-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))\s*""", re.ASCII
)


@dataclass(frozen=True, slots=True)
class ContentType:
    """A media type such as `multipart/related` in lower case, and its parameters."""

    type: str
    parameters: Mapping[str, str]
    """By name in lower case; values as they came, without quotes."""


def parse_content_type(header: str) -> ContentType:
    """Read a Content-Type header. Raises `BadRequest` if it is malformed."""
    kind = _TYPE.match(header)
    if kind is None:
        raise BadRequest(f"Content-Type is no media type: {header[:128]!r}")
    parameters: dict[str, str] = {}
    position = kind.end()
    while position < len(header):
        if header[position] != ";":
            raise BadRequest(f"Content-Type is malformed at character {position}: {header[:128]!r}")
        position += 1
        found = _PARAMETER.match(header, position)
        if found is None:
            if header[position:].strip(" \t;"):
                raise BadRequest(
                    f"Content-Type is malformed at character {position}: {header[:128]!r}"
                )
            break
        name = found[1].lower()
        if name in parameters:
            raise BadRequest(f"Content-Type has the parameter {name!r} twice")
        value = found[3] if found[2] is None else re.sub(r"\\(.)", r"\1", found[2])
        parameters[name] = value
        position = found.end()
    return ContentType(kind[1].lower(), parameters)
