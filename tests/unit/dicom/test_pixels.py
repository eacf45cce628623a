"""Frames of every syntax come out as the stored values, compared with other people's decoders."""

import hashlib
import struct
import zlib
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.pixels.encoders import RLELosslessEncoder

from app.dicom.description import PixelDescription, describe, whole_words
from app.dicom.frames import native_span
from app.dicom.pixels import decode_frame
from app.errors import TooLarge, Unprocessable
from app.span import Span
from tests.unit.dicom import files

EXPLICIT, BIG_ENDIAN, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5"
JPEG, JPEG_EXTENDED = "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51"
JPEG_LOSSLESS, JPEG_LS = "1.2.840.10008.1.2.4.70", "1.2.840.10008.1.2.4.80"
JPEG_2000, HTJ2K_LOSSLESS = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"
HTJ2K = "1.2.840.10008.1.2.4.203"
DEFLATED_FRAME = "1.2.840.10008.1.2.8.1"


def description(**changes: Any) -> PixelDescription:
    """16 bits of grey, 6 rows and 8 columns."""
    base = PixelDescription(
        rows=6,
        columns=8,
        samples_per_pixel=1,
        bits_allocated=16,
        bits_stored=16,
        high_bit=15,
        pixel_representation=0,
        planar_configuration=0,
        photometric_interpretation="MONOCHROME2",
        transfer_syntax_uid=EXPLICIT,
    )
    return replace(base, **changes)


def colour(**changes: Any) -> PixelDescription:
    eight = {"bits_allocated": 8, "bits_stored": 8, "high_bit": 7}
    return description(
        **{"samples_per_pixel": 3, "photometric_interpretation": "RGB", **eight, **changes}
    )


# Native frames


@pytest.mark.parametrize("name", files.images(encapsulated=False))
def test_a_native_frame_equals_that_of_pydicom(name: str) -> None:
    dataset = files.read(name)
    syntax = dataset.file_meta.TransferSyntaxUID
    pixels = describe(files.attributes_of(dataset), syntax)
    if name == "MR_truncated.dcm":
        with pytest.raises(Unprocessable, match="4065 of its 4096 samples"):
            decode_frame(files.first_frame(dataset), pixels)
        return

    samples = decode_frame(files.first_frame(dataset), pixels)

    assert (samples == files.reference(name)).all()


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bits", [8, 16, 32, 64])
@pytest.mark.parametrize("signed", [False, True])
def test_integers_of_any_width_order_and_sign(order: str, bits: int, signed: bool) -> None:
    kind = "i" if signed else "u"
    values = np.arange(48).reshape(6, 8).astype(f"{kind}{bits // 8}") - 24 * signed
    data = values.astype(f"{order}{kind}{bits // 8}").tobytes()
    syntax = BIG_ENDIAN if order == ">" else EXPLICIT

    samples = decode_frame(
        data,
        description(
            bits_allocated=bits,
            bits_stored=bits,
            high_bit=bits - 1,
            pixel_representation=int(signed),
            transfer_syntax_uid=syntax,
        ),
    )

    assert samples.dtype == values.dtype
    assert (samples == values).all()


@pytest.mark.parametrize(
    ("signed", "high_bit", "stored", "cell", "value"),
    [
        (0, 11, 12, 0xF123, 0x123),
        (1, 11, 12, 0xF800, -2048),
        (1, 11, 12, 0x07FF, 2047),
        (0, 15, 12, 0x1230, 0x123),
        (1, 15, 12, 0x8000, -2048),
        (1, 15, 16, 0x8000, -32768),
    ],
)
def test_only_the_bits_below_high_bit_count_and_the_sign_is_the_highest_of_them(
    signed: int, high_bit: int, stored: int, cell: int, value: int
) -> None:
    samples = decode_frame(
        struct.pack("<H", cell) * 48,
        description(pixel_representation=signed, high_bit=high_bit, bits_stored=stored),
    )

    assert (samples == value).all()


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_float_pixel_data(bits: int, order: str) -> None:
    values = np.linspace(-1, 1, 48).reshape(6, 8).astype(f"f{bits // 8}")
    values[0, 0] = np.nan
    syntax = BIG_ENDIAN if order == ">" else EXPLICIT

    samples = decode_frame(
        values.astype(f"{order}f{bits // 8}").tobytes(),
        description(bits_allocated=bits, floating=True, transfer_syntax_uid=syntax),
    )

    assert np.array_equal(samples, values, equal_nan=True)


