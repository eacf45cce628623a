"""Which frame, and which image of a slide, stands for the whole."""

from typing import Any

import pytest

from app.retrieve.representative import middle_frame, overview
from tests.unit.retrieve.rows import stored_instance


def image_type(*values: str) -> dict[str, Any]:
    return {"00080008": {"vr": "CS", "Value": list(values)}}


@pytest.mark.parametrize(("frames", "middle"), [(None, 1), (1, 1), (2, 2), (3, 2), (100, 51)])
def test_the_middle_of_the_frames(frames: int | None, middle: int) -> None:
    assert middle_frame(stored_instance(number_of_frames=frames)).number == middle


@pytest.mark.parametrize(
    ("flavours", "shown"),
    [
        (["LABEL", "OVERVIEW", "THUMBNAIL", "VOLUME"], 2),
        (["LABEL", "OVERVIEW", "VOLUME"], 1),
        (["LABEL", "VOLUME", "VOLUME"], 1),
        (["LABEL", "RESAMPLED"], 1),
        (["LABEL"], 0),
    ],
)
def test_the_image_that_shows_a_slide_best(flavours: list[str], shown: int) -> None:
    images = [stored_instance(id=number) for number in range(len(flavours))]
    attributes = {
        number: image_type("ORIGINAL", "PRIMARY", flavour, "NONE")
        for number, flavour in enumerate(flavours)
    }
    assert overview(images, attributes).id == shown


@pytest.mark.parametrize("attributes", [{}, {0: {}}, {0: image_type("ORIGINAL")}])
def test_images_of_no_type_are_as_good_as_any(attributes: dict[int, dict[str, Any]]) -> None:
    assert overview([stored_instance(id=0), stored_instance(id=1)], attributes).id == 0
