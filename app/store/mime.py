"""The parts of a multipart message as they arrive: what their headers say, and their bytes."""

from collections.abc import AsyncIterator

from app.errors import BadRequest
from app.store.intake import CutShort
from app.web.content_type import ContentType, parse_content_type
from app.web.multipart import Event, Parser, PartBegins, PartData, PartEnds

_PLAIN_ENCODINGS = frozenset({"7bit", "8bit", "binary"})


class Events:
    """The events of a multipart message, read by its parts and between them in turn."""

    def __init__(self, parser: Parser, body: AsyncIterator[bytes]) -> None:
        self._parser = parser
        self._body = body
        self._events: list[Event] = []
        self._ended = False

    def __aiter__(self) -> "Events":
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


async def bytes_of_part(events: Events, *, cut_short: bool = True) -> AsyncIterator[bytes]:
    """The bytes of the part that has begun. Raises `CutShort` unless that makes no difference."""
    async for event in events:
        match event:
            case PartData(data):
                yield data
            case PartEnds(whole):
                if cut_short and not whole:
                    raise CutShort
                return


async def parts_with_heads(
    events: Events,
) -> AsyncIterator[tuple[PartBegins, AsyncIterator[bytes]]]:
    """Each part with its bytes, which have to be read before the next one."""
    async for event in events:
        assert isinstance(event, PartBegins)
        yield event, bytes_of_part(events)


def encoded_otherwise(part: PartBegins) -> str | None:
    """Why the bytes of a part are not those of what it holds; None if they are."""
    encoding = part.headers.get("content-transfer-encoding", "binary").lower()
    if encoding in _PLAIN_ENCODINGS:
        return None
    return f"Content-Transfer-Encoding {encoding[:32]} is not taken"


def type_of(part: PartBegins, default: str) -> ContentType:
    """The media type of a part; `default` if it says nothing, `unknown` if it says nonsense."""
    content_type = part.headers.get("content-type")
    if content_type is None:
        return ContentType(default, {})
    try:
        return parse_content_type(content_type)
    except BadRequest:
        return ContentType("unknown", {})
