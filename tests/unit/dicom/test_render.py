"""What is shown for each stored value: the formulas of PS3.3 C.11, and the files of pydicom."""

from typing import Any

import numpy as np
import pytest
from pydicom.pixels.processing import apply_color_lut, apply_modality_lut, apply_voi_lut

from app.dicom.description import describe
from app.dicom.lookup import LookupTable
from app.dicom.pixels import decode_frame
from app.dicom.presentation import Presentation, Rescale, Window, WindowFunction, presentation_of
from app.dicom.render import render, shown_as_stored, windowed
from app.dicom.viewport import Viewport
from tests.unit.dicom import files


def linear(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.2.1, as it stands there."""
    if x <= c - 0.5 - (w - 1) / 2:
        return 0
    if x > c - 0.5 + (w - 1) / 2:
        return 1
    return (x - (c - 0.5)) / (w - 1) + 0.5


def linear_exact(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.2."""
    if x <= c - w / 2:
        return 0
    if x > c + w / 2:
        return 1
    return (x - c) / w + 0.5


def sigmoid(x: float, c: float, w: float) -> float:
    """PS3.3 C.11.2.1.3.1."""
    with np.errstate(over="ignore"):
        return float(1 / (1 + np.exp(-4 * (x - c) / w)))


@pytest.mark.parametrize(
    ("function", "formula"),
    [
        (WindowFunction.LINEAR, linear),
        (WindowFunction.LINEAR_EXACT, linear_exact),
        (WindowFunction.SIGMOID, sigmoid),
    ],
)
@pytest.mark.parametrize(("center", "width"), [(2048, 4096), (0, 100), (40, 1), (-600.5, 1500.25)])
def test_windows_are_the_formulas_of_the_standard(
    function: WindowFunction, formula: Any, center: float, width: float
) -> None:
    inputs = np.linspace(-2000, 5000, 1001)

    shown = windowed(inputs, Window(center, width, function))

    assert shown == pytest.approx([formula(x, center, width) for x in inputs])


def test_the_examples_of_the_standard() -> None:
    """PS3.3 C.11.2.1.2.1: c=2048, w=4096; c=2048, w=1; c=0, w=100."""
    full = windowed(np.array([0.0, 4095.0]), Window(2048, 4096))
    threshold = windowed(np.array([2047.0, 2048.0]), Window(2048, 1))
    around_zero = windowed(np.array([-50.0, 49.0]), Window(0, 100))

    assert full.tolist() == threshold.tolist() == around_zero.tolist() == [0, 1]


def grey(values: list[float], presentation: Presentation, dtype: str = "i2", **more: Any) -> Any:
    return render(np.array([values], dtype), presentation, **more)[0].tolist()


def test_the_window_works_on_what_comes_out_of_rescale() -> None:
    ct = Presentation(Rescale(1, -1024), Window(40, 400), bits_stored=12)

    assert grey([0, 864, 1064, 1263, 4095], ct, "u2") == [0, 0, 128, 255, 255]


def test_a_window_that_is_asked_for_replaces_that_of_the_image() -> None:
    ct = Presentation(Rescale(1, -1024), Window(40, 400), bits_stored=12)

    assert grey([1024, 1025], ct, window=Window(1, 1)) == [0, 255]


def test_monochrome1_is_shown_inverted() -> None:
    image = Presentation(None, Window(50, 101, WindowFunction.LINEAR), inverted=True)

    assert grey([-5, 0, 100, 200], image) == [255, 254, 0, 0]


def test_without_a_window_the_whole_range_is_shown() -> None:
    assert grey([-100, 0, 100], Presentation(bits_stored=16)) == [0, 128, 255]
    assert grey([1, 2, 3], Presentation(Rescale(-1, 0), bits_stored=16)) == [255, 128, 0]


def test_padding_does_not_stretch_the_range() -> None:
    image = Presentation(bits_stored=16, padding=(-2000, -2000))

    assert grey([-2000, 0, 50, 100], image) == [0, 0, 128, 255]
    assert grey([-2000, -2000], image) == [0, 0]


@pytest.mark.parametrize("value", [0, 7, 4095])
def test_a_frame_of_one_value_is_shown_black(value: int) -> None:
    assert grey([value] * 3, Presentation(bits_stored=12), "u2") == [0, 0, 0]


def test_eight_bits_without_a_window_are_shown_as_they_are() -> None:
    assert grey([3, 40], Presentation(bits_stored=8), "u1") == [3, 40]
    assert grey([3, 40], Presentation(bits_stored=8, inverted=True), "u1") == [252, 215]


def test_a_bit_is_black_or_white_whatever_the_others_are() -> None:
    assert grey([1, 1], Presentation(bits_stored=1), "u1") == [255, 255]
    assert grey([0, 1], Presentation(bits_stored=1), "u1") == [0, 255]


def test_floats_may_be_anything() -> None:
    values = [np.nan, -np.inf, 0, 1, np.inf]

    assert grey(values, Presentation(bits_stored=32), "f4") == [0, 0, 0, 255, 255]
    assert grey([np.nan] * 2, Presentation(bits_stored=64), "f8") == [0, 0]
    assert grey([-1e308, 1e308], Presentation(bits_stored=64), "f8")[0] == 0


@pytest.mark.parametrize("dtype", ["i4", "u4", "i8", "u8"])
def test_integers_too_wide_for_a_table(dtype: str) -> None:
    assert grey([10, 60, 110], Presentation(bits_stored=32), dtype) == [0, 128, 255]


def table(first: int, bits: int, *entries: int) -> LookupTable:
    return LookupTable(first, bits, np.array(entries, np.uint16).tobytes())


def test_lookup_tables_in_both_stages() -> None:
    image = Presentation(table(0, 16, 30, 20, 10), table(10, 12, *range(0, 4096, 195)))

    assert grey([0, 1, 2, 9], image, "u2") == [243, 121, 0, 0]


def test_colour_of_more_or_fewer_bits_is_brought_to_eight() -> None:
    wide = np.array([[[0, 0x8000, 0xFFFF]]], np.uint16)
    narrow = np.array([[[0, 8, 15]]], np.uint8)

    assert render(wide, Presentation(bits_stored=16)).tolist() == [[[0, 128, 255]]]
    assert render(narrow, Presentation(bits_stored=4)).tolist() == [[[0, 136, 255]]]


def test_a_window_means_nothing_to_colour() -> None:
    colour = np.array([[[1, 2, 3]]], np.uint8)

    assert render(colour, Presentation(), window=Window(0, 1)).tolist() == [[[1, 2, 3]]]


def test_the_viewport_comes_last() -> None:
    image = render(np.arange(64, dtype="u2").reshape(8, 8), Presentation(bits_stored=16),
                   viewport=Viewport(4, 4))  # fmt: skip

    assert image.shape == (4, 4)


# pydicom's files, and pydicom's own processing as the reference


def rendered(name: str) -> tuple[Any, Any]:
    dataset = files.read(name)
    attributes = files.attributes_of(dataset)
    pixels = describe(attributes, dataset.file_meta.TransferSyntaxUID)
    samples = decode_frame(files.first_frame(dataset), pixels)
    return dataset, render(samples, presentation_of(attributes, 1, {}))


@pytest.mark.parametrize(
    "name", ["MR_small.dcm", "693_J2KI.dcm", "examples_overlay.dcm", "J2K_pixelrep_mismatch.dcm"]
)
def test_grey_images_look_as_pydicom_processes_them(name: str) -> None:
    dataset, image = rendered(name)
    values = apply_modality_lut(files.reference(name), dataset)
    windowed_values = apply_voi_lut(values, dataset, index=0)
    low, high = _output_range(dataset)

    expected = (windowed_values - low) / (high - low) * 255

    assert np.abs(image - expected).max() <= 1


def _output_range(dataset: Any) -> tuple[float, float]:
    low = -(1 << dataset.BitsStored - 1) if dataset.PixelRepresentation else 0
    high = low + (1 << dataset.BitsStored) - 1
    slope = float(dataset.get("RescaleSlope", 1))
    intercept = float(dataset.get("RescaleIntercept", 0))
    return low * slope + intercept, high * slope + intercept


def test_a_palette_image_looks_as_pydicom_processes_it() -> None:
    dataset, image = rendered("examples_palette.dcm")

    expected = apply_color_lut(files.reference("examples_palette.dcm"), dataset)

    assert np.abs(image - (expected >> 8).astype(int)).max() <= 1


@pytest.mark.parametrize("name", files.images(encapsulated=True) + files.images(encapsulated=False))
def test_every_image_of_pydicom_that_can_be_decoded_can_be_rendered(name: str) -> None:
    if name in {"JPEG2000-embedded-sequence-delimiter.dcm", "MR_truncated.dcm"}:
        return
    dataset, image = rendered(name)

    assert image.dtype == np.uint8
    assert image.shape[:2] == (dataset.Rows, dataset.Columns)
    assert image.min() < image.max()


@pytest.mark.parametrize(
    ("presentation", "colour", "expected"),
    [
        (Presentation(bits_stored=8), False, True),
        (Presentation(bits_stored=8), True, True),
        (Presentation(Rescale(1, 0), Window(128, 256), bits_stored=8), False, True),
        (Presentation(voi=Window(128, 200), bits_stored=8), False, False),
        (Presentation(Rescale(2, 0), bits_stored=8), False, False),
        (Presentation(bits_stored=8, inverted=True), False, False),
        (Presentation(bits_stored=12), False, False),
    ],
)
def test_what_is_shown_as_it_is_stored(
    presentation: Presentation, colour: bool, expected: bool
) -> None:
    assert shown_as_stored(presentation, colour=colour) is expected
