"""A GIF that moves, as another reader of the format sees it."""

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL import ImageSequence

from app.dicom import animation
from app.dicom.imagefiles import encode
from app.errors import Unprocessable

FRAMES = 5


def frames_in(film: PillowImage.Image) -> int:
    return sum(1 for _ in ImageSequence.Iterator(film))


def frames(*, colour: bool) -> list[np.ndarray]:
    ramp = np.arange(24 * 32, dtype=np.uint8).reshape(24, 32) // 4
    images = [np.roll(ramp, 3 * number, axis=1) for number in range(FRAMES)]
    flat = [np.repeat(image[..., None] // 64 * 64, 3, axis=2) for image in images]
    return flat if colour else images


@pytest.mark.parametrize("colour", [False, True])
def test_every_frame_is_itself_and_shown_for_its_time(colour: bool) -> None:
    images = frames(colour=colour)
    gifs = [encode(image, "image/gif") for image in images]
    pieces = [animation.frame(gif, 4 + number) for number, gif in enumerate(gifs)]
    film = PillowImage.open(io.BytesIO(animation.head(gifs[0]) + b"".join(pieces) + animation.END))
    assert film.format == "GIF"
    assert frames_in(film) == FRAMES
    assert film.info["loop"] == 0
    for number, image in enumerate(images):
        film.seek(number)
        assert film.info["duration"] == 10 * (4 + number)
        assert (np.asarray(film.convert("RGB" if colour else "L")) == image).all()


def test_what_is_no_image_is_told() -> None:
    gif = encode(np.zeros((4, 4), np.uint8), "image/gif")
    with pytest.raises(Unprocessable):
        animation.frame(gif[: gif.index(b",")] + b";", 4)


def attributes(**values: list[Any]) -> dict[str, Any]:
    return {tag.strip("_"): {"vr": "DS", "Value": value} for tag, value in values.items()}


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, [10, 10, 10, 10]),
        ({"_00181063": [33.3]}, [3, 4, 3, 3]),
        ({"_00181063": [0]}, [10, 10, 10, 10]),
        ({"_00181063": [1]}, [2, 2, 2, 2]),
        ({"_00181063": ["40"]}, [4, 4, 4, 4]),
        ({"_00181063": ["NaN"]}, [10, 10, 10, 10]),
        ({"_00180040": [25]}, [4, 4, 4, 4]),
        ({"_00082144": [50], "_00180040": [25]}, [2, 2, 2, 2]),
        ({"_00181065": [0, 50, 200, 100]}, [5, 20, 10, 10]),
        ({"_00181065": [0]}, [10, 10, 10, 10]),
        ({"_00181063": [1e12]}, [10, 10, 10, 10]),
    ],
)
def test_a_frame_is_shown_for_as_long_as_the_data_set_says(
    said: dict[str, list[Any]], expected: list[int]
) -> None:
    assert animation.durations(attributes(**said), 4) == expected


def test_no_time_is_lost_by_rounding() -> None:
    assert sum(animation.durations(attributes(_00181063=[33.33]), 300)) == 1000
