"""A first tour of a running archive: store, search, look. Over HTTP, as any client would.

The UIDs are the same each time, so that a second tour changes nothing.
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from pydicom.data import get_testdata_file

from app.cli import phantom
from app.errors import ArchiveError

SAMPLES = (
    "CT_small.dcm",
    "MR_small.dcm",
    "examples_jpeg2k.dcm",
    "examples_overlay.dcm",
    "examples_palette.dcm",
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "liver_1frame.dcm",
    "rtdose.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
    "waveform_ecg.dcm",
)
"""Files that pydicom carries: CT, MR, ultrasound, segmentation, radiotherapy, a report, an ECG."""

BOUNDARY = "hilum-demo"
IMAGE = Path("demo.png")
JSON = {"Accept": "application/dicom+json"}

NEXT = """
What you could try next, with TOKEN={token}:

  curl -H "Authorization: Bearer $TOKEN" "{base}/studies?includefield=all"
  curl -H "Authorization: Bearer $TOKEN" {base}/studies/{study}/metadata
  curl -H "Authorization: Bearer $TOKEN" -H "Accept: application/dicom; transfer-syntax=*" \\
       -o slice.dcm {instance}
  curl -H "Authorization: Bearer $TOKEN" -H "Accept: image/jpeg" \\
       -o slice.jpg {instance}/rendered
"""


class DemoFailed(ArchiveError):
    """The demonstration could not be finished."""


def take(base: str, token: str) -> None:
    """Walk through the archive at `base`, telling what is done. Raises `DemoFailed`."""
    with httpx.Client(headers={"Authorization": f"Bearer {token}"}, timeout=60) as client:
        try:
            _show(client, base, token)
        except httpx.TransportError as error:
            raise DemoFailed(
                f"No archive answers at {base} ({error}). Start one first, in another terminal: "
                "make run"
            ) from None


def _show(client: httpx.Client, base: str, token: str) -> None:
    series = [_part10(dataset) for dataset in phantom.ct_series()]
    stored = _store(client, base, series)
    print(f"Stored a CT series of {stored} slices, of nobody: a chest phantom.")
    stored = sum(_store(client, base, [sample]) for sample in _samples())
    print(f"Stored {stored} sample files that pydicom carries.\n")

    studies = _search(client, f"{base}/studies?limit=100")
    print(f"The archive knows {len(studies)} studies:")
    for study in studies:
        print("  " + _line(study))

    [found] = _search(client, f"{base}/studies?PatientID=HILUM-DEMO-1&StudyDate=20260101-20260131")
    study_uid = found["0020000D"]["Value"][0]
    instances = _search(client, f"{base}/studies/{study_uid}/instances?InstanceNumber=10")
    instance = instances[0]["00081190"]["Value"][0]
    rendered = _checked(client.get(f"{instance}/rendered", headers={"Accept": "image/png"}))
    IMAGE.write_bytes(rendered.content)
    print(f"\nThe middle slice of the phantom is in {IMAGE}, {len(rendered.content)} bytes.")
    print(NEXT.format(base=base, study=study_uid, instance=instance, token=token))


def _store(client: httpx.Client, base: str, files: list[bytes]) -> int:
    """Store the files in one request; how many the archive now holds."""
    part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    body = b"".join(part + file + b"\r\n" for file in files) + f"--{BOUNDARY}--\r\n".encode()
    kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
    answer = client.post(f"{base}/studies", content=body, headers=JSON | {"Content-Type": kind})
    if answer.status_code == httpx.codes.CONFLICT:
        print(f"  not stored: {answer.text[:300]}", file=sys.stderr)
        return 0
    references: list[Any] = _checked(answer).json().get("00081199", {}).get("Value", [])
    return len(references)


def _search(client: httpx.Client, url: str) -> list[dict[str, Any]]:
    answer = _checked(client.get(url, headers=JSON))
    found: list[dict[str, Any]] = answer.json() if answer.content else []
    return found


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code == httpx.codes.UNAUTHORIZED:
        raise DemoFailed("The archive does not know this token. Give a valid one with --token.")
    if answer.is_error:
        raise DemoFailed(f"{answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
    return answer


def _samples() -> Iterator[bytes]:
    for name in SAMPLES:
        path = get_testdata_file(name, download=False)
        if isinstance(path, str):
            yield Path(path).read_bytes()


def _part10(dataset: Any) -> bytes:
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _line(study: dict[str, Any]) -> str:
    def value(tag: str) -> str:
        values = study.get(tag, {}).get("Value", [])
        texts = (v.get("Alphabetic", "") if isinstance(v, dict) else str(v) for v in values)
        return "/".join(texts)

    name, date, modalities = value("00100010"), value("00080020"), value("00080061")
    return f"{name or '-':<26} {date or '-':<10} {modalities:<10} {value('00201208')} instances"
