"""A plan as an answer: headers, multipart or single part, ranges, validators.

Rules:
- What is small is read before the answer begins, in one piece; the rest streams.
- Content-Length is sent whenever it can be known, and never a Content-Encoding: pixels and DICOM
  objects do not get smaller, and viewers watch their progress by the length.
- A validator is strong: the boundary of a multipart message is made of it, so that the same parts
  are the same bytes.
"""

from collections.abc import AsyncGenerator, Mapping
from email.utils import format_datetime

from starlette.requests import Request
from starlette.responses import Response

from app.archive import Archive
from app.retrieve.plan import (
    Content,
    Fragments,
    Part,
    Plain,
    Plan,
    Reworked,
    batches,
    is_small,
)
from app.retrieve.service import reader_of
from app.retrieve.stream import Reader, ahead, read_pieces, read_small, settled
from app.span import Span
from app.web.multipart import Writer
from app.web.ranges import content_range, parse_range
from app.web.responses import REVALIDATE, VARY, StreamingResponse, not_modified, strong_etag


async def plan_response(request: Request, archive: Archive, plan: Plan, base: str) -> Response:
    """The answer that sends what was planned, or 304. `base` is the DICOMweb base URL.

    Raises `RangeNotSatisfiable`, `Corrupt` and what the store of blobs raises.
    """
    validator = plan.validator(base)
    etag = strong_etag(validator)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    newest = max(part.instance.created_at for part in plan.parts)
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(newest, usegmt=True),
        "Cache-Control": REVALIDATE,
        "Vary": VARY,
    }
