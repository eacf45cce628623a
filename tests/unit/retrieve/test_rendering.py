"""What the query parameters say of how frames are shown."""

import pytest

from app.dicom.annotation import Topic
from app.dicom.icc import ColourSpace
from app.dicom.mediatypes import Offer, choose, parse_accept
from app.dicom.presentation import Window, WindowFunction
from app.dicom.viewport import Viewport
from app.errors import InvalidParameter
from app.retrieve.rendering import FRAME_OFFERS, SET_OFFERS, THUMBNAIL, Rendering

MANY = 1_000_000


def test_the_parameters_are_read() -> None:
    parameters = {"window": "40,400,sigmoid", "viewport": "64,32", "quality": "80", "other": "x"}
    assert Rendering.parse("image/jpeg", parameters, MANY) == Rendering(
        "image/jpeg", Window(40, 400, WindowFunction.SIGMOID), Viewport(64, 32), 80
    )


def test_a_thumbnail_is_small_and_never_larger_than_its_image() -> None:
    assert Rendering.parse_thumbnail("image/png", {}, MANY).viewport == THUMBNAIL
    asked = Rendering.parse_thumbnail("image/png", {"viewport": "64,32"}, MANY)
    assert asked.viewport == Viewport(64, 32, enlarge=False)


@pytest.mark.parametrize("viewport", ["64,32,0,0,10,10", "64,32,,,,", "64", "0,1", "2000,2000"])
def test_a_thumbnail_shows_all_of_its_image(viewport: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        Rendering.parse_thumbnail("image/png", {"viewport": viewport}, MANY)
    assert refused.value.name == "viewport"


@pytest.mark.parametrize(
    ("accept", "offer"),
    [
        ("*/*", Offer("image/jpeg", multipart=True)),
        ('multipart/related; type="image/png"', Offer("image/png", multipart=True)),
        ("image/jpeg", Offer("image/jpeg")),
        ("image/*", Offer("image/jpeg")),
        ("image/avif,image/webp,image/png,*/*;q=0.8", Offer("image/png")),
        ("text/html", None),
    ],
)
def test_a_study_is_many_images_or_one_as_is_asked(accept: str, offer: Offer | None) -> None:
    assert choose(parse_accept(accept), SET_OFFERS) == offer


def test_one_frame_is_one_image() -> None:
    assert choose(parse_accept("*/*"), FRAME_OFFERS) == Offer("image/jpeg")
    assert choose(parse_accept('multipart/related; type="image/jpeg"'), FRAME_OFFERS) is None


def test_keywords_of_an_annotation_are_known_or_warned_of_or_no_keywords() -> None:
    def asked(annotation: str) -> Rendering:
        return Rendering.parse("image/png", {"annotation": annotation}, MANY)

    both = (Topic.PATIENT, Topic.TECHNIQUE)
    assert asked("technique, patient").topics == both
    assert asked("patient").warnings == ()
    strange = asked("patient,mood,patient,weather")
    assert strange.topics == (Topic.PATIENT,)
    assert strange.warnings == ("The following annotation values are not supported: mood, weather",)
    for text in (
        "",
        ",",
        "patient,",
        "<b>",
        "patient;technique",
        "1",
        ",".join("abcdefghijklmnopq"),
    ):
        with pytest.raises(InvalidParameter):
            asked(text)


def test_a_colour_space_is_one_of_five_and_of_formats_that_can_say_so() -> None:
    def asked(space: str, media_type: str = "image/jpeg") -> ColourSpace | None:
        return Rendering.parse(media_type, {"iccprofile": space}, MANY).colour_space

    assert [asked(space) for space in ("no", "yes", "srgb", "adobergb", "rommrgb")] == [
        *ColourSpace
    ]
    assert asked("no", "image/gif") is ColourSpace.NONE
    for space, media_type in (("", "image/png"), ("cmyk", "image/png"), ("yes", "image/gif")):
        with pytest.raises(InvalidParameter):
            asked(space, media_type)
