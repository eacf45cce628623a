"""The body of a store request, taken apart: instances as files, or as metadata and bulk data.

What is asked of a message (PS3.18 8.6.1, 10.5.1):
- `application/dicom` is one instance; `multipart/related` holds one in each part, with the `type`
  application/dicom or none. With a type of `app.store.metadata` it holds metadata and bulk data;
  a body of that type is metadata alone. Any other type is `UnsupportedMediaType`.
- A part says application/dicom, or application/octet-stream, or nothing, and is not encoded. In the
  first part of a message another type is `UnsupportedMediaType`; in a later one it is a `Refusal`,
  since instances before it may be stored already.
- In the same way a message that holds nothing, or is malformed from the start, is a `BadRequest`;
  one that goes wrong later is a `Refusal` in the place of what could not be read.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

from app.dicom import reasons
from app.errors import BadRequest, UnsupportedMediaType
from app.settings import Limits
from app.store.metadata import FORMS, from_metadata
from app.store.mime import Events, bytes_of_part, encoded_otherwise, parts_with_heads, type_of
from app.store.outcomes import Refusal
from app.web.content_type import parse_content_type
from app.web.multipart import Malformed, Parser, PartBegins

DICOM = "application/dicom"
MULTIPART = "multipart/related"

_PART_TYPES = frozenset({DICOM, "application/octet-stream"})

Part = AsyncIterator[bytes]
Parts = AsyncGenerator[Part | Refusal, None]


def parts_of(
    content_type: str | None, body: AsyncIterator[bytes], limits: Limits, spools: Path
) -> Parts:
    """The instances of a message with this Content-Type, each read to its end before the next.

    `spools`: the folder for what has to wait for the rest of the message. Raises, before anything
    is read, `UnsupportedMediaType` or `BadRequest` for the type; while parts are read
    `BadRequest`, `TooLarge`, `BlobsFull`, and whatever reading `body` raises. A part that is cut
    short raises `CutShort`.
    """
    if content_type is None:
        raise UnsupportedMediaType("A store needs a Content-Type.")
    kind = parse_content_type(content_type)
    if kind.type == DICOM:
        return _single(body)
    if kind.type in FORMS:
        return from_metadata(kind.type, _alone(body), limits, spools)
    root = kind.parameters.get("type", DICOM).lower()
    if kind.type != MULTIPART or root not in {DICOM, *FORMS}:
        expected = f'{DICOM} or {MULTIPART}; type="{DICOM}", or of {" or ".join(FORMS)},'
        raise UnsupportedMediaType(f"{expected} is expected, not {content_type[:128]!r}")
    if "boundary" not in kind.parameters:
        raise BadRequest("The Content-Type of the multipart message has no boundary.")
    parser = Parser(
        kind.parameters["boundary"],
        parts=limits.request_parts,
        header_bytes=limits.part_header_bytes,
        header_lines=limits.part_header_lines,
    )
    events = Events(parser, body)
    if root in FORMS:
        return from_metadata(root, parts_with_heads(events), limits, spools)
    return _multiple(events)


async def _single(body: AsyncIterator[bytes]) -> Parts:
    async for first in body:
        if first:
            yield _from(first, body)
            return
    raise BadRequest("The request has no body.")


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> Part:
    yield first
    async for data in rest:
        yield data


async def _alone(body: AsyncIterator[bytes]) -> AsyncIterator[tuple[PartBegins, Part]]:
    """A body that is no message, as if it were the only part of one."""
    yield PartBegins({}), body


async def _multiple(events: Events) -> Parts:
    first = True
    try:
        async for event in events:
            assert isinstance(event, PartBegins)
            why = _unsupported(event)
            if why is None:
                yield bytes_of_part(events)
            elif first:
                raise UnsupportedMediaType(why)
            else:
                async for _ in bytes_of_part(events, cut_short=False):
                    pass
                yield Refusal(reasons.CANNOT_UNDERSTAND, why)
            first = False
    except Malformed as error:
        if first:
            raise
        yield Refusal(reasons.CANNOT_UNDERSTAND, str(error))
    if first:
        raise BadRequest("The message has no parts.")


def _unsupported(part: PartBegins) -> str | None:
    """Why the part is not taken for what its headers say; None if it is."""
    kind = type_of(part, DICOM)
    foreign = None if kind.type in _PART_TYPES else f"a part of type {kind.type[:40]} is not taken"
    return encoded_otherwise(part) or foreign
