"""The metadata of studies and series: made once, kept, right in every state, either way sent."""

import asyncio
import gzip
import json
from pathlib import Path

import httpx
import pytest

from app.retrieve import metadata
from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, ct_series, part10
from tests.fixtures.server import Server


def series_of(path: str) -> str:
    return path.partition("/instances/")[0]


def study_of(path: str) -> str:
    return path.partition("/series/")[0]


async def get(http: httpx.AsyncClient, path: str, encoding: str = "identity") -> httpx.Response:
    answer = await http.get(f"{path}/metadata", headers={"Accept-Encoding": encoding})
    assert answer.status_code == 200, answer.text
    return answer


async def numbers(http: httpx.AsyncClient, path: str) -> list[int]:
    return [one["00200013"]["Value"][0] for one in (await get(http, path)).json()]


async def test_a_series_is_made_once_and_is_the_same_however_it_is_sent(
    viewer: httpx.AsyncClient,
) -> None:
    paths = await store(viewer, *ct_series(40, PixelData=bytes(512)))
    series = series_of(paths[0])
    first = await get(viewer, series)
    again, compressed = await get(viewer, series), await get(viewer, series, "gzip")
    assert "content-length" not in first.headers, "it is made while it is sent"
    assert int(again.headers["content-length"]) == len(again.content)
    assert int(compressed.headers["content-length"]) < len(again.content) / 20
    assert first.content == again.content == compressed.content
    attributes = json.loads(first.content)
    assert [one["00200013"]["Value"] for one in attributes] == [[n] for n in range(1, 41)]
    for path, one in zip(paths, attributes, strict=True):
        uri = one["7FE00010"]["BulkDataURI"]
        assert uri == f"{viewer.base_url}".rstrip("/") + f"{path}/bulkdata/7FE00010"


async def test_made_while_sent_it_is_a_gzip_file_too(viewer: httpx.AsyncClient) -> None:
    series = series_of((await store(viewer, *ct_series(70)))[0])
    raw = []
    async with viewer.stream(
        "GET", f"{series}/metadata", headers={"Accept-Encoding": "gzip"}
    ) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        raw = [piece async for piece in answer.aiter_raw()]
    assert len(json.loads(gzip.decompress(b"".join(raw)))) == 70
    kept = await viewer.get(f"{series}/metadata", headers={"Accept-Encoding": "gzip"})
    assert gzip.decompress(b"".join(raw)) == kept.content


async def test_a_study_is_its_series_one_after_another(viewer: httpx.AsyncClient) -> None:
    one = ct_series(3, SeriesNumber=2)
    study = study_of((await store(viewer, *one))[0])
    uid = study.rpartition("/")[2]
    other = ct_series(40, StudyInstanceUID=uid, SeriesNumber=1)
    paths = await store(viewer, *other)
    await get(viewer, series_of(paths[0]))
    in_order = [*range(1, 41), 1, 2, 3]
    for _ in range(2):
        assert await numbers(viewer, study) == in_order
        compressed = await get(viewer, study, "gzip")
        assert [each["00200013"]["Value"][0] for each in compressed.json()] == in_order


async def test_what_comes_later_is_in_it_at_once(viewer: httpx.AsyncClient) -> None:
    first, second, third = ct_series(3)
    series = series_of((await store(viewer, second))[0])
    for _ in range(2):
        assert await numbers(viewer, series) == [2]
    await store(viewer, third)
    assert await numbers(viewer, series) == [2, 3]
    await store(viewer, first)
    for path in (series, study_of(series)):
        assert await numbers(viewer, path) == [1, 2, 3]


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
async def test_what_has_not_changed_is_not_sent_again(
    viewer: httpx.AsyncClient, encoding: str
) -> None:
    slices = ct_series(2)
    (path,) = await store(viewer, slices[0])
    for resource in (series_of(path), study_of(path), path):
        etag = (await get(viewer, resource, encoding)).headers["etag"]
        assert etag.startswith('"')
        known = {"If-None-Match": etag, "Accept-Encoding": encoding}
        unchanged = await viewer.get(f"{resource}/metadata", headers=known)
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == etag
    known = {"If-None-Match": (await get(viewer, series_of(path), encoding)).headers["etag"]}
    await store(viewer, slices[1])
    changed = await viewer.get(
        f"{series_of(path)}/metadata", headers=known | {"Accept-Encoding": encoding}
    )
    assert changed.status_code == 200


async def test_a_validator_is_of_one_form_only(viewer: httpx.AsyncClient) -> None:
    series = series_of((await store(viewer, *ct_series(1)))[0])
    etags = {
        (
            await viewer.get(
                f"{series}/metadata", headers={"Accept": accept, "Accept-Encoding": encoding}
            )
        ).headers["etag"]
        for accept in ("application/dicom+json", "application/json")
        for encoding in ("identity", "gzip")
    }
    assert len(etags) == 4


async def test_a_series_too_large_to_keep_is_made_every_time(
    viewer: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metadata, "KEPT_BYTES", 100)
    series = series_of((await store(viewer, *ct_series(40)))[0])
    for _ in range(2):
        answer = await get(viewer, series)
        assert "content-length" not in answer.headers
        assert len(answer.json()) == 40


async def test_a_long_series_is_inflated_in_pieces(viewer: httpx.AsyncClient) -> None:
    slices = ct_series(150, ImageType=[f"V{number:04}" for number in range(1500)])
    series = series_of((await store(viewer, *slices))[0])
    first, again = await get(viewer, series), await get(viewer, series)
    assert len(again.content) > 1024 * 1024
    assert again.content == first.content
    assert len(again.json()) == 150


async def test_many_who_ask_at_once_get_the_same(viewer: httpx.AsyncClient) -> None:
    series = series_of((await store(viewer, *ct_series(50)))[0])
    answers = await asyncio.gather(*(get(viewer, series) for _ in range(6)))
    assert len({answer.content for answer in answers}) == 1


async def test_a_whole_series_is_sent_while_it_grows(viewer: httpx.AsyncClient) -> None:
    """Whatever state is seen, it is one that there was: the first so many instances."""
    slices = ct_series(30)
    series = series_of((await store(viewer, slices[0]))[0])

    async def grow() -> None:
        for one in slices[1:]:
            await store(viewer, one)

    async def watch() -> None:
        seen: dict[str, bytes] = {}
        for _ in range(25):
            answer = await get(viewer, series)
            found = [one["00200013"]["Value"][0] for one in answer.json()]
            assert found == list(range(1, len(found) + 1))
            assert seen.setdefault(answer.headers["etag"], answer.content) == answer.content

    await asyncio.gather(grow(), watch(), watch())
    assert await numbers(viewer, series) == list(range(1, 31))


async def test_nothing_is_there_for_who_may_not_see_it(
    viewer: httpx.AsyncClient, shared_server: Server
) -> None:
    series = series_of((await store(viewer, *ct_series(1)))[0])
    await get(viewer, series)
    token = await shared_server.token("read", partition="other")
    for path in (series, study_of(series), "/studies/1.2.3", f"{study_of(series)}/series/1.2.3"):
        answer = await viewer.get(f"{path}/metadata", headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 404


async def test_one_instance_has_an_array_of_its_own(viewer: httpx.AsyncClient) -> None:
    (path,) = await store(viewer, part10(ct_dataset(PatientName="Äsop^Jane")))
    (attributes,) = (await get(viewer, path)).json()
    assert attributes["00080018"]["Value"] == [path.rpartition("/")[2]]
    beside = await viewer.get(f"{Path(path).parent}/1.2.3/metadata")
    assert beside.status_code == 404
