"""`Span`: where bytes lie inside something longer. The one word that `dicom` and `blobs` share."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """`length` bytes starting at byte `offset`, both counted from 0 and never negative."""

    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset just past the last byte."""
        return self.offset + self.length

    def shifted(self, by: int) -> "Span":
        """The same bytes seen from an origin that lies `by` bytes earlier."""
        return Span(self.offset + by, self.length)
