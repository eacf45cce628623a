"""The pixels of pydicom's own test files, stored and retrieved over HTTP: what pydicom decodes.

Frames are compared byte by byte, what is shown pixel by pixel. Of files that pydicom cannot decode
with what is installed here, the frames are compared with the codestreams in the file.
"""

import io
import warnings
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from pydicom.encaps import generate_frames
from pydicom.pixels import pixel_array

from tests.acceptance.retrieve.conftest import store
from tests.corpus.rendering import pydicom_is_wrong, shown
from tests.messages import parts_of
from tests.unit.dicom import files

BROKEN = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "its codestream was cut in two",
    "JPEG-lossy.dcm": "pydicom decodes no JPEG of 12 bits",
    "MR_truncated.dcm": "it is cut short, and not stored",
}
WITHOUT_UIDS = ("JPEGLSNearLossless", "SC_rgb_jls")
AS_STORED = 'multipart/related; type="*/*"; transfer-syntax=*'
NATIVE = [name for name in files.images(encapsulated=False) if name not in BROKEN]
COMPRESSED = [
    name
    for name in files.images(encapsulated=True)
    if name not in BROKEN and not name.startswith(WITHOUT_UIDS)
]


async def stored(viewer: httpx.AsyncClient, name: str) -> str:
    """The path of the file, stored under a UID that no other of the files has."""
    uid = files.read(name).SOPInstanceUID
    other = uid[:-9] + f"{zlib.crc32(name.encode()) % 10**8:09}"
    file = (files.FOLDER / name).read_bytes()
    (path,) = await store(viewer, file.replace(uid.encode(), other.encode()))
    return path


def decoded(make: Callable[..., Any], *arguments: Any) -> Any:
    """What pydicom makes of it, or None if it has no decoder for it here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return make(*arguments)
        except (RuntimeError, NotImplementedError):
            return None


@pytest.mark.parametrize("name", NATIVE + COMPRESSED)
async def test_an_image_is_shown_as_pydicom_decodes_it(
    viewer: httpx.AsyncClient, name: str
) -> None:
    path = await stored(viewer, name)
    dataset = files.read(name)
    for number in {1, int(dataset.get("NumberOfFrames") or 1)}:
        answer = await viewer.get(
            f"{path}/frames/{number}/rendered", headers={"Accept": "image/png"}
        )
        assert answer.status_code == 200, answer.text
        image = np.asarray(PIL.Image.open(io.BytesIO(answer.content)))
        assert image.shape[:2] == (dataset.Rows, dataset.Columns)
        expected = decoded(shown, dataset, number)
        if expected is None:
            continue
        pixels, tolerance = expected
        difference = np.abs(image.astype(int) - pixels).max()
        assert difference <= tolerance or pydicom_is_wrong(dataset)


@pytest.mark.parametrize("name", COMPRESSED)
async def test_a_compressed_frame_comes_back_as_it_was(
    viewer: httpx.AsyncClient, name: str
) -> None:
    path = await stored(viewer, name)
    dataset = files.read(name)
    count = int(dataset.get("NumberOfFrames") or 1)
    frames = list(generate_frames(dataset.PixelData, number_of_frames=count))
    for number in {1, count}:
        answer = await viewer.get(f"{path}/frames/{number}", headers={"Accept": AS_STORED})
        (frame,) = parts_of(answer)
        assert frame == frames[number - 1]


@pytest.mark.parametrize("name", NATIVE)
async def test_a_native_frame_has_the_samples_that_pydicom_finds(
    viewer: httpx.AsyncClient, name: str
) -> None:
    path = await stored(viewer, name)
    dataset = files.read(name)
    bits = dataset.BitsAllocated
    if bits == 1 or dataset.PhotometricInterpretation.endswith("422"):
        return  # fewer bytes than samples: tests of frames have them
    for number in {1, int(dataset.get("NumberOfFrames") or 1)}:
        answer = await viewer.get(f"{path}/frames/{number}")
        (frame,) = parts_of(answer)
        expected = decoded(lambda: pixel_array(dataset, index=number - 1, raw=True))  # noqa: B023
        expected = expected.astype(expected.dtype.newbyteorder("<"))
        samples = np.frombuffer(frame, f"<u{bits // 8}")
        if dataset.SamplesPerPixel > 1 and dataset.PlanarConfiguration == 1:
            expected = np.moveaxis(expected, 2, 0)
        mask = (1 << dataset.BitsStored) - 1
        assert (samples & mask == expected.ravel().view(samples.dtype) & mask).all()
