"""What is no image, as it is looked at: reports written down, documents and videos as they lie.

Rules:
- A document was made by somebody else and may be made to do harm: a browser saves it, and runs
  nothing of it, whatever it is. A report is a page that loads nothing and runs nothing.
- What a document is follows from its SOP Class, not from what it says of itself.
- Documents and videos are read in ranges and never parsed.
"""

import base64
import hashlib
from typing import Any

from starlette.responses import Response

from app.dicom.mediatypes import PDF, Offer
from app.dicom.report import HTML, LONGEST_REPORT, write_report
from app.dicom.uids import transfer_syntax
from app.errors import NotFound, TooLarge, Unprocessable
from app.index.instances import StoredInstance, bulk_value, metadata_of
from app.retrieve.asking import Ask
from app.retrieve.contents import Content, Fragments, Plain, origin_of
from app.retrieve.kinds import Kind, kind_of
from app.retrieve.plan import Part, Plan, instance_path
from app.retrieve.rendered import DRAWN_BY
from app.retrieve.rendered_response import headers_of
from app.retrieve.response import plan_response
from app.retrieve.values import read_attributes
from app.span import Span
from app.web.responses import not_modified, strong_etag

_DOCUMENT, _DOCUMENT_LENGTH = "00420011", "00420015"
_ITEM_HEADER_BYTES = 8

_LOCKED = "default-src 'none'; sandbox"
_SUFFIXES = {PDF: "pdf", "text/xml": "xml"}


async def object_response(ask: Ask, instance: StoredInstance, media_type: str) -> Response:
    """The answer that shows what is no image, or 304.

    Raises `NotFound` if it has just been deleted, `Unprocessable` if there is nothing in it,
    `TooLarge`, `TooBusy`, and what `plan_response` does.
    """
    match kind_of(instance):
        case Kind.REPORT:
            return await _report(ask, instance, media_type)
        case Kind.DOCUMENT:
            return await _document(ask, instance, media_type)
        case _:
            return await _video(ask, instance, media_type)


async def _report(ask: Ask, instance: StoredInstance, media_type: str) -> Response:
    said = f"{DRAWN_BY} {media_type} ".encode()
    etag = strong_etag(hashlib.blake2b(said + instance.sha256, digest_size=16).hexdigest())
    unchanged = not_modified(ask.request, etag)
    if unchanged is not None:
        return unchanged
    if instance.length > LONGEST_REPORT:
        raise TooLarge(f"A report of {instance.length} bytes is too large to be written down.")
    stored = Span(instance.blob_offset, instance.length)
    file = await ask.archive.blobs.read(instance.blob_key, stored)
    page = await ask.archive.sandbox.run(write_report, file, media_type)
    response = Response(page, 200, headers_of(etag), media_type)
    styled = "; style-src 'unsafe-inline'" if media_type == HTML else ""
    response.headers["Content-Security-Policy"] = _LOCKED + styled
    return response


async def _document(ask: Ask, instance: StoredInstance, media_type: str) -> Response:
    async with ask.archive.reading() as connection:
        packed = await metadata_of(connection, ask.visibility, [instance.id])
        if instance.id not in packed:
            raise NotFound
        attributes = await read_attributes(packed[instance.id], {_DOCUMENT, _DOCUMENT_LENGTH})
        element = attributes.get(_DOCUMENT, {})
        span = None
        if "BulkDataURI" in element:
            value = await bulk_value(connection, ask.visibility, instance.id, _DOCUMENT)
            span = value.span
    if span is None:
        data = base64.b64decode(element.get("InlineBinary", ""))
        if not data:
            raise Unprocessable("There is no document in the instance.")
        etag = strong_etag(instance.sha256.hex()[:32])
        response = not_modified(ask.request, etag) or Response(
            data[: _length(attributes, len(data))], 200, headers_of(etag), media_type
        )
    else:
        span = Span(span.offset, _length(attributes, span.length))
        response = await _as_it_lies(ask, instance, media_type, span)
    name = f"{instance.sop_instance_uid}.{_SUFFIXES.get(media_type, media_type.rpartition('/')[2])}"
    response.headers["Content-Type"] = media_type  # an XML document says its character set itself
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    response.headers["Content-Security-Policy"] = _LOCKED
    return response


def _length(attributes: dict[str, Any], padded: int) -> int:
    """Bytes of the document: without that to which its value was padded, if it tells."""
    (said, *_) = attributes.get(_DOCUMENT_LENGTH, {}).get("Value") or [None]
    return padded - 1 if said == padded - 1 else padded


async def _video(ask: Ask, instance: StoredInstance, media_type: str) -> Response:
    """The fragments of a video are one stream, of whatever many frames it is made (PS3.5 8.2.5)."""
    assert instance.pixel_offset is not None
    assert instance.pixel_length is not None
    start, end = instance.pixel_offset, instance.pixel_offset + instance.pixel_length
    head = Span(start, _ITEM_HEADER_BYTES).shifted(instance.blob_offset)
    header = await ask.archive.blobs.read(instance.blob_key, head)
    first = start + _ITEM_HEADER_BYTES + int.from_bytes(header[4:], "little")
    if first + _ITEM_HEADER_BYTES >= end:
        raise Unprocessable("There is no video in the instance.")
    return await _as_it_lies(ask, instance, media_type, Span(first, end - first), as_fragments=True)


async def _as_it_lies(
    ask: Ask,
    instance: StoredInstance,
    media_type: str,
    span: Span,
    *,
    as_fragments: bool = False,
) -> Response:
    inflated = transfer_syntax(instance.transfer_syntax_uid).deflated
    place = span.shifted(origin_of(instance))
    kind = Fragments if as_fragments else Plain
    content: Content = kind(instance.blob_key, place)
    part = Part(media_type, f"{instance_path(instance)}/rendered", content, instance)
    return await plan_response(
        ask.request, ask.archive, Plan(Offer(media_type), (part,), inflated), ask.base
    )
