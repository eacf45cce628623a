"""What presentation states say, and images shown as they say: the rules of PS3.3 C.11 and C.10."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.typing import NDArray
from pydicom import Dataset

from app.dicom.canvas import composed
from app.dicom.presentation import Rescale, Window, WindowFunction
from app.dicom.render import render
from app.dicom.softcopy import Area, Softcopy, referenced_images, softcopy_of
from app.dicom.viewport import Viewport
from app.errors import ArchiveError, InvalidParameter, NotFound, TooLarge
from tests.factories import ct_dataset
from tests.unit.dicom.models import DATA_SETS
from tests.unit.dicom.states import attributes_of, item, reference, state_dataset

ROWS, COLUMNS = 6, 10
MANY = 1_000_000
RAMP = np.arange(ROWS * COLUMNS, dtype=np.uint16).reshape(ROWS, COLUMNS) * 60


def image(**attributes: Any) -> Dataset:
    values = {"Rows": ROWS, "Columns": COLUMNS, "PixelData": RAMP.tobytes()}
    return ct_dataset(**values | attributes)


def said(frame: int = 1, of: Dataset | None = None, **attributes: Any) -> Softcopy:
    shown = of or image()
    state = state_dataset(shown, **attributes)
    return softcopy_of(attributes_of(state), attributes_of(shown), frame, {}, {})


def drawn(softcopy: Softcopy, viewport: Viewport | None = None) -> NDArray[np.uint8]:
    return composed(render(RAMP, softcopy.presentation), softcopy, viewport, MANY)


# Grey


def test_the_stages_of_the_image_mean_nothing_under_a_state() -> None:
    own = image(
        PhotometricInterpretation="MONOCHROME1", WindowCenter=5, WindowWidth=1, RescaleSlope=3
    )
    bare = said(of=own)
    assert bare.presentation.modality is None
    assert not bare.presentation.inverted
    grey = drawn(bare)
    assert np.abs(grey.astype(int) - RAMP / 4095 * 255).max() <= 1


def test_the_stages_of_the_state_are_those_that_count() -> None:
    softcopy = said(
        RescaleSlope=2,
        RescaleIntercept=-10,
        PresentationLUTShape="INVERSE",
        SoftcopyVOILUTSequence=[item(WindowCenter=40, WindowWidth=400, VOILUTFunction="SIGMOID")],
    )
    assert softcopy.presentation.modality == Rescale(2, -10)
    assert softcopy.presentation.voi == Window(40, 400, WindowFunction.SIGMOID)
    expected = 255 - 255 / (1 + np.exp(-4 * (RAMP * 2.0 - 10 - 40) / 400))
    assert np.abs(drawn(softcopy).astype(int) - expected).max() <= 1


def test_a_window_is_of_the_images_and_frames_that_it_names() -> None:
    one, other = image(), image()
    other.StudyInstanceUID = one.StudyInstanceUID
    windows = [
        item(WindowCenter=1, WindowWidth=10, ReferencedImageSequence=[reference(other)]),
        item(WindowCenter=2, WindowWidth=10, ReferencedImageSequence=[reference(one, 2, 3)]),
        item(WindowCenter=3, WindowWidth=10, ReferencedImageSequence=[reference(one, 1)]),
    ]
    state = attributes_of(state_dataset(one, other, SoftcopyVOILUTSequence=windows))

    def center(of: Dataset, frame: int) -> float:
        voi = softcopy_of(state, attributes_of(of), frame, {}, {}).presentation.voi
        assert isinstance(voi, Window)
        return voi.center

    assert (center(one, 1), center(one, 3), center(other, 7)) == (3, 2, 1)


def test_a_state_is_of_the_images_that_it_names() -> None:
    with pytest.raises(NotFound):
        softcopy_of(attributes_of(state_dataset(image())), attributes_of(image()), 1, {}, {})
    shown = image()
    ((series, uid, frame),) = referenced_images(attributes_of(state_dataset(shown)))
    assert (series, uid, frame) == (shown.SeriesInstanceUID, shown.SOPInstanceUID, 1)


# Geometry


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flipped", [False, True])
def test_an_image_is_turned_clockwise_and_then_flipped(turns: int, flipped: bool) -> None:
    softcopy = said(ImageRotation=90 * turns, ImageHorizontalFlip="Y" if flipped else "N")
    expected = np.rot90(drawn(said()), -turns)
    assert np.array_equal(drawn(softcopy), expected[:, ::-1] if flipped else expected)


@pytest.mark.parametrize(
    ("top_left", "bottom_right"), [([3, 2], [8, 5]), ([8, 5], [3, 2]), ([3, 5], [8, 2])]
)
def test_the_displayed_area_is_between_its_corners(
    top_left: list[int], bottom_right: list[int]
) -> None:
    area = item(
        DisplayedAreaTopLeftHandCorner=top_left, DisplayedAreaBottomRightHandCorner=bottom_right
    )
    softcopy = said(DisplayedAreaSelectionSequence=[area])
    assert softcopy.area == Area(2, 1, 8, 5)
    assert np.array_equal(drawn(softcopy), drawn(said())[1:5, 2:8])


def test_what_lies_beyond_the_image_is_black() -> None:
    area = item(DisplayedAreaTopLeftHandCorner=[-1, -1], DisplayedAreaBottomRightHandCorner=[12, 8])
    shown = drawn(said(DisplayedAreaSelectionSequence=[area]))
    assert shown.shape == (10, 14)
    assert np.array_equal(shown[2:8, 2:12], drawn(said()))
    assert not shown[:2].any()
    assert not shown[:, 12:].any()


@pytest.mark.parametrize(
    ("attributes", "shape"),
    [
        ({"PresentationSizeMode": "MAGNIFY", "PresentationPixelMagnificationRatio": 2}, (12, 20)),
        ({"PresentationPixelAspectRatio": [2, 1]}, (12, 10)),
        ({"PresentationPixelSpacing": [0.5, 1]}, (3, 10)),
        ({"PresentationPixelMagnificationRatio": 2}, (6, 10)),
    ],
)
def test_pixels_have_the_size_that_the_state_says(
    attributes: dict[str, Any], shape: tuple[int, int]
) -> None:
    area = item(
        DisplayedAreaTopLeftHandCorner=[1, 1],
        DisplayedAreaBottomRightHandCorner=[COLUMNS, ROWS],
        **attributes,
    )
    assert drawn(said(DisplayedAreaSelectionSequence=[area])).shape == shape


def test_a_viewport_is_filled_and_a_region_is_of_what_is_shown() -> None:
    turned = said(ImageRotation=90)
    assert drawn(turned, Viewport(60, 60)).shape == (60, 36)
    assert drawn(turned, Viewport(60, 60, enlarge=False)).shape == (10, 6)
    part = drawn(turned, Viewport(3, 2, 0, 0, 3, 2))
    assert np.array_equal(part, drawn(turned)[:2, :3])
    with pytest.raises(InvalidParameter):
        drawn(turned, Viewport(3, 2, 100, 100, 3, 2))


def test_an_area_of_too_many_pixels_is_not_made() -> None:
    area = item(
        DisplayedAreaTopLeftHandCorner=[-60000, -60000],
        DisplayedAreaBottomRightHandCorner=[60000, 60000],
    )
    with pytest.raises(TooLarge):
        drawn(said(DisplayedAreaSelectionSequence=[area]))


# Shutters


WHITE = np.full((ROWS, COLUMNS), 255, np.uint8)


def shuttered(**attributes: Any) -> NDArray[np.uint8]:
    return composed(WHITE, said(**attributes), None, MANY)


def test_shutters_hide_what_lies_outside_of_them() -> None:
    edges = {
        "ShutterLeftVerticalEdge": 2,
        "ShutterRightVerticalEdge": 7,
        "ShutterUpperHorizontalEdge": 1,
        "ShutterLowerHorizontalEdge": 5,
    }
    shown = shuttered(ShutterShape="RECTANGULAR", ShutterPresentationValue=0x4000, **edges)
    expected = np.full_like(WHITE, 0x40)
    expected[0:5, 1:7] = 255
    assert np.array_equal(shown, expected)
    circle = shuttered(
        ShutterShape="CIRCULAR", CenterOfCircularShutter=[3, 5], RadiusOfCircularShutter=2
    )
    assert circle[2, 4] == 255
    assert circle[2, 2] == circle[2, 6] == 255
    assert not circle[:, 8:].any()
    everything = shuttered(
        ShutterShape="CIRCULAR", CenterOfCircularShutter=[1, 1], RadiusOfCircularShutter=700_000
    )
    assert everything.all()
    triangle = shuttered(
        ShutterShape="POLYGONAL", VerticesOfThePolygonalShutter=[1, 1, 6, 1, 6, 10]
    )
    assert triangle[5, 0] == triangle[4, 1] == 255
    assert triangle[0, 9] == 0


@pytest.mark.parametrize(
    "attributes",
    [
        {"ShutterShape": "HEXAGONAL"},
        {"ShutterShape": "CIRCULAR"},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [1], "RadiusOfCircularShutter": 5},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 2, 3]},
        {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 2},
    ],
)
def test_a_shutter_that_cannot_be_used_is_passed_over(attributes: dict[str, Any]) -> None:
    assert said(**attributes).shutters == ()


# Graphics


def graphic(kind: str, *places: float, filled: bool = False, units: str = "PIXEL") -> Dataset:
    return item(
        GraphicAnnotationUnits=units,
        GraphicDimensions=2,
        NumberOfGraphicPoints=len(places) // 2,
        GraphicData=list(places),
        GraphicType=kind,
        GraphicFilled="Y" if filled else "N",
    )


def annotated(*graphics: Dataset, texts: Any = (), **attributes: Any) -> NDArray[np.uint8]:
    annotation = item(GraphicLayer="ONE", GraphicObjectSequence=list(graphics))
    if texts:
        annotation.TextObjectSequence = list(texts)
    softcopy = said(GraphicAnnotationSequence=[annotation], **attributes)
    black = np.zeros((ROWS, COLUMNS), np.uint8)
    return composed(black, softcopy, Viewport(COLUMNS * 10, ROWS * 10), MANY)


def bounds(shown: NDArray[np.uint8]) -> list[int]:
    """Left, top, right, bottom of what is not black."""
    rows, columns = np.nonzero(shown)
    return [int(each) for each in (np.min(columns), np.min(rows), np.max(columns), np.max(rows))]


def near(shown: NDArray[np.uint8], expected: list[int]) -> bool:
    """Whether these are the bounds, but for the rounding to whole pixels."""
    return bool(np.abs(np.array(bounds(shown)) - expected).max() <= 1)


def test_graphics_lie_where_they_belong_in_the_size_that_is_shown() -> None:
    line = annotated(graphic("POLYLINE", 2, 1, 8, 1))
    assert bounds(line) == [20, 10, 80, 10]
    assert bounds(annotated(graphic("POLYLINE", 0.2, 0.5, 0.8, 0.5, units="DISPLAY"))) == [
        20,
        30,
        80,
        30,
    ]
    assert near(annotated(graphic("CIRCLE", 5, 3, 5, 5)), [30, 10, 70, 50])
    assert near(annotated(graphic("ELLIPSE", 1, 3, 9, 3, 5, 2, 5, 4)), [10, 20, 90, 40])
    point = bounds(annotated(graphic("POINT", 5, 3)))
    assert np.abs(np.array(point) - [50, 30, 50, 30]).max() <= 2
    square = annotated(graphic("POLYLINE", 2, 2, 4, 2, 4, 4, 2, 4, 2, 2, filled=True))
    assert square[30, 30] == 255
    assert square[50, 50] == 0
    curve = annotated(graphic("INTERPOLATED", 1, 1, 5, 5, 9, 1))
    assert curve[50, 50] == 255


def test_graphics_turn_with_the_image() -> None:
    line = graphic("POLYLINE", 2, 1, 8, 1)
    assert near(annotated(line, ImageRotation=180), [20, 50, 80, 50])
    assert near(annotated(line, ImageRotation=90, ImageHorizontalFlip="Y"), [6, 12, 6, 48])
    area = item(DisplayedAreaTopLeftHandCorner=[3, 1], DisplayedAreaBottomRightHandCorner=[7, 3])
    assert bounds(annotated(line, DisplayedAreaSelectionSequence=[area]))[1] == 20


def test_texts_stand_in_their_box_or_at_their_anchor() -> None:
    box = item(
        UnformattedTextValue="Tumour",
        BoundingBoxAnnotationUnits="PIXEL",
        BoundingBoxTopLeftHandCorner=[3, 2],
        BoundingBoxBottomRightHandCorner=[8, 4],
    )
    left, top, *_ = bounds(annotated(graphic("POINT", 9.9, 5.9), texts=[box]))
    assert 28 <= left <= 33
    assert 20 <= top <= 26
    anchor = item(
        UnformattedTextValue="Here",
        AnchorPointAnnotationUnits="DISPLAY",
        AnchorPoint=[0.5, 0.5],
        AnchorPointVisibility="N",
    )
    left, top, *_ = bounds(annotated(graphic("POINT", 9.9, 5.9), texts=[anchor]))
    assert 48 <= left <= 53
    assert 30 <= top <= 36


def test_what_would_stand_far_away_is_not_drawn() -> None:
    far = item(
        UnformattedTextValue="Where?",
        AnchorPointAnnotationUnits="PIXEL",
        AnchorPoint=[1e30, 3],
        AnchorPointVisibility="N",
    )
    graphics = graphic("POINT", 9.9, 5.9), graphic("POLYLINE", 0, 0, 1e30, 5)
    left, top, *_ = bounds(annotated(*graphics, texts=[far]))
    assert min(left, top) > 50


def test_layers_have_their_order_and_their_grey() -> None:
    lower = item(GraphicLayer="LOW", GraphicObjectSequence=[graphic("POLYLINE", 0, 3, 10, 3)])
    upper = item(GraphicLayer="HIGH", GraphicObjectSequence=[graphic("POLYLINE", 0, 3, 10, 3)])
    layers = [
        item(GraphicLayer="LOW", GraphicLayerOrder=1),
        item(
            GraphicLayer="HIGH",
            GraphicLayerOrder=2,
            GraphicLayerRecommendedDisplayGrayscaleValue=0x8000,
        ),
    ]
    softcopy = said(GraphicAnnotationSequence=[upper, lower], GraphicLayerSequence=layers)
    assert [graphic.grey for graphic in softcopy.graphics] == [255, 0x80]


@given(DATA_SETS, DATA_SETS)
def test_whatever_a_state_says_is_shown_or_refused(
    state: dict[str, Any], described: dict[str, Any]
) -> None:
    shown = image()
    good = attributes_of(state_dataset(shown))
    try:
        softcopy = softcopy_of(good | state, attributes_of(shown) | described, 1, {}, {})
        drawn(softcopy)
    except ArchiveError:
        return
