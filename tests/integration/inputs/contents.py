"""Bad inputs 27, 28 and 33 to 46: what a file that is whole holds."""

import struct
from collections.abc import Iterator
from functools import partial

import imagecodecs
import numpy as np

from tests.elements import (
    DEFLATED_FRAMES,
    EXPLICIT,
    JPEG_2000,
    JPEG_BASELINE,
    PIXEL_DATA,
    RLE,
    UNDEFINED,
    bomb,
    element,
    encapsulated,
    implicit,
    in_implicit_vr,
    instance,
    item,
    sequence,
    us,
)
from tests.integration.inputs.row import CANNOT_UNDERSTAND, TOO_MUCH, Kept, Refused, Row

MIB = 1024 * 1024
ROWS, COLUMNS, SAMPLES, FRAMES = 0x00280010, 0x00280011, 0x00280002, 0x00280008
ALLOCATED, STORED, HIGH, SIGNED, PHOTOMETRIC = (
    0x00280100, 0x00280101, 0x00280102, 0x00280103, 0x00280004,
)  # fmt: skip
GRADIENT = np.arange(256, dtype=np.uint8).reshape(16, 16)
EIGHT_BITS = {
    ROWS: us(ROWS, 16),
    COLUMNS: us(COLUMNS, 16),
    ALLOCATED: us(ALLOCATED, 8),
    STORED: us(STORED, 8),
    HIGH: us(HIGH, 7),
}


POSSIBLE = {
    "Rows as UL",
    "two Rows",
    "Photometric Interpretation NONSENSE",
    "Photometric Interpretation as a sequence",
    "Window Width as a sequence",
    "Number of Frames 1\\2",
}
"""Odd, but not impossible, as far as few attributes tell: the answer does not warn."""


def numbers() -> Iterator[Row]:
    """27 and 28: pixel attributes that cannot be, and pixels that are too few or too many."""
    bad: dict[str, tuple[dict[int, bytes], int | None]] = {
        "Rows as UL": ({ROWS: element(ROWS, "UL", struct.pack("<I", 4))}, None),
        "Rows of 2^32-1": ({ROWS: element(ROWS, "UL", b"\xff" * 4)}, 404),
        "Rows and Columns of 2^32-1": (
            {tag: element(tag, "UL", b"\xff" * 4) for tag in (ROWS, COLUMNS)}, 404,
        ),
        "Columns of -2^63": ({COLUMNS: element(COLUMNS, "SV", struct.pack("<q", -(2**63)))}, 404),
        "Rows of -4": ({ROWS: element(ROWS, "SS", struct.pack("<h", -4))}, 404),
        "Rows as text": ({ROWS: element(ROWS, "LO", "many")}, 404),
        "Rows of 0": ({ROWS: us(ROWS, 0)}, 404),
        "Rows without a value": ({ROWS: us(ROWS)}, 404),
        "Rows and Columns of 65535": ({ROWS: us(ROWS, 65535), COLUMNS: us(COLUMNS, 65535)}, 404),
        "two Rows": ({ROWS: us(ROWS, 4, 4)}, None),
        "Samples per Pixel of 0": ({SAMPLES: us(SAMPLES, 0)}, None),
        "Samples per Pixel of 65535": ({SAMPLES: us(SAMPLES, 65535)}, 404),
        "Pixel Representation of 7": ({SIGNED: us(SIGNED, 7)}, None),
        "High Bit of 65535": ({HIGH: us(HIGH, 65535)}, None),
        "Bits Stored of 17": ({STORED: us(STORED, 17)}, None),
        "Photometric Interpretation NONSENSE": (
            {PHOTOMETRIC: element(PHOTOMETRIC, "CS", "NONSENSE")}, None,
        ),
        "Photometric Interpretation as a sequence": (
            {PHOTOMETRIC: sequence(PHOTOMETRIC, item())}, None,
        ),
        "Rows as a sequence": ({ROWS: sequence(ROWS, item())}, None),
        "Patient's Name as a sequence": (
            {NAME: sequence(NAME, item(element(0x00080100, "SH", "AB")))}, None,
        ),
        "Patient ID as a sequence": (
            {0x00100020: sequence(0x00100020, item(element(0x00080100, "SH", "AB")))}, None,
        ),
        "Window Width as a sequence": ({0x00281051: sequence(0x00281051, item())}, None),
        "Request Attributes as a text": ({0x00400275: element(0x00400275, "LO", "CT 1")}, None),
        "Window of NaN": (
            {
                0x00281050: element(0x00281050, "DS", "NaN"),
                0x00281051: element(0x00281051, "DS", "inf"),
            },
            None,
        ),
        "Rescale Slope of 1e400": ({0x00281053: element(0x00281053, "DS", "1e400")}, None),
    }  # fmt: skip
    for value in (0, 7, 65535):
        bad[f"Bits Allocated of {value}"] = ({ALLOCATED: us(ALLOCATED, value)}, None)
    for text in ("-1", "0", "2147483648", "1e9", "1000000000", "x", "1\\2", "9" * 12):
        bad[f"Number of Frames {text}"] = ({FRAMES: element(FRAMES, "IS", text)}, None)
    for what, (change, frame) in bad.items():
        warned = what not in POSSIBLE
        yield Row(27, what, partial(instance, change), Kept(warned=warned, frame=frame))
    three = element(FRAMES, "IS", "3")
    for what, size, absent, warned in (
        ("a byte too few", 31, 1, True),
        ("none", 0, 1, True),
        ("far too many", 3200, 2, False),
        ("a byte too many", 33, 2, True),
    ):
        pixels = element(PIXEL_DATA, "OW", bytes(size))
        yield Row(
            28,
            f"pixel bytes: {what}",
            partial(instance, {PIXEL_DATA: pixels}),
            Kept(warned=warned, absent_frame=absent),
        )
    two_of_three = {FRAMES: three, PIXEL_DATA: element(PIXEL_DATA, "OW", bytes(95))}
    yield Row(
        28,
        "the last of three frames is cut",
        lambda: instance(two_of_three),
        Kept(frame=200, absent_frame=3),
    )


