"""How names sound: the Daitch-Mokotoff Soundex, made for family names of many languages.

`meyer` and `maier` have the same code, and so have `schmidt` and `smith`. A word has several codes
where letters are spoken in several ways. Only words of Latin letters have one, with no accents left
(see `app.dicom.normal.folded`).
"""

import re
from collections.abc import Iterator
from functools import lru_cache

SHORTEST, LONGEST = 3, 32
"""Letters of words that have codes: of fewer too many sound alike."""
LENGTH = 6
"""Digits of a code."""
MOST_WORDS = 32
"""Words of a name that have codes."""

_TABLE = """
AI AJ AY UE: 0 1 -
AU: 0 7 -
A O U: 0 - -
B V W F FB P PF PH: 7 7 7
CHS KS X: 5 54 54
CH: 5 5 5 | 4 4 4
CK: 5 5 5 | 45 45 45
C: 5 5 5 | 4 4 4
CZ CS CSZ CZS DRZ DRS DS DSH DSZ DZ DZH DZS: 4 4 4
D DT T TH: 3 3 3
EI EJ EY OI OJ OY UI UJ UY: 0 1 -
EU: 1 1 -
E I: 0 - -
G K KH Q: 5 5 5
H: 5 5 -
IA IE IO IU: 1 - -
J: 1 - - | 4 4 4
L: 8 8 8
MN NM: 66 66 66
M N: 6 6 6
R: 9 9 9
RS RZ: 94 94 94 | 4 4 4
SCHTSCH SCHTSH SCHTCH SHTCH SHCH SHTSH STCH STSCH SC STRZ STRS STSH SZCZ SZCS: 2 4 4
SHT SCHT SCHD ST SZT SHD SZD SD: 2 43 43
S SCH SH SZ TCH TTCH TTSCH TRZ TRS TSCH TSH TS TTS TTSZ TC TZ TTZ TZS TSZ: 4 4 4
Y: 1 - -
ZDZ ZDZH ZHDZH: 2 4 4
ZD ZHD: 2 43 43
Z ZH ZS ZSCH ZSH: 4 4 4
"""

_Spoken = tuple[str, str, str]
"""The digits of letters at the beginning of a word, before a vowel, and elsewhere."""


def _read(table: str) -> dict[str, tuple[_Spoken, ...]]:
    found = {}
    for line in table.strip().splitlines():
        letters, _, ways = line.partition(":")
        spoken = [way.replace("-", "").split(" ") for way in ways.replace(" |", "|").split("|")]
        for each in letters.lower().split():
            found[each] = tuple((way[1], way[2], way[3]) for way in spoken)
    return found


_SPOKEN = _read(_TABLE)

_MOST_LETTERS = max(map(len, _SPOKEN))
_WORD = re.compile(rf"[a-z]{{{SHORTEST},{LONGEST}}}")
_BETWEEN_WORDS = re.compile(r"[=^ ,.\-]+")
_VOWELS = frozenset(["a", "e", "i", "o", "u", "y"])
_LIKE_A_VOWEL, _LIKE_A_CONSONANT = 0, 1


@lru_cache(1 << 14)
def codes(word: str) -> frozenset[str]:
    """The codes of a folded word; none if it has no sound."""
    if not _WORD.fullmatch(word):
        return frozenset()
    # Digits so far, the last one of the letters before, which is not told again, and the way in
    # which a J was taken to be spoken by what stands before it. No more digits than a code has:
    # else there would be twice as many ways with each letter that is spoken in two.
    spoken: set[tuple[str, str, int | None]] = {("", "", None)}
    at = 0
    while at < len(word):
        letters = next(
            word[at : at + length]
            for length in range(_MOST_LETTERS, 0, -1)
            if word[at : at + length] in _SPOKEN
        )
        spoken = {
            (
                (told + digits[bool(digits) and digits[0] == before :])[:LENGTH],
                digits[-1:],
                next_way,
            )
            for told, before, way in spoken
            for digits, next_way in _ways(letters, word[at + len(letters) :], way, first=at == 0)
        }
        at += len(letters)
    return frozenset(told.ljust(LENGTH, "0") for told, _, _ in spoken)


def _ways(
    letters: str, rest: str, taken: int | None, *, first: bool
) -> Iterator[tuple[str, int | None]]:
    """The digits of each way to speak the letters, and how a J that follows is spoken then."""
    for number, way in enumerate(_SPOKEN[letters]):
        if taken not in (None, number):
            continue
        if rest.startswith("j"):
            yield way[0 if first else 1], _LIKE_A_VOWEL
            yield way[0 if first else 2], _LIKE_A_CONSONANT
        else:
            yield way[0 if first else 1 if rest[:1] in _VOWELS else 2], None


def codes_of_name(name: str) -> frozenset[str]:
    """The codes of the words of a name in its normal form, so far as they are a name's."""
    words = _BETWEEN_WORDS.split(name, MOST_WORDS)[:MOST_WORDS]
    return frozenset(code for word in words for code in codes(word))
