"""The DICOM JSON of the instances of a page, as far as a page of them may be held in memory."""

from typing import Any

import orjson

from app.dicom import jsonmodel
from app.errors import TooLarge

LONGEST_JSON = 2 * 1024 * 1024
"""Bytes of the longest that is looked into: as objects it takes ten times as much memory."""
MOST_JSON = 32 * 1024 * 1024
"""Bytes of all of which everything is returned."""


class KnownInstances:
    """Reads the DICOM JSON of one instance after the other."""

    def __init__(self, *, everything: bool) -> None:
        """`everything`: whether all of it is returned, and not only some attributes."""
        self._everything = everything
        self._length = 0
        self.left_out = 0
        """How many were too long."""

    def read(self, packed: bytes | None, url: str) -> dict[str, Any]:
        """The attributes, with BulkDataURIs below the URL; none if they are too long.

        Raises `TooLarge` if all instances together are.
        """
        json = None if packed is None else jsonmodel.unpack_short(packed, LONGEST_JSON)
        if json is None:
            self.left_out += 1
            return {}
        if self._everything:
            self._length += len(json)
            if self._length > MOST_JSON:
                raise TooLarge("The results are too long: ask for fewer at once, or for less.")
        known: dict[str, Any] = orjson.loads(jsonmodel.absolute(json, url))
        return known
