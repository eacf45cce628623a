"""`BulkParts`: the bulk data of one message, found by what the metadata call them.

A BulkDataURI means the part whose Content-Location is the same: as it is written, or without scheme
and host, or, where one of the two is relative, if the other one ends with it. It is a name and no
more: nothing is ever fetched, from whatever place it names.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from app.dicom.assembly import BulkPart
from app.errors import TooLarge

MOST_STEPS = 8
"""Of a relative reference: of longer ones no absolute form is known."""

_ORIGIN = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://[^/]*)?")
_HERE = re.compile(r"(?:\./)*+")


class BulkParts:
    """Parts by their Content-Location; several with one are in the order in which they came."""

    def __init__(self, most: int) -> None:
        """`most`: characters of all their locations, which stay in memory."""
        self._left = most
        self._parts: dict[str, list[BulkPart]] = {}
        self._written: dict[str, str] = {}
        self._relative: set[str] = set()
        self._endings: dict[str, str | None] = {}
        self._used: set[str] = set()

    def add(self, location: str, part: BulkPart) -> None:
        """Note a part. One without a location is found by nobody. Raises `TooLarge`."""
        self._left -= len(location)
        if self._left < 0:
            raise TooLarge("The parts of the message have too long a Content-Location.")
        path, relative = _path(location)
        if path not in self._parts:
            self._parts[path] = []
            self._written[path] = location
            if relative:
                self._relative.add(path)
            else:
                self._note_endings(path)
        self._parts[path].append(part)

    def find(self, uri: str) -> Sequence[BulkPart]:
        """The parts that a BulkDataURI means, which are used from then on."""
        path = self._match(*_path(uri))
        if not path:
            return ()
        self._used.add(path)
        return self._parts[path]

    def pass_over(self, uris: Iterable[str]) -> None:
        """Count what these mean as used, by an instance that cannot be made."""
        for uri in uris:
            self.find(uri)

    def unused(self) -> list[str]:
        """The locations of the parts that no BulkDataURI has meant so far."""
        return [self._written[path] for path in self._parts if path not in self._used]

    def _note_endings(self, path: str) -> None:
        for ending in _endings(path):
            # What two parts end with tells neither.
            self._endings[ending] = None if ending in self._endings else path

    def _match(self, path: str, relative: bool) -> str | None:
        if path in self._parts:
            return path
        if relative:
            return self._endings.get(path)
        return next((ending for ending in _endings(path) if ending in self._relative), None)


def _path(uri: str) -> tuple[str, bool]:
    """The path without what comes before its first step, and whether it is a relative one."""
    origin = _ORIGIN.match(uri)
    written = uri[origin.end() :] if origin else uri
    path = written.lstrip("/")
    here = _HERE.match(path)
    assert here is not None
    return path[here.end() :], origin is None and path == written


def _endings(path: str) -> Iterator[str]:
    """What the path ends with, from the longest to the shortest."""
    steps = path.rsplit("/", MOST_STEPS)
    for first in range(1, len(steps)):
        yield "/".join(steps[first:])
