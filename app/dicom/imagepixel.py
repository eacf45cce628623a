"""The Image Pixel attributes and the transfer syntax that a compressed image itself tells.

Who stores a photograph or a scan as metadata and bulk data may leave out what its codestream says
anyway (PS3.18 10.5.1), and often does not know its transfer syntax.

What cannot be told is left to who stores: nothing is derived from RLE, JPEG XL and MPEG streams.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.dicom import reasons
from app.dicom.codestreams import (
    SOF_BASELINE,
    SOF_EXTENDED,
    SOF_LOSSLESS,
    SOF_LS,
    SOS,
    CodestreamHeader,
    Colour,
    marker_segments,
    read_jpeg,
    read_jpeg2000,
)
from app.dicom.dataset import Attributes, Unreadable
from app.dicom.uids import TransferSyntax
from app.errors import Unprocessable

HEAD = 1024 * 1024
"""Bytes of a codestream in which its header ends, however many profiles and thumbnails it holds."""

NEEDED = tuple(
    f"0028{element:04X}" for element in (0x02, 0x04, 0x10, 0x11, 0x100, 0x101, 0x102, 0x103)
)
"""The attributes without which no image can be read."""

_PIXEL_DATA = "7FE00010"
_CELLS = (8, 16, 32)  # Bits Allocated of what is compressed
_JPEG = "1.2.840.10008.1.2.4."
_COD, _CAP, _SOT = 0x52, 0x50, 0x90
_END_OF_IMAGE = b"\xff\xd9"


def transfer_syntax_of(media_type: str, head: bytes) -> str:
    """The UID of the transfer syntax of a codestream that came as this media type.

    `head`: its first bytes, at most `HEAD`. Raises `Unreadable` if it has none that DICOM knows.
    """
    tell = _TELLERS.get(media_type)
    if tell is None:
        why = f"a part of type {media_type[:40]!r} needs a transfer syntax"
        raise Unreadable(why, reason=reasons.UNSUPPORTED_TRANSFER_SYNTAX, tag=_PIXEL_DATA)
    try:
        return tell(head)
    except Unprocessable as error:
        raise Unreadable(str(error), tag=_PIXEL_DATA) from error


def image_pixel(syntax: TransferSyntax, head: bytes) -> Attributes:
    """The attributes of the Image Pixel macro (PS3.3 C.7.6.3) that a codestream tells.

    Raises `Unreadable` if it is none of its transfer syntax.
    """
    try:
        header, photometric = _READERS[syntax.media_type](head)
    except KeyError:
        return {}
    except Unprocessable as error:
        raise Unreadable(str(error), tag=_PIXEL_DATA) from error
    if header.samples not in {1, 3}:
        why = f"an image of {header.samples} samples a pixel has no Photometric Interpretation"
        raise Unreadable(why, reason=reasons.DOES_NOT_MATCH_SOP_CLASS, tag=_PIXEL_DATA)
    allocated = next((bits for bits in _CELLS if 0 < header.precision <= bits), None)
    if allocated is None:
        why = f"an image of {header.precision} bits a sample has no place in a data set"
        raise Unreadable(why, reason=reasons.DOES_NOT_MATCH_SOP_CLASS, tag=_PIXEL_DATA)
    told: dict[str, Any] = {
        "00280002": ("US", header.samples),
        "00280004": ("CS", photometric if header.samples == 3 else "MONOCHROME2"),
        "00280006": ("US", 0),
        "00280010": ("US", header.rows),
        "00280011": ("US", header.columns),
        "00280100": ("US", allocated),
        "00280101": ("US", header.precision),
        "00280102": ("US", header.precision - 1),
        "00280103": ("US", int(header.signed)),
    }
    if header.samples == 1:
        del told["00280006"]
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in told.items()}


def _dct_or_lossless(head: bytes) -> tuple[CodestreamHeader, str]:
    header = read_jpeg(_ended(head))
    rgb = header.lossless or header.colour is Colour.RGB
    return header, "RGB" if rgb else "YBR_FULL_422"


def _jpeg_ls(head: bytes) -> tuple[CodestreamHeader, str]:
    return read_jpeg(_ended(head), ls=True), "RGB"


def _jpeg2000(head: bytes) -> tuple[CodestreamHeader, str]:
    coding = _coding(head)
    transformed = "YBR_RCT" if coding.reversible else "YBR_ICT"
    return read_jpeg2000(head), transformed if coding.multiple_components else "RGB"


@dataclass(frozen=True, slots=True)
class _Coding:
    """Of a JPEG 2000 codestream (ISO/IEC 15444-1 A.6.1)."""

    reversible: bool
    multiple_components: bool
    """Whether its three components are transformed together."""
    high_throughput: bool


def _coding(head: bytes) -> _Coding:
    segments = {marker: segment for marker, segment, _ in marker_segments(head, _SOT)}
    style = segments.get(_COD, b"")
    if len(style) < 10:
        raise Unprocessable("The codestream says nothing of its coding.")
    return _Coding(style[9] == 1, style[4] == 1, _CAP in segments)


def _ended(head: bytes) -> bytes:
    """The head as if it were a whole codestream: whether that has an end, a decoder will find."""
    return head + _END_OF_IMAGE


def _scan(head: bytes) -> tuple[int, int]:
    """The process of a JPEG codestream by its SOF marker, and the first parameter of its scan."""
    segments = list(marker_segments(head, SOS))
    frames = [marker for marker, _, _ in segments if marker in _UIDS_OF_JPEG or marker == SOF_LS]
    scan = segments[-1][1]
    parameter = 1 + 2 * scan[0] if scan else 0
    if not frames or len(scan) <= parameter:
        raise Unprocessable("The codestream is of a process that no transfer syntax has.")
    return frames[0], scan[parameter]


_UIDS_OF_JPEG = {SOF_BASELINE: "50", SOF_EXTENDED: "51", SOF_LOSSLESS: "57"}


def _uid_of_jpeg(head: bytes) -> str:
    process, predictor = _scan(head)
    if process == SOF_LOSSLESS and predictor == 1:
        return _JPEG + "70"
    return _JPEG + _UIDS_OF_JPEG[process]


def _uid_of_jpeg_ls(head: bytes) -> str:
    _, near = _scan(head)
    return _JPEG + ("81" if near else "80")


def _uid_of_jpeg2000(lossless: str, lossy: str) -> Callable[[bytes], str]:
    def tell(head: bytes) -> str:
        coding = _coding(head)
        if coding.high_throughput:
            return _JPEG + ("201" if coding.reversible else "203")
        return _JPEG + (lossless if coding.reversible else lossy)

    return tell


def _always(uid: str) -> Callable[[bytes], str]:
    return lambda _: uid


_TELLERS: Mapping[str, Callable[[bytes], str]] = {
    "image/jpeg": _uid_of_jpeg,
    "image/jls": _uid_of_jpeg_ls,
    "image/jp2": _uid_of_jpeg2000("90", "91"),
    "image/jpx": _uid_of_jpeg2000("92", "93"),
    "image/jphc": _uid_of_jpeg2000("201", "203"),
    "image/jxl": _always(_JPEG + "112"),
    "image/dicom-rle": _always("1.2.840.10008.1.2.5"),
    "video/mpeg": _always(_JPEG + "100"),
    "video/mp4": _always(_JPEG + "102"),
    "video/h265": _always(_JPEG + "107"),
}
_READERS: Mapping[str, Callable[[bytes], tuple[CodestreamHeader, str]]] = {
    "image/jpeg": _dct_or_lossless,
    "image/jls": _jpeg_ls,
    **dict.fromkeys(("image/jp2", "image/jpx", "image/jphc"), _jpeg2000),
}
