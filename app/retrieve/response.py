"""A plan as an answer: headers, multipart or single part, ranges, validators.

Rules:
- What is small is read before the answer begins, and sent in one piece; the rest streams.
- Content-Length is sent whenever it can be known, and never a Content-Encoding: pixels and DICOM
  objects do not get smaller, and viewers watch their progress by the length.
- Validators are strong: the boundary of a multipart message is made of the validator, so that the
  same parts are the same bytes.
"""

from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing
from dataclasses import replace
from email.utils import format_datetime
from itertools import islice

from starlette.requests import Request
from starlette.responses import Response

from app.archive import Archive
from app.dicom.mediatypes import ZIP
from app.gate import Gate
from app.retrieve.contents import (
    Content,
    Fragments,
    RecodedFrame,
    cut,
    is_small,
)
from app.retrieve.inflated import reader_of
from app.retrieve.lost import LOST, read_runs, without_lost
from app.retrieve.plan import Plan, batches
from app.retrieve.recoded import content_pieces, recoded_bytes
from app.retrieve.stream import Reader, ahead, read_small, settled
from app.retrieve.zipped import length_of_zip, zip_pieces
from app.span import Span
from app.web.multipart import Writer
from app.web.ranges import content_range, parse_range
from app.web.responses import (
    REVALIDATE,
    VARY,
    ResponseOfPieces,
    StreamingResponse,
    not_modified,
    strong_etag,
    warning,
)

LARGE_BYTES = 256 * 1024
"""From here on, to copy bytes takes longer than to send them by themselves."""


async def plan_response(
    request: Request, archive: Archive, plan: Plan, base: str, gate: Gate | None = None
) -> Response:
    """The answer that sends what was planned, or 304. `base` is the DICOMweb base URL.

    `gate`: where a message that streams waits for its turn, which lasts until it is sent; then
    `TooBusy` may be raised. Raises `RangeNotSatisfiable`, `Corrupt` and what the store of blobs
    raises; but where instances may be left out, those are of which bytes are lost, as far as that
    shows before the answer begins.
    """
    try:
        answer = await _answer(request, archive, plan, base, gate)
        if plan.left_out is not None and isinstance(answer, StreamingResponse):
            await answer.begin()
    except LOST:
        rest = None if plan.left_out is None else await without_lost(archive, plan)
        if rest is None:
            raise
        return await plan_response(request, archive, rest, base, gate)
    return answer


async def _answer(
    request: Request, archive: Archive, plan: Plan, base: str, gate: Gate | None
) -> Response:
    validator = plan.validator(base)
    etag = strong_etag(validator)
    unchanged = not_modified(request, etag)
    if unchanged is not None:
        return unchanged
    newest = max(part.instance.created_at for part in plan.models)
    headers = {
        "ETag": etag,
        "Last-Modified": format_datetime(newest, usegmt=True),
        "Cache-Control": REVALIDATE,
        "Vary": VARY,
    }
    if plan.left_out:
        there = len(plan.parts)
        headers["Warning"] = warning(
            base, f"{plan.left_out} of {there + plan.left_out} instances cannot be read"
        )
    if plan.offer.media_type == ZIP:
        return _zip(archive, plan, validator, headers, gate)
    if plan.offer.multipart:
        return await _multipart(archive, plan, base, validator, headers, gate)
    return await _single_part(request, archive, plan, base, headers)


async def _multipart(
    archive: Archive,
    plan: Plan,
    base: str,
    boundary: str,
    headers: dict[str, str],
    gate: Gate | None,
) -> Response:
    writer = Writer(plan.offer.media_type, boundary)
    heads, end = _heads(writer, plan, base), writer.end()
    first, *others = islice(batches(plan.parts), 2)
    if not others and is_small(first[0].content):
        async with reader_of(archive, plan) as reader:
            read = await read_small([part.content for part in first], reader)
        body = list(_gathered(heads, read, end))
        return ResponseOfPieces(body, _status(plan), headers, writer.content_type)
    if len(plan.parts) == 1:
        content = await settled(plan.parts[0].content, archive.blobs)
        plan = replace(plan, parts=(replace(plan.parts[0], content=content),))
    message = ahead(_message(archive, plan, heads, end))
    return StreamingResponse(
        message if gate is None else _in_turn(message, gate),
        media_type=writer.content_type,
        status=_status(plan),
        length=_length(plan, base, boundary),
        headers=headers,
    )


