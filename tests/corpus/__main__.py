"""`python -m tests.corpus FOLDER`: the round trip, and a table of what failed and why.

Exits with 1 if something failed that is not explained.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.archive_process import ArchiveProcess
from tests.corpus.round_trip import Trip, readable, travel

TEST_TOKEN = "of-the-corpus-round-trip"


def main() -> int:
    """Run it; the exit code."""
    arguments = argparse.ArgumentParser(prog="make test-corpus", description=__doc__)
    arguments.add_argument("folder", type=Path)
    folder: Path = arguments.parse_args().folder
    if not folder.is_dir():
        print(f"{folder} is not a folder. Give one: make test-corpus CORPUS=folder")
        return 1
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and readable(path)]
    with (
        tempfile.TemporaryDirectory(prefix="hilum-corpus-") as scratch,
        ArchiveProcess(Path(scratch) / "data", HILUM_ADMIN_TOKEN=TEST_TOKEN) as archive,
    ):
        archive.token = TEST_TOKEN
        with archive.client() as client:
            trips = [travel(client, path) for path in files]
    return report(trips, folder)


def report(trips: Iterable[Trip], folder: Path) -> int:
    """Print what failed, file by file; 1 if something is not explained."""
    trips = list(trips)
    counts: Counter[str] = Counter()
    for trip in trips:
        counts["stored" if trip.stored else "refused"] += 1
        for failure in trip.failures:
            counts["explained" if failure.explained else "unexplained"] += 1
            mark = "   " if failure.explained else "!! "
            because = f"  ({failure.explained})" if failure.explained else ""
            name = trip.path.relative_to(folder)
            print(f"{mark}{name!s:<70} {failure.step:<9} {failure.why}{because}")
    print(
        f"{len(trips)} files: {counts['stored']} stored, {counts['refused']} refused; "
        f"{counts['explained']} differences explained, {counts['unexplained']} not"
    )
    return 1 if counts["unexplained"] else 0


if __name__ == "__main__":
    sys.exit(main())