def jpeg() -> bytes:
    """A JPEG of 16 by 16 pixels."""
    encoded = bytes(imagecodecs.jpeg8_encode(GRADIENT))
    return encoded + b"\0" * (len(encoded) % 2)


def jpeg_2000() -> bytes:
    """A JPEG 2000 codestream of 16 by 16 pixels."""
    encoded = bytes(imagecodecs.jpeg2k_encode(GRADIENT, codecformat="j2k", reversible=True))
    return encoded + b"\0" * (len(encoded) % 2)


def compressed(
    codestream: bytes, syntax: str, more: dict[int, bytes] | None = None, offsets: bytes = b""
) -> bytes:
    """An instance of one fragment."""
    pixels = {PIXEL_DATA: encapsulated([codestream], offsets)}
    return instance(EIGHT_BITS | pixels | (more or {}), syntax)


def codestreams() -> Iterator[Row]:
    """33 to 35: compressed frames, their fragments and tables."""
    yield Row(
        33,
        "a frame of 600 MB from 600 KB",
        lambda: compressed(bomb(b"", 600 * MIB), DEFLATED_FRAMES),
        Kept(rendered=200),  # no more is inflated than the frame has pixels
    )
    yield Row(
        33,
        "a deflated frame that is none",
        lambda: compressed(b"junk", DEFLATED_FRAMES),
        Kept(rendered=422),
    )
    one = jpeg()
    tables = {
        "Basic Offset Table beyond the end": struct.pack("<I", 2**31),
        "Basic Offset Table within a fragment": struct.pack("<I", 7),
        "Basic Offset Table of five for one": struct.pack("<5I", 0, 1, 2, 3, 4),
        "Basic Offset Table of 7 bytes": bytes(7),
        "Basic Offset Table that descends": struct.pack("<2I", 8, 0),
    }
    for what, table in tables.items():
        yield Row(34, what, partial(compressed, one, JPEG_BASELINE, offsets=table), Kept())
    extended = {
        "of no values": b"",
        "of three for one": struct.pack("<3Q", 0, 8, 16),
        "beyond the end": struct.pack("<Q", 2**63),
        "of 7 bytes": bytes(7),
    }
    for what, raw in extended.items():
        more = {
            0x7FE00001: element(0x7FE00001, "OV", raw),
            0x7FE00002: element(0x7FE00002, "OV", struct.pack("<Q", 2**62)),
        }
        yield Row(
            34,
            f"Extended Offset Table {what}",
            partial(compressed, one, JPEG_BASELINE, more),
            Kept(),
        )
    million = {PIXEL_DATA: encapsulated([b""] * 1_000_000)}
    yield Row(
        34,
        "a million empty fragments",
        lambda: instance(EIGHT_BITS | million, JPEG_BASELINE),
        Kept(),
    )
    many = {PIXEL_DATA: encapsulated([b""] * 750_000), FRAMES: element(FRAMES, "IS", "750000")}
    yield Row(
        34, "750,000 empty frames", lambda: instance(EIGHT_BITS | many, JPEG_BASELINE), Kept()
    )
    above = {PIXEL_DATA: encapsulated([b""] * 1_000_001)}
    yield Row(
        34,
        "a million and one fragments",
        lambda: instance(EIGHT_BITS | above, JPEG_BASELINE),
        Refused(CANNOT_UNDERSTAND),
    )
    for what, fragments, frame in (
        ("no fragments", [], 404),
        (
            "a frame in fragments of two bytes",
            [one[at : at + 2] for at in range(0, len(one), 2)],
            200,
        ),
        ("junk in fragments", [b"junk"] * 3, None),
    ):
        change = EIGHT_BITS | {PIXEL_DATA: encapsulated(fragments)}
        yield Row(34, what, partial(instance, change, JPEG_BASELINE), Kept(frame=frame))
    yield Row(
        34,
        "encapsulated pixels in a native syntax",
        lambda: instance(EIGHT_BITS | {PIXEL_DATA: encapsulated([one])}, EXPLICIT),
        Kept(warned=True, frame=404),
    )
    yield Row(
        34,
        "native pixels in a compressed syntax",
        lambda: instance(syntax=JPEG_BASELINE),
        Kept(warned=True, frame=404),
    )
    pixels = implicit(PIXEL_DATA, encapsulated([one])[12:], UNDEFINED)
    yield Row(
        34,
        "encapsulated pixels in implicit VR",
        lambda: in_implicit_vr({PIXEL_DATA: pixels}),
        Kept(warned=True, frame=404),
    )
    yield from sizes()


