"""Whole slides in a viewer of slides: what it is told, and which tiles have to be seen."""

from typing import Any

import numpy as np

from tests.slides import FULL, JPEG, JPEG_2000, NATIVE, SPARSE, Level, Slide, make_slide
from tests.viewer.browser import Shown, Visit


def slides() -> dict[str, Slide]:
    """The slides that are looked at, by name."""
    return {
        "a full slide, JPEG": make_slide(FULL, JPEG),
        "a full slide, native": make_slide(FULL, NATIVE),
        "a sparse slide, JPEG 2000": make_slide(SPARSE, JPEG_2000),
    }


def told(name: str, slide: Slide) -> dict[str, Any]:
    """What the page has to know of it; the smallest level comes first there."""
    levels = [{"uid": one.uid, "frames": len(one.tiles)} for one in reversed(slide.levels)]
    return {"name": name, "study": slide.study, "series": slide.series, "levels": levels}


def compare_slides(seen: dict[str, Slide], visit: Visit) -> list[str]:
    """Print a line for each level; what is wrong."""
    failures = ["the page did not come to its end"] if visit.failures is None else visit.failures[:]
    for name, slide in seen.items():
        for number, level in enumerate(slide.levels):
            wrong = [
                f"{name}, level {number}, tile {frame}: {what}"
                for frame in range(1, len(level.tiles) + 1)
                if (what := _wrong_with(level, frame, visit.frames.get((level.uid, frame))))
            ]
            print(f"{'WRONG' if wrong else 'ok':6} {len(level.tiles):3} tiles   {name}", flush=True)
            failures += wrong
    return failures


def _wrong_with(level: Level, frame: int, shown: Shown | None) -> str | None:
    if shown is None:
        return "not shown"
    same = np.array_equal(shown.pixels, level.tiles[frame - 1].reshape(-1))
    return None if same else "not the pixels that were stored"
