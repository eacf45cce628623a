"""Deflated data sets: where they end."""

import random
import struct
import zlib

import pytest

from app.dicom.dataset import Unreadable
from app.dicom.deflate import PIECE, Inflater, inflate
from app.dicom.source import BytesSource, GrowingSource
from tests.elements import DEFLATED, deflated, file_meta, file_of

DATA_SET = random.Random(1).randbytes(300_000)
TRAILER = struct.pack("<2I", zlib.crc32(DATA_SET), len(DATA_SET))
BEGINNING = file_of(deflated(DATA_SET), file_meta(DEFLATED))


def inflated(*pieces: bytes) -> bytes:
    """The data set of a deflated file that comes in these pieces."""
    target = GrowingSource()
    inflater = Inflater(target, len(DATA_SET))
    for piece in pieces:
        inflater.feed(piece)
    inflater.finish()
    return target.read_at(target.size - len(DATA_SET), len(DATA_SET))


@pytest.mark.parametrize(
    "behind",
    [b"", b"\0", bytes(20), TRAILER, TRAILER + b"\0", TRAILER + bytes(20)],
    ids=range(6),
)
def test_zeros_and_the_trailer_of_gzip_may_follow(behind: bytes) -> None:
    assert inflated(BEGINNING + behind) == DATA_SET
    assert inflated(BEGINNING, *(bytes([byte]) for byte in behind)) == DATA_SET


@pytest.mark.parametrize(
    "behind",
    [
        TRAILER[:4],
        TRAILER[:4] + bytes(4),
        TRAILER[4:] + TRAILER[:4],
        b"\0" + TRAILER,
        TRAILER + b"x",
        TRAILER + TRAILER,
        bytes(20) + b"x",
    ],
    ids=range(7),
)
def test_nothing_else_may(behind: bytes) -> None:
    with pytest.raises(Unreadable, match="something follows"):
        inflated(BEGINNING + behind)
    with pytest.raises(Unreadable, match="something follows"):
        inflated(BEGINNING, *(bytes([byte]) for byte in behind))


@pytest.mark.parametrize("more", [-1, 0, 1, 100, 258, 259])
def test_a_data_set_may_end_anywhere_about_the_end_of_a_piece(more: int) -> None:
    """The last bytes may be a repetition of which the beginning fills the piece."""
    data_set = bytes(PIECE + more)
    target = GrowingSource()
    source = BytesSource(file_of(deflated(data_set), file_meta(DEFLATED)))
    inflate(source, target, len(data_set))
    assert target.read_at(0, target.size).endswith(data_set)
