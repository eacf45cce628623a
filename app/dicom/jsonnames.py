"""Names that are twice in an object of JSON: readers keep one value, and do not say which."""

import json
import re
from typing import Any

from app.dicom import reasons
from app.dicom.dataset import Unreadable

_TAG = re.compile(r"[0-9A-Fa-f]{8}")


def refuse_repeated_names(text: bytes) -> None:
    """Raise `Unreadable` if an object in well-formed JSON has a name twice; it tells the first.

    Takes about as long as the reader of the standard library, and does not read numbers.
    """
    try:
        _READER.decode(text.decode())
    except RecursionError:
        raise Unreadable("its JSON is nested too deeply") from None


def _look_at(members: list[tuple[str, Any]]) -> None:
    if len(members) == len({name for name, _ in members}):
        return
    seen: set[str] = set()
    for name, _ in members:
        if name in seen:
            break
        seen.add(name)
    is_tag = _TAG.fullmatch(name) is not None
    raise Unreadable(
        "the element is there twice" if is_tag else f"{name[:40]!r} is there twice in its JSON",
        reason=reasons.DOES_NOT_MATCH_SOP_CLASS,
        tag=name.upper() if is_tag else None,
    )


# Of a number is left that it is there, which takes no memory.
_READER = json.JSONDecoder(object_pairs_hook=_look_at, parse_int=bool, parse_float=bool)
