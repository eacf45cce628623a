"""The body of a store request, taken apart: one Part 10 file, or a multipart message of them.

What is asked of a message (PS3.18 8.6.1, 10.5.1):
- `application/dicom` is one instance; `multipart/related` holds one in each part, with the `type`
  application/dicom or none. Any other type is `UnsupportedMediaType`.
- A part says application/dicom, or application/octet-stream, or nothing, and is not encoded. In the
  first part of a message another type is `UnsupportedMediaType`; in a later one it is a `Refusal`,
  since instances before it may be stored already.
- In the same way a message that holds nothing, or is malformed from the start, is a `BadRequest`;
  one that goes wrong later is a `Refusal` in the place of what could not be read.
"""

from collections.abc import AsyncIterator

from app.dicom import reasons
from app.errors import BadRequest, UnsupportedMediaType
from app.store.intake import CutShort
from app.store.outcomes import Refusal
from app.web.content_type import ContentType, parse_content_type
from app.web.multipart import Event, Malformed, Parser, PartBegins, PartData, PartEnds

DICOM = "application/dicom"
MULTIPART = "multipart/related"

_PART_TYPES = frozenset({DICOM, "application/octet-stream"})
_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})

Part = AsyncIterator[bytes]


def parts_of(
    content_type: str | None, body: AsyncIterator[bytes], *, most: int
) -> AsyncIterator[Part | Refusal]:
    """The parts of a message with this Content-Type, each to be read to its end before the next.

    Raises, before anything is read, `UnsupportedMediaType` or `BadRequest` for the type; while
    parts are read `BadRequest`, `TooLarge` beyond `most` parts, and whatever reading `body` raises.
    A part that is cut short raises `CutShort`.
    """
    if content_type is None:
        raise UnsupportedMediaType("A store needs a Content-Type.")
    kind = parse_content_type(content_type)
    if kind.type == DICOM:
        return _single(body)
    if kind.type != MULTIPART or kind.parameters.get("type", DICOM).lower() != DICOM:
        raise UnsupportedMediaType(
            f'{DICOM} or {MULTIPART}; type="{DICOM}" is expected, not {content_type[:128]!r}'
        )
    if "boundary" not in kind.parameters:
        raise BadRequest("The Content-Type of the multipart message has no boundary.")
    parser = Parser(kind.parameters["boundary"], parts=most)
    return _multiple(_Events(parser, body))


async def _single(body: AsyncIterator[bytes]) -> AsyncIterator[Part | Refusal]:
    async for first in body:
        if first:
            yield _from(first, body)
            return
    raise BadRequest("The request has no body.")


async def _from(first: bytes, rest: AsyncIterator[bytes]) -> Part:
    yield first
    async for data in rest:
        yield data


async def _multiple(events: "_Events") -> AsyncIterator[Part | Refusal]:
    first = True
    try:
        async for event in events:
            assert isinstance(event, PartBegins)
            why = _unsupported(event)
            if why is None:
                yield _part(events)
            elif first:
                raise UnsupportedMediaType(why)
            else:
                async for _ in _part(events, cut_short=False):
                    pass
                yield Refusal(reasons.CANNOT_UNDERSTAND, why)
            first = False
    except Malformed as error:
        if first:
            raise
        yield Refusal(reasons.CANNOT_UNDERSTAND, str(error))
    if first:
        raise BadRequest("The message has no parts.")


async def _part(events: "_Events", *, cut_short: bool = True) -> Part:
    async for event in events:
        match event:
            case PartData(data):
                yield data
            case PartEnds(whole):
                if cut_short and not whole:
                    raise CutShort
                return


def _unsupported(part: PartBegins) -> str | None:
    """Why the part is not taken for what its headers say; None if it is."""
    encoding = part.headers.get("content-transfer-encoding", "binary").lower()
    if encoding not in _PLAIN_ENCODINGS:
        return f"Content-Transfer-Encoding {encoding[:32]} is not taken"
    kind = _type_of(part.headers.get("content-type"))
    return None if kind.type in _PART_TYPES else f"a part of type {kind.type[:40]} is not taken"


def _type_of(content_type: str | None) -> ContentType:
    if content_type is None:
        return ContentType(DICOM, {})
    try:
        return parse_content_type(content_type)
    except BadRequest:
        return ContentType("unknown", {})


class _Events:
    """The events of a multipart message, read by its parts and between them in turn."""

    def __init__(self, parser: Parser, body: AsyncIterator[bytes]) -> None:
        self._parser = parser
        self._body = body
        self._events: list[Event] = []
        self._ended = False

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> Event:
        while not self._events:
            if self._ended:
                raise StopAsyncIteration
            try:
                data = await anext(self._body)
            except StopAsyncIteration:
                self._ended = True
                self._events = self._parser.finish()[::-1]
            else:
                self._events = self._parser.feed(data)[::-1]
        return self._events.pop()