def test_colour_by_plane_is_the_same_as_by_pixel() -> None:
    values = np.arange(144, dtype=np.uint8).reshape(6, 8, 3)

    by_plane = decode_frame(values.transpose(2, 0, 1).tobytes(), colour(planar_configuration=1))

    assert (by_plane == values).all()
    assert (decode_frame(values.tobytes(), colour()) == values).all()


@pytest.mark.parametrize(
    ("ybr", "rgb"),
    [
        ((76, 85, 255), (254, 0, 0)),
        ((150, 44, 21), (0, 255, 1)),
        ((29, 255, 107), (0, 0, 254)),
        ((128, 128, 128), (128, 128, 128)),
    ],
)
def test_ybr_full_becomes_red_green_and_blue(ybr: tuple[int, ...], rgb: tuple[int, ...]) -> None:
    samples = decode_frame(bytes(ybr) * 48, colour(photometric_interpretation="YBR_FULL"))

    assert samples[3, 3].tolist() == list(rgb)


def test_ybr_full_of_sixteen_bits_has_its_middle_at_half() -> None:
    samples = decode_frame(
        struct.pack("<3H", 1000, 32768, 32768) * 48,
        colour(
            photometric_interpretation="YBR_FULL", bits_allocated=16, bits_stored=16, high_bit=15
        ),
    )

    assert (samples == 1000).all()


def test_subsampled_pairs_share_their_colour() -> None:
    samples = decode_frame(
        bytes((10, 20, 128, 128)) * 24, colour(photometric_interpretation="YBR_FULL_422")
    )

    assert samples[0, :4].tolist() == [[10] * 3, [20] * 3, [10] * 3, [20] * 3]


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 5), st.booleans(), st.randoms())
def test_single_bits_of_any_frame_whatever_the_byte_it_begins_in(
    rows: int, columns: int, frames: int, big_endian: bool, random: Any
) -> None:
    bits = np.array([random.getrandbits(1) for _ in range(rows * columns * frames)], np.uint8)
    data = np.packbits(bits, bitorder="little").tobytes()
    data += b"\0" * (len(data) % 2)
    pixels = description(
        rows=rows,
        columns=columns,
        bits_allocated=1,
        bits_stored=1,
        high_bit=0,
        transfer_syntax_uid=BIG_ENDIAN if big_endian else EXPLICIT,
        words=True,
    )
    if big_endian:
        data = np.frombuffer(data, np.uint16).byteswap().tobytes()

    for number in range(1, frames + 1):
        span, shift = native_span(0, rows * columns, number)
        span, shift = whole_words(span, shift, 0, pixels)
        samples = decode_frame(data[span.offset : span.end], pixels, first_bit=shift)
        start = (number - 1) * rows * columns
        assert samples.ravel().tolist() == bits[start : start + rows * columns].tolist()


def test_frames_of_odd_length_in_big_endian_words() -> None:
    values = np.arange(18, dtype=np.uint8)
    data = np.frombuffer(values.tobytes(), np.uint16).byteswap().tobytes()
    pixels = colour(rows=1, columns=3, transfer_syntax_uid=BIG_ENDIAN, words=True)

    span, shift = whole_words(Span(109, 9), 0, 100, pixels)
    second = decode_frame(data[span.offset - 100 : span.end - 100], pixels, first_bit=shift)

    assert (span, shift) == (Span(108, 10), 8)
    assert second.ravel().tolist() == list(range(9, 18))


@pytest.mark.parametrize(
    "pixels", [description(), description(bits_allocated=1), colour(), colour(words=True)]
)
@pytest.mark.parametrize("length", [0, 1, 5])
def test_a_native_frame_that_is_too_short_is_refused(pixels: PixelDescription, length: int) -> None:
    with pytest.raises(Unprocessable, match=r"samples|decoded"):
        decode_frame(bytes(length), pixels)


# Compressed frames

