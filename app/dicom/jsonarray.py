"""The data sets of a JSON text (PS3.18 F.2), one after the other, however many there are.

    for text in objects(source, span, most): orjson.loads(text)

The text is an array of objects, or one object. Only its brackets and strings are looked at, so that
no more than one object is ever in memory; what is in it, a parser will say. Time is linear.

A byte order mark before the text is passed over, as RFC 8259 lets readers do (8.1).
"""

import re
from collections.abc import Iterator

from app.dicom.source import Source
from app.errors import BadRequest, TooLarge
from app.span import Span

WINDOW = 256 * 1024
"""Bytes that are read at a time."""

BYTES_OF_VALUE = 7
"""Of the longest text, on an average at least: a value, element or item takes a hundred in memory,
however short its text is."""

_PLAIN = rb'[^"\[\]{}]|"(?:[^"\\]|\\.)*+"'
_VALUES = rb"\[(?:" + _PLAIN + rb")*+\]"
_ELEMENT = rb"\{(?:" + _PLAIN + rb"|" + _VALUES + rb")*+\}"
_BRACKET = re.compile(
    rb"(?:" + _PLAIN + rb"|" + _VALUES + rb"|" + _ELEMENT + rb")*+([\[\]{}])", re.DOTALL
)
"""The next bracket; whole elements, which have no items, are passed over at once."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANKS = re.compile(rb"[ \t\r\n]*+")


def objects(source: Source, span: Span, most: int) -> Iterator[bytes]:
    """The text of each object. Raises `BadRequest` if there is something else.

    `most`: bytes of the longest one; `TooLarge` beyond it, and for more values than it can have.
    """
    text = _Text(source, span, most)
    if text.next() != b"[":
        yield text.object()
    else:
        text.skip()
        following = text.next()
        while following != b"]":
            yield text.object()
            following = text.next()
            if following == b",":
                text.skip()
                if text.next() == b"]":
                    raise text.broken()
            elif following != b"]":
                raise text.broken()
        text.skip()
    if text.next():
        raise text.broken()


class _Text:
    """What has been read of the text and not yet been given away."""

    def __init__(self, source: Source, span: Span, most: int) -> None:
        self._source = source
        self._most = most
        self._read, self._end = span.offset, span.end
        self._begin = span.offset
        if source.read_at(span.offset, min(span.length, 3)) == _BYTE_ORDER_MARK:
            self._read += len(_BYTE_ORDER_MARK)
        self._buffer = b""
        self._at = 0

    def next(self) -> bytes:
        """The next character that is not blank; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._buffer, self._at)
            assert blanks is not None
            self._at = blanks.end()
            if self._at < len(self._buffer) or not self._more():
                return self._buffer[self._at : self._at + 1]

    def skip(self) -> None:
        """Go on behind the next character."""
        self._at += 1

    def object(self) -> bytes:
        """The object that begins here."""
        if self.next() != b"{":
            raise self.broken()
        depth, at = 1, self._at + 1
        while depth:
            found = _BRACKET.match(self._buffer, at)
            if found is None:
                at -= self._at  # what comes before it is given up
                if not self._more():
                    raise self.broken()
                continue
            at = found.end()
            depth += 1 if found[1] in b"[{" else -1
        text, self._at = self._buffer[self._at : at], at
        if len(text) > self._most:
            raise self._too_long()
        most = self._most // BYTES_OF_VALUE
        if text.count(b",") + text.count(b"{") > most:
            raise TooLarge(f"A data set has more than {most} values in JSON.")
        return text

    def broken(self) -> BadRequest:
        """The error that says where the text is no JSON of data sets."""
        at = self._read - self._begin - len(self._buffer) + self._at
        return BadRequest(f"The metadata are no JSON array of data sets, at byte {at}.")

    def _too_long(self) -> TooLarge:
        return TooLarge(f"A data set has more than {self._most} bytes of JSON.")

    def _more(self) -> bool:
        """Read on; False at the end."""
        kept = self._buffer[self._at :]
        if len(kept) > self._most:
            raise self._too_long()
        # As much again as there is, so that few bytes are looked at more than twice.
        data = self._source.read_at(self._read, min(self._end - self._read, max(WINDOW, len(kept))))
        self._read += len(data)
        self._buffer, self._at = kept + data, 0
        return bool(data)
