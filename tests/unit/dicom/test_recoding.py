"""Frames brought into other transfer syntaxes: no sample changes, to pydicom's decoders either."""

import io
import warnings
import zlib

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.encaps import encapsulate

from app.dicom.codestreams import read_jpeg, read_jpeg2000
from app.dicom.description import PixelDescription
from app.dicom.native import BitJoiner
from app.dicom.recoding import Recoding, recode, targets
from app.errors import Unprocessable
from tests.factories import ct_dataset, part10

EXPLICIT, DEFLATED = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"
RLE, PLAIN, FRAME_DEFLATED = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.1.98",
    "1.2.840.10008.1.2.8.1",
)
J = "1.2.840.10008.1.2.4."
CODED = [RLE, *(J + n for n in ("57", "70", "80", "90", "91", "201", "202", "203")), PLAIN,
         FRAME_DEFLATED]  # fmt: skip
ROWS, COLUMNS = 70, 54


def described(
    bits: tuple[int, int, int] = (16, 12, 0), samples: int = 1, uid: str = EXPLICIT, **more: object
) -> PixelDescription:
    allocated, stored, signed = bits
    fields = {
        "rows": ROWS,
        "columns": COLUMNS,
        "samples_per_pixel": samples,
        "bits_allocated": allocated,
        "bits_stored": stored,
        "high_bit": stored - 1,
        "pixel_representation": signed,
        "planar_configuration": 0,
        "photometric_interpretation": "MONOCHROME2" if samples == 1 else "RGB",
        "transfer_syntax_uid": uid,
    }
    return PixelDescription(**fields | more)  # type: ignore[arg-type]


