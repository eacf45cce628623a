"""A message of metadata and bulk data, made into the files that it stands for (PS3.18 10.5.1).

    application/dicom+json   an array of data sets in a part, mostly the first and only one
    application/dicom+xml    a data set in each part, in the Native DICOM Model

Rules:
- A part of the message's own type is metadata, the first one in any case; every other one is bulk
  data, which a BulkDataURI means by its Content-Location (`app.store.bulk`).
- The message is spooled to its end before its first instance is made, since the last part may
  belong to the first one. As nothing is stored before that, a message that is malformed by then is
  a `BadRequest`; metadata that go wrong later are a `Refusal`.
- Of metadata one data set is in memory, of bulk data a piece.
- An instance of whose bulk data some are missing is refused. So is one by itself in its message if
  bulk data are left over: they must have been meant for it. Of several nobody knows which one, and
  the bulk data are refused by themselves.
- What is made is a Part 10 file like any other, and goes the same way.
"""

import asyncio
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from app.blobs.contract import BlobsFull
from app.blobs.spool import Spool
from app.dicom import nativexml, reasons
from app.dicom.assembly import BulkPart, assemble, bulk_data_uris, first_text
from app.dicom.dataset import Attributes, Unreadable
from app.dicom.encoder import Piece
from app.dicom.jsonarray import objects
from app.dicom.jsonnames import refuse_repeated_names
from app.dicom.mediatypes import current_name
from app.dicom.source import Source
from app.dicom.uids import valid_uid
from app.errors import BadRequest, TooLarge, UnsupportedMediaType
from app.settings import Limits
from app.span import Span
from app.store.bulk import BulkParts
from app.store.intake import PIECE_BYTES, at_fault, receive
from app.store.mime import encoded_otherwise, type_of
from app.store.outcomes import Refusal
from app.web.multipart import PartBegins

Part = AsyncIterator[bytes]

_BULK_TYPE = "application/octet-stream"

GATHERED_BYTES = 64 * 1024
"""About so many bytes of small pieces are passed on at a time."""


async def from_metadata(
    media_type: str, parts: AsyncIterator[tuple[PartBegins, Part]], limits: Limits, spools: Path
) -> AsyncGenerator[Part | Refusal, None]:
    """The instances of a message of these parts, of a type which is one of `FORMS`.

    Raises `BadRequest`, `TooLarge`, `UnsupportedMediaType`, `BlobsFull`, and what reading raises.
    """
    with Spool(limits.spool_memory_bytes, spools, hashed=False) as spool:
        message = _Message(media_type, spool, limits)
        async for head, data in parts:
            await message.take(head, data)
        made = message.instances()
        while (one := await asyncio.to_thread(next, made, None)) is not None:
            yield one if isinstance(one, Refusal) else _bytes_of(one, spool)


async def _bytes_of(pieces: list[Piece], spool: Spool) -> Part:
    """The bytes of a file that is in pieces, of which there may be very many of a few bytes."""
    gathered = bytearray()
    for piece in pieces:
        if isinstance(piece, bytes):
            gathered += piece
            if len(gathered) >= GATHERED_BYTES:
                yield bytes(gathered)
                gathered.clear()
            continue
        yield bytes(gathered)
        gathered.clear()
        for offset in range(piece.offset, piece.end, PIECE_BYTES):
            length = min(piece.end - offset, PIECE_BYTES)
            yield await asyncio.to_thread(spool.read_at, offset, length)
    yield bytes(gathered)


@dataclass(frozen=True, slots=True)
class _DataSet:
    """The text of one data set, and how it is read."""

    text: bytes
    form: "_Form"

    def attributes(self) -> Attributes:
        """Raises `Unreadable`."""
        return self.form.loads(self.text)

    def check(self) -> None:
        """Raise `Unreadable` if the text says more than its attributes do."""
        self.form.check(self.text)


