"""The viewport: which region is shown, how large, and that nothing fine vanishes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dicom.viewport import Viewport, scaled
from app.errors import InvalidParameter

LARGEST = 64_000_000
RAMP = np.add.outer(np.arange(40) * 2, np.arange(60) * 3).astype(np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("200,100", Viewport(200, 100)),
        ("200, 100 ", Viewport(200, 100)),
        ("200,100,,,,", Viewport(200, 100)),
        ("8,8,1,2,3,4", Viewport(8, 8, 1, 2, 3, 4)),
        ("8,8,1.5,,-3,", Viewport(8, 8, 1.5, 0, -3, None)),
    ],
)
def test_a_viewport_is_a_size_and_perhaps_a_region(text: str, expected: Viewport) -> None:
    assert Viewport.parse(text, LARGEST) == expected


@pytest.mark.parametrize(
    "text",
    ["", "8", "8,", "8,8,1", "8,8,1,2,3", "8,8,1,2,3,4,5", "a,8", "8.5,8", "0,8", "-8,8",
     "70000,1", "1000000,1000000", "9000,9000", "8,8,-1,0,1,1", "8,8,0,nan,1,1",
     "8,8,0,0,inf,1", "8,8,0,0,0,1", "8,8,x,0,1,1", "1_0,8", "\u0661,8", "8,8,0,0,1_0,1"],
)  # fmt: skip
def test_a_viewport_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="viewport"):
        Viewport.parse(text, LARGEST)


@pytest.mark.parametrize(
    ("viewport", "shape"),
    [
        (Viewport(30, 30), (20, 30)),
        (Viewport(120, 120), (80, 120)),
        (Viewport(1, 1), (1, 1)),
        (Viewport(600, 20), (20, 30)),
        (Viewport(60, 40), (40, 60)),
        (Viewport(10, 10, 0, 0, 10, 10), (10, 10)),
        (Viewport(100, 100).without_enlarging(), (40, 60)),
    ],
)
def test_the_image_fills_the_viewport_and_keeps_its_aspect(
    viewport: Viewport, shape: tuple[int, int]
) -> None:
    assert viewport.apply(RAMP).shape == shape


def test_a_region_is_cut_and_a_negative_size_mirrors_it() -> None:
    part = RAMP[5:15, 10:30]

    assert (Viewport(20, 10, 10, 5, 20, 10).apply(RAMP) == part).all()
    assert (Viewport(20, 10, 10, 5, -20, 10).apply(RAMP) == part[:, ::-1]).all()
    assert (Viewport(20, 10, 10, 5, 20, -10).apply(RAMP) == part[::-1]).all()
    assert (Viewport(60, 40, 0, 0, -60, -40).apply(RAMP) == RAMP[::-1, ::-1]).all()


def test_a_region_ends_where_the_image_does() -> None:
    assert (Viewport(10, 5, 50, 35, 99, 99).apply(RAMP) == RAMP[35:, 50:]).all()


@pytest.mark.parametrize("viewport", [Viewport(8, 8, 60, 0), Viewport(8, 8, 0, 1e300)])
def test_a_region_outside_of_the_image_is_refused(viewport: Viewport) -> None:
    with pytest.raises(InvalidParameter, match="outside of 60 x 40"):
        viewport.apply(RAMP)


def test_colours_are_scaled_each_for_itself() -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    image[..., 1] = 200

    assert (scaled(image, 7, 9) == (0, 200, 0)).all()


@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 255))
def test_a_flat_image_stays_flat_at_any_size(rows: int, columns: int, grey: int) -> None:
    image = np.full((13, 29), grey, np.uint8)

    assert (scaled(image, rows, columns) == grey).all()
    assert scaled(image, rows, columns).shape == (rows, columns)


def test_a_line_of_one_pixel_survives_scaling_down() -> None:
    image = np.zeros((512, 512), np.uint8)
    image[:, 255] = 255

    small = scaled(image, 64, 64)

    assert (small.max(axis=1) > 10).all()
    assert small.mean() == pytest.approx(image.mean(), abs=0.6)


def test_scaling_up_by_two_of_a_ramp_is_a_ramp() -> None:
    image = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None], 4, axis=0)

    inside = scaled(image, 4, 40)[0, 2:-2].astype(int)

    assert set(np.diff(inside)) <= {4, 5, 6}