def picture(description: PixelDescription) -> NDArray[np.generic]:
    """Smooth and noisy parts, and the extreme values."""
    noise = np.random.default_rng(7)
    bits = min(description.bits_stored, 24)
    low = -(1 << (bits - 1)) if description.pixel_representation else 0
    most = low + (1 << bits) - 1
    slope = np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) * ((1 << bits) // 400 + 1) + low
    pixels = np.clip(slope, low, most)
    pixels[20:40] = noise.integers(low, most + 1, (20, COLUMNS))
    pixels[0, 0], pixels[0, 1] = low, most
    if description.samples_per_pixel == 3:
        pixels = np.stack([pixels, most - pixels, pixels[::-1]], axis=-1)
    kind = "i" if description.pixel_representation else "u"
    array: NDArray[np.generic] = pixels.astype(f"<{kind}{description.bits_allocated // 8}")
    return array


BITS = [(8, 8, 0), (16, 12, 0), (16, 16, 0), (16, 12, 1), (16, 16, 1), (8, 8, 1), (16, 8, 0),
        (16, 9, 1), (8, 5, 0)]  # fmt: skip


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("target", CODED)
def test_no_sample_changes_there_and_back(target: str, bits: tuple[int, int, int]) -> None:
    native = described(bits)
    pixels = picture(native)
    coded = recode(pixels.tobytes(), Recoding(native, target))
    back = recode(coded, Recoding(described(bits, uid=target), EXPLICIT))
    assert back == pixels.tobytes()


@pytest.mark.parametrize("target", CODED)
def test_no_colour_changes_there_and_back(target: str) -> None:
    native = described((8, 8, 0), 3)
    pixels = picture(native)
    there = Recoding(native, target)
    coded = recode(pixels.tobytes(), there)
    name = there.photometric_interpretation
    assert name == ("YBR_RCT" if target[len(J) :] in {"90", "91", "201", "202", "203"} else "RGB")
    stored = described((8, 8, 0), 3, target, photometric_interpretation=name)
    assert recode(coded, Recoding(stored, EXPLICIT)) == pixels.tobytes()


@pytest.mark.parametrize("target", CODED)
def test_luminance_and_chrominance_stay_as_they_are(target: str) -> None:
    native = described((8, 8, 0), 3, photometric_interpretation="YBR_FULL")
    pixels = picture(native)
    there = Recoding(native, target)
    assert there.photometric_interpretation == "YBR_FULL"
    coded = recode(pixels.tobytes(), there)
    stored = described((8, 8, 0), 3, target, photometric_interpretation="YBR_FULL")
    assert recode(coded, Recoding(stored, EXPLICIT)) == pixels.tobytes()


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("target", [RLE, J + "90"])
def test_another_decoder_sees_the_same(target: str, bits: tuple[int, int, int]) -> None:
    native = described(bits)
    pixels = picture(native)
    coded = recode(pixels.tobytes(), Recoding(native, target))
    dataset = ct_dataset(
        Rows=ROWS,
        Columns=COLUMNS,
        BitsAllocated=bits[0],
        BitsStored=bits[1],
        HighBit=bits[1] - 1,
        PixelRepresentation=bits[2],
        PixelData=encapsulate([coded]),
    )
    dataset["PixelData"].is_undefined_length = True
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seen = pydicom.dcmread(io.BytesIO(part10(dataset, target))).pixel_array
    np.testing.assert_array_equal(seen, pixels)


def test_what_lies_beside_the_values_of_a_cell_is_left_out() -> None:
    """High Bit moves to where the value ends, whatever is stored above and below it."""
    stored = described((16, 8, 0), high_bit=11)
    pixels = picture(described((16, 8, 0)))
    dirty = ((pixels.astype("<u2") << 4) | 0xF00F).astype("<u2")
    recoding = Recoding(stored, RLE)
    back = recode(
        recode(dirty.tobytes(), recoding), Recoding(described((16, 8, 0), uid=RLE), EXPLICIT)
    )
    assert back == pixels.tobytes()
    assert recoding.changes()[0x00280102] == b"\x28\0\x02\1US\2\0\7\0"


def test_big_endian_and_planes_become_what_every_codec_takes() -> None:
    big = described((16, 12, 0), uid="1.2.840.10008.1.2.2")
    pixels = picture(big)
    coded = recode(pixels.astype(">u2").tobytes(), Recoding(big, J + "80"))
    assert recode(coded, Recoding(described(uid=J + "80"), EXPLICIT)) == pixels.tobytes()
    planar = described((8, 8, 0), 3, planar_configuration=1)
    colours = picture(planar)
    coded = recode(np.moveaxis(colours, 2, 0).tobytes(), Recoding(planar, J + "70"))
    back = recode(coded, Recoding(described((8, 8, 0), 3, J + "70"), EXPLICIT))
    assert back == colours.tobytes()


def test_codestreams_say_what_the_data_set_does() -> None:
    for bits, precision in (((16, 12, 0), 12), ((16, 12, 1), 16), ((8, 8, 0), 8)):
        native = described(bits)
        data = picture(native).tobytes()
        assert read_jpeg(recode(data, Recoding(native, J + "70"))).precision == precision
        header = read_jpeg2000(recode(data, Recoding(native, J + "90")))
        assert (header.precision, header.signed) == (bits[1], bool(bits[2]))
    lossless = recode(data, Recoding(native, J + "70"))
    scan = lossless.index(b"\xff\xda")
    assert lossless[scan + 7] == 1, "the predictor is that of first order"


@pytest.mark.parametrize(
    ("rows", "columns", "halvings"), [(70, 54, 5), (64, 8192, 5), (2100, 2050, 6)]
)
def test_high_throughput_is_in_the_order_of_resolutions(
    rows: int, columns: int, halvings: int
) -> None:
    native = described((8, 8, 0), rows=rows, columns=columns)
    coded = recode(bytes(rows * columns), Recoding(native, J + "202"))
    style = coded.index(b"\xff\x52")
    assert coded[style + 5] == 2, "RPCL"
    assert coded[style + 9] == halvings
    assert min(rows, columns) / (1 << coded[style + 9]) <= 64
    assert b"\xff\x55" in coded[: coded.index(b"\xff\x90")], "TLM stands in the main header"


def test_what_the_data_set_says_changes_with_the_encoding() -> None:
    colour = described((8, 8, 0), 3)
    changes = Recoding(colour, J + "90").changes()
    assert list(changes) == sorted(changes)
    assert changes[0x00280004] == b"\x28\0\4\0CS\10\0YBR_RCT "
    assert changes[0x00280006] == b"\x28\0\6\0US\2\0\0\0"
    assert changes[0x7FE00001] is changes[0x7FE00002] is None
    assert 0x00280004 not in Recoding(described(), RLE).changes()
    for uid, name in [(J + "50", "RGB"), (J + "70", "YBR_FULL"), (RLE, "YBR_FULL")]:
        stored = described((8, 8, 0), 3, uid, photometric_interpretation="YBR_FULL")
        assert Recoding(stored, EXPLICIT).photometric_interpretation == name


@pytest.mark.parametrize("stored", [0, 1])
def test_planes_are_what_the_object_allows_where_the_encoding_leaves_it_open(stored: int) -> None:
    colour = described((8, 8, 0), 3, planar_configuration=stored)
    assert Recoding(colour, RLE).changes()[0x00280006] == b"\x28\0\6\0US\2\0%c\0" % stored
    assert Recoding(colour, J + "80").changes()[0x00280006] == b"\x28\0\6\0US\2\0\0\0"


@pytest.mark.parametrize(
    ("description", "found"),
    [
        (described(), set(CODED)),
        (described((8, 8, 0), 3), set(CODED)),
        (described(uid=J + "50"), {EXPLICIT, DEFLATED, *CODED}),
        (described(uid=J + "90"), {EXPLICIT, DEFLATED, *CODED} - {J + "90"}),
        (described((32, 32, 0)), {RLE, PLAIN, FRAME_DEFLATED}),
        (described((1, 1, 0)), {PLAIN, FRAME_DEFLATED}),
        (described((1, 1, 0), uid=RLE), {EXPLICIT, DEFLATED, PLAIN, FRAME_DEFLATED}),
        (described((1, 1, 0), uid=FRAME_DEFLATED), {EXPLICIT, DEFLATED, PLAIN}),
        (
            described((8, 8, 0), photometric_interpretation="PALETTE COLOR"),
            set(CODED) - {J + "91", J + "203"},
        ),
        (described((64, 64, 0)), set()),
        (described((32, 32, 0), floating=True), set()),
        (described((8, 8, 0), 3, photometric_interpretation="YBR_FULL_422"), set()),
        (described(uid=J + "102"), set()),
        (described(uid=J + "110"), set()),
    ],
)
def test_what_can_be_sent(description: PixelDescription, found: set[str]) -> None:
    assert set(targets(description, {})) == found
    overlay = {"60000010": {"vr": "US", "Value": [70]}}
    assert targets(description, overlay) == ()
    assert set(targets(description, overlay | {"60003000": {"vr": "OW"}})) == found


def test_single_bits_are_packed_again() -> None:
    bits = np.random.default_rng(7).integers(0, 2, (ROWS, COLUMNS), np.uint8)
    native = np.packbits(bits, bitorder="little").tobytes()
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    codestream = bytes(imagecodecs.jpeg2k_encode(bits, codecformat="j2k", level=0, bitspersample=1))
    coded = {
        FRAME_DEFLATED: deflate.compress(native) + deflate.flush(),
        PLAIN: native,
        J + "90": codestream,
    }
    for uid, data in coded.items():
        recoding = Recoding(described((1, 1, 0), uid=uid), EXPLICIT)
        assert recode(data, recoding) == native
        assert recoding.frame_bytes == len(native)
        assert recoding.native_bytes(3) == -(-ROWS * COLUMNS * 3 // 8)


@pytest.mark.parametrize("target", [PLAIN, FRAME_DEFLATED])
def test_single_bits_are_encoded_from_any_bit_on(target: str) -> None:
    bits = np.random.default_rng(7).integers(0, 2, (ROWS, COLUMNS), np.uint8)
    shifted = np.packbits([*[1] * 5, *bits.ravel()], bitorder="little").tobytes()
    coded = recode(shifted, Recoding(described((1, 1, 0)), target), first_bit=5)
    assert target in targets(described((1, 1, 0)), {})
    back = recode(coded, Recoding(described((1, 1, 0), uid=target), EXPLICIT))
    assert back == np.packbits(bits, bitorder="little").tobytes()


@given(st.integers(1, 70), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_frames_of_single_bits_share_bytes(frame_bits: int, frames: int, seed: int) -> None:
    bits = np.random.default_rng(seed).integers(0, 2, (frames, frame_bits), np.uint8)
    joiner = BitJoiner(frame_bits)
    joined = b"".join(joiner.add(np.packbits(one, bitorder="little").tobytes()) for one in bits)
    assert joined + joiner.finish() == np.packbits(bits, bitorder="little").tobytes()


@pytest.mark.parametrize("stored", [EXPLICIT, RLE, *(J + n for n in ("70", "80", "90", "201"))])
def test_what_is_broken_is_refused(stored: str) -> None:
    data = picture(described()).tobytes()
    if stored != EXPLICIT:
        data = recode(data, Recoding(described(), stored))
    for broken in (b"", data[: len(data) // 3]):
        with pytest.raises(Unprocessable):
            recode(broken, Recoding(described(uid=stored), FRAME_DEFLATED))
