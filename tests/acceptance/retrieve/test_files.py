"""Every file that comes with pydicom: bit-exact as stored, and to pydicom the same otherwise."""

import asyncio
import json
import struct

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from tests.acceptance.retrieve.conftest import store
from tests.acceptance.retrieve.files import NAMES, frames_of, read, storable
from tests.messages import parts_of

MULTIPART = 'multipart/related; type="application/octet-stream"'


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_comes_back(viewer: httpx.AsyncClient, name: str) -> None:
    stored = storable(name)
    (path,) = await store(viewer, stored)
    as_stored, by_default, metadata = await asyncio.gather(
        viewer.get(path, headers={"Accept": "application/dicom; transfer-syntax=*"}),
        viewer.get(path, headers={"Accept": "application/dicom"}),
        viewer.get(f"{path}/metadata"),
    )
    assert as_stored.content == stored
    original, answered = read(stored), read(by_default.content)
    if original.file_meta.TransferSyntaxUID.is_encapsulated:
        assert by_default.content == stored
    else:
        assert answered.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert {element.tag for element in answered} == {
            element.tag for element in original if element.tag.element
        }
    (attributes,) = json.loads(metadata.content)
    assert attributes["00080018"]["Value"] == [original.SOPInstanceUID]
    await _check_frames(viewer, path, frames_of(original))
    if not original.file_meta.TransferSyntaxUID.is_encapsulated:
        assert frames_of(answered) == frames_of(original)


async def _check_frames(viewer: httpx.AsyncClient, path: str, frames: list[bytes]) -> None:
    if not frames:
        assert (await viewer.get(f"{path}/frames/1")).status_code == 404
        return
    numbers = range(1, len(frames) + 1)
    every, last, beyond, pixels = await asyncio.gather(
        viewer.get(f"{path}/frames/{','.join(map(str, numbers))}"),
        viewer.get(f"{path}/frames/{len(frames)}", headers={"Accept": "application/octet-stream"}),
        viewer.get(f"{path}/frames/{len(frames) + 1}"),
        viewer.get(f"{path}/bulkdata/7FE00010", headers={"Accept": MULTIPART}),
    )
    assert parts_of(every) == frames
    assert last.content == frames[-1]
    assert beyond.status_code == 404
    assert b"".join(parts_of(pixels)).startswith(b"".join(frames[:1]))


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_is_rendered_or_it_is_said_why_not(
    viewer: httpx.AsyncClient, name: str
) -> None:
    (path,) = await store(viewer, storable(name))
    answer = await viewer.get(f"{path}/rendered", headers={"Accept": "image/png"})
    if answer.status_code == 200:
        original = read(storable(name))
        width, height = struct.unpack(">II", answer.content[16:24])
        assert (height, width) == (original.Rows, original.Columns)
    else:
        assert answer.status_code in {404, 406, 422}, answer.text
        assert len(answer.json()["detail"]) > 20
