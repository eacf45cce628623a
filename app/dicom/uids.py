"""UIDs and transfer syntaxes: PS3.5 section 9 and PS3.6 table A-1."""

import re
from dataclasses import dataclass

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*")

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1.99"


def valid_uid(value: str) -> bool:
    """At most 64 characters, digits and dots, no empty component.

    Components with leading zeros are against the standard and are let through, since stored
    objects have them.
    """
    return len(value) <= 64 and _UID.fullmatch(value) is not None


@dataclass(frozen=True, slots=True)
class TransferSyntax:
    """How a data set is encoded, and as what media type its frames are sent (PS3.18 8.7.3)."""

    uid: str
    name: str
    media_type: str
    implicit: bool = False
    big_endian: bool = False
    deflated: bool = False
    encapsulated: bool = False

    @property
    def video(self) -> bool:
        """Whether all frames are one stream, in which nobody has looked for them (PS3.5 8.2.5)."""
        return self.media_type.startswith("video/")


_NATIVE = "application/octet-stream"
_JPEG = "1.2.840.10008.1.2.4."

_ENCAPSULATED = (
    ("1.2.840.10008.1.2.5", "RLE Lossless", "image/dicom-rle"),
    ("1.2.840.10008.1.2.1.98", "Encapsulated Uncompressed Explicit VR Little Endian", _NATIVE),
    ("1.2.840.10008.1.2.8.1", "Deflated Image Frame Compression", _NATIVE),
    (_JPEG + "50", "JPEG Baseline (Process 1)", "image/jpeg"),
    (_JPEG + "51", "JPEG Extended (Process 2 and 4)", "image/jpeg"),
    (_JPEG + "57", "JPEG Lossless, Non-Hierarchical (Process 14)", "image/jpeg"),
    (_JPEG + "70", "JPEG Lossless, First-Order Prediction", "image/jpeg"),
    (_JPEG + "80", "JPEG-LS Lossless", "image/jls"),
    (_JPEG + "81", "JPEG-LS Near-Lossless", "image/jls"),
    (_JPEG + "90", "JPEG 2000 Lossless", "image/jp2"),
    (_JPEG + "91", "JPEG 2000", "image/jp2"),
    (_JPEG + "92", "JPEG 2000 Part 2 Lossless", "image/jpx"),
    (_JPEG + "93", "JPEG 2000 Part 2", "image/jpx"),
    (_JPEG + "100", "MPEG2 Main Profile / Main Level", "video/mpeg"),
    (_JPEG + "101", "MPEG2 Main Profile / High Level", "video/mpeg"),
    (_JPEG + "100.1", "Fragmentable MPEG2 Main Profile / Main Level", "video/mpeg"),
    (_JPEG + "101.1", "Fragmentable MPEG2 Main Profile / High Level", "video/mpeg"),
    (_JPEG + "102", "MPEG-4 AVC/H.264 High Profile", "video/mp4"),
    (_JPEG + "103", "MPEG-4 AVC/H.264 BD-compatible High Profile", "video/mp4"),
    (_JPEG + "104", "MPEG-4 AVC/H.264 High Profile For 2D Video", "video/mp4"),
    (_JPEG + "105", "MPEG-4 AVC/H.264 High Profile For 3D Video", "video/mp4"),
    (_JPEG + "106", "MPEG-4 AVC/H.264 Stereo High Profile", "video/mp4"),
    (_JPEG + "102.1", "Fragmentable MPEG-4 AVC/H.264 High Profile", "video/mp4"),
    (_JPEG + "103.1", "Fragmentable MPEG-4 AVC/H.264 BD-compatible High Profile", "video/mp4"),
    (_JPEG + "104.1", "Fragmentable MPEG-4 AVC/H.264 High Profile For 2D Video", "video/mp4"),
    (_JPEG + "105.1", "Fragmentable MPEG-4 AVC/H.264 High Profile For 3D Video", "video/mp4"),
    (_JPEG + "106.1", "Fragmentable MPEG-4 AVC/H.264 Stereo High Profile", "video/mp4"),
    (_JPEG + "107", "HEVC/H.265 Main Profile", "video/H265"),
    (_JPEG + "108", "HEVC/H.265 Main 10 Profile", "video/H265"),
    (_JPEG + "110", "JPEG XL Lossless", "image/jxl"),
    (_JPEG + "111", "JPEG XL JPEG Recompression", "image/jxl"),
    (_JPEG + "112", "JPEG XL", "image/jxl"),
    (_JPEG + "201", "High-Throughput JPEG 2000 Lossless", "image/jphc"),
    (_JPEG + "202", "High-Throughput JPEG 2000 RPCL Lossless", "image/jphc"),
    (_JPEG + "203", "High-Throughput JPEG 2000", "image/jphc"),
)

TRANSFER_SYNTAXES: dict[str, TransferSyntax] = {
    syntax.uid: syntax
    for syntax in (
        TransferSyntax(
            IMPLICIT_VR_LITTLE_ENDIAN, "Implicit VR Little Endian", _NATIVE, implicit=True
        ),
        TransferSyntax(EXPLICIT_VR_LITTLE_ENDIAN, "Explicit VR Little Endian", _NATIVE),
        TransferSyntax(
            DEFLATED_EXPLICIT_VR_LITTLE_ENDIAN,
            "Deflated Explicit VR Little Endian",
            _NATIVE,
            deflated=True,
        ),
        TransferSyntax("1.2.840.10008.1.2.2", "Explicit VR Big Endian", _NATIVE, big_endian=True),
        TransferSyntax(_JPEG + "94", "JPIP Referenced", _NATIVE),
        TransferSyntax(_JPEG + "95", "JPIP Referenced Deflate", _NATIVE, deflated=True),
        TransferSyntax(_JPEG + "204", "JPIP HTJ2K Referenced", _NATIVE),
        TransferSyntax(_JPEG + "205", "JPIP HTJ2K Referenced Deflate", _NATIVE, deflated=True),
        *(TransferSyntax(*line, encapsulated=True) for line in _ENCAPSULATED),
    )
}
"""Every transfer syntax that the archive knows, by its UID."""


def transfer_syntax(uid: str) -> TransferSyntax:
    """The transfer syntax with this UID; one that the archive does not know is taken as opaque.

    Every syntax but Implicit VR Little Endian and the retired big-endian one encodes the data set
    in Explicit VR Little Endian (PS3.5 10, A.4), so that only the pixels stay unknown.
    """
    return TRANSFER_SYNTAXES.get(uid) or TransferSyntax(uid, uid, _NATIVE, encapsulated=True)
