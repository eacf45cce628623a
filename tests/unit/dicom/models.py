"""Data sets in the DICOM JSON model as hypothesis makes them, each in the form that Store reads."""

import base64
import string
from typing import Any

from hypothesis import strategies as st

Attributes = dict[str, dict[str, Any]]

_PRINTABLE = string.ascii_letters + string.digits + " ^<>&'\"]]>"
_WIDE = st.sampled_from("äßéЖ山田漢한글🫀\u00a0") | st.sampled_from(_PRINTABLE.replace("^", ""))
_NARROW = st.sampled_from(_PRINTABLE)
_NUMBERS: dict[str, tuple[int, int]] = {
    "SL": (-(2**31), 2**31 - 1),
    "SS": (-(2**15), 2**15 - 1),
    "SV": (-(2**63), 2**63 - 1),
    "UL": (0, 2**32 - 1),
    "US": (0, 2**16 - 1),
    "UV": (0, 2**64 - 1),
}
_NOT_FINITE = st.sampled_from(["NaN", "Infinity", "-Infinity"])


def _trimmed(characters: st.SearchStrategy[str], longest: int = 20) -> st.SearchStrategy[str]:
    texts = st.lists(characters, min_size=1, max_size=longest).map("".join)
    return texts.map(lambda text: text.strip(" ") or "x")


def _several(values: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    """One value or more, some of them empty, but never a single empty one."""
    lists = st.lists(values | st.none(), min_size=1, max_size=4)
    return lists.map(lambda found: found if found != [None] else ["x"])


_NAMES = st.dictionaries(
    st.sampled_from(["Alphabetic", "Ideographic", "Phonetic"]),
    st.lists(_trimmed(_WIDE, 8), min_size=1, max_size=5).map("^".join),
    min_size=1,
)
_DECIMALS = st.integers(-(10**6), 10**6).map(lambda number: number / 64)


def _values(vr: str) -> st.SearchStrategy[list[Any]]:
    match vr:
        case "PN":
            return st.lists(_NAMES, min_size=1, max_size=3)
        case "IS":
            return st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=4)
        case "DS":
            return st.lists(_DECIMALS, min_size=1, max_size=4)
        case "FD" | "FL":
            finite = st.floats(
                allow_nan=False, allow_infinity=False, width=32 if vr == "FL" else 64
            )
            return st.lists(finite | _NOT_FINITE, min_size=1, max_size=4)
        case "AT":
            return st.lists(st.integers(0, 2**32 - 1).map("{:08X}".format), min_size=1, max_size=4)
        case "LT" | "ST" | "UT" | "UR":
            plain = _NARROW if vr == "UR" else _WIDE
            return st.lists(_trimmed(plain, 60), min_size=1, max_size=1)
        case "UI":
            return _several(st.just("1.2.840.10008.1.2.1"))
        case "LO" | "SH" | "UC":
            return _several(_trimmed(_WIDE))
        case _ if vr in _NUMBERS:
            return st.lists(st.integers(*_NUMBERS[vr]), min_size=1, max_size=4)
        case _:
            return _several(_trimmed(_NARROW))


_TEXT_VRS = ["AE", "AS", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC"]
_VALUE_VRS = [*_TEXT_VRS, "UI", "UR", "UT", "AT", "FD", "FL", *_NUMBERS]
_INLINE = st.lists(st.binary(min_size=2, max_size=2), min_size=1, max_size=40).map(
    lambda words: base64.b64encode(b"".join(words)).decode()
)
# In even groups that no standard attribute has, so that a UN keeps its VR.
_TAGS = st.builds(
    "{:04X}{:04X}".format, st.sampled_from([0x0071, 0x5555, 0x6667]), st.integers(0x1000, 0xFFFF)
)


def _elements(items: st.SearchStrategy[Attributes]) -> st.SearchStrategy[dict[str, Any]]:
    with_value = st.sampled_from(_VALUE_VRS).flatmap(
        lambda vr: _values(vr).map(lambda values: {"vr": vr, "Value": values})
    )
    empty = st.sampled_from([*_VALUE_VRS, "OB", "SQ"]).map(lambda vr: {"vr": vr})
    inline = st.builds(
        lambda vr, value: {"vr": vr, "InlineBinary": value},
        st.sampled_from(["OB", "OD", "OF", "OL", "OV", "OW", "UN"]),
        _INLINE,
    )
    sequence = st.lists(items, min_size=1, max_size=3).map(
        lambda values: {"vr": "SQ", "Value": values}
    )
    return with_value | empty | inline | sequence


def _level(items: st.SearchStrategy[Attributes]) -> st.SearchStrategy[Attributes]:
    levels = st.dictionaries(_TAGS, _elements(items), max_size=6)
    return levels.map(lambda level: dict(sorted(level.items())))


ITEMS: st.SearchStrategy[Attributes] = st.recursive(st.just({}), _level, max_leaves=8)
DATA_SETS: st.SearchStrategy[Attributes] = _level(ITEMS)
"""Data sets of private attributes of every VR, sequences in sequences among them."""
