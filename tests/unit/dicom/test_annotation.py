"""What is written into an image, and that it can be read there."""

from typing import Any

import numpy as np
import pytest

from app.dicom.annotation import Annotation, Topic, annotation_of, burn

BOTH = (Topic.PATIENT, Topic.TECHNIQUE)


def attributes(**more: Any) -> dict[str, Any]:
    values = {
        "00080020": "20240229",
        "00080030": "101112.5",
        "00080060": "CT",
        "00081030": "Thorax",
        "00100010": {"Alphabetic": "Doe^Jane^^Dr.", "Ideographic": "山田"},
        "00100020": "PID-1",
        "00100030": "19700101",
        "00100040": "F",
        "00200011": 3,
        "00200013": 12,
    } | more
    return {tag: {"vr": "XX", "Value": [value]} for tag, value in values.items()}


def test_the_patient_and_the_technique_are_told() -> None:
    assert annotation_of(attributes(), 1, BOTH) == Annotation(
        ("Doe Jane Dr.", "ID PID-1", "1970-01-01  F"),
        ("2024-02-29 10:11", "CT  Thorax", "Series 3  Image 12"),
    )
    assert annotation_of(attributes(), 1, (Topic.PATIENT,)).at_bottom == ()
    assert annotation_of(attributes(), 1, (Topic.TECHNIQUE,)).at_top == ()
    assert annotation_of({}, 1, BOTH) == Annotation()


def test_of_several_frames_it_is_told_which_one_and_where_it_lies() -> None:
    frames: list[Any] = [
        {"00209113": {"vr": "SQ", "Value": [{"00200032": {"vr": "DS", "Value": [0, 1.25, z]}}]}}
        for z in (10, 20)
    ]
    enhanced = attributes(**{"00280008": 2}) | {"52009230": {"vr": "SQ", "Value": frames}}
    told = annotation_of(enhanced, 2, BOTH).at_bottom
    assert told[2:] == ("Series 3  Image 12  Frame 2/2", "Position 0.0 1.2 20.0")


@pytest.mark.parametrize("value", ["\x1b[31mred\r\n", "a" * 5000, None, 7, ["x"]])
def test_whatever_stands_there_is_a_line_or_nothing(value: Any) -> None:
    strange = attributes(**{"00100020": value, "00080030": value, "00080020": value})
    for line in annotation_of(strange, 1, BOTH).at_top:
        assert line.isprintable()
        assert len(line) <= 80


@pytest.mark.parametrize("shape", [(512, 512), (512, 512, 3), (20, 30), (1, 1), (3000, 40)])
@pytest.mark.parametrize("ground", [0, 255])
def test_it_can_be_seen_on_any_ground(shape: tuple[int, ...], ground: int) -> None:
    image = np.full(shape, ground, np.uint8)
    burnt = burn(image, Annotation(("Müller Жанна", "ID 1"), ("CT",)))
    assert burnt.shape == shape
    assert burnt.dtype == np.uint8
    if min(shape[:2]) >= 20:
        assert (burnt != ground).any()
        assert (burnt[: shape[0] // 2, : shape[1] // 2] == 255).any()
    assert (image == ground).all()


def test_the_letters_of_the_font_differ() -> None:
    blank = np.zeros((64, 64), np.uint8)
    letters = "aäöüßéñøłćžЖдαβאש"
    drawn = {burn(blank, Annotation((letter,))).tobytes() for letter in letters}
    assert len(drawn) == len(letters)
