"""What a compressed image tells of itself: its transfer syntax and the Image Pixel attributes."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.dicom.dataset import Unreadable
from app.dicom.imagepixel import NEEDED, image_pixel, transfer_syntax_of
from app.dicom.uids import TRANSFER_SYNTAXES
from tests.unit.dicom.codestreams import (
    COLUMNS,
    DEEP,
    GREY,
    RGB,
    ROWS,
    htj2k,
    jpeg,
    jpeg_2000,
    jpeg_ls,
)

JPEG = "1.2.840.10008.1.2.4."
GREY_8 = {"00280002": 1, "00280004": "MONOCHROME2", "00280100": 8, "00280101": 8}
RGB_8 = {"00280002": 3, "00280004": "RGB", "00280006": 0, "00280100": 8, "00280101": 8}
GREY_12 = GREY_8 | {"00280100": 16, "00280101": 12, "00280102": 11}

IMAGES: list[tuple[str, bytes, str, dict[str, Any]]] = [
    ("image/jpeg", jpeg(GREY), "50", GREY_8),
    ("image/jpeg", jpeg(RGB), "50", RGB_8 | {"00280004": "YBR_FULL_422"}),
    ("image/jpeg", jpeg(DEEP, bits=12), "51", GREY_12),
    ("image/jpeg", jpeg(DEEP, bits=12, lossless=True), "70", GREY_12),
    ("image/jls", jpeg_ls(GREY), "80", GREY_8),
    ("image/jls", jpeg_ls(RGB), "80", RGB_8),
    ("image/jls", jpeg_ls(GREY, near=3), "81", GREY_8),
    ("image/jp2", jpeg_2000(GREY), "90", GREY_8),
    ("image/jp2", jpeg_2000(RGB), "90", RGB_8 | {"00280004": "YBR_RCT"}),
    ("image/jp2", jpeg_2000(RGB, lossless=False), "91", RGB_8 | {"00280004": "YBR_ICT"}),
    ("image/jpx", jpeg_2000(GREY), "92", GREY_8),
    ("image/jp2", htj2k(GREY), "201", GREY_8),
    ("image/jphc", htj2k(GREY), "201", GREY_8),
    ("image/jphc", htj2k(RGB, lossless=False), "203", RGB_8 | {"00280004": "YBR_ICT"}),
]


@pytest.mark.parametrize(("media_type", "data", "uid", "told"), IMAGES)
def test_a_codestream_tells_its_transfer_syntax_and_how_its_pixels_are_read(
    media_type: str, data: bytes, uid: str, told: dict[str, Any]
) -> None:
    found = transfer_syntax_of(media_type, data)
    assert found == JPEG + uid
    attributes = image_pixel(TRANSFER_SYNTAXES[found], data)
    values = {tag: element["Value"][0] for tag, element in attributes.items()}
    assert values | told == values
    assert (values["00280010"], values["00280011"]) == (ROWS, COLUMNS)
    assert attributes.keys() >= set(NEEDED)


@pytest.mark.parametrize(
    ("media_type", "uid"),
    [
        ("image/dicom-rle", "1.2.840.10008.1.2.5"),
        ("image/jxl", JPEG + "112"),
        ("video/mpeg", JPEG + "100"),
        ("video/mp4", JPEG + "102"),
        ("video/h265", JPEG + "107"),
    ],
)
def test_of_others_the_media_type_tells_the_syntax_and_nothing_tells_the_pixels(
    media_type: str, uid: str
) -> None:
    assert transfer_syntax_of(media_type, b"anything") == uid
    assert image_pixel(TRANSFER_SYNTAXES[uid], b"anything") == {}


def test_a_media_type_that_is_no_transfer_syntax_is_refused() -> None:
    with pytest.raises(Unreadable) as caught:
        transfer_syntax_of("image/png", b"\x89PNG")
    assert caught.value.reason == 0xC122


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/jls", "image/jp2", "image/jphc"])
@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff\xd8", b"\xff\x4f\xff\x51", b"\x89PNG\r\n"])
def test_what_is_no_codestream_is_refused(media_type: str, data: bytes) -> None:
    with pytest.raises(Unreadable) as caught:
        transfer_syntax_of(media_type, data)
    assert caught.value.tag == "7FE00010"


def test_an_image_of_four_samples_is_refused() -> None:
    # An SOF0 of four components, as printers have them.
    frame = b"\x08\0\x06\0\x08\x04" + b"".join(bytes([n, 0x11, 0]) for n in range(1, 5))
    data = b"\xff\xd8\xff\xc0" + (len(frame) + 2).to_bytes(2, "big") + frame
    data += b"\xff\xda\0\x0e\x04\x01\0\x02\0\x03\0\x04\0\0\x3f\0"
    with pytest.raises(Unreadable, match="4 samples"):
        image_pixel(TRANSFER_SYNTAXES[JPEG + "50"], data)


@pytest.mark.parametrize("precision", [0, 33, 255])
def test_a_codestream_of_impossible_precision_is_refused(precision: int) -> None:
    data = bytearray(jpeg_ls(GREY))
    data[data.index(b"\xff\xf7") + 4] = precision
    with pytest.raises(Unreadable, match=f"{precision} bits a sample"):
        image_pixel(TRANSFER_SYNTAXES[JPEG + "80"], bytes(data))


@hypothesis_settings(deadline=None)
@given(
    st.sampled_from(IMAGES),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=4),
    st.integers(0, 400),
)
def test_no_codestream_breaks_the_reader(
    image: tuple[str, bytes, str, dict[str, Any]], changes: list[tuple[int, int]], length: int
) -> None:
    media_type, data, _, _ = image
    broken = bytearray(data[:length])
    for at, value in changes:
        broken[at : at + 1] = bytes([value])
    with suppress(Unreadable):
        uid = transfer_syntax_of(media_type, bytes(broken))
        image_pixel(TRANSFER_SYNTAXES[uid], bytes(broken))
