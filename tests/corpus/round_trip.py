"""What is asked of every file: it is stored, found at each level, and comes back as it was.

A file that fails has one or more `Failure`s. `why` tells what is wrong; `explained` is the reason
why that is right, if it is.
"""

import base64
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pydicom
from pydicom.encaps import generate_frames
from pydicom.errors import InvalidDicomError

from tests.corpus import comparison
from tests.corpus.rendering import PIXELS, pydicom_is_wrong, shown
from tests.messages import parts_of

DICOM = "application/dicom"
JSON = {"Accept": "application/dicom+json"}
AS_STORED = {"Accept": f"{DICOM}; transfer-syntax=*"}
FRAMES_AS_STORED = {
    "Accept": 'multipart/related; type="application/octet-stream"; transfer-syntax=*, '
    'multipart/related; type="*/*"; transfer-syntax=*'
}
FEW_FRAMES = 3
URL = re.compile("(.*)/studies/(.*)/series/(.*)/instances/(.*)")

REFUSED_RIGHTLY = {
    0x0106: "a UID is not a UID",
    0x0111: "another file of the folder has its SOP Instance UID, and other bytes",
    0x0120: "it lacks a UID",
    0x0121: "one of its UIDs is empty",
    0xA900: "an element is there twice",
    0xC000: "it is cut short, or not a Part 10 file",
    0xC122: "its transfer syntax is unknown, or missing",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as it should be."""

    step: str
    why: str
    explained: str | None = None


@dataclass(slots=True)
class Trip:
    """What became of one file."""

    path: Path
    stored: bool = False
    failures: list[Failure] = field(default_factory=list)


def readable(path: Path) -> bool:
    """Whether pydicom takes the file for a DICOM file."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError):
        return False
    except Exception:
        return True
    return True


def travel(client: httpx.Client, path: Path) -> Trip:
    """Send the file through the archive."""
    trip = Trip(path)
    file = path.read_bytes()
    answer = client.post("/studies", content=file, headers=JSON | {"Content-Type": DICOM})
    stored = answer.json().get("00081199", {}).get("Value") if answer.content else None
    if not stored:
        trip.failures.append(_refusal(answer))
        return trip
    trip.stored = True
    url = stored[0]["00081190"]["Value"][0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(io.BytesIO(file), force=True)
        for check in (_bytes, _found, _metadata, _frames, _rendered):
            try:
                trip.failures += check(client, url, file, dataset)
            except (httpx.HTTPError, AssertionError) as error:
                trip.failures.append(Failure(check.__name__.strip("_"), str(error)[:200]))
    return trip


def _refusal(answer: httpx.Response) -> Failure:
    items = [
        item
        for tag in ("00081198", "0008119A")
        for item in (answer.json() if answer.content else {}).get(tag, {}).get("Value", [])
    ]
    if not items:
        return Failure("store", f"{answer.status_code} {answer.text[:200]}")
    reason = items[0]["00081197"]["Value"][0]
    comment = items[0].get("00000902", {}).get("Value", [""])[0]
    return Failure("store", f"{reason:04X} {comment}", REFUSED_RIGHTLY.get(reason))


def _bytes(client: httpx.Client, url: str, file: bytes, _: pydicom.Dataset) -> Iterator[Failure]:
    answer = _get(client, url, AS_STORED)
    if answer.content != file:
        yield Failure("bytes", f"{len(answer.content)} bytes came back, {len(file)} went in")


def _found(client: httpx.Client, url: str, _: bytes, __: pydicom.Dataset) -> Iterator[Failure]:
    parts = URL.fullmatch(url)
    assert parts is not None, url
    base, study, series, instance = parts.groups()
    for resource, keys in (
        ("studies", {"StudyInstanceUID": study}),
        ("series", {"StudyInstanceUID": study, "SeriesInstanceUID": series}),
        ("instances", {"SOPInstanceUID": instance}),
        (f"studies/{study}/series", {"SeriesInstanceUID": series}),
        (f"studies/{study}/instances", {"SOPInstanceUID": instance}),
        (f"studies/{study}/series/{series}/instances", {"SOPInstanceUID": instance}),
    ):
        found = _get(client, f"{base}/{resource}", JSON, **keys).json()
        if len(found) != 1:
            yield Failure("search", f"{len(found)} found by /{resource.partition('/')[0]}")


def _metadata(
    client: httpx.Client, url: str, _: bytes, dataset: pydicom.Dataset
) -> Iterator[Failure]:
    [ours] = _get(client, f"{url}/metadata", JSON).json()

    def bulk(uri: str) -> str:
        answer = _get(client, uri, {"Accept": "application/octet-stream; transfer-syntax=*"})
        return base64.b64encode(answer.content).decode()

    for difference in comparison.differences(ours, dataset, bulk):
        yield Failure("metadata", difference.what, difference.explained)


def _frames(
    client: httpx.Client, url: str, _: bytes, dataset: pydicom.Dataset
) -> Iterator[Failure]:
    try:
        expected = list(_expected_frames(dataset))
    except Exception as error:
        yield Failure("frames", f"pydicom: {error}"[:120], "pydicom cannot cut its frames")
        return
    for number, frame in expected:
        got = parts_of(_get(client, f"{url}/frames/{number}", FRAMES_AS_STORED))
        if [part.rstrip(b"\0") for part in got] != [frame.rstrip(b"\0")]:
            yield Failure("frames", f"frame {number} differs from pydicom's")


def _rendered(
    client: httpx.Client, url: str, _: bytes, dataset: pydicom.Dataset
) -> Iterator[Failure]:
    """The first and the last frame as PNG, beside what pydicom makes of them."""
    if "Rows" not in dataset or not any(name in dataset for name in PIXELS):
        return
    try:
        count = max(int(dataset.get("NumberOfFrames") or 1), 1)
    except ValueError as error:
        yield Failure("rendered", f"pydicom: {error}"[:120], "pydicom cannot count its frames")
        return
    for number in sorted({1, count}):
        try:
            expected, tolerance = shown(dataset, number)
        except Exception as error:
            yield Failure("rendered", f"pydicom: {error}"[:120], "pydicom cannot decode it")
            continue
        answer = client.get(f"{url}/frames/{number}/rendered", headers={"Accept": "image/png"})
        if not answer.is_success:
            why = f"frame {number}: {answer.status_code} {answer.text[:120]}"
            yield Failure("rendered", why)
            continue
        image = np.asarray(PIL.Image.open(io.BytesIO(answer.content)))
        if image.shape != expected.shape:
            yield Failure("rendered", f"frame {number} has the shape {image.shape}")
            continue
        difference = int(np.abs(image.astype(int) - expected).max())
        if difference > tolerance:
            yield Failure(
                "rendered",
                f"frame {number} differs by {difference}, {tolerance} is right",
                pydicom_is_wrong(dataset),
            )


def _expected_frames(dataset: pydicom.Dataset) -> Iterator[tuple[int, bytes]]:
    """The first frames, numbered from 1, as pydicom cuts them; none if it cannot."""
    if "PixelData" not in dataset or "Rows" not in dataset:
        return
    count = int(dataset.get("NumberOfFrames") or 1)
    data = dataset.PixelData
    if dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        frames = generate_frames(data, number_of_frames=count)
        for number in range(1, min(count, FEW_FRAMES) + 1):
            yield number, next(frames)
        return
    bits = dataset.Rows * dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated
    if bits % 8 == 0 and not str(dataset.PhotometricInterpretation).endswith("422"):
        for number in range(1, min(count, FEW_FRAMES) + 1):
            yield number, data[(number - 1) * bits // 8 : number * bits // 8]


def _get(client: httpx.Client, url: str, headers: dict[str, str], **query: Any) -> httpx.Response:
    answer = client.get(url, headers=headers, params=query or None)
    assert answer.is_success, f"{answer.status_code} {answer.text[:200]}"
    return answer
