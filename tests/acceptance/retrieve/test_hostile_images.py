"""Images made to break who shows them: each is answered for, in time, and in little memory.

What can be shown is shown; of the rest it is said what is wrong. Nothing is an error of the server.
"""

import asyncio
import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from pydicom import Dataset
from pydicom.encaps import encapsulate

from tests.acceptance.retrieve.conftest import store
from tests.factories import ct_dataset, part10

J2K, RLE, JPEG = "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
JPEG_LS, HTJ2K, DEFLATED_FRAMES = (
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.201",
    "1.2.840.10008.1.2.8.1",
)
GROWTH = 64 * 1024 * 1024
SECONDS = 5
QUERIES = (
    "rendered?window=40,400,linear&viewport=20,20,1,1,-5,-5",
    "rendered?accept=image/png&annotation=patient,technique&iccprofile=srgb&viewport=64,64",
    "rendered?accept=image/gif",
    "frames/1/rendered",
    "frames/1",
    "thumbnail",
    "metadata",
)


def other(vr: str, tag: int, value: Any, **attributes: Any) -> bytes:
    """A CT with an element in a VR that is not its own."""
    dataset = ct_dataset(**attributes)
    dataset.add_new(tag, vr, value)
    return part10(dataset)


def compressed(codestream: bytes, syntax: str, **attributes: Any) -> bytes:
    values = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7} | attributes
    dataset = ct_dataset(**values, PixelData=encapsulate([codestream]))
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    # pydicom does not know all of these syntaxes.
    stored_as = syntax.encode().ljust(24, b"\0")
    return part10(dataset, HTJ2K).replace(HTJ2K.encode() + b"\0", stored_as, 1)


def palette(entries: int, descriptor: list[int], index: int = 255) -> bytes:
    tables: dict[str, Any] = {}
    for colour in ("Red", "Green", "Blue"):
        tables[f"{colour}PaletteColorLookupTableDescriptor"] = descriptor
        tables[f"{colour}PaletteColorLookupTableData"] = b"\x34\x12" * entries
    return part10(
        ct_dataset(
            **{"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7, "RescaleSlope": None},
            **{"PhotometricInterpretation": "PALETTE COLOR", "RescaleIntercept": None},
            PixelData=bytes([index]) * 256,
            **tables,
        )
    )


def sequence(**attributes: Any) -> list[Dataset]:
    item = Dataset()
    for keyword, value in attributes.items():
        setattr(item, keyword, value)
    return [item]


def overlay(rows: int, columns: int, origin: list[int], data: bytes, **more: Any) -> bytes:
    dataset = ct_dataset()
    values = {
        0x0010: ("US", rows),
        0x0011: ("US", columns),
        0x0040: ("CS", "G"),
        0x0050: ("SS", origin),
        0x0100: ("US", more.get("bits", 1)),
        0x0102: ("US", more.get("position", 0)),
    }
    for element, (vr, value) in values.items():
        dataset.add_new((0x6000, element), vr, value)
    if data:
        dataset.add_new((0x6000, 0x3000), "OW", data)
    return part10(dataset)


def jpeg(marker: int) -> bytes:
    """A header that promises 65535 x 65535 pixels."""
    frame = b"\xff" + bytes([marker]) + b"\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00"
    return b"\xff\xd8" + frame + b"\xff\xda\x00\x08\x01\x01\x00\x00\x00\x00" + b"\xff\xd9"


def jpeg_2000(components: int = 1) -> bytes:
    size = struct.pack(">H8IH", 0, 65535, 65535, 0, 0, 65535, 65535, 0, 0, components)
    size += b"\x07\x01\x01" * components
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(size) + 2) + size + bytes(100)


def rle(segments: int, first: int = 64) -> bytes:
    return struct.pack("<16I", segments, *[first] * 15) + b"\x81\xff" * 1000


def deflated(length: int) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return deflate.compress(bytes(length)) + deflate.flush()


def ct(**attributes: Any) -> bytes:
    return part10(ct_dataset(**attributes))


FLOATS = {"BitsAllocated": 32, "BitsStored": 32, "HighBit": 31, "PixelData": None}

