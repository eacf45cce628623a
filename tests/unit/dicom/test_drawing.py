"""The whole way of a frame, and which frames need not go it."""

import struct
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest

from app.dicom.description import PixelDescription
from app.dicom.drawing import Drawing, draw, drawn_already
from app.dicom.presentation import Presentation, Rescale, Window
from app.dicom.viewport import Viewport
from app.errors import Unprocessable

JPEG_BASELINE, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
RAMP = np.arange(16 * 24, dtype=np.uint8).reshape(16, 24)
COLOUR = np.stack([RAMP, RAMP // 2, 255 - RAMP], axis=2)
WINDOW = Window(40, 80)


def items(*fragments: bytes) -> bytes:
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(f)) + f for f in fragments)


def grey_jpeg(image: np.ndarray = RAMP) -> bytes:
    jpeg = bytes(imagecodecs.jpeg8_encode(image, level=95))
    return jpeg + b"\0" * (len(jpeg) % 2)


def drawing(colour: bool = False, **changes: Any) -> Drawing:
    described = PixelDescription(
        rows=16,
        columns=24,
        samples_per_pixel=3 if colour else 1,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        pixel_representation=0,
        planar_configuration=0,
        photometric_interpretation="YBR_FULL_422" if colour else "MONOCHROME2",
        transfer_syntax_uid=JPEG_BASELINE,
    )
    about = {name: changes.pop(name) for name in list(changes) if hasattr(described, name)}
    return replace(Drawing(replace(described, **about), Presentation(), "image/jpeg"), **changes)


def test_a_jpeg_that_is_stored_as_it_is_shown_is_sent_as_it_is() -> None:
    jpeg = grey_jpeg()
    assert drawn_already(items(jpeg[:100], jpeg[100:]), drawing()) == jpeg
    colour = grey_jpeg(COLOUR)
    assert drawn_already(items(colour), drawing(colour=True)) == colour
    # PS3.18 has a window mean nothing where the image is one of colour.
    assert drawn_already(items(colour), drawing(colour=True, window=WINDOW)) == colour


@pytest.mark.parametrize(
    "changes",
    [
        {"window": WINDOW},
        {"viewport": Viewport(24, 16)},
        {"quality": 50},
        {"media_type": "image/png"},
        {"presentation": Presentation(inverted=True)},
        {"presentation": Presentation(modality=Rescale(1, -1024))},
        {"presentation": Presentation(voi=WINDOW)},
        {"presentation": Presentation(bits_stored=7)},
        {"transfer_syntax_uid": JPEG_EXTENDED},
    ],
    ids=str,
)
def test_a_jpeg_that_is_to_be_shown_otherwise_is_drawn(changes: dict[str, Any]) -> None:
    assert drawn_already(items(grey_jpeg()), drawing(**changes)) is None
    assert draw(items(grey_jpeg()), drawing(**changes))


def test_red_green_and_blue_in_a_jpeg_are_for_no_browser_to_guess() -> None:
    rgb = bytes(imagecodecs.jpeg8_encode(COLOUR, level=95, outcolorspace="RGB"))
    wanted = drawing(colour=True, photometric_interpretation="RGB")
    assert drawn_already(items(rgb), wanted) is None
    shown = imagecodecs.jpeg8_decode(draw(items(rgb), wanted))
    assert np.abs(shown.astype(int) - COLOUR).max() < 16


@pytest.mark.parametrize(
    "stored",
    [b"", b"not a JPEG", grey_jpeg()[:60], grey_jpeg()[:-2], grey_jpeg(RAMP[:8])],
    ids=["nothing", "text", "half a header", "no end", "other rows"],
)
def test_a_broken_jpeg_is_not_sent_as_it_is(stored: bytes) -> None:
    with pytest.raises(Unprocessable):
        drawn_already(items(stored), drawing())


def test_a_native_frame_is_drawn_from_its_first_bit() -> None:
    native = drawing(transfer_syntax_uid="1.2.840.10008.1.2.1", media_type="image/png", first_bit=8)
    assert drawn_already(b"x" + RAMP.tobytes(), native) is None
    shown = imagecodecs.png_decode(draw(b"x" + RAMP.tobytes(), native))
    assert np.array_equal(shown, RAMP)
