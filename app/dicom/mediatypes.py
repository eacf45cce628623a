"""What a caller accepts, and which of our representations that makes us send (PS3.18 8.7).

    ranges = parse_accept('multipart/related; type="image/jp2"; transfer-syntax=*, */*;q=0.1')
    offer = choose(ranges, frame_offers(stored_transfer_syntax, single=True))

Rules:
- A piece of the list that is malformed is skipped; the others stay valid. Reading takes time
  proportional to the length of the header.
- Parameter values may be quoted or not, in any order and case, with any spacing. `*` is `*/*`. A
  space within a media type is the `+` that a URL has lost.
- Of the ranges that match an offer the most specific one gives its quality (RFC 9110 12.5.1); the
  offer of the highest quality is sent, and among equals the one that comes first. Offers therefore
  come in our order of preference: the stored transfer syntax first.
- A range without `transfer-syntax` asks for the default one of PS3.18 8.7.3, Explicit VR Little
  Endian, `*` for the stored one, a UID for that one and no other.
- What is stored compressed is offered as it is also where Explicit VR Little Endian is the default:
  every client copes with the stored bytes under their true transfer syntax, none with a 406.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache

from app.dicom.uids import (
    DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
)

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
JPEG = "image/jpeg"
PNG = "image/png"
GIF = "image/gif"
PDF = "application/pdf"
ZIP = "application/zip"
ANY = "*/*"
MULTIPART = "multipart/related"

_LEGACY = {
    "image/x-jls": "image/jls",
    "image/x-dicom-rle": "image/dicom-rle",
    "image/dicom+rle": "image/dicom-rle",
    "image/dicom+jpeg": "image/jpeg",
    "image/dicom+jls": "image/jls",
    "image/dicom+jp2": "image/jp2",
    "image/dicom+jpx": "image/jpx",
    "image/jpg": "image/jpeg",
    "*": ANY,
}
"""Names that older editions of the standard and some clients use, and what they mean."""


def current_name(media_type: str) -> str:
    """The name that a media type has today, given in lower case under any of its names."""
    return _LEGACY.get(media_type, media_type)


@dataclass(frozen=True, slots=True)
class MediaRange:
    """One piece of an Accept list.

    Of `multipart/related; type="image/jpeg"` the media type is that of the parts, `image/jpeg`.
    """

    media_type: str
    """In lower case; `*/*` and `image/*` match many."""
    multipart: bool | None
    """Whether it asks for a multipart message, for a single part, or (None) does not say."""
    transfer_syntax: str | None
    """A UID, `*`, or None where it is not given."""
    quality: int
    """In thousandths; 0 excludes."""
    dicomdir: bool = False
    """Whether a ZIP archive is to have a DICOMDIR, a parameter that others made up."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A representation that can be sent of some resource."""

    media_type: str
    """Of the message, or of its parts if it is multipart."""
    multipart: bool = False
    transfer_syntax_uid: str | None = None
    """None if the media type has none, as DICOM JSON."""
    as_stored: bool = True
    """Whether `transfer-syntax=*` asks for this: the bytes are those that were stored."""
    by_default: bool = True
    """Whether a range that names no transfer syntax asks for this."""

    @property
    def content_type(self) -> str:
        """The Content-Type of the bytes, with their transfer syntax."""
        if self.transfer_syntax_uid is None:
            return self.media_type
        return f"{self.media_type}; transfer-syntax={self.transfer_syntax_uid}"


METADATA_OFFERS = (Offer(DICOM_JSON), Offer(JSON))
ATTRIBUTES_OFFERS = (*METADATA_OFFERS, Offer(DICOM_XML, multipart=True), Offer(DICOM_XML))
"""XML is sent as a multipart message also to who forgets to ask for one (PS3.18 8.7.2)."""
REPORT_OFFERS = (*METADATA_OFFERS, Offer(DICOM_XML))
RENDERED_OFFERS = (Offer(JPEG), Offer(PNG), Offer(GIF))


@cache
def dicom_offers(stored: TransferSyntax, *, single: bool) -> tuple[Offer, ...]:
    """How an instance can be sent: as stored, or native data also in explicit or deflated encoding.

    `single`: also as the one body of a message, as against a part of it.
    """
    plain = stored.encapsulated or stored.uid == EXPLICIT_VR_LITTLE_ENDIAN
    offers = [Offer(DICOM, True, stored.uid, by_default=plain)]
    if not plain:
        offers.append(Offer(DICOM, True, EXPLICIT_VR_LITTLE_ENDIAN, as_stored=False))
    if not stored.encapsulated and not stored.deflated:
        offers.append(
            Offer(
                DICOM, True, DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN, as_stored=False, by_default=False
            )
        )
    return _in_forms(offers, (True, False) if single else (True,))