def sizes() -> Iterator[Row]:
    """35: headers of codestreams that name other sizes than the data set."""
    huge = struct.pack(">HH", 65535, 65535)
    one, two = jpeg(), jpeg_2000()
    frame_header = one.index(b"\xff\xc0") + 5
    forged = one[:frame_header] + huge + one[frame_header + 4 :]
    yield Row(
        35, "JPEG of 65535 x 65535", lambda: compressed(forged, JPEG_BASELINE), Kept(rendered=422)
    )
    size_at = two.index(b"\xff\x51") + 6
    forged_2000 = two[:size_at] + struct.pack(">II", 65535, 65535) + two[size_at + 8 :]
    yield Row(
        35,
        "JPEG 2000 of 65535 x 65535",
        lambda: compressed(forged_2000, JPEG_2000),
        Kept(rendered=422),
    )
    yield Row(
        35,
        "RLE of 15 segments",
        lambda: compressed(struct.pack("<16I", 15, *[64] * 15), RLE),
        Kept(rendered=422),
    )
    yield Row(
        35,
        "RLE with segments outside",
        lambda: compressed(struct.pack("<16I", 1, 2**31, *[0] * 14), RLE),
        Kept(rendered=422),
    )
    all_huge = {ROWS: us(ROWS, 65535), COLUMNS: us(COLUMNS, 65535)}
    yield Row(
        35,
        "JPEG and data set of 65535 x 65535",
        lambda: compressed(forged, JPEG_BASELINE, all_huge),
        Kept(rendered=413),
    )
    for what, codestream, syntax in (
        ("JPEG", one[: len(one) // 2], JPEG_BASELINE),
        ("JPEG 2000", two[: len(two) // 2], JPEG_2000),
        ("empty JPEG", b"", JPEG_BASELINE),
        ("empty RLE", b"", RLE),
        ("JPEG of zeros", bytes(200), JPEG_BASELINE),
    ):
        yield Row(
            35,
            f"cut or empty: {what}",
            partial(compressed, codestream, syntax),
            Kept(),
        )


def palettes() -> Iterator[Row]:
    """36: pixel values beyond their palette, and palettes that are not what they say."""

    def lookup(tag: int, entries: int, data: int) -> dict[int, bytes]:
        return {
            tag + offset: us(tag + offset, entries, 0, 16) for offset in range(3)
        } | {
            tag + 0x100 + offset: element(tag + 0x100 + offset, "OW", b"\x11\x22" * data)
            for offset in range(3)
        }  # fmt: skip

    palette = EIGHT_BITS | {
        PHOTOMETRIC: element(PHOTOMETRIC, "CS", "PALETTE COLOR"),
        PIXEL_DATA: element(PIXEL_DATA, "OB", GRADIENT.tobytes()),
    }
    for what, entries, data in (
        ("16 entries for 256 values", 16, 16),
        ("0 entries, which is 65536, of 4", 0, 4),
        ("65535 entries of 1", 65535, 1),
        ("2 entries of none", 2, 0),
    ):
        change = palette | lookup(0x00281101, entries, data)
        yield Row(36, f"palette of {what}", partial(instance, change), Kept())
    yield Row(36, "no palette", lambda: instance(palette), Kept(rendered=422))


def amounts() -> Iterator[Row]:
    """37 to 39: a great many of something small."""
    cannot = Refused(CANNOT_UNDERSTAND)

    def tiny(count: int) -> bytes:
        head = struct.Struct("<HH2sH")
        return b"".join(
            head.pack(0x0009 + 2 * (number // 0xE000), 0x1000 + number % 0xE000, b"LO", 0)
            for number in range(count)
        )

    first = 0x00090001
    yield Row(37, "400,000 elements in a row", lambda: instance({first: tiny(400_000)}), cannot)
    yield Row(37, "19,000 elements in a row", lambda: instance({first: tiny(19_000)}), Kept())
    items = 0x00081140
    yield Row(
        38,
        "a million empty items",
        lambda: instance({items: sequence(items, item() * 1_000_000)}),
        cannot,
    )
    yield Row(38, "a slide of 50,000 frames", slide, Kept(warned=False))
    full = sequence(items, item(tiny(8)) * 60_000)
    yield Row(38, "60,000 items of 8 elements", lambda: instance({items: full}), Kept())
    names = b"\\" * 1_000_000
    for what, tag in {"a text": 0x00081030, "a name": 0x00100010, "numbers": 0x00200013}.items():
        yield Row(
            39,
            f"a million backslashes in {what}",
            partial(in_implicit_vr, {tag: implicit(tag, names)}),
            Kept(),
        )
    for what, tag, vr, length in (
        ("Patient ID of 10,000 characters", 0x00100020, "LO", 10_000),
        ("Patient's Name of 60,000 characters", 0x00100010, "PN", 60_000),
        ("Accession Number of 17 characters", 0x00080050, "SH", 17),
    ):
        change = {tag: element(tag, vr, "A" * length)}
        yield Row(39, what, partial(instance, change), Kept(warned=True))
    for what, vr, value in (
        ("names of a letter", "PN", b"a=b=c\\"),
        ("dates and times", "DT", b"2024\\"),
    ):
        many = {
            0x00091001 + number: element(0x00091001 + number, vr, value * 10_000)
            for number in range(400)
        }
        yield Row(39, f"four million {what}", partial(instance, many), Refused(TOO_MUCH))
    yield Row(
        39,
        "60,000 backslashes in a text",
        lambda: instance({0x00081030: element(0x00081030, "LO", b"\\" * 60_000)}),
        Kept(),
    )


def slide() -> bytes:
    """Functional groups as sparse slides have them: a dozen elements for each of 50,000 frames."""
    position = b"".join(
        sequence(tag, item(element(0x0040072A, "DS", "1.5") + element(0x0040073A, "DS", "2.5")))
        for tag in (0x0048021A,)
    )
    content = sequence(0x00209111, item(element(0x00209157, "UL", struct.pack("<2I", 1, 2))))
    frame = item(content + position)
    groups = sequence(0x52009230, *[frame] * 50_000)
    return instance({0x52009230: groups, ROWS: None, PIXEL_DATA: None})


CHARSETS = 0x00080005
NAME, DESCRIPTION = 0x00100010, 0x00081030


def texts() -> Iterator[Row]:
    """40 and 41: characters that are none, and characters that mean something elsewhere."""
    broken = {
        "an unknown character set": ("ISO_IR 999", b"abc "),
        "a codec of Python": ("hex", b"caf\xe9"),
        "a character set of junk": ("\\\\x", b"abc "),
        "a broken escape": ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$Bab\x1b"),
        "an unknown escape": ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$Zabc\x1b(B"),
        "half a character": ("ISO 2022 IR 6\\ISO 2022 IR 87", b"\x1b$B\x30"),
        "bytes that are no UTF-8": ("ISO_IR 192", b"\xff\xfe\xc3("),
        "a lone surrogate": ("ISO_IR 192", b"\xed\xa0\x80a"),
        "an overlong NUL": ("ISO_IR 192", b"\xc0\x80ab"),
        "a NUL within": ("ISO_IR 192", b"a\0b "),
        "a byte order mark": ("ISO_IR 192", b"\xef\xbb\xbfabc"),
        "cut GB18030": ("GB18030", b"\x81\x30\x81"),
        "bytes beyond ASCII": ("", b"\xe4\xf6\xfc "),
        "control characters": ("ISO_IR 192", bytes(range(1, 9))),
        "a noncharacter": ("ISO_IR 192", "\U0010ffff\ufffe".encode() + b" "),
    }
    for what, (charset, value) in broken.items():
        change = {
            CHARSETS: element(CHARSETS, "CS", charset),
            NAME: element(NAME, "PN", value),
            DESCRIPTION: element(DESCRIPTION, "LO", value),
            0x00100020: element(0x00100020, "LO", value),
            0x00080050: element(0x00080050, "SH", value),
        }
        yield Row(40, what, partial(instance, change), Kept())
    for what, odd in {
        "a character set of numbers": us(CHARSETS, 1, 2),
        "a character set as a sequence": sequence(CHARSETS, item()),
        "a character set of bytes": element(CHARSETS, "OB", b"ab"),
        "a character set of names": element(CHARSETS, "PN", b"ISO_IR 100"),
    }.items():
        yield Row(40, what, partial(instance, {CHARSETS: odd}), Kept())
    hostile = {
        "a script": "<script>alert(1)</script>",
        "SQL": "'; DROP TABLE instance;--",
        "an encoded NUL": "%00",
        "a formula": "=cmd|'/C calc'!A0",
        "a header": "x\r\nSet-Cookie: a=b",
        "colours of a terminal": "\x1b[31mred\x1b[0m",
        "the end of a JSON string": '"}],"x":[{"',
        "a relative BulkDataURI": '"BulkDataURI":"bulkdata/',
        "the end of CDATA": "]]><x/>",
        "a NUL of JSON": "\\u0000",
        "only spaces": " " * 10,
        "wild cards": "%_*?",
        "a path": "../../../etc/passwd",
    }
    for what, text in hostile.items():
        change = {
            tag: element(tag, vr, text)
            for tag, vr in (
                (NAME, "PN"),
                (DESCRIPTION, "LO"),
                (0x0008103E, "LO"),
                (0x00100020, "LO"),
            )
        }
        yield Row(41, what, partial(instance, change), Kept())


PREAMBLES = {
    "PE": b"MZ\x90\0\3\0",
    "ELF": b"\x7fELF\2\1\1",
    "a script": b"#!/bin/sh\nrm -rf ~\n",
    "Mach-O": b"\xcf\xfa\xed\xfe",
    "TIFF": b"II*\0",
    "HTML": b"<html><script>alert(1)</script>",
}


def disguises() -> Iterator[Row]:
    """42 and 43: what is also something else."""
    for what, begin in PREAMBLES.items():
        yield Row(
            42,
            f"preamble of {what}",
            partial(instance, preamble=begin.ljust(128, b"\0")),
            Kept(),
        )
    documents = {
        "PDF": ("application/pdf", b"%PDF-1.7\n/JavaScript (app.alert(1))\n%%EOF" + bytes(2000)),
        "HTML": ("text/html", b"<html><script>alert(1)</script></html>" + bytes(2000)),
        "STL": ("model/stl", b"solid x\nendsolid x\n" + bytes(2000)),
        "CRLF": ("text/html\r\nX-Evil: 1", bytes(2000)),
    }
    for what, (kind, document) in documents.items():
        change = {
            0x00420011: element(0x00420011, "OB", document + b"\0" * (len(document) % 2)),
            0x00420012: element(0x00420012, "LO", kind),
            0x00280010: None,
            PIXEL_DATA: None,
        }
        yield Row(43, f"encapsulated {what}", partial(instance, change), Kept())


def oddities() -> Iterator[Row]:
    """44 to 46: elements of strange groups, values beyond their VR, extreme numbers."""
    cannot = Refused(CANNOT_UNDERSTAND)
    private = {
        0x00090010: element(0x00090010, "LO", "\\\0\xff"),
        0x00091001: element(0x00091001, "UN", bytes(range(7))),
        0x00091002: element(0x00091002, "SQ"),
        0x0009FFFF: element(0x0009FFFF, "OB", b"\xff"),
        0x00110001: element(0x00110001, "LO", "illegal"),
        0x00110000: element(0x00110000, "UL", bytes(4)),
    }
    yield Row(44, "garbage in private groups", lambda: instance(private), Kept())
    retired = {
        0x00080040: us(0x00080040, 0),
        0x00281055: element(0x00281055, "LO", "retired"),
        0x40000010: element(0x40000010, "LT", "retired"),
        0x50000005: us(0x50000005, 1),
        0x60FF0010: us(0x60FF0010, 1),
    }
    yield Row(44, "retired attributes", lambda: instance(retired), Kept())
    unknown = element(0x00080099, "LO", "x")
    yield Row(44, "a tag that nobody knows", lambda: instance({0x00080099: unknown}), Kept())
    for tag in (0xFFFE0000, 0xFFFEE0FF, 0xFFFEFFFF):
        yield Row(44, f"element {tag:08X}", partial(instance, tail=implicit(tag, b"ab")), cannot)
    for tag in (0x00000000, 0x00000002, 0x0000FFFF):
        odd = element(tag, "UL", bytes(4))
        yield Row(44, f"element {tag:08X}", partial(instance, {1: odd}), cannot)
    odd_values = {
        "DA": ["99999999", "20240230", "today", "2024.01.01", "-1", "\0"],
        "TM": ["999999", "25", "10:11:12", "24", "-"],
        "DT": ["99999999999999.999999+9999", "x", "2024+1"],
        "IS": ["1e400", "99999999999999999999", "0x10", "1.5", "--1", "1 2", "+", "9" * 5000],
        "DS": ["NaN", "inf", "-Infinity", "1e400", "1,5", "1_0", "0x1p3", "²", "1" * 5000],
        "AS": ["999Z", "x"],
        "UI": ["x", "1..2", "1" * 70],
        "CS": ["lower case", "!" * 40],
        "AE": ["\\\\", " "],
        "UR": ["javascript:alert(1)", "http://169.254.169.254/"],
    }
    for vr, values in odd_values.items():
        change = {
            0x00091000 + number: element(0x00091000 + number, vr, value)
            for number, value in enumerate(values)
        }
        warned = vr not in {"AE", "AS", "UR"}
        yield Row(45, f"{vr} that are none", partial(instance, change), Kept(warned=warned))
    standard = {
        0x00080020: element(0x00080020, "DA", "99999999"),
        0x00080030: element(0x00080030, "TM", "999999"),
        0x00100030: element(0x00100030, "DA", "today"),
        0x00200011: element(0x00200011, "IS", "1e400"),
        0x00200013: element(0x00200013, "IS", "9" * 30),
        0x00400244: element(0x00400244, "DA", "00000000"),
    }
    yield Row(
        45, "dates and numbers that are searched for", lambda: instance(standard), Kept(warned=True)
    )
    zone = {0x00080201: element(0x00080201, "SH", "+9999")}
    yield Row(45, "an offset from UTC of 99 hours", lambda: instance(zone), Kept(warned=True))
    for what, raw in {"2 bytes": b"\1\2", "7 bytes": bytes(7)}.items():
        change = {0x00091000: element(0x00091000, "AT", raw)}
        yield Row(45, f"AT of {what}", partial(instance, change), Kept(warned=True))
    for vr, code in (("FL", "f"), ("FD", "d")):
        raw = struct.pack(f"<4{code}", float("nan"), float("inf"), float("-inf"), -0.0)
        change = {0x00091000: element(0x00091000, vr, raw)}
        yield Row(45, f"{vr} that are not finite", partial(instance, change), Kept())
    extremes = {
        0x00091000: element(0x00091000, "SV", struct.pack("<2q", -(2**63), 2**63 - 1)),
        0x00091001: element(0x00091001, "UV", struct.pack("<Q", 2**64 - 1)),
        0x00091002: element(0x00091002, "OV", struct.pack("<Q", 2**64 - 1)),
        0x00091003: element(0x00091003, "SV", bytes(3)),
        0x00091004: element(0x00091004, "UV", bytes(9)),
    }
    yield Row(46, "SV, UV and OV at their ends", lambda: instance(extremes), Kept())


def rows() -> list[Row]:
    """All of them."""
    return [
        *numbers(),
        *codestreams(),
        *palettes(),
        *amounts(),
        *texts(),
        *disguises(),
        *oddities(),
    ]
