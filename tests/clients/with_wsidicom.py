"""`python -m tests.clients.with_wsidicom FOLDER`: slides as wsidicom reads them over the web.

It runs where `requirements-clients.lock` is installed. The folder holds `plan.json`, and
`{uid}.npy` with the pixels of each level.
"""

import json
import random
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import requests
from numpy.typing import NDArray
from requests.adapters import HTTPAdapter
from wsidicom import WsiDicom, WsiDicomWebClient

from tests.clients.report import Report

THREADS = 32
TILES = 600
"""At most so many are read of a level, each by a request of its own."""


def look_at(slide: dict[str, Any], client: WsiDicomWebClient, folder: Path, report: Report) -> None:
    """Read it in every way."""
    truths = [np.load(folder / f"{uid}.npy") for uid in slide["levels"]]
    name = slide["name"]
    with report.on(f"{name}: is opened"):
        opened = WsiDicom.open_web(client, slide["study"], slide["series"])
        sizes = [(level.size.height, level.size.width) for level in opened.levels]
        assert sizes == [truth.shape[:2] for truth in truths], sizes
    for number, truth in enumerate(truths):
        with report.on(f"{name}: tiles of level {number}, {THREADS} requests at a time"):
            opened.clear_cache()
            compare_tiles(opened, number, truth, slide["tile"])
    rows, columns = truths[0].shape[:2]
    top, left, height, width = rows // 5, columns // 6, rows // 2, columns // 2
    for threads in (1, 4):
        with report.on(f"{name}: a region, by {threads} threads"):
            opened.clear_cache()
            seen = opened.read_region(
                (left, top), 0, (width, height), threads=threads, as_array=True
            )
            compare(seen, truths[0][top : top + height, left : left + width])
    with report.on(f"{name}: all of it in one request"):
        opened.clear_cache()
        compare(opened.read_region((0, 0), 0, (columns, rows), as_array=True), truths[0])
    with report.on(f"{name}: a thumbnail"):
        opened.clear_cache()
        last = truths[-1]
        compare(opened.read_thumbnail((last.shape[1], last.shape[0]), as_array=True), last)


def compare_tiles(slide: WsiDicom, level: int, truth: NDArray[Any], size: int) -> None:
    """Compare tiles, in no order."""
    rows, columns = (-(-side // size) for side in truth.shape[:2])
    places = [(x, y) for y in range(rows) for x in range(columns)]
    places = random.Random(1).sample(places, min(TILES, len(places)))

    def compare_tile(place: tuple[int, int]) -> None:
        x, y = place
        seen = slide.read_tile(level, place, as_array=True)
        compare(seen, truth[y * size : (y + 1) * size, x * size : (x + 1) * size])

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(compare_tile, places))


def compare(seen: NDArray[Any], truth: NDArray[Any]) -> None:
    """The same bytes were decoded by two builds of one library: every sample is equal."""
    assert seen.shape == truth.shape, f"{seen.shape}, not {truth.shape}"
    off = np.abs(seen.astype(int) - truth).max()
    assert off == 0, f"samples are off by up to {off}"


def main(folder: Path) -> int:
    """Look at all slides; the exit code."""
    warnings.simplefilter("ignore")  # of pydicom, that bulk data are not fetched with metadata
    plan = json.loads((folder / "plan.json").read_text())
    session = requests.Session()
    session.trust_env = False
    session.headers["Authorization"] = f"Bearer {plan['token']}"
    session.mount("http://", HTTPAdapter(pool_maxsize=THREADS))
    client = WsiDicomWebClient.create_client(plan["base"], auth=session)
    report = Report()
    for slide in plan["slides"]:
        look_at(slide, client, folder, report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
