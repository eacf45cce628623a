"""Values of each VR as the DICOM JSON model writes them (PS3.18 F.2.3)."""

import math
import re
import struct
import sys
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

from pydicom.charset import (
    STAND_ALONE_ENCODINGS,
    decode_bytes,
    default_encoding,
    python_encoding,
)
from pydicom.datadict import DicomDictionary, get_entry, private_dictionary_VR

from app.dicom import moments, normal
from app.dicom.encoding import WORD_BYTES, Order
from app.dicom.uids import valid_uid

LONGEST = 0xFFFE
"""Bytes of the longest value of a VR whose length has 16 bits. Beyond it the value is UN (PS3.5
6.2.2), so that no text of any length has to be in memory."""
OPAQUE = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs whose value is sent as InlineBinary or as bulk data, never as numbers."""
LIMITED_TEXTS = frozenset({"LT", "ST"})
BULK_TEXTS = LIMITED_TEXTS | {"UC", "UT"}
BINARY = OPAQUE | BULK_TEXTS | {"DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"}
"""VRs that BulkDataURI may stand for, those of text among them."""
DEFAULT_CHARSETS = [default_encoding]
ESCAPE = 0x1B
"""The byte that begins what changes the character set within a text (PS3.5 6.1.2.5)."""
ROUNDED_FROM = 2**53
"""Whole numbers from here on are rounded by who reads JSON (RFC 8259 6)."""
NOT_IN_CHARACTER_SET = "not in its character set"
"""What is wrong with a text that cannot be decoded."""
NO_CHARACTER_SET = "not a character set of the standard"
"""What is wrong with a Specific Character Set that names none, or one by another name."""

_REPLACED = frozenset("\x1b\ufffd")
"""What is left in text of which an escape sequence, or what it announced, was not understood."""
_DELIMITERS = {0x0A, 0x0C, 0x0D}
_MOST_OF_GROUP = 64
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_DIGITS = 18
"""Digits of an integer that JSON can surely hold."""

Converted = tuple[list[Any], str | None]
Converter = Callable[[bytes, Order, list[str]], Converted]


@lru_cache(maxsize=20_000)
def vr_of(tag: int, *, signed: bool, creator: str | None = None) -> str:
    """The VR of an element that came without one (PS3.5 A.1, PS3.6).

    `signed`: Pixel Representation says that pixel values are, which settles US or SS. `creator`:
    whose a private element is; what is publicly known of it is used.
    """
    if tag >> 16 & 1:
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return "LO"
        return _private_vr(tag, creator) if creator else "UN"
    if tag not in DicomDictionary:
        try:
            return str(get_entry(tag)[0]).split(" ", maxsplit=1)[0]
        except KeyError:
            return "UN"
    vr: str = DicomDictionary[tag][0]
    if " or " not in vr:
        return vr
    if vr == "US or SS":
        return "SS" if signed else "US"
    return "OW" if "OW" in vr else vr.split(" ", maxsplit=1)[0]


def _private_vr(tag: int, creator: str) -> str:
    try:
        return str(private_dictionary_VR(tag, creator)).split(" ", maxsplit=1)[0]
    except KeyError:
        return "UN"


def charsets_of(element: Mapping[str, Any]) -> tuple[list[str], str | None]:
    """Python's names of the character sets in Specific Character Set (0008,0005), and what is
    wrong with it if anything is.

    The terms are looked up here and not by pydicom, which takes any codec of Python for one: some
    raise whatever they are given, and Python remembers each name that it has looked for.
    """
    terms = [str(term or "") for term in element.get("Value") or [""]]
    problem = None if all(term in python_encoding for term in terms) else NO_CHARACTER_SET
    first, *others = (_NAMES.get(_bare(term), default_encoding) for term in terms)
    if first in _STAND_ALONE:
        return [first], problem
    return [first, *(name for name in others if name not in _STAND_ALONE)], problem


def _bare(term: str) -> str:
    """A term without what is often misspelt: `ISO IR 100` and `iso_ir_100` are `ISO_IR 100`."""
    return re.sub("[ _-]", "", term.upper())


_NAMES = {_bare(name): name for name in python_encoding.values()} | {
    _bare(term): name for term, name in python_encoding.items()
}
_UNICODE = python_encoding["ISO_IR 192"]
_STAND_ALONE = {python_encoding[term] for term in STAND_ALONE_ENCODINGS}


def in_plain_digits(text: str) -> bool:
    """Whether a number is written as DICOM has it: Python takes `1_0`, and digits of any script."""
    return text.isascii() and "_" not in text


def is_unicode(raw: bytes, charsets: list[str]) -> bool:
    """Whether these bytes are the same text in UTF-8."""
    if charsets != [_UNICODE]:
        return raw.isascii() and ESCAPE not in raw
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def little_endian(raw: bytes, vr: str) -> bytes:
    """The bytes of a big-endian value with each word turned around."""
    size = WORD_BYTES.get(vr, 1)
    if size == 1 or len(raw) % size:
        return raw
    return b"".join(raw[i : i + size][::-1] for i in range(0, len(raw), size))


def convert(vr: str, raw: bytes, order: Order, charsets: list[str]) -> Converted:
    """The values, and what is wrong with them if anything is."""
    return _CONVERTERS[vr](raw, order, charsets)


def _plain(most: int) -> Converter:
    """The converter of values of the default repertoire, each of so many characters at most."""

    def convert(raw: bytes, _: Order, __: list[str]) -> Converted:
        found = _split(raw.decode("latin-1"), " \0")
        return found, _too_long(found, most) if len(raw) > most else None

    return convert


def _formed(fits: Callable[[str], Any], problem: str) -> Converter:
    """The converter of texts that have to be of a form."""

    def convert(raw: bytes, _: Order, __: list[str]) -> Converted:
        found = _split(raw.decode("latin-1"), " \0")
        for value in found:
            if value is not None and not fits(value):
                return found, problem
        return found, None

    return convert


def _strings(most: int) -> Converter:
    """The converter of values of any repertoire, each of so many characters at most."""

    def convert(raw: bytes, _: Order, charsets: list[str]) -> Converted:
        text, problem = _decode(raw, charsets)
        found = _split(text, " \0")
        if len(raw) > most:
            problem = problem or _too_long(found, most)
        return found, problem

    return convert


def _text(most: int) -> Converter:
    """The same of one value, in which a backslash is a character and leading spaces count."""

    def convert(raw: bytes, _: Order, charsets: list[str]) -> Converted:
        text, problem = _decode(raw, charsets)
        text = text.rstrip(" \0")
        if len(text) > most:
            problem = problem or _too_long([text], most)
        return ([text] if text else []), problem

    return convert


def _too_long(values: Iterable[str | None], most: int) -> str | None:
    """What is wrong with values if one has more characters."""
    is_wrong = any(value is not None and len(value) > most for value in values)
    return f"longer than {most} characters" if is_wrong else None


def _split(text: str, padding: str) -> list[Any]:
    if "\\" not in text:
        text = text.strip(padding)
        return [text] if text else []
    return [part.strip(padding) or None for part in text.split("\\")]


def _decode(raw: bytes, charsets: list[str]) -> tuple[str, str | None]:
    escaped = ESCAPE in raw and (len(charsets) > 1 or charsets[0].startswith("iso2022"))
    if not escaped and raw.isascii():
        return raw.decode("ascii"), None
    try:
        if escaped:
            text = decode_bytes(raw, charsets, _DELIMITERS)
            return text, None if _REPLACED.isdisjoint(text) else NOT_IN_CHARACTER_SET
        return raw.decode(charsets[0]), None
    # Of unknown escape sequences pydicom warns, and some have turned warnings into errors.
    except (LookupError, ValueError, UserWarning):
        return raw.decode(charsets[0], "replace"), NOT_IN_CHARACTER_SET


def _numbers(code: str) -> Converter:
    """The converter of binary numbers, by the code that `struct` has for them."""
    size = struct.calcsize("=" + code)
    single = {"little": struct.Struct("<" + code), "big": struct.Struct(">" + code)}

    def convert(raw: bytes, order: Order, _: list[str]) -> Converted:
        if len(raw) == size:
            return list(single[order].unpack(raw)), None
        count, rest = divmod(len(raw), size)
        sign = ">" if order == "big" else "<"
        found = list(struct.unpack(f"{sign}{count}{code}", raw[: count * size]))
        return found, (f"{len(raw)} bytes are no whole number of values" if rest else None)

    return convert


def _floats(code: str) -> Converter:
    """The same of numbers of which JSON does not know all: these are written as strings."""
    numbers = _numbers(code)

    def convert(raw: bytes, order: Order, charsets: list[str]) -> Converted:
        found, problem = numbers(raw, order, charsets)
        if not all(map(math.isfinite, found)):
            found = [_finite(number) for number in found]
        return found, problem

    return convert


def _finite(number: float) -> float | str:
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _tags(raw: bytes, order: Order, charsets: list[str]) -> Converted:
    words, _ = _UNSIGNED(raw, order, charsets)
    pairs = zip(words[::2], words[1::2], strict=False)
    found = [f"{group:04X}{element:04X}" for group, element in pairs]
    return found, (f"{len(raw)} bytes are no whole number of tags" if len(raw) % 4 else None)


def _decimals(raw: bytes, _: Order, __: list[str]) -> Converted:
    return _parsed(raw, float)


def _integers(raw: bytes, _: Order, __: list[str]) -> Converted:
    return _parsed(raw, _integer)


def _integer(text: str) -> int:
    if len(text) > _DIGITS:
        raise ValueError
    return int(text)


def _parsed(raw: bytes, parse: Callable[[str], float]) -> Converted:
    """Numbers written as text; those that are none, or that JSON does not know, stay text."""
    found = _split(raw.decode("latin-1"), " \0")
    problem = None
    for place, part in enumerate(found):
        if part is None:
            continue
        try:
            number = parse(part)
        except ValueError:
            problem = "not a number"
            continue
        if "_" in part or not math.isfinite(number):
            problem = "not a number"
        elif abs(number) < ROUNDED_FROM or Decimal(part) == Decimal(repr(float(number))):
            found[place] = number
    return found, problem


def _person_names(raw: bytes, _: Order, charsets: list[str]) -> Converted:
    text, problem = _decode(raw, charsets)
    names = [_person_name(name) for name in text.split("\\")]
    if len(raw) > _MOST_OF_GROUP:
        groups = (group for name in names if name for group in name.values())
        problem = problem or _too_long(groups, _MOST_OF_GROUP)
    return ([] if names == [None] else names), problem


def _person_name(name: str) -> dict[str, str] | None:
    if "=" not in name:
        name = name.rstrip(" \0")
        return {"Alphabetic": name} if name else None
    groups = [group.rstrip(" \0") for group in name.split("=", maxsplit=2)]
    return {key: group for key, group in zip(_GROUPS, groups, strict=False) if group} or None


_UNSIGNED = _numbers("H")
_ANY_LENGTH = sys.maxsize
_CONVERTERS: dict[str, Converter] = {
    "AE": _plain(16),
    "AS": _plain(4),
    "AT": _tags,
    "CS": _plain(16),
    "DA": _formed(normal.date, "not a date"),
    "DS": _decimals,
    "DT": _formed(moments.is_datetime, "not a date and time"),
    "FD": _floats("d"),
    "FL": _floats("f"),
    "IS": _integers,
    "LO": _strings(64),
    "LT": _text(10_240),
    "PN": _person_names,
    "SH": _strings(16),
    "SL": _numbers("i"),
    "SS": _numbers("h"),
    "ST": _text(1024),
    "SV": _numbers("q"),
    "TM": _formed(normal.time, "not a time"),
    "UC": _strings(_ANY_LENGTH),
    "UI": _formed(valid_uid, "not a UID"),
    "UL": _numbers("I"),
    "UR": _text(_ANY_LENGTH),
    "US": _UNSIGNED,
    "UT": _text(_ANY_LENGTH),
    "UV": _numbers("Q"),
}
