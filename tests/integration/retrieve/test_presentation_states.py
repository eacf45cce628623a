"""Presentation states over HTTP: rendered themselves, and asked for with an image."""

from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10
from tests.integration.retrieve.test_rendered import image_of
from tests.unit.dicom.states import item, state

PNG = {"Accept": "image/png"}
RAMP = np.arange(128, dtype=np.uint16).reshape(8, 16) * 8


def image() -> Dataset:
    return ct_dataset(Rows=8, Columns=16, PixelData=RAMP.tobytes())


def turned(shown: Dataset, **attributes: Any) -> bytes:
    """A state with a window, a turn by 90 degrees, and a polyline that is not in the metadata."""
    wave = [float(number % 16) for number in range(400)]
    graphic = item(
        GraphicAnnotationUnits="PIXEL",
        GraphicDimensions=2,
        NumberOfGraphicPoints=200,
        GraphicData=wave,
        GraphicType="POLYLINE",
    )
    values = {
        "ImageRotation": 90,
        "SoftcopyVOILUTSequence": [item(WindowCenter=512, WindowWidth=256)],
        "GraphicAnnotationSequence": [item(GraphicLayer="A", GraphicObjectSequence=[graphic])],
    }
    return state(shown, **values | attributes)


def expected() -> NDArray[np.float64]:
    grey = ((RAMP - 511.5) / 255 + 0.5).clip(0, 1) * 255
    return np.rot90(grey, -1)


def uri(viewer: httpx.AsyncClient, path: str, presentation: str | None, **more: str) -> httpx.URL:
    _, study, _, series, _, instance = path.removeprefix("/").split("/")
    parameters = {
        "requestType": "WADO",
        "contentType": "image/png",
        "studyUID": study,
        "seriesUID": series,
        "objectUID": instance,
    }
    if presentation is not None:
        _, _, _, of_series, _, uid = presentation.removeprefix("/").split("/")
        parameters |= {"presentationSeriesUID": of_series, "presentationUID": uid}
    return httpx.URL(str(viewer.base_url)).join("/wado").copy_merge_params(parameters | more)


async def test_a_state_shows_its_image_as_it_says(viewer: httpx.AsyncClient) -> None:
    shown = image()
    _, path = await store(viewer, part10(shown), turned(shown, GraphicAnnotationSequence=[]))
    answer = await viewer.get(f"{path}/rendered", headers=PNG)
    assert np.abs(image_of(answer) - expected()).max() <= 1
    again = {"If-None-Match": answer.headers["etag"]}
    assert (await viewer.get(f"{path}/rendered", headers=PNG | again)).status_code == 304
    small = image_of(await viewer.get(f"{path}/rendered?viewport=4,4", headers=PNG))
    assert small.shape == (4, 2)


async def test_graphics_that_lie_outside_of_the_metadata_are_drawn(
    viewer: httpx.AsyncClient,
) -> None:
    shown = image()
    _, path = await store(viewer, part10(shown), turned(shown))
    drawn = image_of(await viewer.get(f"{path}/rendered?viewport=80,160", headers=PNG))
    assert drawn.shape == (160, 80)
    assert (drawn[:40, :] == 255).any()  # where the image itself is black


async def test_an_image_is_shown_with_the_state_that_is_asked_for(
    viewer: httpx.AsyncClient,
) -> None:
    shown = image()
    path, state_path = await store(
        viewer, part10(shown), turned(shown, GraphicAnnotationSequence=[])
    )
    with_state = image_of(await viewer.get(uri(viewer, path, state_path)))
    assert np.abs(with_state - expected()).max() <= 1
    without = image_of(await viewer.get(uri(viewer, path, None)))
    assert without.shape == (8, 16)
    small = image_of(await viewer.get(uri(viewer, path, state_path, rows="8")))
    assert small.shape == (8, 4)


async def test_what_the_state_decides_cannot_be_asked_for(viewer: httpx.AsyncClient) -> None:
    shown = image()
    path, state_path = await store(viewer, part10(shown), turned(shown))
    for query in ("window=1,2,linear", "viewport=4,4,0,0,2,2", "viewport=4,4,,,,"):
        assert (await viewer.get(f"{state_path}/rendered?{query}")).status_code == 400
    for more in ({"windowCenter": "1", "windowWidth": "2"}, {"region": "0,0,1,0.5"}):
        assert (await viewer.get(uri(viewer, path, state_path, **more))).status_code == 400


async def test_a_state_without_its_image_is_not_found(viewer: httpx.AsyncClient) -> None:
    shown, other = image(), image()
    (path,) = await store(viewer, turned(shown))
    assert (await viewer.get(f"{path}/rendered")).status_code == 404
    other.StudyInstanceUID = shown.StudyInstanceUID
    (unrelated,) = await store(viewer, part10(other))
    assert (await viewer.get(uri(viewer, unrelated, path))).status_code == 404
    no_state = await viewer.get(uri(viewer, unrelated, unrelated))
    assert no_state.status_code == 400
    half = uri(viewer, unrelated, path).copy_remove_param("presentationSeriesUID")
    assert (await viewer.get(half)).status_code == 400


async def test_a_state_is_an_object_at_the_uri_service(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, turned(image()))
    url = uri(viewer, path, None).copy_remove_param("contentType")
    assert (await viewer.get(url)).headers["content-type"].startswith("application/dicom")