async def _in_turn(message: AsyncGenerator[bytes], gate: Gate) -> AsyncGenerator[bytes]:
    async with gate.turn(), aclosing(message):
        async for piece in message:
            yield piece


def _status(plan: Plan) -> int:
    return 206 if plan.left_out else 200


def _zip(
    archive: Archive, plan: Plan, validator: str, headers: dict[str, str], gate: Gate | None
) -> Response:
    name = plan.parts[0].instance.study_instance_uid
    headers["Content-Disposition"] = f'attachment; filename="{name}.zip"'
    message = ahead(zip_pieces(archive, plan, uid=f"2.25.{int(validator, 16)}"))
    return StreamingResponse(
        message if gate is None else _in_turn(message, gate),
        media_type=ZIP,
        status=_status(plan),
        length=length_of_zip(plan),
        headers=headers,
    )


def _heads(writer: Writer, plan: Plan, base: str) -> Iterator[bytes]:
    """What comes before each part of the message."""
    for part in plan.parts:
        yield writer.part(
            {"Content-Type": part.content_type, "Content-Location": base + part.location}
        )


def _length(plan: Plan, base: str, boundary: str) -> int | None:
    """Of the multipart message, if it can be known before the parts have been read."""
    lengths = [part.content.length for part in plan.models]
    known = [length for length in lengths if length is not None]
    if known != lengths:
        return None
    writer = Writer(plan.offer.media_type, boundary)
    return sum(known) + sum(map(len, _heads(writer, plan, base))) + len(writer.end())


async def _message(
    archive: Archive, plan: Plan, heads: Iterator[bytes], end: bytes
) -> AsyncGenerator[bytes]:
    """The multipart message, in pieces that it takes one read or more to make."""
    async with reader_of(archive, plan) as reader:
        async for run, read in read_runs(plan.parts, reader):
            if read is not None:
                for piece in _gathered(heads, read):
                    yield piece
            else:
                pieces = content_pieces(archive, run[0].content, reader)
                first = await anext(pieces, b"")  # what cannot be begun can still be told
                yield next(heads)
                yield first
                async for piece in pieces:
                    yield piece
    yield end


def _gathered(heads: Iterator[bytes], read: Iterable[bytes], end: bytes = b"") -> Iterator[bytes]:
    """Parts, each behind its head, and the end of the message if it comes now.

    In few pieces: what is small is joined, what is large is not copied for that.
    """
    small: list[bytes] = []
    for data in read:
        small.append(next(heads))
        if len(data) < LARGE_BYTES:
            small.append(data)
        else:
            yield b"".join(small)
            yield data
            small = []
    if small or end:
        yield b"".join([*small, end])


async def _single_part(
    request: Request, archive: Archive, plan: Plan, base: str, headers: dict[str, str]
) -> Response:
    part = plan.parts[0]
    headers["Content-Location"] = base + part.location
    content = part.content
    if isinstance(content, Fragments) and not is_small(content):
        content = await settled(content, archive.blobs)
    if is_small(content) or isinstance(content, RecodedFrame):
        async with reader_of(archive, plan) as reader:
            data = await _at_once(archive, content, reader)
        span = _range(request, headers, len(data))
        data = data if span is None else data[span.offset : span.end]
        return Response(data, 200 if span is None else 206, headers, part.content_type)
    length = content.length
    span = None if length is None else _range(request, headers, length)
    if span is not None:
        content, length = cut(content, span), span.length
    return StreamingResponse(
        ahead(_body(archive, plan, content)),
        media_type=part.content_type,
        status=200 if span is None else 206,
        length=length,
        headers=headers,
    )


async def _at_once(archive: Archive, content: Content, reader: Reader) -> bytes:
    if isinstance(content, RecodedFrame):
        return await recoded_bytes(archive, content, reader)
    (data,) = await read_small([content], reader)
    return data


async def _body(archive: Archive, plan: Plan, content: Content) -> AsyncGenerator[bytes]:
    async with reader_of(archive, plan) as reader:
        async for piece in content_pieces(archive, content, reader):
            yield piece


def _range(request: Request, headers: dict[str, str], length: int) -> Span | None:
    """The range that is asked for, unless it was asked of another version (RFC 9110 13.1.5)."""
    headers["Accept-Ranges"] = "bytes"
    condition = request.headers.get("if-range")
    if condition is not None and condition not in {headers["ETag"], headers["Last-Modified"]}:
        return None
    span = parse_range(request.headers.get("range"), length)
    if span is not None:
        headers["Content-Range"] = content_range(span, length)
    return span
