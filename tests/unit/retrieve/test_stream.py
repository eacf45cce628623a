"""The bytes of a plan: read together, joined, turned, and never cut short in silence."""

import asyncio
import hashlib
import os
import struct
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.blobs.contract import CHUNK
from app.errors import Corrupt
from app.fingerprint import Fingerprint
from app.retrieve.contents import Content, Fragments, Plain, Reworked, cut
from app.retrieve.stream import ahead, read_pieces, read_small, reworked, settled
from app.span import Span


class Blob:
    """A reader of one blob that remembers what was read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.spans: list[Span] = []

    async def read(self, key: str, span: Span) -> bytes:
        self.spans.append(span)
        return self.data[span.offset : span.end]

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        for offset in range(span.offset, span.end, CHUNK):
            yield await self.read(key, Span(offset, min(CHUNK, span.end - offset)))


def item(value: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(value)) + value


async def whole(content: Content, blob: Blob) -> bytes:
    return b"".join([piece async for piece in read_pieces(content, blob)])


async def test_adjacent_spans_are_read_by_one_read() -> None:
    blob = Blob(bytes(range(100)))
    spans = [Span(10, 5), Span(15, 5), Span(20, 1), Span(30, 2), Span(5, 5)]
    pieces = await read_small([Plain("a", span) for span in spans], blob)
    assert pieces == [blob.data[span.offset : span.end] for span in spans]
    assert blob.spans == [Span(10, 11), Span(30, 2), Span(5, 5)]


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK, 3 * CHUNK + 5])
@pytest.mark.parametrize("crc32", [zlib.crc32, lambda _: None], ids=["CRC-32", "SHA-256"])
async def test_an_instance_that_is_not_what_was_stored_is_never_sent_to_its_end(
    size: int, crc32: Callable[[bytes], int | None]
) -> None:
    stored = os.urandom(size)
    fingerprint = Fingerprint(hashlib.sha256(stored).digest(), crc32(stored))
    content = Plain("a", Span(0, size), fingerprint)
    assert await whole(content, Blob(stored)) == stored
    assert await read_small([content], Blob(stored)) == [stored]
    for place in {0, size // 2, size - 1} if size else ():
        damaged = bytearray(stored)
        damaged[place] ^= 1
        sent = bytearray()

        async def send(blob: Blob, sent: bytearray = sent) -> None:
            async for piece in read_pieces(content, blob):
                sent += piece

        with pytest.raises(Corrupt):
            await send(Blob(bytes(damaged)))
        assert len(sent) < size
        with pytest.raises(Corrupt):
            await read_small([content], Blob(bytes(damaged)))


async def test_spans_of_different_blobs_are_read_apart() -> None:
    blob = Blob(bytes(range(100)))
    await read_small([Plain("a", Span(0, 5)), Plain("b", Span(5, 5))], blob)
    assert blob.spans == [Span(0, 5), Span(5, 5)]


async def test_many_reads_are_side_by_side_but_not_all_at_once() -> None:
    class Slow(Blob):
        now = most = 0

        async def read(self, key: str, span: Span) -> bytes:
            Slow.now += 1
            Slow.most = max(Slow.most, Slow.now)
            await asyncio.sleep(0)
            Slow.now -= 1
            return await super().read(key, span)

    blob = Slow(bytes(200))
    assert len(await read_small([Plain("a", Span(2 * n, 1)) for n in range(40)], blob)) == 40
    assert 2 < Slow.most <= 16


async def test_fragments_are_joined_without_their_headers() -> None:
    data = b"..." + item(b"abcd") + item(b"") + item(b"ef")
    content = Fragments("a", Span(3, len(data) - 3))
    blob = Blob(data)
    assert await read_small([content], blob) == [b"abcdef"]
    assert await whole(content, blob) == b"abcdef"


async def test_a_frame_that_ends_inside_a_header_is_corrupt() -> None:
    data = item(b"abcd") + item(b"")[:5]
    with pytest.raises(Corrupt):
        await whole(Fragments("a", Span(0, len(data))), Blob(data))


async def test_a_frame_of_many_fragments_is_read_by_few_reads() -> None:
    values = [bytes([number % 256]) * (number % 700) for number in range(9_000)]
    data = b"." + b"".join(map(item, values))
    blob = Blob(data)
    assert await whole(Fragments("a", Span(1, len(data) - 1)), blob) == b"".join(values)
    assert len(blob.spans) == -(-len(data) // CHUNK)


@given(st.lists(st.binary(max_size=20)), st.integers(1, 30))
async def test_fragments_are_joined_however_the_stream_is_cut(
    values: list[bytes], size: int
) -> None:
    class Cut(Blob):
        async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
            for offset in range(span.offset, span.end, size):
                yield await self.read(key, Span(offset, min(size, span.end - offset)))

    data = b"".join(map(item, values))
    assert await whole(Fragments("a", Span(0, len(data))), Cut(data)) == b"".join(values)


async def test_a_frame_of_one_fragment_has_a_known_length() -> None:
    data = item(b"abcd")
    assert await settled(Fragments("a", Span(0, 12)), Blob(data)) == Plain("a", Span(8, 4))
    two = Fragments("a", Span(0, 22))
    assert await settled(two, Blob(data + item(b"ef"))) == two
    plain = Plain("a", Span(0, 4))
    assert await settled(plain, Blob(data)) == plain


@pytest.mark.parametrize("data", [b"\0" * 12, struct.pack("<HHI", 0xFFFE, 0xE000, 99) + b"abcd"])
async def test_what_is_no_item_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        await whole(Fragments("a", Span(0, 12)), Blob(data))


@given(st.binary(min_size=1, max_size=64), st.data())
def test_bits_are_shifted_as_numpy_unpacks_them(stored: bytes, data: st.DataObject) -> None:
    shift = data.draw(st.integers(0, 8 * len(stored) - 1))
    bits = data.draw(st.integers(1, 8 * len(stored) - shift))
    unpacked = np.unpackbits(np.frombuffer(stored, np.uint8), bitorder="little")
    expected = np.packbits(unpacked[shift : shift + bits], bitorder="little").tobytes()
    assert reworked(stored, 1, shift, bits) == expected


@pytest.mark.parametrize("word", [2, 4, 8])
def test_words_are_turned(word: int) -> None:
    stored = bytes(range(4 * word))
    turned = np.frombuffer(stored, f">u{word}").astype(f"<u{word}").tobytes()
    assert reworked(stored, word, 0, 32 * word) == turned


def test_an_incomplete_word_stays() -> None:
    assert reworked(b"\1\2\3", 2, 0, 24) == b"\2\1\3"


@pytest.mark.parametrize("word", [1, 2, 8])
@pytest.mark.parametrize("shift", [0, 5, 8, 77])
async def test_long_contents_are_reworked_in_pieces(word: int, shift: int) -> None:
    stored = np.random.default_rng(1).bytes(2 * CHUNK + 64)
    bits = 8 * (2 * CHUNK + 40) + 3 - shift
    content = Reworked("a", Span(0, len(stored)), word, shift, bits)
    blob = Blob(stored)
    expected = reworked(stored, word, shift, bits)
    assert await whole(content, blob) == expected
    assert max(span.length for span in blob.spans) <= CHUNK + 16
    for span in (Span(0, 1), Span(CHUNK - 3, 10), Span(len(expected) - 9, 9)):
        assert await whole(cut(content, span), blob) == expected[span.offset : span.end]


async def test_the_next_piece_is_made_while_one_is_sent() -> None:
    made: list[int] = []

    async def pieces() -> AsyncGenerator[bytes]:
        for number in range(3):
            made.append(number)
            yield bytes([number])

    sent = []
    async for piece in ahead(pieces()):
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        sent.append((piece[0], len(made)))
    assert sent == [(0, 2), (1, 3), (2, 3)]


async def test_a_failure_comes_after_the_pieces_before_it() -> None:
    async def pieces() -> AsyncGenerator[bytes]:
        yield b"a"
        raise Corrupt

    body = ahead(pieces())
    assert await anext(body) == b"a"
    with pytest.raises(Corrupt):
        await anext(body)


async def test_who_stops_listening_ends_the_making() -> None:
    ended = asyncio.Event()

    async def pieces() -> AsyncGenerator[bytes]:
        try:
            while True:
                yield b"a"
                await asyncio.sleep(0)
        finally:
            ended.set()

    body = ahead(pieces())
    assert await anext(body) == b"a"
    await body.aclose()
    assert ended.is_set()