IMAGES: dict[str, Callable[[], bytes]] = {
    "rows of another VR": lambda: other("UL", 0x00280010, 16),
    "rows of a VR of text": lambda: other("LO", 0x00280010, "sixteen"),
    "negative rows": lambda: other("SS", 0x00280010, -16),
    "no rows": lambda: ct(Rows=None),
    "zero rows": lambda: ct(Rows=0),
    "many rows": lambda: ct(Rows=65535, Columns=65535),
    "two values of rows": lambda: other("US", 0x00280010, [16, 16]),
    **{
        f"{keyword} {value}": lambda keyword=keyword, value=value: ct(**{keyword: value})  # type: ignore[misc]
        for keyword, values in {
            "BitsAllocated": (0, 7, 12, 24, 64, 65535),
            "BitsStored": (0, 17, 65535),
            "HighBit": (0, 99, 65535),
            "SamplesPerPixel": (0, 2, 3, 4, 65535),
            "PixelRepresentation": (2, 65535),
            "PlanarConfiguration": (2, 65535),
            "NumberOfFrames": ("-1", "0", "2147483648", "1000000000", "999999999999"),
            "PhotometricInterpretation": ("", "CMYK", "PALETTE COLOR", "YBR_FULL", "A" * 16),
            "WindowWidth": ("0", "-5", "1E400", "0.0001", "1E308"),
            "WindowCenter": ("1E308", ["1", "2", "3"]),
            "RescaleSlope": ("0", "1E300", "-1E300", "1E-300"),
            "RescaleIntercept": ("1E308",),
            "PixelPaddingValue": (65535,),
            "VOILUTFunction": ("CUBIC",),
        }.items()
        for value in values
    },
    "one pixel too few": lambda: ct(PixelData=bytes(510)),
    "no pixels": lambda: ct(PixelData=b""),
    "a window that is no number": lambda: other("LO", 0x00281050, "NaN", WindowWidth="5"),
    "rescaling that is a sequence": lambda: other("SQ", 0x00281052, sequence(Rows=1)),
    "functional groups that are text": lambda: other("LO", 0x52009229, "groups"),
    "empty functional groups": lambda: ct(
        SharedFunctionalGroupsSequence=[Dataset()], PerFrameFunctionalGroupsSequence=[]
    ),
    "a palette that is too short": lambda: palette(4, [256, 0, 16]),
    "a palette of 65536 by name": lambda: palette(4, [0, 0, 16]),
    "a palette that begins late": lambda: palette(4, [4, 60000, 16]),
    "a palette of no bits": lambda: palette(4, [4, 0, 0]),
    "a palette of many bits": lambda: palette(4, [4, 0, 99]),
    "a palette without data": lambda: palette(0, [256, 0, 16]),
    "a descriptor of two values": lambda: ct(
        ModalityLUTSequence=sequence(LUTDescriptor=[1, 0], LUTData=b"\0\0")
    ),
    "a modality table that is too short": lambda: ct(
        ModalityLUTSequence=sequence(LUTDescriptor=[0, 0, 16], LUTData=b"\1\0")
    ),
    "a VOI table that is empty": lambda: ct(
        VOILUTSequence=sequence(LUTDescriptor=[0, 0, 16], LUTData=b"")
    ),
    "an overlay that is too short": lambda: overlay(65535, 65535, [1, 1], b"\xff\xff"),
    "an overlay far away": lambda: overlay(16, 16, [-32768, 32767], b"\xff" * 32),
    "an overlay in no bit": lambda: overlay(16, 16, [1, 1], b"", bits=16, position=200),
    "an overlay in a bit of another depth": lambda: overlay(
        16, 16, [1, 1], b"", bits=32, position=31
    ),
    "floats that are no numbers": lambda: ct(
        **FLOATS, FloatPixelData=struct.pack("<2f", np.nan, np.inf) * 128
    ),
    "floats beyond all": lambda: ct(**FLOATS, FloatPixelData=struct.pack("<f", 3e38) * 256),
    "a JPEG of 4 gigapixels": lambda: compressed(jpeg(0xC0), JPEG),
    "a lossless JPEG of 4 gigapixels": lambda: compressed(jpeg(0xC3), "1.2.840.10008.1.2.4.70"),
    "a JPEG-LS of 4 gigapixels": lambda: compressed(jpeg(0xF7), JPEG_LS),
    "a JPEG 2000 of 4 gigapixels": lambda: compressed(jpeg_2000(), J2K),
    "a JPEG 2000 of 16384 components": lambda: compressed(jpeg_2000(16384), J2K),
    "an HTJ2K of 4 gigapixels": lambda: compressed(jpeg_2000(), HTJ2K),
    "RLE of no segments": lambda: compressed(rle(0), RLE),
    "RLE of many segments": lambda: compressed(rle(2**31), RLE),
    "RLE whose segments lie outside": lambda: compressed(rle(1, 2**31), RLE),
    "RLE that goes on": lambda: compressed(rle(1), RLE),
    "a deflated frame of 256 MiB": lambda: compressed(deflated(1 << 28), DEFLATED_FRAMES),
    "a deflated frame that is none": lambda: compressed(b"\xff" * 100, DEFLATED_FRAMES),
    "an empty fragment": lambda: compressed(b"AB", J2K).replace(
        b"\xfe\xff\x00\xe0\2\0\0\0AB", b"\xfe\xff\x00\xe0\0\0\0\0"
    ),
    "a fragment of nothing": lambda: compressed(bytes(1000), JPEG),
    "a profile that is none": lambda: ct(ICCProfile=b"\xff" * 4096),
    "a name of codes": lambda: ct(PatientName="\x1b[31m<script>^" + "x" * 50),
    "times that are none": lambda: other(
        "LO", 0x00181063, "soon", NumberOfFrames=2, PixelData=bytes(1024)
    ),
}


