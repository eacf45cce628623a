"""Metadata as an answer: as it is kept to who takes gzip, and inflated to others, or made anew.

Either way the validator is strong: the same state of the same series is the same bytes.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.dicom.mediatypes import DICOM_XML
from app.index.series_metadata import Deflated
from app.index.visibility import Visibility
from app.retrieve.deflated import Gzip, Inflater
from app.retrieve.metadata import Metadata, metadata_pieces
from app.retrieve.metadata_forms import Form, Pages, json_pieces, xml_pieces
from app.retrieve.stream import ahead
from app.web.multipart import Writer
from app.web.responses import (
    GZIP_LEVEL,
    GZIP_WINDOW,
    REVALIDATE,
    VARY,
    StreamingResponse,
    accepts_gzip,
    etag_of_json,
    not_modified,
)

AT_LEAST = 16 * 1024
"""Bytes that are sent together, if there are so many."""


async def metadata_response(
    request: Request, archive: Archive, visibility: Visibility, metadata: Metadata, media_type: str
) -> Response:
    """The answer with the metadata as this media type, or 304. Raises `NotFound`."""
    compressed = accepts_gzip(request.headers.get("accept-encoding"))
    etag = etag_of_json(request, metadata.validator(media_type))
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    headers = _headers(etag, metadata.newest, compressed=compressed)
    encoder = Gzip() if compressed else Inflater()
    kept = metadata.kept
    if kept is not None and (compressed or kept.length <= CHUNK):
        body = b"".join([encoder.begin(), *encoder.add(kept), encoder.end()])
        return Response(body, 200, headers, media_type)
    pieces = metadata_pieces(archive, visibility, metadata)
    return StreamingResponse(ahead(_body(pieces, encoder)), media_type=media_type, headers=headers)


async def form_response(
    request: Request, form: Form, pages: Pages, validator: str, newest: datetime, base: str
) -> Response:
    """The answer with the metadata in a form that is made, or 304. `base`: the DICOMweb base URL.

    `validator`: 32 hex digits that change with anything that is sent.
    """
    compressed = accepts_gzip(request.headers.get("accept-encoding"))
    etag = etag_of_json(request, validator)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    if form.media_type == DICOM_XML:
        writer = Writer(DICOM_XML, validator)
        content_type, pieces = writer.content_type, xml_pieces(form, pages, base, writer)
    else:
        content_type, pieces = form.media_type, json_pieces(form, pages, base)
    return StreamingResponse(
        ahead(_gzipped(pieces) if compressed else pieces),
        media_type=content_type,
        headers=_headers(etag, newest, compressed=compressed),
    )


def _headers(etag: str, newest: datetime, *, compressed: bool) -> dict[str, str]:
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(newest, usegmt=True),
        "Cache-Control": REVALIDATE,
        "Vary": VARY,
    }
    return headers | {"Content-Encoding": "gzip"} if compressed else headers


async def _gzipped(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The gzip file of the pieces; each that is sent holds a good many of them."""
    compressor = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW)
    async for piece in pieces:
        if data := await asyncio.to_thread(compressor.compress, piece):
            yield data
    yield compressor.flush()


async def _body(
    pieces: AsyncGenerator[Deflated], encoder: Gzip | Inflater
) -> AsyncGenerator[bytes]:
    """What is sent of the pieces, small ones together.

    So the first that is sent is made of the first instances, and an error until then is answered.
    """
    held = [encoder.begin()]
    size = 0
    async for piece in pieces:
        for data in encoder.add(piece):
            held.append(data)
            size += len(data)
            if size >= AT_LEAST:
                yield b"".join(held)
                held, size = [], 0
    yield b"".join([*held, encoder.end()])
