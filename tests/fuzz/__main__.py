"""`python -m tests.fuzz TARGET SECONDS`: search for bytes for which a target does not hold.

Needs atheris. What is found is printed as a Python literal, for a case among the tests.
"""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["app"]):
    from tests.fuzz.targets import TARGETS

from tests.fuzz.seeds import SEEDS

LONGEST = 4096


def main(name: str, seconds: str) -> None:
    """Run one target for so long; ends with an error if something is found."""
    target = TARGETS[name]

    def tried(data: bytes) -> None:
        try:
            target(data)
        except BaseException:
            sys.stderr.write(f"\n{name} does not hold for\n{data!r}\n")
            raise

    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, seed in enumerate(SEEDS[name]):
            (corpus / str(number)).write_bytes(seed)
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LONGEST}",
            "-timeout=20",
            "-rss_limit_mb=1500",
            f"-artifact_prefix={folder}/",
            "-verbosity=0",
            "-print_final_stats=1",
        ]
        atheris.Setup([sys.argv[0], *options, str(corpus)], tried)
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:3])
