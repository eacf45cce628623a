"""Images as files: what another reader of these formats finds in them."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image as PillowImage

from app.dicom.icc import ColourSpace, well_known
from app.dicom.imagefiles import encode
from app.errors import NotAcceptable


def test_a_png_is_the_image_itself() -> None:
    image = np.random.default_rng(5).integers(0, 255, (30, 20, 3)).astype(np.uint8)

    for picture in (image, image[..., 0]):
        opened = PillowImage.open(io.BytesIO(encode(picture, "image/png")))
        assert opened.format == "PNG"
        assert (np.asarray(opened) == picture).all()


def test_a_jpeg_of_better_quality_is_nearer_and_longer() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    ramp[20:30, 20:30] = 255

    rough, usual, fine = (encode(ramp, "image/jpeg", quality) for quality in (5, None, 100))

    assert len(rough) < len(usual) < len(fine)
    assert np.abs(imagecodecs.jpeg8_decode(fine).astype(int) - ramp).max() <= 2


def test_a_red_jpeg_is_red() -> None:
    red = np.full((16, 16, 3), (255, 0, 0), np.uint8)

    opened = np.asarray(PillowImage.open(io.BytesIO(encode(red, "image/jpeg"))))

    assert np.abs(opened.astype(int) - red).max() <= 2


def test_other_formats_are_not_made() -> None:
    with pytest.raises(NotAcceptable, match="image/bmp"):
        encode(np.zeros((2, 2), np.uint8), "image/bmp")


def test_a_grey_gif_is_the_image_itself_and_one_of_few_colours_too() -> None:
    ramp = np.add.outer(np.arange(64), np.arange(64)).astype(np.uint8)
    colours = np.zeros((64, 64, 3), np.uint8)
    colours[:, 32:] = 255, 0, 0
    for image in (ramp, colours):
        opened = PillowImage.open(io.BytesIO(encode(image, "image/gif")))
        assert opened.format == "GIF"
        assert (np.asarray(opened.convert("RGB" if image.ndim == 3 else "L")) == image).all()


@pytest.mark.parametrize("media_type", ["image/jpeg", "image/png"])
def test_a_profile_is_found_in_the_file(media_type: str) -> None:
    profile = well_known(ColourSpace.ADOBE_RGB)
    image = np.full((16, 16, 3), (200, 30, 60), np.uint8)
    opened = PillowImage.open(io.BytesIO(encode(image, media_type, profile=profile)))
    assert opened.info["icc_profile"] == profile
    assert np.abs(np.asarray(opened).astype(int) - image).max() <= 3
