"""Byte ranges of a GET (RFC 9110 14): one range of an answer whose length is known."""

import re

from app.span import Span
from app.web.errors import RangeNotSatisfiable

_ONE_RANGE = re.compile(r"bytes\s*=\s*(?:(\d{1,40})-(\d{0,40})|-(\d{1,40}))\s*", re.ASCII | re.I)


def parse_range(header: str | None, length: int) -> Span | None:
    """The bytes that a Range header asks of `length` bytes; None for all of them.

    A header that is malformed, in another unit or of several ranges is ignored, as the standard
    lets a server do. Raises `RangeNotSatisfiable` if it asks for bytes, but for none that exist.
    """
    asked = _ONE_RANGE.fullmatch(header) if header else None
    if asked is None:
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        start, end = max(0, length - int(suffix)), length
    else:
        start, end = int(first), min(int(last or length) + 1, length)
        if last and int(last) < start:
            return None
    if start >= end:
        raise RangeNotSatisfiable(length)
    return Span(start, end - start)


def content_range(span: Span, length: int) -> str:
    """The Content-Range of an answer with these bytes of `length`."""
    return f"bytes {span.offset}-{span.end - 1}/{length}"
