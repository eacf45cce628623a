"""Look at images of an archive with viewers' own code in a real browser: `make test-viewer`.

A page of another site searches with dicomweb-client, and loads frames with Cornerstone's image
loader; another shows slides with dicom-microscopy-viewer. They hand back the pixels that they have
decoded, and these are compared with the known ones. Nothing is passed over: a frame that was not
shown is a failure.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from app.dicom.uids import TRANSFER_SYNTAXES
from tests.archive_process import ArchiveProcess
from tests.viewer.browser import Shown, Site, Visit, browser
from tests.viewer.images import Sight, sights
from tests.viewer.tiles import compare_slides, slides, told

ANOTHER_SITE = "localhost"
SIBLING, OWN_NAME = "viewer.hilum.localhost", "images.hilum.localhost"
"""A page of the archive's own site, and the archive; for a browser they are this machine."""
DICOM = {"Content-Type": "application/dicom", "Accept": "application/dicom+json"}


def store(archive: ArchiveProcess, file: bytes) -> str:
    """Store it; its URL."""
    with archive.client() as client:
        answer = client.post("/studies", content=file, headers=DICOM)
    assert answer.is_success, answer.text  # 202 is stored with a warning
    url: str = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    return url


def store_image(archive: ArchiveProcess, sight: Sight) -> dict[str, Any]:
    """Store the image; what the page has to know of it."""
    url = store(archive, sight.file)
    study, _, series, _, instance = url.split("/studies/")[1].split("/")
    return {
        "name": sight.name,
        "study": study,
        "series": series,
        "instance": instance,
        "frames": len(sight.frames),
        "accept": sight.accept,
    }


def wrong_with(sight: Sight, number: int, shown: Shown | None) -> str | None:
    """What is wrong with a frame that was shown, if anything is."""
    if shown is None:
        return "not shown"
    expected = sight.frames[number - 1]
    if shown.facts["syntax"] != sight.syntax:
        return f"came in {shown.facts['syntax']}, not in {sight.syntax}"
    if shown.pixels.size != expected.size:
        return f"{shown.pixels.size} samples, not {expected.size}"
    off = np.abs(shown.pixels.astype(float) - expected.reshape(-1)).max()
    return f"samples are off by up to {off:g}" if off > sight.tolerance else None


def compare(seen: tuple[Sight, ...], visit: Visit) -> list[str]:
    """Print a line for each image; what is wrong."""
    failures = ["the page did not come to its end"] if visit.failures is None else visit.failures[:]
    for sight in seen:
        numbers = range(1, len(sight.frames) + 1)
        found = {n: wrong_with(sight, n, visit.frames.get((sight.name, n))) for n in numbers}
        wrong = [f"{sight.name}, frame {n}: {what}" for n, what in found.items() if what]
        name = sight.name.replace(sight.syntax, TRANSFER_SYNTAXES[sight.syntax].name)
        print(f"{'WRONG' if wrong else 'ok':6} {len(numbers):3} frames  {name}", flush=True)
        failures += wrong
    return failures


def compare_rendered(sight: Sight, visit: Visit) -> list[str]:
    """What is wrong with what `<img>` has shown."""
    failures = ["the page did not come to its end"] if visit.failures is None else visit.failures[:]
    shown = visit.frames.get((sight.name, 1))
    if shown is None or not np.array_equal(shown.pixels, sight.frames[0].reshape(-1)):
        failures.append("/rendered: not the pixels that were stored")
    print(f"{'WRONG' if failures else 'ok':6}            <img> with a session's cookie")
    return failures


def main() -> int:
    """Run; 0 if all is as it should be."""
    browser()
    seen, tiled = tuple(sights()), slides()
    failures = []
    with tempfile.TemporaryDirectory(prefix="hilum-viewer-") as folder, Site() as site:
        data = Path(folder) / "data"
        with ArchiveProcess(data) as archive:
            images = [store_image(archive, sight) for sight in seen]
            plan = {"base": archive.base, "token": archive.token, "images": images}
            failures += compare(seen, site.open(ANOTHER_SITE, "viewer.html", plan))
            for slide in tiled.values():
                for level in slide.levels:
                    store(archive, level.file)
            known = [told(name, slide) for name, slide in tiled.items()]
            plan = {"base": archive.base, "token": archive.token, "slides": known}
            failures += compare_slides(tiled, site.open(ANOTHER_SITE, "slides.html", plan))
        token, name = archive.token, "colour, stored in 1.2.840.10008.1.2"
        # A page that sends a cookie has to be of a named origin.
        with ArchiveProcess(data, HILUM_CORS_ORIGINS=json.dumps([site.origin(SIBLING)])) as archive:
            chosen = [image for image in images if image["name"] == name]
            base = archive.base.replace("127.0.0.1", OWN_NAME)
            plan = {"base": base, "token": token, "images": chosen}
            (shown,) = (sight for sight in seen if sight.name == name)
            failures += compare_rendered(shown, site.open(SIBLING, "images.html", plan))
        site.shutdown()
    for failure in failures:
        print(failure)
    print(f"{len(seen)} images, {len(tiled)} slides, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