class _Message:
    """What has been spooled of a message, and what is made of it."""

    def __init__(self, media_type: str, spool: Spool, limits: Limits) -> None:
        self._media_type = media_type
        self._spool = spool
        self._limits = limits
        self._metadata = array("Q")
        self._bulk = BulkParts(limits.metadata_bytes)
        self._cut: Refusal | None = None
        """Of bulk data within which the message ends, or of what was to follow."""

    async def take(self, part: PartBegins, data: Part) -> None:
        """Spool one part to its end."""
        if why := encoded_otherwise(part):
            raise UnsupportedMediaType(why)
        first = not self._metadata
        kind = type_of(part, self._media_type if first else _BULK_TYPE)
        is_metadata = kind.type in FORMS[self._media_type].types
        if first and not is_metadata:
            raise UnsupportedMediaType(f"the first part is {kind.type[:40]}, and no metadata")
        start = self._spool.size
        failure = await receive(data, self._spool, start + self._limits.instance_bytes)
        match failure:
            case BlobsFull():
                raise failure
            case Refusal(reason=reasons.CANNOT_UNDERSTAND):
                if is_metadata:
                    raise BadRequest("The message ends within its metadata.")
                self._cut = failure
                return
        span = Span(start, self._spool.size - start)
        if is_metadata:
            self._metadata.extend((span.offset, span.length))
        else:
            location = part.headers.get("content-location", "")
            syntax = kind.parameters.get("transfer-syntax")
            self._bulk.add(location, BulkPart(span, current_name(kind.type), syntax))

    def instances(self) -> Iterator[list[Piece] | Refusal]:
        """The pieces of each file, and what cannot be made. Blocks."""
        yield from self._files()
        if self._cut is not None:
            yield self._cut

    def _files(self) -> Iterator[list[Piece] | Refusal]:
        found = self._data_sets()
        before = next(found, None)
        if before is None:
            raise BadRequest("The message holds no data set.")
        if (following := next(found, None)) is None:
            yield self._only(before)
            return
        count = 1
        while before is not None:
            if count > self._limits.request_parts:
                raise TooLarge("The message has more data sets than this archive takes.")
            yield self._made(before)
            before, following = following, next(found, None)
            count += 1
        for location in self._bulk.unused():
            why = f"no data set has the bulk data {location[:30]!r}"
            yield Refusal(reasons.BULK_DATA, why)

    def _only(self, data_set: _DataSet | Refusal) -> list[Piece] | Refusal:
        """What is made of the only data set, which has to have all the bulk data."""
        made = self._made(data_set)
        unused = self._bulk.unused()
        if isinstance(made, Refusal) or not unused:
            return made
        assert isinstance(data_set, _DataSet)
        why = f"it has no bulk data {unused[0][:30]!r}, which are there"
        return _refusal(Unreadable(why, reason=reasons.BULK_DATA), data_set.attributes())

    def _made(self, data_set: _DataSet | Refusal) -> list[Piece] | Refusal:
        if isinstance(data_set, Refusal):
            return data_set
        attributes: Attributes = {}
        try:
            attributes = data_set.attributes()
            data_set.check()
            nesting = self._limits.nesting
            return assemble(attributes, self._bulk.find, self._spool, nesting=nesting)
        except Unreadable as error:
            self._bulk.pass_over(bulk_data_uris(attributes))
            return _refusal(error, attributes)

    def _data_sets(self) -> Iterator[_DataSet | Refusal]:
        """Every data set of the metadata; a `Refusal` for one that is too long."""
        for at in range(0, len(self._metadata), 2):
            yield from self._read(Span(*self._metadata[at : at + 2]), first=at == 0)

    def _read(self, span: Span, *, first: bool) -> Iterator[_DataSet | Refusal]:
        form, most = FORMS[self._media_type], self._limits.metadata_bytes
        try:
            for text in form.texts(self._spool, span, most):
                yield _DataSet(text, form)
                first = False
        except TooLarge as error:
            yield Refusal(reasons.OUT_OF_RESOURCES, str(error))
        except BadRequest as error:
            if first:
                raise
            yield Refusal(reasons.CANNOT_UNDERSTAND, str(error))


def _refusal(error: Unreadable, attributes: Attributes) -> Refusal:
    """The refusal of a data set, with its UIDs if it has them."""
    refusal = Refusal(error.reason, str(error), attributes=at_fault(error))
    sop_class, sop_instance = (first_text(attributes, tag) for tag in ("00080016", "00080018"))
    if not (valid_uid(sop_class) and valid_uid(sop_instance)):
        return refusal
    return replace(refusal, sop_class_uid=sop_class, sop_instance_uid=sop_instance)


@dataclass(frozen=True, slots=True)
class _Form:
    """How metadata of one media type are read."""

    types: frozenset[str]
    """The media types that a part of it may have."""
    texts: Callable[[Source, Span, int], Iterator[bytes]]
    """The text of each data set of a part; the number is of the bytes of the longest one."""
    loads: Callable[[bytes], Attributes]
    """Raises `Unreadable`."""
    check: Callable[[bytes], None] = lambda _: None
    """Raises `Unreadable` for what `loads` passes over."""


def _loads_json(text: bytes) -> Attributes:
    try:
        attributes: Attributes = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"the JSON is malformed: {error}") from None
    return attributes


def _one_document(source: Source, span: Span, most: int) -> Iterator[bytes]:
    if span.length > most:
        raise TooLarge(f"A data set has more than {most} bytes of XML.")
    yield source.read_at(span.offset, span.length)


FORMS = {
    "application/dicom+json": _Form(
        frozenset({"application/dicom+json", "application/json"}),
        objects,
        _loads_json,
        refuse_repeated_names,
    ),
    "application/dicom+xml": _Form(
        frozenset({"application/dicom+xml"}), _one_document, nativexml.loads
    ),
}
"""The forms of metadata by their media type."""
