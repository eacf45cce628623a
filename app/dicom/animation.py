"""A GIF that moves, made of GIFs that do not: one after the other, so that none has to be kept.

    yield head(first) + frame(first, 4)
    yield frame(second, 4) ...
    yield END

The images stay as they are compressed; each keeps its own colours. For how long a frame is shown is
what the data set says (PS3.3 C.7.6.5).
"""

import struct
from collections.abc import Iterator, Mapping
from itertools import accumulate, islice, repeat
from typing import Any

from app.dicom.jsonvalues import values_of
from app.errors import Unprocessable

END = b";"

_SCREEN = struct.Struct("<6sHHBBB")
_IMAGE = struct.Struct("<cHHHHB")
_CONTROL = b"!\xf9\x04\x04%b\x00\x00"
_FOR_EVER = b"!\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00"
_HAS_TABLE, _TABLE_SIZE = 0x80, 0x07

_FRAME_TIME, _FRAME_TIME_VECTOR = "00181063", "00181065"
_RATES = ("00082144", "00180040")
"""Recommended Display Frame Rate, Cine Rate: frames a second."""
_DEFAULT_MILLISECONDS = 100.0
_SHORTEST = 2
"""Hundredths of a second; browsers take less for a mistake."""
_LONGEST = 0xFFFF


def head(gif: bytes) -> bytes:
    """The beginning of the file, for images of the size of this one; it is played for ever."""
    _, width, height, *_ = _SCREEN.unpack_from(gif)
    return _SCREEN.pack(b"GIF89a", width, height, 0x70, 0, 0) + _FOR_EVER


def frame(gif: bytes, hundredths: int) -> bytes:
    """The one image of a GIF as a frame that is shown for so long."""
    _, _, _, packed, _, _ = _SCREEN.unpack_from(gif)
    at = _SCREEN.size
    colours = b""
    if packed & _HAS_TABLE:
        colours = gif[at : at + 3 * 2 ** (1 + (packed & _TABLE_SIZE))]
        at += len(colours)
    while gif[at : at + 1] == b"!":
        at = _after_blocks(gif, at + 2)
    if gif[at : at + 1] != b",":
        raise Unprocessable("There is no image in what was rendered.")
    mark, left, top, width, height, own = _IMAGE.unpack_from(gif, at)
    at += _IMAGE.size
    if own & _HAS_TABLE:
        colours = gif[at : at + 3 * 2 ** (1 + (own & _TABLE_SIZE))]
        at += len(colours)
    size = (len(colours) // 3).bit_length() - 2
    described = _IMAGE.pack(mark, left, top, width, height, own & 0x40 | _HAS_TABLE | size)
    control = _CONTROL % hundredths.to_bytes(2, "little")
    return control + described + colours + gif[at : _after_blocks(gif, at + 1)]


def _after_blocks(gif: bytes, at: int) -> int:
    """Where the run of blocks that begins at `at` ends."""
    while at < len(gif) and gif[at]:
        at += 1 + gif[at]
    return at + 1


def durations(attributes: Mapping[str, Any], frames: int) -> list[int]:
    """For how many hundredths of a second each frame is shown; rounded so that none get lost."""
    ends = accumulate(islice(_milliseconds(attributes), frames))
    shown, durations = 0, []
    for end in ends:
        lasts = min(max(round(end / 10) - shown, _SHORTEST), _LONGEST)
        durations.append(lasts)
        shown += lasts
    return durations


def _milliseconds(attributes: Mapping[str, Any]) -> Iterator[float]:
    """For how long each frame is shown, without end."""
    # The first value tells how long after itself a frame comes, which for the first is 0.
    vector = [*filter(None, map(_positive, values_of(attributes, _FRAME_TIME_VECTOR)[1:]))]
    if vector:
        yield from vector
        yield from repeat(vector[-1])
    for value in values_of(attributes, _FRAME_TIME):
        if milliseconds := _positive(value):
            yield from repeat(milliseconds)
    for tag in _RATES:
        for value in values_of(attributes, tag):
            if rate := _positive(value):
                yield from repeat(1000 / rate)
    yield from repeat(_DEFAULT_MILLISECONDS)


def _positive(value: Any) -> float | None:
    """The number, if it is one above 0 and below a minute; values of the JSON may be strings."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0.1 <= number <= 60_000 else None