def resident() -> int:
    """Bytes that this process, and the server in it, have in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def told(viewer: httpx.AsyncClient, name: str) -> list[str]:
    """What is wrong with how the archive took the image and shows it."""
    answer = await viewer.post(
        "/studies", content=IMAGES[name](), headers={"Content-Type": "application/dicom"}
    )
    if answer.status_code == 409:
        return []
    url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    wrong = []
    for query in QUERIES:
        async with asyncio.timeout(SECONDS):
            answer = await viewer.get(f"{url}/{query}")
        if answer.status_code >= 500 or (query == "metadata" and answer.status_code != 200):
            wrong.append(f"{name}: {query}: {answer.status_code} {answer.text[:200]}")
    return wrong


@pytest.mark.parametrize("part", range(4))
async def test_hostile_images_are_answered_for(viewer: httpx.AsyncClient, part: int) -> None:
    (path,) = await store(viewer, ct())
    for query in QUERIES:
        assert (await viewer.get(f"{path}/{query}")).status_code == 200
    before = resident()
    wrong = [what for name in list(IMAGES)[part::4] for what in await told(viewer, name)]
    assert wrong == []
    assert resident() - before < GROWTH
    assert (await viewer.get(f"{path}/rendered")).status_code == 200


async def test_a_palette_never_shows_what_lies_behind_it(viewer: httpx.AsyncClient) -> None:
    for descriptor in ([256, 0, 16], [0, 0, 16]):
        (path,) = await store(viewer, palette(4, descriptor))
        answer = await viewer.get(f"{path}/rendered", headers={"Accept": "image/png"})
        image = np.asarray(PIL.Image.open(io.BytesIO(answer.content)))
        assert (image == image[0, 0]).all()
        assert abs(int(image[0, 0, 0]) - 0x12) <= 1


@pytest.mark.parametrize(
    ("frames", "status"),
    [("0", 400), ("-1", 400), ("99999", 404), ("1;2", 400), ("1," * 9999 + "1", 400), ("1e9", 400)],
)
async def test_a_frame_that_is_none(viewer: httpx.AsyncClient, frames: str, status: int) -> None:
    (path,) = await store(viewer, ct())
    for what in ("rendered", "thumbnail"):
        answer = await viewer.get(f"{path}/frames/{frames}/{what}")
        assert answer.status_code in {status, 414}
