"""Metadata as an answer: as it is kept to who takes gzip, and inflated to others.

Either way the validator is strong: the same state of the same series is the same bytes.
"""

from collections.abc import AsyncGenerator
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.index.series_metadata import Deflated
from app.index.visibility import Visibility
from app.retrieve.deflated import Gzip, Inflater
from app.retrieve.metadata import Metadata, metadata_pieces
from app.retrieve.stream import ahead
from app.web.responses import (
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
    newest = max(one.updated_at for one in metadata.series)
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(newest, usegmt=True),
        "Cache-Control": REVALIDATE,
        "Vary": VARY,
    }
    if compressed:
        headers["Content-Encoding"] = "gzip"
    encoder = Gzip() if compressed else Inflater()
    kept = metadata.kept
    if kept is not None and (compressed or kept.length <= CHUNK):
        body = b"".join([encoder.begin(), *encoder.add(kept), encoder.end()])
        return Response(body, 200, headers, media_type)
    pieces = metadata_pieces(archive, visibility, metadata)
    return StreamingResponse(ahead(_body(pieces, encoder)), media_type=media_type, headers=headers)


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