def as_zip(offers: Iterable[Offer]) -> tuple[Offer, ...]:
    """The same instances as members of a ZIP archive."""
    return tuple(replace(one, media_type=ZIP, multipart=False) for one in offers if one.multipart)


def prefers_zip(accepted: Sequence[MediaRange]) -> bool:
    """Whether a ZIP archive is accepted, and more readily than the instances by themselves."""
    archive = max((one.quality for one in accepted if one.media_type == ZIP), default=0)
    others = (one.quality for one in accepted if one.media_type != ZIP and _may_be_dicom(one))
    return archive > max(others, default=0)


def asks_for_dicomdir(accepted: Iterable[MediaRange]) -> bool:
    """Whether a ZIP archive is to have a DICOMDIR."""
    return any(one.dicomdir for one in accepted if one.media_type == ZIP)


def _may_be_dicom(asked: MediaRange) -> bool:
    return asked.media_type in {DICOM, "application/*", ANY}


@cache
def recoded_dicom_offers(targets: tuple[str, ...], *, single: bool) -> tuple[Offer, ...]:
    """How an instance can be sent whose pixels are recoded: in each of the transfer syntaxes."""
    offers = [Offer(DICOM, True, uid, as_stored=False, by_default=False) for uid in targets]
    return _in_forms(offers, (True, False) if single else (True,))


@cache
def recoded_frame_offers(targets: tuple[str, ...], *, single: bool) -> tuple[Offer, ...]:
    """How frames can be sent that are recoded: under the media type of the transfer syntax.

    Who names no transfer syntax gets the default one of the media type (PS3.18 Table 8.7.3-4).
    """
    offers = [
        Offer(TRANSFER_SYNTAXES[uid].media_type, True, uid, False, uid in _FRAME_DEFAULTS)
        for uid in targets
        if uid != DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN
    ]
    return _in_forms(offers, (True, False) if single else (True,))


@cache
def frame_offers(stored: TransferSyntax, *, single: bool) -> tuple[Offer, ...]:
    """How frames can be sent: compressed ones as they are, native ones as little-endian bytes.

    Compressed frames are also called `application/octet-stream` for who asks for that, and still
    with their true transfer syntax. `single`: there is but one frame, and it can be the body.
    """
    return _in_forms(_pixel_offers(stored), (True, False) if single else (True,))


@cache
def bulkdata_offers(stored: TransferSyntax, *, pixels: bool) -> tuple[Offer, ...]:
    """How one bulk value can be sent: by itself, or as the only part of a multipart message.

    `pixels`: the value is one frame of compressed pixel data and has that media type.
    """
    offers = _pixel_offers(stored) if pixels else _native_offers(stored)
    return _in_forms(offers, (False, True))


@cache
def decoded_value_offers(*, single: bool) -> tuple[Offer, ...]:
    """How compressed pixel data can be sent decoded: all frames as one value.

    `single`: there is no other value, and it can be the body.
    """
    offer = Offer(OCTET_STREAM, True, EXPLICIT_VR_LITTLE_ENDIAN, as_stored=False)
    return _in_forms([offer], (True, False) if single else (True,))


def asks_for_values(accepted: Iterable[MediaRange]) -> bool:
    """Whether it is not DICOM objects that are asked for, but a multipart message of values."""
    return any(
        one.multipart and one.quality and one.media_type not in {DICOM, ANY} for one in accepted
    )


@cache
def values_offers(stored: TransferSyntax, *, pixels: bool, single: bool) -> tuple[Offer, ...]:
    """How one of several values can be sent; `single`: it is the only one, and can be the body.

    `pixels`: it is compressed pixel data, of one frame or more.
    """
    offers = _pixel_offers(stored) if pixels else _native_offers(stored)
    return _in_forms(offers, (True, False) if single else (True,))


def _pixel_offers(stored: TransferSyntax) -> list[Offer]:
    if not stored.encapsulated:
        return _native_offers(stored)
    names = dict.fromkeys((stored.media_type, OCTET_STREAM))
    return [Offer(name, True, stored.uid) for name in names]


def _native_offers(stored: TransferSyntax) -> list[Offer]:
    """Little-endian bytes are those of Explicit VR Little Endian whatever the VRs are coded as."""
    little = Offer(OCTET_STREAM, True, EXPLICIT_VR_LITTLE_ENDIAN, as_stored=not stored.big_endian)
    if stored.big_endian:
        return [Offer(OCTET_STREAM, True, stored.uid, by_default=False), little]
    if stored.uid == IMPLICIT_VR_LITTLE_ENDIAN:
        return [little, Offer(OCTET_STREAM, True, stored.uid, by_default=False)]
    return [little]


def _in_forms(offers: Sequence[Offer], forms: Sequence[bool]) -> tuple[Offer, ...]:
    return tuple(replace(offer, multipart=form) for form in forms for offer in offers)


