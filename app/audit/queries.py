"""What the audit keeps of an address: nothing that names a person, and nothing that lets one in."""

import re
from urllib.parse import parse_qsl, quote

from app.dicom.dictionary import tag_of, vr_of

QUERY_CHARACTERS = 4096

_TOKEN = re.compile(r"hilum_[A-Za-z0-9_-]+")

_FREE_OF_NAMES = frozenset(
    {
        *("accept", "charset", "duplicates", "limit", "offset", "includefield"),
        *("fuzzymatching", "emptyvaluematching", "multiplevaluematching"),
        *("annotation", "iccprofile", "quality", "viewport", "window"),
        *("requesttype", "studyuid", "seriesuid", "objectuid", "contenttype", "transfersyntax"),
        *("framenumber", "region", "imagequality", "anonymize"),
        *("presentationuid", "presentationseriesuid"),
    }
)
"""Parameters that are no attributes, and whose values tell nothing of a person."""
_VRS_WITH_NAMES = frozenset({"PN", "LT", "ST", "UC", "UR", "UT"})


def query_told(query: bytes) -> str | None:
    """What is kept of a query string; None if there is none."""
    return without_tokens(without_names(query.decode("latin-1"))) if query else None


def without_names(query: str) -> str:
    """The query with the values left out that may name a person, or that nothing is known of."""
    told = [
        f"{quote(key[:64])}={quote(value, safe='*,:') if _may_be_kept(key) else ''}"
        for key, value in parse_qsl(query, keep_blank_values=True)
    ]
    return "&".join(told)[:QUERY_CHARACTERS]


def without_tokens(text: str) -> str:
    """The text without tokens of ours that somebody has put where none belongs."""
    return _TOKEN.sub("hilum_...", text) if "hilum_" in text else text


def _may_be_kept(key: str) -> bool:
    if key.lower() in _FREE_OF_NAMES:
        return True
    tag = tag_of(key.rpartition(".")[2])
    vr = vr_of(tag) if tag else None
    return vr is not None and vr not in _VRS_WITH_NAMES


def plain(text: str, characters: int) -> str:
    """The text cut short, and without characters that a database or a terminal would mind."""
    text = text[:characters]
    return text if text.isprintable() else ascii(text)[1:-1]
