"""Metadata in a form that is made for each request: as XML, or some attributes of it alone.

Rules:
- XML is a multipart message with a document for each instance, JSON an array with an object for
  each. `includefield` on metadata is an extension.
- JSON is parsed here, of one instance at a time and beside the event loop; JSON of great length is
  parsed while it is sent. Whole and as JSON the metadata is sent as it is kept, that of an instance
  in pieces if it is long: see `app.retrieve.metadata`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import orjson

from app.archive import Archive
from app.dicom import longjson, nativexml
from app.dicom.dataset import Attributes
from app.dicom.dictionary import is_private, private_creator_of, tag_of
from app.dicom.jsonmodel import absolute, absolute_pieces, unpack_short
from app.dicom.mediatypes import DICOM_XML
from app.index.instances import StoredMetadata
from app.index.visibility import Visibility
from app.retrieve.metadata import Metadata, Page, packed_pages
from app.retrieve.plan import series_path
from app.web.multipart import Writer

Pages = AsyncIterator[Page]
"""As of `app.retrieve.metadata`, but with the paths of the instances instead of their UIDs."""

_ALWAYS = frozenset({"00080005", "00080016", "00080018", "0020000D", "0020000E"})
"""Which instance it is, and how texts were read."""

_AT_ONCE = 1024
"""Pieces that are sent together, such as values with their tags."""


def read_fields(parameters: Iterable[str]) -> frozenset[str] | None:
    """The tags of the attributes that `includefield` names; None for all, as if it is not given.

    Keywords and tags, repeated or joined by commas; of an attribute in a sequence it is the whole
    sequence. What is no attribute is passed over.
    """
    names = [name.strip() for text in parameters for name in text.split(",")]
    if not any(names) or "all" in map(str.lower, names):
        return None
    tags = {tag for name in names if (tag := tag_of(name.partition(".")[0])) is not None}
    return frozenset(tags | {private_creator_of(tag) for tag in tags if is_private(tag)}) | _ALWAYS


@dataclass(frozen=True, slots=True)
class Form:
    """What is told of each instance, and how it is written."""

    media_type: str
    fields: frozenset[str] | None = None

    @property
    def is_made(self) -> bool:
        """Whether it is not what is kept."""
        return self.fields is not None or self.media_type == DICOM_XML

    def __str__(self) -> str:
        """Two forms of the same name are the same bytes."""
        return " ".join([self.media_type, *sorted(self.fields or ["all"])])

    def written(self, packed: bytes, url: str) -> bytes | None:
        """The document of an instance, None if it has to be written in pieces.

        `packed`: what is kept; `url`: of the instance.
        """
        json = unpack_short(packed, longjson.LONG)
        if json is None:
            return None
        json = absolute(json, url)
        if not self.is_made:
            return json
        attributes: Attributes = orjson.loads(json)
        if self.fields is not None:
            attributes = {tag: one for tag, one in attributes.items() if tag in self.fields}
        if self.media_type == DICOM_XML:
            return nativexml.dumps(attributes)
        return orjson.dumps(attributes)

    def pieces(self, packed: bytes, url: str) -> Iterator[bytes]:
        """The same in pieces, however long it is. Raises `Corrupt`."""
        if not self.is_made:
            yield from absolute_pieces(packed, url)
            return
        data_set = longjson.read(packed, url, self.fields)
        pieces: Iterator[bytes] = (
            map(str.encode, nativexml.pieces(data_set))
            if self.media_type == DICOM_XML
            else longjson.pieces(data_set)
        )
        while some := b"".join(islice(pieces, _AT_ONCE)):
            yield some


async def pages_of_series(
    archive: Archive, visibility: Visibility, metadata: Metadata
) -> AsyncGenerator[Page]:
    """The instances of each series. Raises `NotFound` if one has been deleted since."""
    for series in metadata.series:
        above = series_path(metadata.study_instance_uid, series.series_instance_uid)
        async for page in packed_pages(archive, visibility, metadata.members[series.id]):
            yield [(f"{above}/instances/{uid}", packed) for uid, packed in page]


async def page_of_instance(found: StoredMetadata) -> AsyncGenerator[Page]:
    """The one instance."""
    above = series_path(found.study_instance_uid, found.series_instance_uid)
    yield [(f"{above}/instances/{found.sop_instance_uid}", found.metadata_json)]


async def json_pieces(form: Form, pages: Pages, base: str) -> AsyncGenerator[bytes]:
    """The array, an instance at a time. `base`: the DICOMweb base URL."""
    before = b"["
    async for page in pages:
        for path, packed in page:
            async for piece in _after(before, form, packed, base + path):
                yield piece
            before = b","
    yield b"]"


async def xml_pieces(form: Form, pages: Pages, base: str, writer: Writer) -> AsyncGenerator[bytes]:
    """The multipart message, an instance at a time. `base`: the DICOMweb base URL."""
    async for page in pages:
        for path, packed in page:
            location = f"{base}{path}/metadata"
            head = writer.part({"Content-Type": DICOM_XML, "Content-Location": location})
            async for piece in _after(head, form, packed, base + path):
                yield piece
    yield writer.end()


async def _after(before: bytes, form: Form, packed: bytes, url: str) -> AsyncGenerator[bytes]:
    """The document of an instance behind what comes before it, in one piece unless it is long."""
    document = await asyncio.to_thread(form.written, packed, url)
    if document is not None:
        yield before + document
        return
    yield before
    pieces = form.pieces(packed, url)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece
