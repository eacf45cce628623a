"""Pieces that are kept compressed are one text, one gzip file, one checksum when joined."""

import gzip
import zlib

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.blobs.contract import CHUNK
from app.index.series_metadata import Deflated
from app.retrieve.deflated import Deflator, Gzip, Inflater, joined, verbatim

TEXTS = st.lists(st.binary(max_size=300))
RUNS = st.lists(st.lists(TEXTS, min_size=1, max_size=3), max_size=4)
"""Texts of each piece of each of some deflators."""


def made(runs: list[list[list[bytes]]]) -> tuple[list[Deflated], bytes]:
    """The runs as pieces, a comma after each, and the text that they are of."""
    pieces = []
    for run in runs:
        deflator = Deflator()
        pieces += [*map(deflator.feed, run), verbatim(b",")]
    text = b"".join(b"".join(map(b"".join, run)) + b"," for run in runs)
    return pieces, text


def sent(encoder: Gzip | Inflater, pieces: list[Deflated]) -> bytes:
    body = [data for piece in pieces for data in encoder.add(piece)]
    return b"".join([encoder.begin(), *body, encoder.end()])


@given(RUNS)
def test_pieces_are_one_gzip_file(runs: list[list[list[bytes]]]) -> None:
    pieces, text = made(runs)
    assert gzip.decompress(sent(Gzip(), pieces)) == text
    assert gzip.decompress(sent(Gzip(), [joined(pieces)])) == text


@given(RUNS)
def test_pieces_are_the_text(runs: list[list[list[bytes]]]) -> None:
    pieces, text = made(runs)
    assert sent(Inflater(), pieces) == text
    whole = joined(pieces)
    assert sent(Inflater(), [whole]) == text
    assert (whole.length, whole.crc32) == (len(text), zlib.crc32(text))


def test_a_long_text_is_inflated_in_bounded_pieces() -> None:
    text = bytes(3 * CHUNK + 1)
    piece = Deflator().feed([text])
    pieces = list(Inflater().add(piece))
    assert max(map(len, pieces)) == CHUNK
    assert b"".join(pieces) == text
    assert gzip.decompress(sent(Gzip(), [piece])) == text


@hypothesis_settings(deadline=None)
@given(
    st.integers(-300, 300),
    st.binary(min_size=1, max_size=3),
    st.binary(max_size=300),
    st.integers(-300, 300) | st.none(),
)
def test_a_text_may_end_anywhere_about_the_end_of_a_chunk(
    more: int, repeated: bytes, last: bytes, cut: int | None
) -> None:
    """The last bytes may be a repetition of which the beginning fills the chunk."""
    length = CHUNK + more - len(last)
    text = (repeated * length)[:length] + last
    at = len(text) if cut is None else CHUNK + cut
    deflator = Deflator()
    pieces = [deflator.feed([text[:at]]), deflator.feed([text[at:]])][: 1 if cut is None else 2]
    assert sent(Inflater(), pieces) == text
    assert sent(Inflater(), [joined([*pieces, verbatim(b"]")])]) == text + b"]"


def test_what_is_alike_in_later_pieces_takes_no_room_again() -> None:
    text = zlib.compress(bytes(range(256)) * 10) * 4
    deflator = Deflator()
    first, second = deflator.feed([text]), deflator.feed([text])
    assert len(second.blocks) < len(first.blocks) / 3
