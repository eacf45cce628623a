"""What the parameters of the URI Service ask for, and which of them are refused."""

from typing import Any

import pytest

from app.dicom.mediatypes import Offer
from app.dicom.presentation import Window
from app.dicom.viewport import Viewport
from app.errors import InvalidParameter, NotAcceptable
from app.retrieve.service import Target
from app.retrieve.wado_uri import UriRequest
from tests.unit.retrieve.rows import stored_instance

WADO = {"requestType": "WADO", "studyUID": "1.2", "seriesUID": "1.3", "objectUID": "1.4"}
MP4 = "1.2.840.10008.1.2.4.102"
MANY = 1_000_000


def parsed(**parameters: str) -> UriRequest:
    return UriRequest.parse(WADO | parameters)


def rendered(**parameters: str) -> Any:
    instance = stored_instance(rows=100, columns=200)
    return parsed(**parameters).rendering("image/png", instance, MANY)


def test_the_instance_is_named_by_three_uids() -> None:
    assert parsed().target == Target("1.2", "1.3", "1.4")
    assert parsed().frame_number is None


@pytest.mark.parametrize("name", sorted(WADO))
def test_what_is_required_is_missed_by_its_name(name: str) -> None:
    for parameters in ({k: v for k, v in WADO.items() if k != name}, WADO | {name: ""}):
        with pytest.raises(InvalidParameter, match="is missing") as refused:
            UriRequest.parse(parameters)
        assert refused.value.name == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requestType", "wado"),
        ("studyUID", "1..2"),
        ("objectUID", "../x"),
        ("frameNumber", "0"),
        ("frameNumber", "-1"),
        ("frameNumber", "99999999999"),
        ("rows", "0"),
        ("columns", "65536"),
        ("rows", "1e3"),
        ("region", "0,0,1"),
        ("region", "0,0,0,1"),
        ("region", "0.5,0,0.2,1"),
        ("region", "0,0,1,1.1"),
        ("region", "0,0,nan,1"),
        ("region", "0,0,0_1,1"),
        ("region", "0,0,,1,1"),
        ("region", "a,b,c,d"),
        ("imageQuality", "0"),
        ("imageQuality", "101"),
        ("transferSyntax", "little endian"),
        ("anonymize", "yes"),
        ("anonymize", "please"),
    ],
)
def test_what_cannot_be_used_is_refused_by_its_name(name: str, value: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parsed(**{name: value})
    assert refused.value.name == name


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"windowCenter": "40"}, "windowWidth"),
        ({"windowWidth": "40"}, "windowCenter"),
        ({"windowCenter": "40", "windowWidth": "0"}, "windowWidth"),
        ({"windowCenter": "40", "windowWidth": "nan"}, "windowWidth"),
        ({"windowCenter": "4_0", "windowWidth": "80"}, "windowCenter"),
        ({"windowCenter": "x", "windowWidth": "1"}, "windowCenter"),
    ],
)
def test_center_and_width_are_a_pair(parameters: dict[str, str], name: str) -> None:
    with pytest.raises(InvalidParameter) as refused:
        parsed(**parameters)
    assert refused.value.name == name
    assert parsed(windowCenter="40", windowWidth="400").window == Window(40, 400)


@pytest.mark.parametrize(
    ("parameters", "viewport"),
    [
        ({}, None),
        ({"rows": "50"}, Viewport(100, 50, 0, 0, 200, 100)),
        ({"columns": "50"}, Viewport(50, 25, 0, 0, 200, 100)),
        ({"rows": "50", "columns": "50"}, Viewport(50, 25, 0, 0, 200, 100)),
        ({"region": "0.5,0.5,1,1"}, Viewport(100, 50, 100, 50, 100, 50)),
        ({"region": "0,0,0.5,1", "rows": "200"}, Viewport(200, 200, 0, 0, 100, 100)),
    ],
)
def test_rows_and_columns_are_the_most_there_may_be(
    parameters: dict[str, str], viewport: Viewport | None
) -> None:
    assert rendered(**parameters).viewport == viewport


def test_an_image_is_no_larger_than_is_rendered() -> None:
    with pytest.raises(InvalidParameter, match="more than 1000000 pixels"):
        rendered(rows="1000")


@pytest.mark.parametrize(
    ("content_type", "offer"),
    [
        (None, Offer("image/jpeg")),
        ("", Offer("image/jpeg")),
        ("*/*", Offer("image/jpeg")),
        ("image/png", Offer("image/png")),
        ("image/gif,image/png,image/jpeg", Offer("image/gif")),
        ("application/dicom", Offer("application/dicom")),
        ("text/html,application/dicom", Offer("application/dicom")),
        ("text/html", None),
        ("multipart/related", None),
    ],
)
def test_the_content_type_is_chosen_by_its_parameter(
    content_type: str | None, offer: Offer | None
) -> None:
    asked = parsed(**{} if content_type is None else {"contentType": content_type})
    if offer is None:
        with pytest.raises(NotAcceptable):
            asked.offer(stored_instance())
    else:
        assert asked.offer(stored_instance()).media_type == offer.media_type


def test_a_video_is_sent_as_one_unless_it_is_asked_for_as_an_object() -> None:
    video = stored_instance(transfer_syntax_uid=MP4)
    assert parsed().offer(video).media_type == "video/mp4"
    assert parsed(contentType="application/dicom").offer(video).media_type == "application/dicom"


@pytest.mark.parametrize("fields", [{"number_of_frames": None}, {"number_of_frames": 0}], ids=str)
def test_what_has_nothing_to_show_is_sent_as_it_is(fields: dict[str, Any]) -> None:
    assert parsed().offer(stored_instance(**fields)).media_type == "application/dicom"
    with pytest.raises(NotAcceptable):
        parsed(contentType="image/jpeg").offer(stored_instance(**fields))


def test_an_image_has_no_transfer_syntax() -> None:
    with pytest.raises(InvalidParameter, match="transferSyntax"):
        parsed(transferSyntax="*").offer(stored_instance())
    dicom = parsed(transferSyntax="*", contentType="application/dicom")
    assert dicom.offer(stored_instance()).media_type == "application/dicom"


def test_a_presentation_state_is_named_by_two_uids_and_decides_what_is_seen() -> None:
    pair = {"presentationUID": "1.5", "presentationSeriesUID": "1.6"}
    assert parsed(**pair).state == Target("1.2", "1.6", "1.5")
    assert parsed().state is None
    for name in pair:
        with pytest.raises(InvalidParameter, match="is missing"):
            parsed(**{name: "1.5"})
    for name, value in (("region", "0,0,1,1"), ("windowCenter", "1"), ("windowWidth", "1")):
        with pytest.raises(InvalidParameter) as refused:
            parsed(**pair, **{"windowCenter": "1", "windowWidth": "1"} | {name: value})
        assert "presentation state" in str(refused.value)
