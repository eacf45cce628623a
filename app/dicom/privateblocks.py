"""The blocks of private attributes (PS3.5 7.8.1), and attributes that are called by their creator.

In the Native DICOM Model a private attribute is `gggg00ee` with the name of its creator. In which
block of the group it is, `gggg10ee` or another, each data set decides for itself (PS3.19 A.1.5).
"""

from collections.abc import Mapping
from typing import Any

from app.dicom import reasons
from app.dicom.dataset import Attributes, Unreadable
from app.dicom.dictionary import is_private, is_private_creator

_BLOCKS = [f"{number:02X}" for number in range(0x10, 0x100)]

Private = dict[tuple[str, str], Attributes]
"""Private attributes by group and creator; the key of each is the end of its tag, `ee`."""


class Creators:
    """Whose the blocks of a data set are, as far as its elements have come by."""

    def __init__(self) -> None:
        self._of_block: dict[str, str] = {}
        self._known: set[tuple[str, str]] = set()

    def note(self, tag: str, element: Mapping[str, Any]) -> None:
        """Note an element that names a creator; of two that name the same one, the first."""
        creator = _named(element)
        if creator and (tag[:4], creator) not in self._known:
            self._known.add((tag[:4], creator))
            self._of_block[tag[:4] + tag[6:]] = creator

    def of(self, tag: str) -> str | None:
        """Who made a private attribute; None if its block cannot be told from that."""
        return self._of_block.get(tag[:6])


def put_into_blocks(attributes: Attributes, private: Private) -> None:
    """Add private attributes to a data set, in the block of their creator or in one of their own.

    Raises `Unreadable` if no block is left, or if one of them is there already.
    """
    blocks: dict[tuple[str, str], str] = {}
    taken: set[str] = set()
    for tag, element in attributes.items():
        if is_private_creator(tag):
            taken.add(tag[:4] + tag[6:])
            blocks.setdefault((tag[:4], _named(element)), tag[6:])
        elif is_private(tag):
            taken.add(tag[:6])
    for (group, creator), elements in private.items():
        block = blocks.get((group, creator))
        if block is None:
            block = next((free for free in _BLOCKS if group + free not in taken), None)
            if block is None:
                raise Unreadable(f"no block is left for {creator[:40]!r}", tag=f"{group}00FF")
            taken.add(group + block)
            attributes[f"{group}00{block}"] = {"vr": "LO", "Value": [creator]}
        for end, element in elements.items():
            tag = group + block + end
            if tag in attributes:
                raise there_twice(tag)
            attributes[tag] = element


def there_twice(tag: str) -> Unreadable:
    """The error that says that a data set has an element again."""
    why = "the element is there twice"
    return Unreadable(why, reason=reasons.DOES_NOT_MATCH_SOP_CLASS, tag=tag)


def _named(element: Mapping[str, Any]) -> str:
    """The creator that an element names, without padding; nothing if it names none."""
    values = element.get("Value")
    return values[0].strip(" ") if values and isinstance(values[0], str) else ""
