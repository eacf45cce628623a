"""Values of a data set in the DICOM JSON model, of which anybody may have chosen the VRs.

An attribute that is missing has no values, and one that is no sequence, though it should be, has no
items.
"""

from collections.abc import Mapping
from typing import Any

Attributes = Mapping[str, Any]
"""A data set, or an item of a sequence."""


def values_of(attributes: Attributes, tag: str) -> list[Any]:
    """All values; what is missing among them is None."""
    found: list[Any] = attributes.get(tag, {}).get("Value") or []
    return found


def first_of(attributes: Attributes, tag: str) -> Any:
    """The first value; None if there is none."""
    return next(iter(values_of(attributes, tag)), None)


def items_of(attributes: Attributes, tag: str) -> list[Attributes]:
    """The items of a sequence."""
    if attributes.get(tag, {}).get("vr") != "SQ":
        return []
    return [item for item in values_of(attributes, tag) if isinstance(item, Mapping)]
