"""Colour profiles: made here, taken from the image, or not to be had."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import ImageCms

from app.dicom.icc import ColourSpace, in_profile, profile_of, profile_paths, well_known

COLOURS = np.array(
    [[[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128], [255, 255, 255]]], np.uint8
)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("space", "expected"),
    [  # published values of the primaries of sRGB in the other spaces
        (ColourSpace.SRGB, COLOURS[0].tolist()),
        (ColourSpace.ADOBE_RGB, [[219, 0, 0], [144, 255, 60], [0, 0, 250], [127] * 3, [255] * 3]),
        (
            ColourSpace.ROMM_RGB,
            [[179, 70, 26], [138, 237, 78], [86, 35, 235], [109] * 3, [255] * 3],
        ),
    ],
)
def test_colours_are_brought_into_the_space_that_is_asked_for(
    space: ColourSpace, expected: list[list[int]]
) -> None:
    image, profile = in_profile(COLOURS, space, SRGB)
    assert profile == well_known(space)
    assert np.abs(image[0].astype(int) - expected).max() <= 1


def test_what_came_out_goes_back_in() -> None:
    colours = np.array([[[200, 80, 60], [90, 180, 70], [60, 90, 190], [20, 20, 20]]], np.uint8)
    there, profile = in_profile(colours, ColourSpace.ROMM_RGB, SRGB)
    assert np.abs(there.astype(int) - colours).max() > 10
    back, _ = in_profile(there, ColourSpace.SRGB, profile)
    assert np.abs(back.astype(int) - colours).max() <= 3


def test_an_independent_reader_knows_the_profiles() -> None:
    for space in (ColourSpace.SRGB, ColourSpace.ADOBE_RGB, ColourSpace.ROMM_RGB):
        opened = ImageCms.getOpenProfile(io.BytesIO(well_known(space)))
        assert opened.profile.xcolor_space == "RGB "
        assert "RGB" in ImageCms.getProfileDescription(opened)


def test_yes_embeds_the_profile_of_the_image_and_changes_no_pixel() -> None:
    own = well_known(ColourSpace.ADOBE_RGB)
    image, profile = in_profile(COLOURS, ColourSpace.OWN, own)
    assert profile == own
    assert (image == COLOURS).all()


@pytest.mark.parametrize("source", [b"", b"no profile", b"\0" * 4096, well_known(ColourSpace.SRGB)])
def test_without_a_usable_profile_the_colours_are_those_of_srgb(source: bytes) -> None:
    image, profile = in_profile(COLOURS, ColourSpace.OWN, source)
    assert profile == well_known(ColourSpace.SRGB)
    assert (image == COLOURS).all()


def test_grey_becomes_colour_so_that_a_profile_fits() -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    image, _ = in_profile(grey, ColourSpace.SRGB, b"")
    assert (image == grey[..., None]).all()


def test_the_profile_stands_in_the_data_set_or_in_its_optical_path() -> None:
    inline: Any = {"vr": "OB", "InlineBinary": base64.b64encode(b"profile").decode()}
    assert profile_of({"00282000": inline}, {}) == b"profile"
    path = "00480105/0/00282000"
    slide: Any = {
        "00480105": {
            "vr": "SQ",
            "Value": [{"00282000": {"vr": "OB", "BulkDataURI": f"bulkdata/{path}"}}],
        }
    }
    assert profile_paths(slide) == [path]
    assert profile_of(slide, {path: b"profile"}) == b"profile"
    assert profile_of({}, {}) == b""
    assert profile_paths({"00282000": inline}) == []


@pytest.mark.parametrize(
    "paths", [{"vr": "LO", "Value": ["path"]}, {"vr": "US", "Value": [1]}, {"vr": "SQ"}]
)
def test_optical_paths_that_are_no_items_have_no_profile(paths: Any) -> None:
    assert profile_of({"00480105": paths}, {}) == b""
    assert profile_paths({"00480105": paths}) == []
