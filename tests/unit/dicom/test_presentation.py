"""Which windows, lookup tables and palettes an image has, and of which frame."""

import base64
from typing import Any

import numpy as np
import pytest

from app.dicom.lookup import LookupTable
from app.dicom.presentation import (
    Rescale,
    Window,
    WindowFunction,
    lookup_paths,
    presentation_of,
)
from app.errors import InvalidParameter, Unprocessable


def value(*values: Any, vr: str = "DS") -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)}


def sequence(*items: dict[str, Any]) -> dict[str, Any]:
    return {"vr": "SQ", "Value": list(items)}


GREY = {"00280004": value("MONOCHROME2", vr="CS"), "00280101": value(12, vr="US")}
LUT = {
    "00283002": value(4, 0, 8, vr="US"),
    "00283006": value(9, 8, 7, 6, vr="US"),
}
LUT_OUTSIDE = {
    "00283002": value(4, 0, 8, vr="US"),
    "00283006": {"vr": "OW", "BulkDataURI": "bulkdata/x"},
}


def window(center: Any, width: Any, **more: Any) -> dict[str, Any]:
    return {"00281050": value(center), "00281051": value(width), **more}


def test_an_image_that_says_nothing_is_shown_as_it_is() -> None:
    found = presentation_of(GREY, 1, {})

    assert (found.modality, found.voi, found.inverted, found.bits_stored) == (None, None, False, 12)


def test_rescale_and_the_first_window() -> None:
    attributes = GREY | {
        "00281052": value(-1024),
        "00281053": value(2),
        "00281050": value(40, 300),
        "00281051": value(400, 1500),
    }

    found = presentation_of(attributes, 1, {})

    assert found.modality == Rescale(2, -1024)
    assert found.voi == Window(40, 400)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("LINEAR", WindowFunction.LINEAR),
        ("LINEAR_EXACT", WindowFunction.LINEAR_EXACT),
        ("SIGMOID", WindowFunction.SIGMOID),
        ("WHATEVER", WindowFunction.LINEAR),
    ],
)
def test_the_function_of_the_window_is_the_image_s(name: str, function: WindowFunction) -> None:
    attributes = GREY | window(1, 2) | {"00281056": value(name, vr="CS")}

    assert presentation_of(attributes, 1, {}).voi == Window(1, 2, function)


@pytest.mark.parametrize("width", [0, 0.5, -3, "NaN", "abc", None])
def test_a_window_without_a_width_gives_way_to_the_lookup_table(width: Any) -> None:
    attributes = GREY | window(40, width) | {"00283010": sequence(LUT)}

    assert isinstance(presentation_of(attributes, 1, {}).voi, LookupTable)


def test_numbers_may_be_strings() -> None:
    assert presentation_of(GREY | window("40.5", " 80 "), 1, {}).voi == Window(40.5, 80)


def test_a_window_comes_before_a_lookup_table() -> None:
    attributes = GREY | window(1, 2) | {"00283010": sequence(LUT)}

    assert presentation_of(attributes, 1, {}).voi == Window(1, 2)


def test_a_modality_lookup_table_comes_before_rescale() -> None:
    attributes = GREY | {"00283000": sequence(LUT), "00281052": value(-1024)}

    modality = presentation_of(attributes, 1, {}).modality

    assert isinstance(modality, LookupTable)
    assert modality.values().tolist() == [9, 8, 7, 6]


def test_a_grey_table_that_cannot_be_used_is_passed_over() -> None:
    attributes = GREY | {"00283000": sequence(LUT_OUTSIDE), "00283010": sequence({})}

    found = presentation_of(attributes, 1, {})

    assert (found.modality, found.voi) == (None, None)


def test_monochrome1_is_inverted() -> None:
    assert presentation_of({"00280004": value("MONOCHROME1 ", vr="CS")}, 1, {}).inverted


def test_functional_groups_of_the_frame_come_before_those_of_all_frames() -> None:
    attributes = (
        GREY
        | window(1, 1)
        | {
            "52009229": sequence(
                {
                    "00289145": sequence({"00281052": value(-5), "00281053": value(3)}),
                    "00289132": sequence(window(10, 20)),
                }
            ),
            "52009230": sequence({}, {"00289132": sequence(window(30, 40))}),
        }
    )

    first, second, third = (presentation_of(attributes, number, {}) for number in (1, 2, 3))

    assert first.voi == third.voi == Window(10, 20)
    assert second.voi == Window(30, 40)
    assert first.modality == second.modality == Rescale(3, -5)


