"""The attributes by which the bytes of a frame are read: `PixelDescription` (PS3.3 C.7.6.3)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.dicom.jsonvalues import first_of
from app.dicom.uids import transfer_syntax
from app.errors import Unprocessable
from app.span import Span

_PHOTOMETRIC_INTERPRETATIONS = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
    "YBR_ICT": 3,
    "YBR_RCT": 3,
}
"""Those that are understood, with the Samples per Pixel that they need (PS3.3 C.7.6.3.1.2)."""


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel attributes by which a frame's bytes are read (PS3.3 C.7.6.3)."""

    rows: int
    columns: int
    samples_per_pixel: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    pixel_representation: int
    planar_configuration: int
    photometric_interpretation: str
    transfer_syntax_uid: str
    floating: bool = False
    """Float or Double Float Pixel Data instead of Pixel Data."""
    words: bool = False
    """Whether native bytes are a run of 16-bit words (OW) and not of bytes (OB)."""

    @property
    def big_endian(self) -> bool:
        """Whether words lie with their high byte first."""
        return transfer_syntax(self.transfer_syntax_uid).big_endian

    @property
    def swapped_bytes(self) -> bool:
        """Whether two neighbouring samples, or eight, lie in the two bytes of a swapped word."""
        return self.big_endian and self.words and self.bits_allocated <= 8

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the decoded frame."""
        plane = (self.rows, self.columns)
        return plane if self.samples_per_pixel == 1 else (*plane, self.samples_per_pixel)


def describe(attributes: Mapping[str, Any], transfer_syntax_uid: str) -> PixelDescription:
    """The description of the frames of an instance, from its DICOM JSON.

    Raises `Unprocessable`, naming the attribute, where frames cannot be read by it. A High Bit that
    contradicts Bits Stored is passed over.
    """
    floating = "7FE00008" in attributes or "7FE00009" in attributes
    samples = _number(attributes, "00280002", 1, most=3)
    allocated = _number(attributes, "00280100", most=64)
    if allocated not in ({32, 64} if floating else {1, 8, 16, 32, 64}):
        raise _unusable("00280100", allocated)
    stored = allocated if floating else _number(attributes, "00280101", allocated, most=allocated)
    photometric = str(_value(attributes, "00280004", "MONOCHROME2" if samples == 1 else "RGB"))
    if _PHOTOMETRIC_INTERPRETATIONS.get(photometric.strip()) != samples:
        raise Unprocessable(
            f"The image cannot be decoded: Photometric Interpretation {photometric!r} "
            f"with {samples} samples per pixel is not supported."
        )
    high_bit = _value(attributes, "00280102", None)
    return PixelDescription(
        rows=_number(attributes, "00280010"),
        columns=_number(attributes, "00280011"),
        samples_per_pixel=samples,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=high_bit if high_bit in range(stored - 1, allocated) else stored - 1,
        pixel_representation=_number(attributes, "00280103", 0, least=0, most=1),
        planar_configuration=_number(attributes, "00280006", 0, least=0, most=1),
        photometric_interpretation=photometric.strip(),
        transfer_syntax_uid=transfer_syntax_uid,
        floating=floating,
        words=attributes.get("7FE00010", {}).get("vr") != "OB",
    )


def whole_cells(description: PixelDescription) -> PixelDescription:
    """As if all the bits of a cell were those of its value."""
    allocated = description.bits_allocated
    return replace(
        description, bits_stored=allocated, high_bit=allocated - 1, pixel_representation=0
    )


def whole_words(
    span: Span, first_bit: int, start: int, description: PixelDescription
) -> tuple[Span, int]:
    """The span of a native frame and the place of its first bit, widened to words where needed.

    `start` is where the value of Pixel Data begins. Only in big endian words can a sample of a
    frame lie in the byte before or after those that are its own by count.
    """
    if not description.swapped_bytes:
        return span, first_bit
    before = (span.offset - start) % 2
    length = before + span.length
    return Span(span.offset - before, length + length % 2), first_bit + 8 * before


def _value(attributes: Mapping[str, Any], tag: str, default: Any) -> Any:
    value = first_of(attributes, tag)
    return default if value is None else value


def _number(
    attributes: Mapping[str, Any],
    tag: str,
    default: int | None = None,
    *,
    least: int = 1,
    most: int = 65535,
) -> int:
    value = _value(attributes, tag, default)
    if not isinstance(value, int) or not least <= value <= most:
        raise _unusable(tag, value)
    return value


def _unusable(tag: str, value: object) -> Unprocessable:
    return Unprocessable(f"The image cannot be decoded: ({tag[:4]},{tag[4:]}) is {value}.")
