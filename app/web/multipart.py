"""Multipart messages (RFC 2046 5.1, multipart/related of RFC 2387), sans-I/O, both ways.

`Parser` takes the bytes of a message as they arrive, however they are cut, and tells what they
mean; `Writer` gives the bytes around the parts. Neither reads or writes anything itself, and
neither keeps more than the headers of a part or what may be a piece of a delimiter.

What clients do and the parser takes: a line break or any text before the first delimiter, no line
break after the last one, parts without headers, boundaries of up to 200 characters, line feeds
alone. The line of the first delimiter decides about the last: where it ends in CR LF, as it should,
a line feed followed by the boundary is data.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.errors import BadRequest, TooLarge

BOUNDARY = re.compile(r"[\x20-\x7e]{0,199}[\x21-\x7e]")
"""RFC 2046 allows 70 characters, but 73 are seen, and other characters than its own."""

# RFC 2046 lets the boundary alone make a delimiter, but then another boundary that begins like
# ours, for which nested messages are known, would end a part.
_AFTER_DELIMITER = re.compile(rb"(?P<closing>--)|[ \t]{0,64}(?P<line_end>\r?\n)")
_MAYBE_AFTER_DELIMITER = re.compile(rb"-|[ \t]{0,64}\r?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Malformed(BadRequest):
    """The body is no well-formed multipart message."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part begins; the names of its headers are in lower case."""

    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """The next bytes of the part, at least one."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is over; not `whole` if the message ended before a delimiter did."""

    whole: bool


Event = PartBegins | PartData | PartEnds


class Parser:
    """Reads one message: `feed` it bytes until there are no more, then `finish`.

    The events are PartBegins, any number of PartData, PartEnds, and again; joined up, the same for
    the same message however it was cut. Time is linear in its length. After an error the parser is
    of no more use.
    """

    def __init__(
        self,
        boundary: str,
        *,
        parts: int = 10_000,
        header_bytes: int = 16 * 1024,
        header_lines: int = 32,
    ) -> None:
        """`parts`: how many there may be; `header_bytes`, `header_lines`: of each of them.

        Raises `Malformed` if the boundary can be none.
        """
        if not BOUNDARY.fullmatch(boundary):
            raise Malformed(f"The boundary is not 1 to 200 printable characters: {boundary[:80]!r}")
        self.complete = False
        """Whether the closing delimiter has been seen."""
        self._parts_left = parts
        self._most_bytes = header_bytes
        self._most_lines = header_lines
        self._dash_boundary = b"--" + boundary.encode("ascii")
        self._delimiter = b"\n" + self._dash_boundary
        # A line break before the first byte, so that every delimiter follows one.
        self._buffer = b"\n"
        self._at = 0
        self._lines: list[bytes] = []
        self._header_bytes = 0
        self._step: Callable[[list[Event]], bool] = self._preamble

    def feed(self, data: bytes) -> list[Event]:
        """What the next bytes of the message mean. Raises `Malformed`, `TooLarge`."""
        self._buffer = self._buffer + data if self._buffer else data
        self._at = 0
        events: list[Event] = []
        while self._step(events):
            pass
        self._buffer = self._buffer[self._at :]
        return events

    def finish(self) -> list[Event]:
        """What is left to tell when the message has ended; a part that was cut ends not whole.

        Raises `Malformed` if there was no delimiter at all.
        """
        rest: list[Event] = [PartData(self._buffer)] if self._buffer else []
        cut = PartEnds(whole=False)
        if self._step == self._preamble:
            raise Malformed("The body holds no line with the boundary of its Content-Type.")
        if self._step == self._headers:
            return [PartBegins({}), cut]
        if self._step == self._body:
            return [*rest, cut]
        return []

    def _preamble(self, _events: list[Event]) -> bool:
        found = self._buffer.find(self._delimiter, self._at)
        if found < 0:
            self._at = max(self._at, len(self._buffer) - len(self._delimiter) + 1)
            return False
        after = found + len(self._delimiter)
        line = _AFTER_DELIMITER.match(self._buffer, after)
        if line is not None:
            if line["line_end"] == b"\r\n":
                self._delimiter = b"\r\n" + self._dash_boundary
            self._pass_delimiter(line)
            return True
        undecided = _MAYBE_AFTER_DELIMITER.fullmatch(self._buffer, after) is not None
        self._at = found if undecided else after
        return not undecided

    def _headers(self, events: list[Event]) -> bool:
        end = self._buffer.find(b"\n", self._at)
        length = (end + 1 if end >= 0 else len(self._buffer)) - self._at
        if self._header_bytes + length > self._most_bytes:
            raise Malformed(f"The headers of a part exceed {self._most_bytes} bytes.")
        if end < 0:
            return False
        line = self._buffer[self._at : end].removesuffix(b"\r")
        self._at = end + 1
        self._header_bytes += length
        if line:
            if len(self._lines) == self._most_lines:
                raise Malformed(f"A part has more than {self._most_lines} lines of headers.")
            self._lines.append(line)
            return True
        if not self._parts_left:
            raise TooLarge("The message has more parts than this archive takes.")
        self._parts_left -= 1
        events.append(PartBegins(_headers(self._lines)))
        self._step = self._body
        return True

    def _body(self, events: list[Event]) -> bool:
        search_from = self._at
        while (found := self._buffer.find(self._delimiter, search_from)) >= 0:
            after = found + len(self._delimiter)
            line = _AFTER_DELIMITER.match(self._buffer, after)
            if line is not None:
                self._data(found, events)
                events.append(PartEnds(whole=True))
                self._pass_delimiter(line)
                return True
            if _MAYBE_AFTER_DELIMITER.fullmatch(self._buffer, after):
                self._data(found, events)
                return False
            search_from = after
        self._data(self._start_of_partial_delimiter(), events)
        return False

    def _epilogue(self, _events: list[Event]) -> bool:
        self._at = len(self._buffer)
        return False

    def _pass_delimiter(self, line: re.Match[bytes]) -> None:
        self._at = line.end()
        self._lines, self._header_bytes = [], 0
        self.complete = line["closing"] is not None
        self._step = self._epilogue if self.complete else self._headers

    def _data(self, end: int, events: list[Event]) -> None:
        if end > self._at:
            events.append(PartData(self._buffer[self._at : end]))
            self._at = end

    def _start_of_partial_delimiter(self) -> int:
        """Where the buffer's end may be a delimiter's beginning; the buffer's length if nowhere.

        A delimiter's first byte occurs in it only once, so the last one is the only candidate.
        """
        length = len(self._buffer)
        tail = max(self._at, length - len(self._delimiter) + 1)
        start = self._buffer.rfind(self._delimiter[:1], tail)
        return start if start >= 0 and self._delimiter.startswith(self._buffer[start:]) else length