_FRAME_DEFAULTS = {
    EXPLICIT_VR_LITTLE_ENDIAN,
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{number}" for number in (70, 80, 90, 201)),
}

_TOKEN = re.compile(r'"((?:[^"\\]|\\.)*+)(?:"|\\?\Z)|([,;=])|[^",;=]++', re.DOTALL)
_MEDIA_TYPE = re.compile(r"\*|[a-z0-9!#$&^_.+*-]+/[a-z0-9!#$&^_.+*-]+")
_QUALITY = re.compile(r"0|0?\.[0-9]+|0\.|1(?:\.0*)?")
_UID = re.compile(r"[0-9.]{1,64}|\*")


_REMEMBERED_CHARACTERS = 1024  # of one header: what clients send, not what attackers do


def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """The media ranges of an Accept header or `accept` parameter, in the order they were given."""
    return _remembered(text) if len(text) <= _REMEMBERED_CHARACTERS else _parse(text)


def _parse(text: str) -> tuple[MediaRange, ...]:
    return tuple(
        media_range
        for pieces in _split(text)
        if (media_range := _media_range(pieces[0], pieces[1:])) is not None
    )


_remembered = lru_cache(maxsize=256)(_parse)


def acceptable(parameters: Iterable[str], header: str | None) -> tuple[MediaRange, ...]:
    """What the caller accepts: the `accept` query parameters if there are any, else the header.

    Neither, or an empty one, is the same as `*/*`.
    """
    return parse_accept(",".join(filter(None, parameters)) or (header or "").strip() or ANY)


def choose(ranges: Sequence[MediaRange], offers: Iterable[Offer]) -> Offer | None:
    """The offer to send, or None if the caller accepts none of them."""
    best, best_quality = None, 0
    for offer in offers:
        matching = [found for found in ranges if _matches(found, offer)]
        if matching:
            quality = max(matching, key=_specificity).quality
            if quality > best_quality:
                best, best_quality = offer, quality
    return best


def _matches(asked: MediaRange, offer: Offer) -> bool:
    if asked.multipart is not None and asked.multipart != offer.multipart:
        return False
    kind, _, subtype = asked.media_type.partition("/")
    if asked.media_type not in {ANY, offer.media_type.lower()} and not (
        subtype == "*" and offer.media_type.startswith(f"{kind}/")
    ):
        return False
    if asked.transfer_syntax is None or offer.transfer_syntax_uid is None:
        return offer.by_default
    if asked.transfer_syntax == "*":
        return offer.as_stored
    return asked.transfer_syntax == offer.transfer_syntax_uid


def _specificity(asked: MediaRange) -> tuple[bool, bool, bool, bool, bool, int]:
    """How narrow a range is; of equally narrow ones the better quality counts."""
    return (
        asked.media_type != ANY,
        not asked.media_type.endswith("/*"),
        asked.multipart is not None,
        asked.transfer_syntax is not None,
        asked.transfer_syntax != "*",
        asked.quality,
    )


def _split(text: str) -> Iterable[list[str]]:
    """The pieces of a comma list, each cut at its semicolons; what is quoted is left alone.

    The value of a parameter loses its quotes.
    """
    pieces: list[str] = []
    piece = ""
    for token in _TOKEN.finditer(text):
        if token[2] == ",":
            yield [*pieces, piece]
            pieces, piece = [], ""
        elif token[2] == ";":
            pieces.append(piece)
            piece = ""
        elif token[1] is not None:
            piece += re.sub(r"\\(.)", r"\1", token[1])
        else:
            piece += token[0]
    yield [*pieces, piece]


def _media_range(kind: str, parameters: list[str]) -> MediaRange | None:
    """The media range, or None if it is malformed."""
    given: dict[str, str] = {}
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        given.setdefault(name.strip().lower(), value.strip())
    quality = _quality(given.get("q", "1"))
    transfer_syntax = given.get("transfer-syntax")
    if transfer_syntax is not None and not _UID.fullmatch(transfer_syntax):
        return None
    media_type = _media_type(kind)
    multipart: bool | None = None if media_type == ANY else False
    if media_type in {MULTIPART, "multipart/*"}:
        multipart = True
        media_type = _media_type(given.get("type", ANY))
    if media_type is None or quality is None:
        return None
    dicomdir = given.get("dicomdir", "").lower() == "true"
    return MediaRange(media_type, multipart, transfer_syntax, quality, dicomdir)


def _media_type(text: str) -> str | None:
    name = text.strip().lower().replace(" ", "+")
    return _LEGACY.get(name, name) if _MEDIA_TYPE.fullmatch(name) else None


def _quality(text: str) -> int | None:
    return round(float(f"0{text}") * 1000) if _QUALITY.fullmatch(text) else None
