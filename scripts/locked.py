"""What the lock files list, what is installed of it, and under which licences it says it is."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

RUNNING = Path("requirements.lock")
"""What an archive needs to run."""
DEVELOPING = Path("requirements-dev.lock")
"""That, and what is needed to work on it."""

_ENTRY = re.compile(r"^([\w.-]+)==(\S+?)(?: *; *(.+))?$")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")

_SPDX = {
    "Apache Software License": "Apache-2.0",
    "ISC License": "ISC",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""Identifiers of licences that some metadata have by name."""
_IDENTIFIER = re.compile(r"[\w.-]+(?:\+|-or-later)?")


@dataclass(frozen=True, slots=True)
class Locked:
    """One version of a distribution, as a lock file pins it."""

    name: str
    version: str
    sha256: tuple[str, ...]
    """Of each of its files that may be installed."""
    marker: str | None
    """Where it is installed; None for everywhere."""

    @property
    def is_due(self) -> bool:
        """Whether it belongs to an installation on this machine."""
        return self.marker is None or Marker(self.marker).evaluate()


def entries(lock: Path) -> list[Locked]:
    """Everything that a lock file lists, on any machine. Raises `ValueError` for another line."""
    return [_entry(text) for text in re.split(r"\n(?=\w)", lock.read_text().strip())]


def due(lock: Path) -> list[Locked]:
    """Everything in a lock file that belongs to an installation on this machine."""
    return [one for one in entries(lock) if one.is_due]


def _entry(text: str) -> Locked:
    head = text.partition("\n")[0].removesuffix("\\").strip()
    found, hashes = _ENTRY.match(head), tuple(_HASH.findall(text))
    if found is None or not hashes:
        raise ValueError(f"not pinned by version and hash: {head}")
    return Locked(canonicalize_name(found[1]), found[2], hashes, found[3])


def installed() -> dict[str, Distribution]:
    """The distributions of this environment, by name."""
    return {canonicalize_name(one.metadata["Name"]): one for one in distributions()}


def licence_of(distribution: Distribution) -> str | None:
    """The licence that a distribution declares, as an SPDX expression; None if it is not told so.

    Of several classifiers all are taken to hold.
    """
    if expression := _told(distribution, "License-Expression"):
        return expression
    named = _told(distribution, "License")
    if named in _SPDX or re.fullmatch(r"[A-Za-z]+-[\w.-]+|MIT|ISC", named):
        return _SPDX.get(named, named)
    return " AND ".join(_classified(distribution)) or None


def _told(distribution: Distribution, field: str) -> str:
    return "".join(distribution.metadata.get_all(field) or ()).strip()


def _classified(distribution: Distribution) -> Iterator[str]:
    for classifier in distribution.metadata.get_all("Classifier") or []:
        kind, _, name = classifier.rpartition(" :: ")
        if kind.startswith("License"):
            yield _SPDX.get(name, name)


def identifiers(expression: str) -> set[str]:
    """The licences that an SPDX expression names."""
    return set(_IDENTIFIER.findall(expression)) - {"AND", "OR", "WITH"}