def _headers(lines: list[bytes]) -> dict[str, str]:
    """The headers of a part, by name in lower case; a line that begins with a blank goes on."""
    unfolded: list[bytes] = []
    for line in lines:
        if line[:1] in b" \t" and unfolded:
            unfolded[-1] += b" " + line.strip()
        else:
            unfolded.append(line)
    headers: dict[str, str] = {}
    for line in unfolded:
        before, colon, value = line.partition(b":")
        before = before.rstrip(b" \t")
        if not colon or not _NAME.fullmatch(before):
            raise Malformed(f"A line of a part's headers is no header: {line[:80]!r}")
        name = before.decode("ascii").lower()
        if name in headers:
            raise Malformed(f"A part has the header {name!r} twice.")
        headers[name] = value.strip(b" \t").decode("utf-8", "replace")
    return headers


class Writer:
    """The bytes around the parts of one multipart/related message.

    Viewers search for the first delimiter in the very first bytes and for `Content-Type:` in this
    spelling, and read the boundary without quotes; the type must be quoted.
    """

    def __init__(self, part_type: str, boundary: str | None = None) -> None:
        """`part_type` is the media type of the parts, without parameters.

        The boundary is random unless one is given, which must be as hard to guess for who made the
        parts: the same parts are the same message then, as a strong validator promises.
        """
        self._boundary = boundary or secrets.token_hex(16)
        self._begun = False
        self.content_type = f'multipart/related; type="{part_type}"; boundary={self._boundary}'

    def part(self, headers: Mapping[str, str]) -> bytes:
        """What comes before the bytes of a part: a delimiter and headers, Content-Type first.

        Raises `ValueError` if a header holds a line break.
        """
        ordered = sorted(headers.items(), key=lambda header: header[0] != "Content-Type")
        lines = [f"--{self._boundary}", *(f"{name}: {value}" for name, value in ordered)]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("a header of a part holds a line break")
        before = ["", *lines] if self._begun else lines
        self._begun = True
        return "\r\n".join([*before, "", ""]).encode()

    def end(self) -> bytes:
        """What comes after the bytes of the last part."""
        return f"\r\n--{self._boundary}--\r\n".encode()
