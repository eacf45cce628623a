"""The fragments of encapsulated pixel data, stepped over by their item headers (PS3.5 A.4)."""

from array import array

from app.dicom.dataset import Unreadable
from app.dicom.encoding import EXPLICIT_LITTLE, ITEM, LEAST, SEQUENCE_END
from app.dicom.window import GLANCE, SIZE, Window

_SHORT = SIZE // 16


def walk_fragments(window: Window, at: int, end: int, most: int) -> tuple["array[int]", int]:
    """Where each item begins, offset table and delimiter included, and where what follows does.

    Raises `Unreadable` if there is none, or none by `end`, or more than `most` after the table.
    """
    items = array("Q")
    ahead = SIZE
    while at + LEAST <= end:
        raw = window.glance(at, ahead)
        marker, length = EXPLICIT_LITTLE.tag(raw), int.from_bytes(raw[4:LEAST], "little")
        items.append(at)
        if marker == SEQUENCE_END:
            return items, at + LEAST
        if marker != ITEM or len(items) > most + 1:  # the first is the offset table
            why = "there are too many fragments" if marker == ITEM else "no fragment here"
            raise Unreadable(why, offset=at)
        at += LEAST + length
        ahead = SIZE if length < _SHORT else GLANCE
    raise Unreadable("the fragments have no end", offset=at if at <= end else items[-1])