DIGESTS = {
    "693_J2KI.dcm": "80b7c67c9581c1ae",
    "GDCMJ2K_TextGBR.dcm": "11372c8d43cf32c9",
    "J2K_pixelrep_mismatch.dcm": "c5bf751ac56d2d17",
    "JPEG2000.dcm": "aeb20aa4b46d61e4",
    "JPEGLSNearLossless_08.dcm": "3daabb855fa77b76",
    "JPEGLSNearLossless_16.dcm": "450fb21f88274309",
    "MR_small_RLE.dcm": "7535ddb55eab556c",
    "MR_small_jp2klossless.dcm": "7535ddb55eab556c",
    "MR_small_jpeg_ls_lossless.dcm": "7535ddb55eab556c",
    "SC_rgb_gdcm_KY.dcm": "19c01b22b0882e36",
    "SC_rgb_jls_lossy_line.dcm": "e715a14efeb90b0d",
    "SC_rgb_jls_lossy_sample.dcm": "e715a14efeb90b0d",
    "SC_rgb_jpeg_gdcm.dcm": "19c01b22b0882e36",
    "SC_rgb_rle.dcm": "19c01b22b0882e36",
    "SC_rgb_rle_16bit.dcm": "9db8f68c80d30723",
    "SC_rgb_rle_16bit_2frame.dcm": "9db8f68c80d30723",
    "SC_rgb_rle_2frame.dcm": "19c01b22b0882e36",
    "SC_rgb_rle_32bit.dcm": "2073d5f5d2c6197a",
    "SC_rgb_rle_32bit_2frame.dcm": "2073d5f5d2c6197a",
    "examples_jpeg2k.dcm": "b2f468683b38f6d1",
    "rtdose_rle.dcm": "83d800e17dd95aed",
    "rtdose_rle_1frame.dcm": "83d800e17dd95aed",
}
"""SHA-256 of frame 1 as 64-bit integers, on which GDCM 3.2, CharLS, OpenJPEG and pydicom agree."""

LOSSY = {
    "SC_jpeg_no_color_transform.dcm",
    "SC_jpeg_no_color_transform_2.dcm",
    "SC_rgb_dcmtk_+eb+cr.dcm",
    "SC_rgb_dcmtk_+eb+cy+n1.dcm",
    "SC_rgb_dcmtk_+eb+cy+n2.dcm",
    "SC_rgb_dcmtk_+eb+cy+np.dcm",
    "SC_rgb_dcmtk_+eb+cy+s2.dcm",
    "SC_rgb_dcmtk_+eb+cy+s4.dcm",
    "SC_rgb_jpeg.dcm",
    "SC_rgb_jpeg_app14_dcmd.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_lossy_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "examples_ybr_color.dcm",
}
"""Baseline JPEG, which Pillow decodes too."""

TWELVE_BITS = {"JPEG-lossy.dcm", "JPGExtended.dcm"}
BROKEN = {"JPEG2000-embedded-sequence-delimiter.dcm"}
"""Its codestream begins with a header that was overwritten: no decoder reads it."""


def test_no_compressed_file_of_pydicom_is_left_out() -> None:
    names = set(files.images(encapsulated=True))

    assert names == {*DIGESTS, *LOSSY, *TWELVE_BITS, *BROKEN}


def decoded(name: str) -> np.ndarray:
    dataset = files.read(name)
    pixels = describe(files.attributes_of(dataset), dataset.file_meta.TransferSyntaxUID)
    return decode_frame(files.first_frame(dataset), pixels)


@pytest.mark.parametrize("name", DIGESTS)
def test_a_frame_whose_decoding_is_exact_equals_that_of_other_decoders(name: str) -> None:
    samples = decoded(name).astype("<i8")

    assert hashlib.sha256(samples.tobytes()).hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize("name", sorted(LOSSY))
def test_baseline_jpeg_equals_that_of_pillow_within_one(name: str) -> None:
    reference = files.reference(name, "pillow")

    assert np.abs(decoded(name).astype(int) - reference).max() <= 1


