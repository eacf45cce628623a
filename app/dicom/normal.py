"""Normal forms of values: what the index holds and what a search key is compared with.

Both sides of a match pass through here, so that a name is found whatever its case and accents, and
a date whatever its notation (PS3.4 C.2.2.2.1). None means: not a value that can be matched.
"""

import re
import unicodedata

LONGEST = 256
"""Characters of a text value that are matched; what is returned is always whole."""

_DATE = re.compile(r"(\d{4})\.?(0[1-9]|1[0-2])\.?(0[1-9]|[12]\d|3[01])")
_TIME = re.compile(r"([01]\d|2[0-3])(?::?([0-5]\d)(?::?([0-5]\d|60)(?:\.(\d{1,6}))?)?)?")


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


def integer(value: str) -> int | None:
    """IS: as a number, if it is one that a 64-bit column holds."""
    try:
        number = int(value)
    except ValueError:
        return None
    return number if -(2**63) <= number < 2**63 else None


def folded(value: str) -> str:
    """Without case, accents and doubled spaces."""
    decomposed = unicodedata.normalize("NFKD", value)
    bare = "".join(c for c in decomposed if not unicodedata.combining(c))
    return " ".join(bare.casefold().split())


def person_name(groups: dict[str, str]) -> str | None:
    """PN: its component groups, folded, each between two `=`, for example `=doe^john=`.

    `groups` is the value in the DICOM JSON model (Alphabetic, Ideographic, Phonetic).
    """
    names = [folded(group.replace("\0", "").rstrip("^ "))[:LONGEST] for group in groups.values()]
    names = [name.replace("=", "") for name in names if name]
    return f"={'='.join(names)}=" if names else None
