"""Look at what the archive is made of: exit with 1 if something is wrong with it.

    locked       whatever is installed is in a lock file, at that version
    licences     what an archive needs to run is under licences of `LICENCES`
    withdrawn    the package index takes none of the locked versions back (yanked), and has them
    advisories   no weakness is known of a locked version, as OSV or PyPI tell

The last two need answers from elsewhere. What could not be asked is said, so that nobody takes
silence for good news; with `--strict` it is a failure.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from scripts.locked import DEVELOPING, RUNNING, Locked, due, identifiers, installed, licence_of

TOOLS = Path(".venv-audit/bin")
"""What `requirements-audit.lock` has installed."""
LONGEST_SECONDS = 300
SERVICES = ("osv", "pypi")

LICENCES = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT", "MIT-0"),
        *("MIT-CMU", "MPL-2.0", "PSF-2.0", "Zlib"),
    }
)
"""Those that let an archive be used and passed on by anybody."""
ACCEPTED: Mapping[str, str] = {}
"""Advisories that do not touch the archive, by identifier, and why they do not."""

_YANKED = re.compile(r"yanked version: '([^']+)' candidate \(version (\S+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody elsewhere says of the locked versions."""

    wrong: Sequence[str] = ()
    unknown: str | None = None
    """Why it is not known of all of them; None if it is."""


def unlocked(found: Mapping[str, Distribution], locked: Iterable[Locked]) -> Iterator[str]:
    """What is installed and not locked, or at another version."""
    versions = {one.name: one.version for one in locked}
    for name, distribution in sorted(found.items()):
        if name != "hilum" and versions.get(name) != distribution.version:
            yield f"{name} {distribution.version} is installed and not locked"


def wrong_licences(found: Mapping[str, Distribution], locked: Iterable[Locked]) -> Iterator[str]:
    """What is under a licence that is not on the list, or under none that is told."""
    for one in locked:
        licence = licence_of(found[one.name]) if one.name in found else "not installed"
        if licence is None or not identifiers(licence) <= LICENCES:
            yield f"{one.name} {one.version}: licence {licence}"


def withdrawn() -> Answer:
    """Of which locked versions the package index says that they are yanked."""
    command = [*_pip("install", "--dry-run", "--ignore-installed", "--no-deps"), "--require-hashes"]
    asked = _run([*command, "--requirement", str(DEVELOPING)])
    if asked is None or asked.returncode:
        return Answer(unknown="the package index does not give all that is locked")
    return Answer([f"{name} {version} is yanked" for name, version in taken_back(asked.stderr)])


def taken_back(said: str) -> list[tuple[str, str]]:
    """Names and versions that pip says are yanked."""
    return sorted(set(_YANKED.findall(said)))


def advisories() -> Answer:
    """Of which locked versions a weakness is known: from the first service that knows them all."""
    wrong: list[str] = []
    for service in SERVICES:
        command = [str(TOOLS / "pip-audit"), "--requirement", str(DEVELOPING), "--require-hashes"]
        options = ["--disable-pip", "--format", "json", "--progress-spinner", "off"]
        asked = _run([*command, *options, "--vulnerability-service", service])
        answer = judged(asked.stdout if asked else "")
        wrong += [one for one in answer.wrong if one not in wrong]
        if answer.unknown is None:
            return Answer(wrong)
    return Answer(wrong, "no advisories could be fetched")


def judged(told: str) -> Answer:
    """What a report of pip-audit says, in JSON; whatever is no report says nothing."""
    try:
        reported = json.loads(told)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Answer(unknown="no report")
    wrong = [
        f"{one['name']} {one['version']}: {weakness['id']}"
        f" (mended in {', '.join(weakness['fix_versions']) or 'no version'})"
        for one in reported
        for weakness in one.get("vulns", ())
        if weakness["id"] not in ACCEPTED
    ]
    passed_over = [one["name"] for one in reported if "skip_reason" in one]
    return Answer(wrong, f"nothing is told of {len(passed_over)}" if passed_over else None)


def _pip(*arguments: str) -> list[str]:
    return [str(TOOLS / "python"), "-m", "pip", "--disable-pip-version-check", *arguments]


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str] | None:
    """What came of it; None if it took too long or cannot be run."""
    try:
        return subprocess.run(  # noqa: S603
            command, capture_output=True, text=True, timeout=LONGEST_SECONDS, check=False
        )
    except (subprocess.TimeoutExpired, OSError):
        return None


def main(arguments: Sequence[str]) -> int:
    """Say what was looked at and what is wrong; the exit code."""
    found, all_locked, needed = installed(), due(DEVELOPING), due(RUNNING)
    answers = {
        "locked": Answer(list(unlocked(found, all_locked))),
        "licences": Answer(list(wrong_licences(found, needed))),
        "withdrawn": withdrawn(),
        "advisories": advisories(),
    }
    for name, answer in answers.items():
        verdict = f"NOT CHECKED: {answer.unknown}" if answer.unknown else "good"
        print(f"{name}: {'; '.join(answer.wrong) or verdict}")
    failed = any(answer.wrong for answer in answers.values())
    unknown = any(answer.unknown for answer in answers.values())
    return int(failed or (unknown and "--strict" in arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
