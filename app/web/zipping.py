"""ZIP archives that are written as a stream (APPNOTE 6.3.10): any size, nothing compressed.

    zipped = ZipWriter()
    send zipped.begin("1.2/1.3.dcm", moment, length)
    for piece in pieces: zipped.add(piece); send piece
    send zipped.end()
    send zipped.finish()

Checksum and length of a member follow it in a data descriptor, since they are not known before.
ZIP64 is used where sizes or places do not fit, and for a member whose length is not known.
"""

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END_64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR_64 = struct.Struct("<IIQI")
_DESCRIPTOR, _DESCRIPTOR_64 = struct.Struct("<IIII"), struct.Struct("<IIQQ")

_VERSION, _VERSION_64 = 20, 45
_FLAGS = 1 << 3 | 1 << 11  # a descriptor follows, and names are UTF-8
_FULL, _FULL_16 = 0xFFFFFFFF, 0xFFFF
_NO_MOMENT = datetime(1980, 1, 1, tzinfo=UTC)
_REGULAR_FILE = 0o100644 << 16


@dataclass(slots=True)
class _Member:
    name: bytes
    moment: tuple[int, int]
    """Time and date as DOS has them."""
    offset: int
    is_64: bool
    crc32: int = 0
    length: int = 0


class ZipWriter:
    """The bytes around the members of one archive."""

    def __init__(self) -> None:
        self._members: list[_Member] = []
        self.written = 0
        """Bytes so far, those of members included."""

    def begin(self, name: str, moment: datetime, length: int | None) -> bytes:
        """What comes before the bytes of a member. `length`: theirs, if it is known."""
        is_64 = length is None or length >= _FULL
        member = _Member(name.encode(), _dos(moment), self.written, is_64)
        self._members.append(member)
        extra = struct.pack("<HHQQ", 1, 16, 0, 0) if is_64 else b""
        version, size = (_VERSION_64, _FULL) if is_64 else (_VERSION, 0)
        sizes = len(member.name), len(extra)
        head = _LOCAL.pack(0x04034B50, version, _FLAGS, 0, *member.moment, 0, size, size, *sizes)
        return self._sent(head + member.name + extra)

    def add(self, piece: bytes) -> None:
        """Count a piece of the member, which is sent as it is. Takes a millisecond a megabyte."""
        member = self._members[-1]
        member.crc32 = zlib.crc32(piece, member.crc32)
        self.skip(len(piece))

    def skip(self, length: int) -> None:
        """Count bytes of the member of which only the number is of interest."""
        self._members[-1].length += length
        self.written += length

    def end(self) -> bytes:
        """What comes after the bytes of a member."""
        one = self._members[-1]
        form = _DESCRIPTOR_64 if one.is_64 else _DESCRIPTOR
        return self._sent(form.pack(0x08074B50, one.crc32, one.length, one.length))

    def finish(self) -> bytes:
        """What comes after the last member."""
        start = self.written
        directory = b"".join(map(_entry, self._members))
        count, size = len(self._members), len(directory)
        end = b""
        if count >= _FULL_16 or start >= _FULL:
            end = _END_64.pack(
                0x06064B50, 44, _VERSION_64, _VERSION_64, 0, 0, count, count, size, start
            ) + _LOCATOR_64.pack(0x07064B50, 0, start + size, 1)
        counts = min(count, _FULL_16), min(count, _FULL_16)
        end += _END.pack(0x06054B50, 0, 0, *counts, min(size, _FULL), min(start, _FULL), 0)
        return directory + end

    def _sent(self, data: bytes) -> bytes:
        self.written += len(data)
        return data


def zip_length(members: Iterable[tuple[str, int]]) -> int:
    """The length of an archive with members of these names and lengths."""
    writer = ZipWriter()
    for name, length in members:
        writer.begin(name, _NO_MOMENT, length)
        writer.skip(length)
        writer.end()
    return writer.written + len(writer.finish())


def _entry(member: _Member) -> bytes:
    """A member in the central directory."""
    too_long, too_far = member.length >= _FULL, member.offset >= _FULL
    extra = b""
    if too_long:
        extra += struct.pack("<QQ", member.length, member.length)
    if too_far:
        extra += struct.pack("<Q", member.offset)
    if extra:
        extra = struct.pack("<HH", 1, len(extra)) + extra
    version = _VERSION_64 if member.is_64 or extra else _VERSION
    length = _FULL if too_long else member.length
    head = _CENTRAL.pack(
        0x02014B50,
        3 << 8 | _VERSION_64,
        version,
        _FLAGS,
        0,
        *member.moment,
        member.crc32,
        length,
        length,
        len(member.name),
        len(extra),
        *(0, 0, 0),
        _REGULAR_FILE,
        _FULL if too_far else member.offset,
    )
    return head + member.name + extra


def _dos(moment: datetime) -> tuple[int, int]:
    """Time and date, to two seconds, from 1980 on."""
    time = moment.hour << 11 | moment.minute << 5 | moment.second // 2
    date = max(moment.year - 1980, 0) << 9 | moment.month << 5 | moment.day
    return time, date