@pytest.mark.parametrize("name", sorted(TWELVE_BITS))
def test_extended_jpeg_of_twelve_bits_equals_that_of_libjpeg_within_one(name: str) -> None:
    samples = decoded(name).astype(int)
    spots = [[21, 21, 81, 71, 18, 1], [1, 41, 20, 22, 1, 1], [1, 33, 1, 44, 1, 1]]

    assert np.abs(samples[420:721:100, 30:256:45][:3] - spots).max() <= 1
    assert samples.mean() == pytest.approx(14.383, abs=0.1)


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_what_no_decoder_reads_is_refused(name: str) -> None:
    with pytest.raises(Unprocessable):
        decoded(name)


def encoded(values: np.ndarray, syntax: str) -> bytes:
    match syntax:
        case "1.2.840.10008.1.2.4.70":
            bits = values.dtype.itemsize * 8
            unsigned = values.view(f"u{values.dtype.itemsize}")
            data = imagecodecs.jpeg8_encode(unsigned, lossless=True, bitspersample=bits)
        case "1.2.840.10008.1.2.4.80":
            data = imagecodecs.jpegls_encode(values.view(f"u{values.dtype.itemsize}"))
        case "1.2.840.10008.1.2.4.90":
            data = imagecodecs.jpeg2k_encode(values, level=0, codecformat="j2k")
        case "1.2.840.10008.1.2.4.201" | "1.2.840.10008.1.2.4.203":
            data = imagecodecs.htj2k_encode(values, reversible=True)
        case "1.2.840.10008.1.2.8.1":
            compressor = zlib.compressobj(wbits=-zlib.MAX_WBITS)
            data = compressor.compress(values.tobytes()) + compressor.flush()
        case _:
            data = RLELosslessEncoder.encode(
                values,
                rows=values.shape[0],
                columns=values.shape[1],
                samples_per_pixel=1 if values.ndim == 2 else 3,
                bits_allocated=values.dtype.itemsize * 8,
                bits_stored=values.dtype.itemsize * 8,
                pixel_representation=int(values.dtype.kind == "i"),
                photometric_interpretation="RGB" if values.ndim == 3 else "MONOCHROME2",
                number_of_frames=1,
                planar_configuration=0,
            )
    return bytes(data)


LOSSLESS = [JPEG_LOSSLESS, JPEG_LS, JPEG_2000, HTJ2K_LOSSLESS, HTJ2K, RLE, DEFLATED_FRAME]


@pytest.mark.parametrize("syntax", LOSSLESS)
@pytest.mark.parametrize("dtype", ["u1", "u2", "i2"])
def test_what_was_coded_without_loss_comes_back(syntax: str, dtype: str) -> None:
    values = np.random.default_rng(7).integers(0, 250, (6, 8)).astype(dtype)
    if dtype == "i2":
        values -= 100
    bits = values.dtype.itemsize * 8

    samples = decode_frame(
        encoded(values, syntax),
        description(
            bits_allocated=bits,
            bits_stored=bits,
            high_bit=bits - 1,
            pixel_representation=int(dtype == "i2"),
            transfer_syntax_uid=syntax,
        ),
    )

    assert samples.tolist() == values.tolist()


@pytest.mark.parametrize("syntax", LOSSLESS)
def test_colour_that_was_coded_without_loss_comes_back(syntax: str) -> None:
    values = np.random.default_rng(7).integers(0, 255, (6, 8, 3)).astype("u1")
    pixels = colour(transfer_syntax_uid=syntax)

    assert (decode_frame(encoded(values, syntax), pixels) == values).all()


@pytest.mark.parametrize("syntax", [JPEG_LOSSLESS, JPEG_LS, RLE])
def test_lossless_syntaxes_keep_ybr_and_the_archive_converts_it(syntax: str) -> None:
    red = np.full((6, 8, 3), (76, 85, 255), np.uint8)
    pixels = colour(transfer_syntax_uid=syntax, photometric_interpretation="YBR_FULL")

    assert (decode_frame(encoded(red, syntax), pixels) == (254, 0, 0)).all()


def test_jpeg_ls_with_a_scan_for_each_component() -> None:
    data = bytes.fromhex(
        "ffd8fff70011070005000703011100021100031100ffda00080101000000008cfd3e000008499420000055"
        "6863f8b7d0ffda0008010200000000667cfd00000424ca1000002ab431fc5be8ffda0008010300000000333e"
        "7e8000021265080000155a18fe2df4ffd9".replace("\n", "")
    )
    pixels = colour(rows=5, columns=7, transfer_syntax_uid=JPEG_LS)

    assert decode_frame(data, pixels).ravel().tolist() == list(range(105))


