"""JSON that is kept compressed, as a text of which a window is in memory."""

import re
import zlib
from typing import Any

import orjson

from app.dicom.jsonmodel import absolute
from app.errors import Corrupt


class PackedText:
    """What has been inflated of the text and not been taken yet."""

    def __init__(self, packed: bytes, url: str | None, window: int) -> None:
        self._url = url
        self._window = window
        self._inflate = zlib.decompressobj()
        self._rest = packed
        self._buffer = b""
        self._at = 0
        self.more()

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What comes next if it is this, and whole."""
        found = pattern.match(self._buffer, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def parsed(self, within: bytes, some: bytes) -> Any:
        """The elements or items of a text that was taken, within these brackets."""
        json = within % some.removeprefix(b",")
        return orjson.loads(json if self._url is None else absolute(json, self._url))

    def more(self) -> None:
        """Inflate more of it. Raises `Corrupt` at the end."""
        kept = self._buffer[self._at :]
        # As much again as there is, so that few bytes are looked at more than twice.
        data = self._inflated(max(self._window, len(kept)))
        if not data:
            raise Corrupt("The metadata that are kept of an instance are cut.")
        self._buffer, self._at = kept + data, 0

    def end(self) -> None:
        """Raise `Corrupt` if this is not the end."""
        if self._at < len(self._buffer) or self._inflated(1) or not self._inflate.eof:
            raise Corrupt("The metadata that are kept of an instance do not end as they should.")

    def _inflated(self, most: int) -> bytes:
        try:
            data = self._inflate.decompress(self._rest, most)
        except zlib.error as error:
            raise Corrupt(f"The metadata that are kept cannot be inflated: {error}") from error
        self._rest = self._inflate.unconsumed_tail
        return data
