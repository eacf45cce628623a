"""Words about the patient and the technique, burnt into a rendered image (PS3.18 8.3.5.1.1).

The patient stands at the top left, the technique at the bottom left, in white with a black rim, so
that both can be read on any ground. Of a name it is the alphabetic group. The font has the letters
of Latin, Greek, Cyrillic, Arabic and Hebrew; others appear as boxes, which nobody takes for a name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np
import PIL.Image
from PIL import ImageDraw, ImageFont

from app.dicom.jsonvalues import Attributes, first_of, items_of, values_of
from app.dicom.viewport import Image


class Topic(StrEnum):
    """What an annotation can be about; values as PS3.18 spells them."""

    PATIENT = "patient"
    TECHNIQUE = "technique"


@dataclass(frozen=True, slots=True)
class Annotation:
    """The lines that are burnt into an image."""

    at_top: tuple[str, ...] = ()
    at_bottom: tuple[str, ...] = ()


_FONT = Path(__file__).parent / "fonts" / "DejaVuSans.ttf"
_SMALLEST, _LARGEST = 9, 48
_LINES_IN_IMAGE = 34
"""Lines of text that the shorter side of an image has room for."""
_LONGEST_LINE = 80

_PER_FRAME, _PLANE_POSITION, _POSITION = "52009230", "00209113", "00200032"


def annotation_of(
    attributes: Attributes, frame_number: int, topics: tuple[Topic, ...]
) -> Annotation:
    """What the data set says on these topics, of one frame (counted from 1)."""
    return Annotation(
        _lines(_patient(attributes)) if Topic.PATIENT in topics else (),
        _lines(_technique(attributes, frame_number)) if Topic.TECHNIQUE in topics else (),
    )


def font_for(image: Image) -> ImageFont.FreeTypeFont:
    """The font of what is written into an image of this size."""
    size = min(image.shape[:2]) // _LINES_IN_IMAGE
    return ImageFont.truetype(_FONT, min(max(size, _SMALLEST), _LARGEST))


def burn(image: Image, annotation: Annotation) -> Image:
    """The image with the annotation in it."""
    rows, font = image.shape[0], font_for(image)
    size = round(font.size)
    picture = PIL.Image.fromarray(np.ascontiguousarray(image))
    pen = ImageDraw.Draw(picture)
    white, black = (255, 0) if image.ndim == 2 else ((255, 255, 255), (0, 0, 0))
    height, margin = round(size * 1.25), size // 2
    bottom = rows - margin - height * len(annotation.at_bottom)
    for top, lines in ((margin, annotation.at_top), (bottom, annotation.at_bottom)):
        for number, line in enumerate(lines):
            place = margin, top + number * height
            pen.text(place, line, white, font, stroke_width=max(size // 12, 1), stroke_fill=black)
    return np.asarray(picture)


def _patient(attributes: Attributes) -> Iterator[str]:
    name = first_of(attributes, "00100010")
    if isinstance(name, Mapping):
        yield " ".join(str(name.get("Alphabetic") or "").replace("^", " ").split())
    yield _after("ID ", _text(attributes, "00100020"))
    yield "  ".join(filter(None, (_date(attributes, "00100030"), _text(attributes, "00100040"))))


def _technique(attributes: Attributes, frame_number: int) -> Iterator[str]:
    when = _date(attributes, "00080020"), _time(attributes, "00080030")
    yield " ".join(filter(None, when))
    what = (_text(attributes, tag) for tag in ("00080060", "00081030", "0008103E"))
    yield "  ".join(filter(None, what))
    counted = [
        _after("Series ", _text(attributes, "00200011")),
        _after("Image ", _text(attributes, "00200013")),
    ]
    frames = _text(attributes, "00280008")
    if frames not in {"", "1"}:
        counted.append(f"Frame {frame_number}/{frames}")
    yield "  ".join(filter(None, counted))
    position = _place(attributes, frame_number)
    yield _after("Position ", " ".join(f"{number:.1f}" for number in position))


def _place(attributes: Attributes, frame_number: int) -> list[float]:
    """Image Position (Patient) of the frame, or Slice Location."""
    places = [attributes]
    for frame in items_of(attributes, _PER_FRAME)[frame_number - 1 : frame_number]:
        places = [*items_of(frame, _PLANE_POSITION), attributes]
    for place, tag in ((places[0], _POSITION), (attributes, _POSITION), (attributes, "00201041")):
        values = values_of(place, tag)
        if values and all(isinstance(value, int | float) for value in values):
            return list(values)
    return []


def _lines(texts: Iterator[str]) -> tuple[str, ...]:
    """The lines that say something, without characters that are no signs."""
    lines = ("".join(sign for sign in text if sign.isprintable()) for text in texts)
    return tuple(line[:_LONGEST_LINE] for line in lines if line)


def _text(attributes: Attributes, tag: str) -> str:
    value = first_of(attributes, tag)
    return "" if value is None else str(value).strip()


def _after(word: str, text: str) -> str:
    return word + text if text else ""


def _date(attributes: Attributes, tag: str) -> str:
    text = _text(attributes, tag)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdigit() else text


def _time(attributes: Attributes, tag: str) -> str:
    text = _text(attributes, tag)
    return f"{text[:2]}:{text[2:4]}" if text[:4].isdigit() and len(text) >= 4 else text