def test_a_lossy_htj2k_frame_that_overshoots_stays_white() -> None:
    checks = np.kron(np.indices((32, 32)).sum(axis=0) % 2, np.ones((3, 3))) * 255
    image = np.repeat(checks.astype(np.uint8)[..., None], 3, axis=2)
    data = bytes(imagecodecs.htj2k_encode(image, level=0.05, reversible=False))
    rows, columns = checks.shape

    samples = decode_frame(data, colour(rows=rows, columns=columns, transfer_syntax_uid=HTJ2K))

    assert np.abs(samples.astype(int) - image).max() < 128


def test_single_bits_in_rle() -> None:
    bits = np.random.default_rng(1).integers(0, 2, 45, np.uint8)
    packed = np.packbits(bits, bitorder="little").reshape(1, -1)
    pixels = description(
        rows=5, columns=9, bits_allocated=1, bits_stored=1, high_bit=0, transfer_syntax_uid=RLE
    )

    assert decode_frame(encoded(packed, RLE), pixels).ravel().tolist() == bits.tolist()


def test_signed_values_that_were_coded_as_if_they_were_not() -> None:
    values = np.linspace(-2048, 2047, 48).astype("i2").reshape(6, 8)
    data = imagecodecs.jpeg8_encode(values.view("u2") & 0xFFF, lossless=True, bitspersample=12)

    samples = decode_frame(
        bytes(data),
        description(
            bits_stored=12, high_bit=11, pixel_representation=1, transfer_syntax_uid=JPEG_LOSSLESS
        ),
    )

    assert (samples == values).all()


def test_values_that_were_coded_as_signed_are_so_whatever_the_data_set_says() -> None:
    values = np.linspace(-2048, 2047, 48).astype("i2").reshape(6, 8)
    data = bytes(imagecodecs.jpeg2k_encode(values, codecformat="J2K", reversible=True))

    samples = decode_frame(
        data, description(bits_stored=16, high_bit=15, transfer_syntax_uid=JPEG_2000)
    )

    assert (samples == values).all()


# Hostile and impossible frames


def bomb_j2k() -> bytes:
    body = struct.pack(">H8IH", 0, 65535, 65535, 0, 0, 65535, 65535, 0, 0, 3) + b"\x0f\1\1" * 3
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(body) + 2) + body + bytes(100)


def bomb_jpeg(marker: int) -> bytes:
    frame = b"\x08\xff\xff\xff\xff\x01\x01\x11\x00"
    scan = b"\x01\x01\x00\x00\x00\x00"
    return (
        b"\xff\xd8"
        + struct.pack(">BBH", 0xFF, marker, len(frame) + 2)
        + frame
        + struct.pack(">BBH", 0xFF, 0xDA, len(scan) + 2)
        + scan
        + b"\xff\xd9"
    )


@pytest.mark.parametrize(
    ("syntax", "data"),
    [
        (JPEG, bomb_jpeg(0xC0)),
        (JPEG_LOSSLESS, bomb_jpeg(0xC3)),
        (JPEG_LS, bomb_jpeg(0xF7)),
        (JPEG_2000, bomb_j2k()),
        (HTJ2K, bomb_j2k()),
        (HTJ2K_LOSSLESS, bomb_j2k()),
    ],
)
def test_a_codestream_larger_than_the_data_set_says_is_not_decoded(
    syntax: str, data: bytes
) -> None:
    with pytest.raises(Unprocessable, match="65535 x 65535"):
        decode_frame(data, description(transfer_syntax_uid=syntax))


def test_a_frame_beyond_the_limit_is_not_decoded() -> None:
    with pytest.raises(TooLarge):
        decode_frame(b"", description(rows=65535, columns=65535))
    with pytest.raises(TooLarge):
        decode_frame(bytes(96), description(), largest=47)
    assert decode_frame(bytes(96), description(), largest=48).shape == (6, 8)


