"""Overlays lie where they are said to, over the frames that they are of, and harm no image."""

import base64
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.description import PixelDescription
from app.dicom.drawing import Drawing, draw
from app.dicom.overlays import Overlay, overlay_paths, overlays_of
from app.dicom.presentation import presentation_of
from tests.unit.dicom import files

CROSS = np.array([[1, 0, 1], [0, 1, 0]], np.uint8)


def packed(*frames: np.ndarray) -> bytes:
    bits = np.concatenate([frame.ravel() for frame in frames])
    return np.packbits(bits, bitorder="little").tobytes()


def attributes(group: str = "6000", data: bytes | None = packed(CROSS), **changes: Any) -> Any:
    values: dict[str, Any] = {
        **{"0010": [2], "0011": [3], "0040": ["G"], "0050": [1, 1], "0100": [1], "0102": [0]}
    }
    values |= {name.removeprefix("x"): value for name, value in changes.items()}
    found: dict[str, Any] = {group + e: {"vr": "US", "Value": v} for e, v in values.items() if v}
    if data is not None:
        found[group + "3000"] = {"vr": "OW", "InlineBinary": base64.b64encode(data).decode()}
    return found


def burnt(found: dict[str, Any], frame: int = 1, shape: tuple[int, ...] = (4, 5)) -> np.ndarray:
    image = np.zeros(shape, np.uint8)
    for overlay in overlays_of(found, frame, {}):
        overlay.burn(image, None)
    return image


def expected(top: int, left: int) -> np.ndarray:
    canvas = np.zeros((24, 25), np.uint8)
    canvas[10 + top : 12 + top, 10 + left : 13 + left] = CROSS * 255
    return canvas[10:14, 10:15]


@pytest.mark.parametrize("group", ["6000", "6002", "601E"])
def test_graphics_are_white_over_the_image(group: str) -> None:
    assert np.array_equal(burnt(attributes(group)), expected(0, 0))


@given(st.integers(-4, 6), st.integers(-5, 7))
def test_they_lie_at_their_origin_and_are_cut_at_the_edges(top: int, left: int) -> None:
    found = attributes(x0050=[top + 1, left + 1])
    assert np.array_equal(burnt(found), expected(top, left))


def test_on_colour_they_are_white_too() -> None:
    image = burnt(attributes(), shape=(4, 5, 3))
    assert np.array_equal(image, np.repeat(expected(0, 0)[..., None], 3, axis=2))


def test_each_frame_has_its_own() -> None:
    found = attributes(data=packed(CROSS, 1 - CROSS, CROSS), x0015=[3], x0051=[2])
    assert not burnt(found, 1).any()
    assert np.array_equal(burnt(found, 2), expected(0, 0))
    assert np.array_equal(burnt(found, 3)[:2, :3], 255 - expected(0, 0)[:2, :3])
    assert np.array_equal(burnt(found, 4), expected(0, 0))
    assert not burnt(found, 5).any()


def test_one_without_frames_lies_over_all() -> None:
    assert np.array_equal(burnt(attributes(), 7), expected(0, 0))


@pytest.mark.parametrize(
    "found",
    [
        attributes(x0040=["R"]),
        attributes(x0040=None),
        attributes(x0010=None),
        attributes(x0011=["3"]),
        attributes(x0010=[-2]),
        attributes(x0050=[1]),
        attributes(x0050=[1, None]),
        attributes(x0010=[60000], x0011=[60000]),
        attributes(x0015=[0]),
        attributes(data=b""),
        attributes(data=None),
        attributes(data=None, x0100=[1]),
        attributes() | {"60003000": {"vr": "OW", "InlineBinary": "%"}},
        attributes() | {"60003000": {"vr": "OW", "BulkDataURI": "bulkdata/60003000"}},
    ],
    ids=range(14),
)
def test_what_cannot_be_used_is_passed_over(found: dict[str, Any]) -> None:
    assert not burnt(found).any()


def test_data_outside_of_the_json_are_found_by_their_path() -> None:
    found = attributes() | {"60003000": {"vr": "OW", "BulkDataURI": "bulkdata/60003000"}}
    assert list(overlay_paths(found)) == ["60003000"]
    assert list(overlay_paths(attributes(x0040=["R"]))) == []
    (overlay,) = overlays_of(found, 1, {"60003000": packed(CROSS)})
    assert overlay == Overlay(2, 3, 0, 0, packed(CROSS))


def test_bits_of_the_cells_that_are_no_part_of_their_values() -> None:
    described = PixelDescription(2, 3, 1, 16, 12, 11, 1, 0, "MONOCHROME2", "1.2.840.10008.1.2.1")
    values = np.array([[0, 5, -5], [7, -7, 0]], "<i2")
    cells = (values.view("<u2") & 0x0FFF) | CROSS.astype("<u2") << 13
    found = attributes(data=None, x0100=[16], x0102=[13]) | {
        "00280101": {"vr": "US", "Value": [12]},
        "00280103": {"vr": "US", "Value": [1]},
        "00281050": {"vr": "DS", "Value": [0]},
        "00281051": {"vr": "DS", "Value": [16]},
    }
    drawing = Drawing(described, presentation_of(found, 1, {}), "image/png")
    shown = imagecodecs.png_decode(draw(cells.tobytes(), drawing))
    without = Drawing(described, presentation_of(found | {"60000040": {}}, 1, {}), "image/png")
    beneath = imagecodecs.png_decode(draw(cells.tobytes(), without))
    assert np.array_equal(beneath[0], [136, 221, 51])  # of 0, 5 and -5
    assert np.array_equal(shown, np.where(CROSS, 255, beneath))


def test_the_overlay_of_a_file_is_that_of_pydicom() -> None:
    dataset = files.read("examples_overlay.dcm")
    found = {
        f"{element.tag:08X}": element.to_json_dict(None, 10**9)
        for element in dataset
        if element.tag.group == 0x6000
    }
    found["60003000"] = {"vr": "OW", "BulkDataURI": "bulkdata/60003000"}
    data = {"60003000": dataset[0x60003000].value}
    (overlay,) = overlays_of(found, 1, data)
    image = np.zeros((dataset.Rows, dataset.Columns), np.uint8)
    overlay.burn(image, None)
    assert np.array_equal(image, dataset.overlay_array(0x6000) * 255)
