"""Clients that others wrote read what an archive has stored: `make test-clients`.

Slides and studies are made, stored in an archive that serves in a process of its own, and read over
HTTP: by wsidicom and dicomtrolley, each in an environment of its own, and by the tools of dcmtk and
dicom3tools. Everything that is looked at is told in a line.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from pydicom.uid import RLELossless, UltrasoundImageStorage

from app.dicom.recoding import TARGETS
from tests.acceptance.retrieve.files import read, storable
from tests.archive_process import ROOT, ArchiveProcess
from tests.clients import with_dcmtk
from tests.clients.report import Report
from tests.factories import ct_dataset, ct_series, part10
from tests.slides import FULL, JPEG, JPEG_2000, NATIVE, SPARSE, Slide, make_slide

PYTHON = Path(".venv-clients/bin/python")
DICOM = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}
OF_PYDICOM = (
    "CT_small.dcm",
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "examples_rgb_color.dcm",
    "examples_palette.dcm",
    "examples_ybr_color.dcm",
)


def slides() -> dict[str, Slide]:
    """The slides that wsidicom reads; of native pixels it takes none from the web."""
    return {
        "full, JPEG": make_slide(FULL, JPEG),
        "full, JPEG 2000": make_slide(FULL, JPEG_2000),
        "sparse, JPEG": make_slide(SPARSE, JPEG),
        "sparse, JPEG 2000": make_slide(SPARSE, JPEG_2000),
        "2,304 tiles": make_slide(FULL, JPEG, size=(1536, 1536), tile=32, levels=1),
    }


def store(client: httpx.Client, file: bytes) -> str:
    """Store it; its URL."""
    answer = client.post("/studies", content=file, headers=DICOM)
    assert answer.is_success, answer.text  # 202 is stored with a warning
    url: str = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    return url


def ultrasound() -> bytes:
    """An image in YBR_FULL, which has to lie by plane (PS3.3 C.8.5.6.1.16)."""
    pixels = np.arange(3 * 16 * 16, dtype=np.uint8).tobytes()
    return part10(
        ct_dataset(
            SOPClassUID=UltrasoundImageStorage,
            Modality="US",
            SamplesPerPixel=3,
            PhotometricInterpretation="YBR_FULL",
            PlanarConfiguration=1,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            RescaleSlope=None,
            RescaleIntercept=None,
            PixelData=pixels,
        )
    )


def study(client: httpx.Client, folder: Path) -> dict[str, Any]:
    """Store a study; what the client is told of it."""
    files = ct_series(40, PatientID="TROLLEY-1", AccessionNumber="TROLLEY-2")
    datasets = [read(file) for file in files]
    for dataset, file in zip(datasets, files, strict=True):
        store(client, file)
        (folder / f"{dataset.SOPInstanceUID}.dcm").write_bytes(file)
    first = datasets[0]
    keywords = ("PatientID", "AccessionNumber", "StudyInstanceUID", "StudyDescription")
    return {keyword: str(first[keyword].value) for keyword in keywords} | {
        "study": first.StudyInstanceUID,
        "series": first.SeriesInstanceUID,
        "instances": [dataset.SOPInstanceUID for dataset in datasets],
    }


def plan_of(archive: ArchiveProcess, made: dict[str, Slide], folder: Path) -> dict[str, Any]:
    """Store everything; what clients are told."""
    told = []
    with archive.client() as client:
        for name, slide in made.items():
            for level in slide.levels:
                store(client, level.file)
                np.save(folder / f"{level.uid}.npy", level.pixels)
            uids = [level.uid for level in slide.levels]
            where = {"study": slide.study, "series": slide.series, "levels": uids}
            told.append({"name": name, "tile": slide.tile} | where)
        studies = [study(client, folder)]
    return {"base": archive.base, "token": archive.token, "slides": told, "studies": studies}


def run(client: str, folder: Path) -> bool:
    """Run a module where the clients are installed; whether all was well."""
    print(f"{client}:", flush=True)
    command = [str(PYTHON), "-m", f"tests.clients.{client}", str(folder)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, env=environment, check=False).returncode == 0


def validated(archive: ArchiveProcess, made: dict[str, Slide], folder: Path) -> bool:
    """Have the tools look at objects of several kinds; whether all was well."""
    print("with_dcmtk:", flush=True)
    for what in with_dcmtk.missing():
        print(f"SKIPPED {what}", flush=True)
    files = {name: slide.levels[-1].file for name, slide in made.items()}
    files["full, native"] = make_slide(FULL, NATIVE, levels=1).levels[0].file
    files["a CT image"] = part10(ct_dataset())
    files |= {f"pydicom's {name}": storable(name) for name in OF_PYDICOM}
    asked = [(name, file, TARGETS) for name, file in files.items()]
    # The other codecs want its samples by pixel, whatever its IOD wants (PS3.5 8.2).
    asked.append(("an ultrasound image", ultrasound(), (RLELossless,)))
    report = Report()
    with archive.client() as client:
        for name, file, targets in asked:
            url = store(client, file)
            with_dcmtk.validate(client, name, file, url, targets, folder, report)
    return not report.failures


def main() -> int:
    """Run; 0 if all is as it should be."""
    if not PYTHON.exists():
        raise SystemExit(f"There is no {PYTHON}: make test-clients")
    made = slides()
    with tempfile.TemporaryDirectory(prefix="hilum-clients-") as scratch:
        folder = Path(scratch)
        with ArchiveProcess(folder / "data") as archive:
            (folder / "plan.json").write_text(json.dumps(plan_of(archive, made, folder)))
            good = [
                run("with_wsidicom", folder),
                run("with_dicomtrolley", folder),
                validated(archive, made, folder),
            ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
