"""A row of a table of bad inputs: a file, made when it is needed, and what is answered to it."""

from collections.abc import Callable
from dataclasses import dataclass

CANNOT_UNDERSTAND = 0xC000
MISSING = 0x0120
EMPTY = 0x0121
INVALID = 0x0106
CONTRADICTS = 0xA900
TOO_MUCH = 0xA700
UNSUPPORTED = 0xC122


@dataclass(frozen=True, slots=True)
class Refused:
    """It is a failed part of the answer with this Failure Reason."""

    reason: int


@dataclass(frozen=True, slots=True)
class Kept:
    """It is stored bit by bit and its metadata are had; nothing asked of it fails with a 5xx."""

    warned: bool | None = None
    """Whether the answer warns of it; None for either."""
    frame: int | None = None
    """Status of its first frame; None for any below 500."""
    rendered: int | None = None
    """Status of it rendered; None for any below 500."""
    absent_frame: int | None = None
    """A frame that is not found."""
    large: bool = False
    """Whether only little is asked of it."""


@dataclass(frozen=True, slots=True)
class Row:
    """One bad input by its number in the list and what it is."""

    number: int
    what: str
    make: Callable[[], bytes]
    answer: Refused | Kept

    @property
    def name(self) -> str:
        """Its name among the tests."""
        return f"5b-{self.number:02} {self.what}"