def test_the_first_input_of_a_voi_table_is_signed_where_rescale_goes_below_zero() -> None:
    lut = LUT | {"00283002": value(4, 64512, 8, vr="US")}
    attributes = GREY | {"00281052": value(-1024), "00283010": sequence(lut)}

    voi = presentation_of(attributes, 1, {}).voi

    assert isinstance(voi, LookupTable)
    assert voi.first == -1024


def test_padding_is_one_value_or_a_range() -> None:
    one = GREY | {"00280120": value(63, vr="US")}

    assert presentation_of(one, 1, {}).padding == (63, 63)
    assert presentation_of(one | {"00280121": value(3, vr="US")}, 1, {}).padding == (3, 63)


def palette(**changes: Any) -> dict[str, Any]:
    data = {"vr": "OW", "InlineBinary": base64.b64encode(bytes([0, 0, 0, 255])).decode()}
    return {
        "00280004": value("PALETTE COLOR", vr="CS"),
        **{f"0028110{n}": value(2, 0, 16, vr="US") for n in (1, 2, 3)},
        **{f"0028120{n}": data for n in (1, 2, 3)},
        **changes,
    }


def test_a_palette_is_read() -> None:
    found = presentation_of(palette(), 1, {}).palette

    assert found is not None
    assert found.apply(np.array([1])).tolist() == [[255, 255, 255]]


def test_a_segmented_palette_is_read() -> None:
    segments = {
        "vr": "OW",
        "InlineBinary": base64.b64encode(bytes([0, 0, 2, 0, 0, 0, 0, 255])).decode(),
    }
    attributes = {
        tag: element for tag, element in palette().items() if not tag.startswith("002812")
    }
    attributes |= {f"0028122{n}": segments for n in (1, 2, 3)}

    found = presentation_of(attributes, 1, {}).palette

    assert found is not None
    assert found.apply(np.array([0, 1])).tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("tag", ["00281102", "00281203"])
def test_a_palette_with_a_table_missing_is_refused_by_name(tag: str) -> None:
    with pytest.raises(Unprocessable, match=f"{tag[:4]},{tag[4:]}"):
        presentation_of(palette(**{tag: {"vr": "OW"}}), 1, {})


def test_the_paths_of_tables_outside_the_json_are_those_of_this_frame() -> None:
    far = {"vr": "OW", "BulkDataURI": "bulkdata/00281201"}
    per_frame = sequence(
        {"00289132": sequence({"00283010": sequence(LUT_OUTSIDE)})},
        {"00289132": sequence({"00283010": sequence(LUT)})},
    )
    attributes = palette(**{"00281201": far, "52009230": per_frame})

    assert lookup_paths(attributes, 1) == ["00281201", "x"]
    assert lookup_paths(attributes, 2) == ["00281201"]
    assert lookup_paths(GREY, 1) == []


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"52009230": {"vr": "OB", "InlineBinary": "AA=="}},
        {"00283000": {"vr": "SQ"}},
        {"00281050": {"vr": "DS"}},
        {"00280004": {"vr": "CS", "Value": [None]}, "00280101": {"vr": "US", "Value": []}},
    ],
)
def test_attributes_of_any_shape_are_survived(attributes: dict[str, Any]) -> None:
    assert presentation_of(attributes, 1, {}).voi is None


# The `window` parameter


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("40,400,linear", Window(40, 400)),
        ("-1.5e1,1,linear", Window(-15, 1)),
        ("40,0.5,linear-exact", Window(40, 0.5, WindowFunction.LINEAR_EXACT)),
        ("0, 2 ,SIGMOID", Window(0, 2, WindowFunction.SIGMOID)),
    ],
)
def test_a_window_is_three_values(text: str, expected: Window) -> None:
    assert Window.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "40", "40,400", "40,400,", "40,400,cubic", "40,400,linear,1", "a,400,linear",
     "40,0,linear", "40,0.9,linear", "40,0,linear-exact", "40,-1,sigmoid", "nan,1,linear",
     "40,nan,linear", "40,inf,linear", "inf,1,sigmoid", "40;400;linear",
     "4_0,400,linear", "40,4_0,linear"],
)  # fmt: skip
def test_a_window_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="window"):
        Window.parse(text)
