"""Studies and series as images, over HTTP: the one that represents them, or one for each."""

from collections.abc import Sequence

import httpx
import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10

PNG = {"Accept": "image/png"}
MULTIPART_PNG = {"Accept": 'multipart/related; type="image/png"'}
SIDE = 16


def grey(value: int, *, frames: int = 1, side: int = SIDE, **place: str) -> pydicom.Dataset:
    """Frames of one grey each, beginning with this and each lighter by one."""
    greys = np.arange(value, value + frames, dtype=np.uint8)
    return ct_dataset(
        **{
            **{"Rows": side, "Columns": side, "NumberOfFrames": frames},
            **{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7},
            **{"RescaleIntercept": None, "RescaleSlope": None, "InstanceNumber": value},
            "PixelData": np.repeat(greys, side * side).tobytes(),
        }
        | place
    )


async def store_series(
    http: httpx.AsyncClient, values: Sequence[int], study: str | None = None
) -> str:
    """Store a series of instances of these greys; the path of the series."""
    place = {"StudyInstanceUID": study or generate_uid(), "SeriesInstanceUID": generate_uid()}
    paths = await store(http, *(part10(grey(value, **place)) for value in values))
    return paths[0].partition("/instances/")[0]


def image_of(data: bytes) -> np.ndarray:
    image: np.ndarray = imagecodecs.imread(data)
    return image


def study_of(series: str) -> str:
    return series.partition("/series/")[0]


async def test_the_middle_image_of_the_larger_series_represents_the_study(
    viewer: httpx.AsyncClient,
) -> None:
    series = await store_series(viewer, [10, 20, 30, 40, 50])
    study = study_of(series)
    await store_series(viewer, [200, 210], study.rpartition("/")[2])
    for path in (f"{study}/thumbnail", f"{series}/thumbnail", f"{series}/rendered"):
        answer = await viewer.get(path, headers=PNG)
        assert answer.headers["content-type"] == "image/png"
        assert (image_of(answer.content) == 30).all()


async def test_the_middle_frame_represents_an_instance_and_any_can_be_asked_for(
    viewer: httpx.AsyncClient,
) -> None:
    (path,) = await store(viewer, part10(grey(100, frames=9)))
    middle = await viewer.get(f"{path}/thumbnail", headers=PNG)
    assert (image_of(middle.content) == 104).all()
    second = await viewer.get(f"{path}/frames/2/thumbnail", headers=PNG)
    assert (image_of(second.content) == 101).all()
    assert (await viewer.get(f"{path}/frames/10/thumbnail")).status_code == 404


async def test_a_thumbnail_is_a_small_jpeg_by_itself(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(grey(100, side=300)))
    for headers, query in (({}, ""), ({"Accept": "*/*"}, ""), (PNG, "?accept=image/jpeg")):
        answer = await viewer.get(f"{path}/thumbnail{query}", headers=headers)
        assert answer.headers["content-type"] == "image/jpeg"
        assert image_of(answer.content).shape == (200, 200)
    asked = await viewer.get(f"{path}/thumbnail?viewport=256,128")
    assert image_of(asked.content).shape == (128, 128)
    larger = await viewer.get(f"{path}/thumbnail?viewport=512,512")
    assert image_of(larger.content).shape == (300, 300)


async def test_the_query_of_ohif_is_answered_with_one_image(viewer: httpx.AsyncClient) -> None:
    series = await store_series(viewer, [10, 20, 30])
    for accept in ("*/*", 'multipart/related; type="application/octet-stream"'):
        answer = await viewer.get(
            f"{series}/rendered?accept=image%2Fjpeg", headers={"Accept": accept}
        )
        assert answer.headers["content-type"] == "image/jpeg"
        assert abs(int(image_of(answer.content).mean()) - 20) <= 1


async def test_a_rendered_study_has_a_part_for_each_image_in_their_order(
    viewer: httpx.AsyncClient,
) -> None:
    series = await store_series(viewer, [30, 10, 20])
    answer = await viewer.get(f"{series}/rendered", headers=MULTIPART_PNG)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith('multipart/related; type="image/png"; b')
    parts = parts_of(answer)
    assert [int(image_of(body)[0, 0]) for _, body in parts] == [10, 20, 30]
    for headers, _ in parts:
        assert headers["Content-Type"] == "image/png"
        single = await viewer.get(headers["Content-Location"], headers=PNG)
        assert single.status_code == 200
    by_default = await viewer.get(f"{study_of(series)}/rendered")
    assert by_default.headers["content-type"].startswith('multipart/related; type="image/jpeg"; b')
    known = {"If-None-Match": by_default.headers["etag"]}
    assert (await viewer.get(f"{study_of(series)}/rendered", headers=known)).status_code == 304


async def test_what_has_no_image_is_left_out_and_told(viewer: httpx.AsyncClient) -> None:
    place = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    report = ct_dataset(PixelData=None, **place)
    broken = grey(1, **place)
    broken.PhotometricInterpretation = "HSV"
    paths = await store(viewer, part10(report), part10(broken), part10(grey(9, **place)))
    study = paths[0].partition("/series/")[0]
    answer = await viewer.get(f"{study}/rendered", headers=MULTIPART_PNG)
    assert [int(image_of(body)[0, 0]) for _, body in parts_of(answer)] == [9]
    assert "1 instances have no image" in answer.headers["warning"]


async def test_where_there_is_no_image_nothing_is_found(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PixelData=None)))
    series = path.partition("/instances/")[0]
    for resource in (path, series, study_of(series), "/studies/1.2.3"):
        assert (await viewer.get(f"{resource}/thumbnail")).status_code == 404
    for resource in (series, study_of(series), "/studies/1.2.3"):
        assert (await viewer.get(f"{resource}/rendered")).status_code == 404
        assert (await viewer.get(f"{resource}/rendered", headers=PNG)).status_code == 404


async def test_a_study_of_broken_images_is_refused(viewer: httpx.AsyncClient) -> None:
    broken = grey(1)
    broken.PhotometricInterpretation = "HSV"
    (path,) = await store(viewer, part10(broken))
    study = path.partition("/series/")[0]
    for headers in ({}, PNG):
        assert (await viewer.get(f"{study}/rendered", headers=headers)).status_code == 422


@pytest.mark.parametrize("query", ["viewport=8,8,0,0,4,4", "viewport=x", "quality=0"])
async def test_a_parameter_that_cannot_be_used_is_refused(
    viewer: httpx.AsyncClient, query: str
) -> None:
    (path,) = await store(viewer, part10(grey(1)))
    answer = await viewer.get(f"{path}/thumbnail?{query}")
    assert answer.status_code == 400
    assert answer.json()["parameter"] == query.partition("=")[0]


@pytest.mark.parametrize("resource", ["rendered", "thumbnail"])
async def test_other_media_types_are_not_acceptable(
    viewer: httpx.AsyncClient, resource: str
) -> None:
    series = await store_series(viewer, [1])
    answer = await viewer.get(f"{series}/{resource}", headers={"Accept": "text/html"})
    assert answer.status_code == 406


def parts_of(answer: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """The headers and the bytes of each part of a multipart message."""
    boundary = answer.headers["content-type"].partition("boundary=")[2]
    pieces = (b"\r\n" + answer.content).split(f"\r\n--{boundary}".encode())
    assert pieces[0] == b""
    assert pieces[-1] == b"--\r\n"
    parts = []
    for piece in pieces[1:-1]:
        head, _, body = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        parts.append((dict(line.split(": ", 1) for line in lines), body))
    return parts
