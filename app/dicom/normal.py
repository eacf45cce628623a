"""Normal forms of values: what the index holds and what a search key is compared with.

Both sides of a match pass through here, so that a name is found whatever its case and accents, and
a date whatever its notation (PS3.4 C.2.2.2.1). None means: not a value that can be matched.
"""

import math
import re
import struct
import unicodedata
from collections.abc import Callable
from typing import Any

LONGEST = 256
"""Characters of a text value that are matched; what is returned is always whole."""

_DATE = re.compile(r"(\d{4})\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12]\d|3[01])", re.ASCII)
_LETTERS = {0, 8}
"""Canonical combining classes that make a letter another one."""
_PLAIN = str.maketrans(
    {"ł": "l", "ø": "o", "ı": "i", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ŋ": "n"}
    | {"æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that are no others with an accent, and yet are often written without."""
_INTEGER = re.compile(r"[+-]?[0-9]{1,32}")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_FLOAT = struct.Struct("<f")
_TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?", re.ASCII)


def text(value: str) -> str | None:
    """AE CS LO SH UI and the like: without padding."""
    return value.strip(" \0")[:LONGEST].rstrip().replace("\0", "") or None


def date(value: str) -> str | None:
    """DA: `YYYYMMDD`; the old form `YYYY.MM.DD` is understood."""
    match = _DATE.fullmatch(value.strip(" \0"))
    return "".join(match.groups()) if match else None


def time(value: str) -> str | None:
    """TM: `HHMMSS.FFFFFF`, absent parts as zero; the old form `HH:MM:SS` is understood."""
    match = _TIME.fullmatch(value.strip(" \0"))
    if not match:
        return None
    hour, minute, second, fraction = match.groups()
    return f"{hour}{minute or '00'}{second or '00'}.{(fraction or '').ljust(6, '0')}"


def times(value: str) -> tuple[str, str] | None:
    """TM: the first and the last moment that the value means; `10` is the whole hour."""
    match = _TIME.fullmatch(value.strip(" \0"))
    first = time(value)
    if not match or first is None:
        return None
    hour, minute, second, fraction = match.groups()
    return first, first if fraction else f"{hour}{minute or '59'}{second or '60'}.999999"


def integer(value: str) -> int | None:
    """IS: as a number, if it is one that a 64-bit column holds."""
    match = _INTEGER.fullmatch(value.strip(" \0"))
    number = int(match[0]) if match else 2**63
    return number if -(2**63) <= number < 2**63 else None


def unsigned(value: str) -> int | None:
    """UV: as a number of 64 bits without a sign."""
    match = _INTEGER.fullmatch(value.strip(" \0"))
    number = int(match[0]) if match else -1
    return number if 0 <= number < 2**64 else None


def decimal(value: str) -> float | None:
    """DS FD: as a number, if it is a finite one."""
    bare = value.strip(" \0")
    number = float(bare) if len(bare) <= LONGEST and _DECIMAL.fullmatch(bare) else math.inf
    return number if math.isfinite(number) else None


def single(value: str) -> float | None:
    """FL: as the nearest number of single precision, since 0.1 is not quite 0.1 there."""
    number = decimal(value)
    if number is None:
        return None
    try:
        rounded: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
    except OverflowError:
        return None
    return rounded


def folded(value: str) -> str:
    """Without case, accents and doubled spaces; the voicing of kana is no accent."""
    decomposed = unicodedata.normalize("NFKD", value)
    bare = "".join(c for c in decomposed if unicodedata.combining(c) in _LETTERS)
    return " ".join(unicodedata.normalize("NFC", bare).casefold().translate(_PLAIN).split())


def name_group(value: str) -> str:
    """One component group of a PN, folded, its components without padding: `doe^john`."""
    components = folded(value.replace("\0", "")).replace("=", "").split("^")
    return "^".join(component.strip() for component in components).rstrip("^")[:LONGEST]


def person_name(groups: dict[str, str]) -> str | None:
    """PN: its component groups, folded, each between two `=`, for example `=doe^john=`.

    `groups` is the value in the DICOM JSON model (Alphabetic, Ideographic, Phonetic).
    """
    names = [name for name in map(name_group, groups.values()) if name]
    return f"={'='.join(names)}=" if names else None


TEXTS = frozenset(["AE", "AS", "AT", "CS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT"])
INTEGERS = frozenset(["IS", "SL", "SS", "SV", "UL", "US", "UV"])

_FORMS: dict[str, Callable[[str], str | int | float | None]] = {
    **dict.fromkeys(TEXTS, text),
    **dict.fromkeys(INTEGERS, integer),
    "DA": date,
    "DS": decimal,
    "FD": decimal,
    "FL": single,
    "TM": time,
    "UV": unsigned,
}


def form(vr: str, value: Any) -> str | int | float | None:
    """One value of the DICOM JSON model as what equals it; None also if the VR is not matched.

    Of a name that is all its component groups, see `person_name`; of a DT, see `app.dicom.moments`.
    """
    if vr == "PN":
        return person_name(value) if isinstance(value, dict) else None
    make = _FORMS.get(vr)
    return None if make is None or value is None or isinstance(value, dict) else make(str(value))
