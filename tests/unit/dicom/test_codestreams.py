"""Headers of codestreams: what they claim is read before anything is decoded, or refused."""

import struct

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.codestreams import (
    Colour,
    read_jpeg,
    read_jpeg2000,
    read_rle,
    without_boxes,
)
from app.errors import Unprocessable

GREY = np.arange(48, dtype=np.uint8).reshape(6, 8)
RGB = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)


def j2k(image: np.ndarray) -> bytes:
    return bytes(imagecodecs.jpeg2k_encode(image, level=0, codecformat="j2k"))


@pytest.mark.parametrize(
    ("image", "lossless", "bits"),
    [(GREY, False, 8), (GREY, True, 8), (RGB, True, 8), (GREY.astype("u2") * 99, True, 13)],
)
def test_a_jpeg_header_gives_size_samples_and_precision(
    image: np.ndarray, lossless: bool, bits: int
) -> None:
    data = bytes(imagecodecs.jpeg8_encode(image, lossless=lossless, bitspersample=bits))

    header = read_jpeg(data)

    assert (header.rows, header.columns) == (6, 8)
    assert header.samples == (1 if image.ndim == 2 else 3)
    assert header.precision == bits
    assert header.lossless == lossless


def test_a_jpeg_ls_header_is_read_as_one_and_not_as_jpeg() -> None:
    data = bytes(imagecodecs.jpegls_encode(GREY))

    assert (read_jpeg(data, ls=True).rows, read_jpeg(data, ls=True).columns) == (6, 8)
    with pytest.raises(Unprocessable, match="SOF55"):
        read_jpeg(data)
    with pytest.raises(Unprocessable, match="SOF0"):
        read_jpeg(bytes(imagecodecs.jpeg8_encode(GREY)), ls=True)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def jpeg(*segments: bytes, identifiers: bytes = b"\1\2\3", sampling: int = 0x11) -> bytes:
    """The skeleton of a colour JPEG: enough for its header."""
    components = b"".join(
        bytes([identifier, sampling if i == 0 else 0x11, 0])
        for i, identifier in enumerate(identifiers)
    )
    frame = segment(0xC0, b"\x08\x00\x06\x00\x08\x03" + components)
    return b"\xff\xd8" + b"".join(segments) + frame + segment(0xDA, b"\0" * 10) + b"\0\xff\xd9"


@pytest.mark.parametrize(
    ("data", "colour"),
    [
        (jpeg(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x00")), Colour.RGB),
        (jpeg(segment(0xEE, b"Adobe\0\x64\0\0\0\0\x01")), Colour.YBR),
        (jpeg(segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")), Colour.YBR),
        (jpeg(identifiers=b"RGB"), Colour.RGB),
        (jpeg(sampling=0x21), Colour.YBR),
        (jpeg(), None),
    ],
    ids=["adobe-rgb", "adobe-ycc", "jfif", "identifiers", "subsampled", "silent"],
)
def test_the_colour_of_a_jpeg_is_what_its_markers_say(data: bytes, colour: Colour | None) -> None:
    assert read_jpeg(data).colour is colour


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xc0\xff\xff\x08",
        b"\xff\xd8\xff\xc0\x00\x01\x08",
        b"\xff\xd8" + segment(0xDA, b""),
        b"\xff\xd8" + segment(0xC0, b"\x08\x00\x06\x00\x08\x03") + segment(0xDA, b""),
        b"\xff\xd8" + segment(0xC9, bytes(9)) + segment(0xDA, b"") + b"\xff\xd9",
        b"\xff\xd8" + b"\xff" * 1_000_000,
        bytes(imagecodecs.jpeg8_encode(GREY))[:-2],
    ],
)
def test_a_jpeg_that_is_broken_or_without_its_end_is_refused(data: bytes) -> None:
    with pytest.raises(Unprocessable):
        read_jpeg(data)


def test_a_jpeg_2000_header_gives_size_precision_and_sign() -> None:
    signed = read_jpeg2000(j2k(GREY.astype("i2") - 20))

    assert (signed.rows, signed.columns, signed.samples) == (6, 8, 1)
    assert (signed.precision, signed.signed) == (16, True)
    assert read_jpeg2000(bytes(imagecodecs.htj2k_encode(RGB, reversible=True))).samples == 3


def test_a_codestream_is_found_inside_the_boxes_of_a_jp2_file() -> None:
    boxed = bytes(imagecodecs.jpeg2k_encode(GREY, level=0, codecformat="jp2"))

    assert boxed[:4] != b"\xff\x4f\xff\x51"
    assert read_jpeg2000(without_boxes(boxed)).columns == 8


def siz(
    size: tuple[int, int] = (8, 6),
    tile: tuple[int, int] = (8, 6),
    components: bytes = b"\x07\1\1",
    offset: tuple[int, int] = (0, 0),
) -> bytes:
    body = struct.pack(">H8IH", 0, *size, *offset, *tile, 0, 0, len(components) // 3) + components
    return b"\xff\x4f" + segment(0x51, body)


@pytest.mark.parametrize(
    "data",
    [
        siz(size=(0, 6)),
        siz(offset=(9, 0)),
        siz(tile=(0, 6)),
        siz(size=(65535, 65535), tile=(1, 1)),
        siz(components=b""),
        siz(components=b"\x07\2\2"),
        siz(components=b"\x07\1\1\x0b\1\1"),
        siz(components=b"\x25\1\1"),
        siz()[:-1],
        siz()[:20],
    ],
)
def test_a_jpeg_2000_header_that_cannot_be_true_is_refused(data: bytes) -> None:
    with pytest.raises(Unprocessable):
        read_jpeg2000(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        bytes(63),
        bytes(64),
        struct.pack("<16I", 1, 64, *bytes(14)),
        struct.pack("<16I", 1, 4_000_000_000, *bytes(14)) + b"\0\0",
        struct.pack("<16I", 2, 66, 64, *bytes(13)) + bytes(4),
        struct.pack("<16I", 16, *range(64, 79)) + bytes(99),
        struct.pack("<16I", 3, 64, 66, 68, *bytes(12)) + bytes(9),
    ],
)
def test_an_rle_header_that_points_outside_is_refused(data: bytes) -> None:
    with pytest.raises(Unprocessable):
        read_rle(data, 6, 8, 16)


@given(st.binary(max_size=300))
def test_no_bytes_whatever_get_past_a_header_but_as_one_or_refused(data: bytes) -> None:
    for prefix, read in (
        (b"\xff\xd8", read_jpeg),
        (b"\xff\xd8\xff", lambda d: read_jpeg(d, ls=True)),
        (b"\xff\x4f\xff\x51", read_jpeg2000),
        (b"\x01\0\0\0", lambda d: read_rle(d, 6, 8, 8)),
    ):
        try:
            header = read(prefix + data)
        except Unprocessable:
            continue
        assert header.samples >= 1