def test_deflated_bytes_are_inflated_no_further_than_the_frame() -> None:
    compressor = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = compressor.compress(bytes(50_000_000)) + compressor.flush()

    assert decode_frame(data, description(transfer_syntax_uid=DEFLATED_FRAME)).shape == (6, 8)


def test_more_bits_than_were_allotted_are_refused() -> None:
    values = np.zeros((6, 8), "u2")

    with pytest.raises(Unprocessable, match="16 bits"):
        decode_frame(
            encoded(values, JPEG_LS),
            description(bits_allocated=8, bits_stored=8, transfer_syntax_uid=JPEG_LS),
        )


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.4.102", "1.2.3"])
def test_a_syntax_without_a_decoder_is_named(syntax: str) -> None:
    with pytest.raises(Unprocessable, match=syntax.replace(".", r"\.")):
        decode_frame(b"", description(transfer_syntax_uid=syntax))


GREY_SYNTAXES = [JPEG, JPEG_EXTENDED, *LOSSLESS]


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(GREY_SYNTAXES), st.data())
def test_a_damaged_frame_is_refused_or_decoded_the_same_way_each_time(
    syntax: str, data: st.DataObject
) -> None:
    image = np.random.default_rng(3).integers(0, 255, (16, 16)).astype("u1")
    if syntax in (JPEG, JPEG_EXTENDED):
        whole = bytes(imagecodecs.jpeg8_encode(image, level=90))
    else:
        whole = encoded(image, syntax)
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at : at + 4] = data.draw(st.binary(max_size=8))
    pixels = description(
        rows=16,
        columns=16,
        bits_allocated=8,
        bits_stored=8,
        high_bit=7,
        transfer_syntax_uid=syntax,
    )

    def attempt() -> bytes | None:
        try:
            return decode_frame(bytes(damaged), pixels).tobytes()
        except Unprocessable:
            return None

    first = attempt()
    _ = [np.full(256, 0xA5, np.uint8) for _ in range(50)]
    assert attempt() == first


# Descriptions

ATTRIBUTES: dict[str, Any] = {
    "00280002": {"vr": "US", "Value": [1]},
    "00280004": {"vr": "CS", "Value": ["MONOCHROME2"]},
    "00280010": {"vr": "US", "Value": [6]},
    "00280011": {"vr": "US", "Value": [8]},
    "00280100": {"vr": "US", "Value": [16]},
    "00280101": {"vr": "US", "Value": [12]},
    "00280102": {"vr": "US", "Value": [11]},
    "00280103": {"vr": "US", "Value": [1]},
    "7FE00010": {"vr": "OW", "BulkDataURI": "bulkdata/7FE00010"},
}


def test_a_description_is_read_from_the_attributes() -> None:
    assert describe(ATTRIBUTES, EXPLICIT) == description(
        bits_stored=12, high_bit=11, pixel_representation=1, words=True
    )


def test_what_the_standard_lets_one_infer_need_not_be_there() -> None:
    few = {tag: ATTRIBUTES[tag] for tag in ("00280010", "00280011", "00280100")}

    assert describe(few, EXPLICIT) == description(words=True)


@pytest.mark.parametrize(
    ("tag", "values"),
    [
        ("00280010", []),
        ("00280010", [0]),
        ("00280010", [70_000]),
        ("00280010", ["16"]),
        ("00280011", [None]),
        ("00280002", [2]),
        ("00280002", [0]),
        ("00280004", ["CMYK"]),
        ("00280004", ["RGB"]),
        ("00280100", [0]),
        ("00280100", [7]),
        ("00280100", [65535]),
        ("00280101", [17]),
        ("00280103", [2]),
    ],
)
def test_attributes_by_which_nothing_can_be_decoded_are_named(tag: str, values: list[Any]) -> None:
    attributes = ATTRIBUTES | {tag: {"vr": "US", "Value": values}}

    with pytest.raises(Unprocessable):
        describe(attributes, EXPLICIT)


def test_a_high_bit_that_contradicts_bits_stored_is_passed_over() -> None:
    for high_bit in (3, 16, "x"):
        attributes = ATTRIBUTES | {"00280102": {"vr": "US", "Value": [high_bit]}}
        assert describe(attributes, EXPLICIT).high_bit == 11
