"""Where the first elements of a data set lie in a file, for whoever changes some of them.

The file has been walked before (`app.dicom.walker`): that it is whole is not asked again.
"""

from dataclasses import dataclass

from app.dicom.encoding import (
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LEAST,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
)
from app.dicom.source import Source
from app.dicom.window import Window


@dataclass(frozen=True, slots=True)
class Place:
    """An element: where its head, its value, and what follows begin."""

    tag: int
    at: int
    value_at: int
    end: int
    open_end: bool
    """Whether its length is undefined; `end` is behind its delimiter then."""


def places_up_to(
    source: Source, start: int, encoding: Encoding, last: int
) -> tuple[dict[int, Place], int]:
    """The elements of the main data set up to tag `last`, and where those behind them begin.

    `start`: where the data set begins; its elements are in the order of their tags.
    """
    window = Window(source)
    found: dict[int, Place] = {}
    at = start
    while source.size - at >= LEAST:
        raw = window.glance(at)
        head = encoding.head(raw, at)
        if head.tag > last:
            break
        length = int.from_bytes(raw[head.length_at : head.size], encoding.order)
        value_at = at + head.size
        end = value_at + length
        if length == UNDEFINED:
            within = IMPLICIT_LITTLE if head.vr == "UN" else encoding
            end = _end_of_sequence(window, value_at, within)
        found[head.tag] = Place(head.tag, at, value_at, end, length == UNDEFINED)
        at = end
    return found, at


def _end_of_sequence(window: Window, at: int, encoding: Encoding) -> int:
    """Where what follows a sequence of undefined length begins, by the place of its first item."""
    open_ends = [encoding]  # of the sequence, and what is open in it
    while open_ends:
        encoding = open_ends[-1]
        raw = window.glance(at)
        tag = encoding.tag(raw)
        if tag in {ITEM_END, SEQUENCE_END}:
            open_ends.pop()
            at += LEAST
            continue
        size, length_at, vr = LEAST, 4, None
        if tag != ITEM:
            head = encoding.head(raw, at)
            size, length_at, vr = head.size, head.length_at, head.vr
        length = int.from_bytes(raw[length_at:size], encoding.order)
        at += size
        if length == UNDEFINED:
            open_ends.append(IMPLICIT_LITTLE if vr == "UN" else encoding)
        else:
            at += length
    return at
