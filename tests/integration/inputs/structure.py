"""Bad inputs 1 to 26 and 29 to 32: the structure of a file, its identity, its transfer syntax."""

import random
import struct
import zlib
from collections.abc import Iterator
from functools import partial

from tests.elements import (
    BIG_ENDIAN,
    CT_IMAGE_STORAGE,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    ITEM,
    ITEM_END,
    JPEG_BASELINE,
    PIXEL_DATA,
    SEQUENCE_END,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    bomb,
    deflated,
    element,
    encapsulated,
    file_meta,
    file_of,
    fresh_uid,
    image,
    implicit,
    in_implicit_vr,
    instance,
    item,
    nested,
    sequence,
    uid,
)
from tests.integration.inputs.row import (
    CANNOT_UNDERSTAND,
    CONTRADICTS,
    EMPTY,
    INVALID,
    MISSING,
    TOO_MUCH,
    UNSUPPORTED,
    Kept,
    Refused,
    Row,
)

MIB = 1024 * 1024
IMPLICIT_BEGIN = 132 + len(file_meta(IMPLICIT))
REFERENCED_IMAGES, REFERENCED_STUDIES = 0x00081140, 0x00081110
TEXT_VALUE = 0x0040A160
IDENTITY = {
    SOP_CLASS: "SOP Class",
    SOP_INSTANCE: "SOP Instance",
    STUDY: "Study Instance",
    SERIES: "Series Instance",
}


def tail_of(data: bytes) -> bytes:
    """An image whose pixel data are followed by these bytes."""
    return instance(tail=data)


def without_pixels(data: bytes, tag: int = REFERENCED_IMAGES) -> bytes:
    """An object without pixel data that holds these bytes where an element of the tag belongs."""
    return instance({0x00280010: None, PIXEL_DATA: None, tag: data})


def beginning() -> Iterator[Row]:
    """1 to 6: what does not even begin as a DICOM file, or has nothing after its beginning."""
    cannot = Refused(CANNOT_UNDERSTAND)
    noise = random.Random(2).randbytes(4096)
    yield Row(1, "empty part", bytes, cannot)
    yield Row(2, "random bytes", lambda: noise, cannot)
    yield Row(2, "random bytes with DICM", lambda: bytes(128) + b"DICM" + noise, cannot)
    yield Row(3, "HTML", lambda: b"<!DOCTYPE html><html><body>Login</body></html>", cannot)
    yield Row(3, "JPEG", lambda: b"\xff\xd8\xff\xe0\0\x10JFIF\0" + noise + b"\xff\xd9", cannot)
    yield Row(3, "PDF", lambda: b"%PDF-1.7\n" + noise + b"%%EOF", cannot)
    yield Row(4, "preamble and DICM alone", lambda: bytes(128) + b"DICM", cannot)
    yield Row(5, "File Meta alone", lambda: file_of(b""), Refused(MISSING))
    yield Row(6, "no preamble", lambda: b"".join(image().values()), cannot)
    yield Row(6, "File Meta and no preamble", lambda: instance()[132:], cannot)


def lengths() -> Iterator[Row]:
    """7 to 13 and 16: lengths that are not true, and delimiters that are not there."""
    cannot = Refused(CANNOT_UNDERSTAND)
    whole = instance()
    pixels = whole.rindex(b"\xe0\x7f\x10\x00")
    for what, size in {
        "a tag": pixels + 2,
        "a VR": pixels + 5,
        "a length": pixels + 10,
        "pixel data": len(whole) - 1,
        "a value": whole.index(b"Doe^Jane") + 3,
        "the preamble": 100,
        "File Meta": 150,
    }.items():
        yield Row(7, f"cut in {what}", partial(bytes, whole[:size]), cannot)
    yield Row(8, "junk after the data set", lambda: tail_of(b"junk" * 10), cannot)
    yield Row(8, "a byte after the data set", lambda: tail_of(b"x"), cannot)
    yield Row(8, "zeros and junk after it", lambda: tail_of(bytes(40) + b"x"), cannot)
    yield Row(8, "a zero after the data set", lambda: tail_of(b"\0"), Kept(warned=True))
    yield Row(8, "zeros after the data set", lambda: tail_of(bytes(512)), Kept(warned=True))
    padding = element(0xFFFCFFFC, "OB", bytes(512))
    yield Row(8, "Data Set Trailing Padding", lambda: tail_of(padding), Kept(warned=False))
    short = element(PIXEL_DATA, "OW", bytes(4), 0xFFFFFFFE)
    yield Row(9, "pixel length 0xFFFFFFFE", lambda: instance({PIXEL_DATA: short}), cannot)
    odd = {
        "a text": {0x00081030: element(0x00081030, "LO", b"abc")},
        "a number": {0x00280010: element(0x00280010, "US", b"\1\0\0")},
        "pixel data": {PIXEL_DATA: element(PIXEL_DATA, "OB", bytes(33))},
        "a UID": {STUDY: element(STUDY, "UI", b"1.2.10.11.9")},
    }
    for what, change in odd.items():
        yield Row(10, f"odd length of {what}", partial(instance, change), Kept())
    huge = element(TEXT_VALUE, "UT", bytes(16), 2**31)
    yield Row(11, "UT of 2 GB in 16 bytes", lambda: instance({TEXT_VALUE: huge}), cannot)
    endless = {
        "sequence": element(REFERENCED_IMAGES, "SQ", item(), UNDEFINED),
        "item": element(REFERENCED_IMAGES, "SQ", implicit(ITEM, b"", UNDEFINED), UNDEFINED),
        "item in a defined sequence": element(
            REFERENCED_IMAGES, "SQ", implicit(ITEM, b"", UNDEFINED)
        ),
        "private UN": element(0x00091001, "UN", item(), UNDEFINED),
    }
    for what, bad in endless.items():
        yield Row(12, f"{what} without an end", partial(without_pixels, bad), cannot)
    open_pixels = encapsulated([bytes(4)])[:-8]
    yield Row(
        12,
        "pixel data without an end",
        lambda: instance({PIXEL_DATA: open_pixels}, JPEG_BASELINE),
        cannot,
    )
    for what, tag in {"item": ITEM_END, "sequence": SEQUENCE_END}.items():
        yield Row(13, f"end of {what} outside", partial(instance, tail=implicit(tag)), cannot)
    yield Row(13, "an item outside", lambda: instance(tail=item()), cannot)
    beyond = element(REFERENCED_IMAGES, "SQ", implicit(ITEM, bytes(8), 4000), 16)
    yield Row(16, "item beyond its sequence", lambda: without_pixels(beyond), cannot)
    inner = element(0x00081150, "UI", b"1.2\0", 200)
    child = sequence(REFERENCED_IMAGES, item(inner, len(inner)))
    yield Row(16, "value beyond its item", lambda: without_pixels(child), cannot)


def nesting() -> Iterator[Row]:
    """14 and 15: sequences in sequences."""
    cannot = Refused(CANNOT_UNDERSTAND)
    for defined, how in ((False, "undefined"), (True, "defined")):
        for depth, answer in ((64, Kept(warned=False)), (65, cannot)):
            yield Row(
                14,
                f"{depth} levels of {how} length",
                partial(without_pixels, nested(depth, defined=defined)),
                answer,
            )
    yield Row(14, "100,000 levels", lambda: without_pixels(nested(100_000)), cannot)
    yield Row(
        15,
        "300 levels of defined length",
        lambda: without_pixels(nested(300, defined=True)),
        cannot,
    )


def order() -> Iterator[Row]:
    """17 to 20: elements twice, out of order, of other places; File Meta's own length."""
    name = element(0x00100010, "PN", "Roe^Jane")
    twice = {0x00100010: name + name}
    yield Row(17, "an element twice in a row", lambda: instance(twice), Refused(CONTRADICTS))
    yield Row(17, "an element again at the end", lambda: tail_of(name), Refused(CONTRADICTS))
    in_item = sequence(REFERENCED_IMAGES, item(name + name))
    yield Row(
        17, "an element twice in an item", lambda: without_pixels(in_item), Refused(CONTRADICTS)
    )
    again = file_meta(without_length=True) + element(0x00020010, "UI", uid(IMPLICIT))
    yield Row(17, "a transfer syntax again", lambda: instance(meta=again), Refused(CONTRADICTS))
    moved = element(0x00081030, "LO", "late")
    yield Row(18, "an element out of order", lambda: tail_of(moved), Kept(warned=True))
    meta = element(0x00020010, "UI", uid(EXPLICIT))
    yield Row(
        19,
        "File Meta in the data set",
        lambda: instance(tail=meta),
        Refused(CANNOT_UNDERSTAND),
    )
    yield Row(
        19,
        "File Meta in an item",
        lambda: without_pixels(sequence(REFERENCED_IMAGES, item(meta))),
        Refused(CANNOT_UNDERSTAND),
    )
    for length in (0, 1, 10_000, 0xFFFFFFFF):
        yield Row(
            20,
            f"File Meta of length {length}",
            partial(instance, meta=file_meta(group_length=length)),
            Kept(),
        )
    yield Row(
        20,
        "File Meta without its length",
        lambda: instance(meta=file_meta(without_length=True)),
        Kept(),
    )
    for what, size, answer in (
        ("64 KiB", 64 * 1024, Kept(warned=False)),
        ("64 KiB and a byte", 64 * 1024 + 1, Refused(CANNOT_UNDERSTAND)),
    ):
        head = file_meta() + element(0x00020102, "OB")
        private = element(0x00020102, "OB", bytes(size - len(head)))
        yield Row(20, f"File Meta of {what}", partial(instance, meta=file_meta() + private), answer)


def identity() -> Iterator[Row]:
    """21 to 23: the UIDs that name an instance."""
    yield Row(
        21,
        "another SOP Instance in File Meta",
        lambda: instance(meta=file_meta(sop_instance=fresh_uid())),
        Kept(warned=True),
    )
    yield Row(
        21,
        "another SOP Class in File Meta",
        lambda: instance(meta=file_meta(sop_class="1.2.840.10008.5.1.4.1.1.4")),
        Kept(warned=True),
    )
    for tag, name in IDENTITY.items():
        yield Row(22, f"no {name} UID", partial(instance, {tag: None}), Refused(MISSING))
        for what, value in (("empty", b""), ("blank", b"  "), ("padding for", b"\0\0")):
            empty = element(tag, "UI", value)
            yield Row(
                22,
                f"{what} {name} UID",
                partial(instance, {tag: empty}),
                Refused(EMPTY),
            )
    wrong = {
        "65 characters": b"1." + b"2" * 63 + b"\0",
        "an empty component": b"1..2",
        "a dot at the end": b"1.2.",
        "a dot before": b".1.2",
        "letters": b"1.2.abc\0",
        "a path": b"../../x\0",
        "an encoded path": b"%2e%2e/x",
        "a NUL within": b"1.2\x003.4\0",
        "a line break": b"1.2\r\n3",
        "a line break at the end": b"1.2.3\n",
        "two values": b"1.2\\1.3\0",
        "digits of another script": "1.2.٣".encode(),
    }  # fmt: skip
    for tag, name in IDENTITY.items():
        for what, value in wrong.items():
            bad = element(tag, "UI", value)
            yield Row(
                23,
                f"{name} UID: {what}",
                partial(instance, {tag: bad}),
                Refused(INVALID),
            )
    for what, begin in (("leading zeros", "01.02."), ("blanks around it", " ")):
        for tag in (STUDY, SERIES, SOP_INSTANCE):
            lenient = element(tag, "UI", uid(begin + fresh_uid()))
            yield Row(
                23,
                f"{IDENTITY[tag]} UID: {what}",
                partial(instance, {tag: lenient}),
                Kept(),
            )


def syntaxes() -> Iterator[Row]:
    """26 and 29 to 32: value representations and transfer syntaxes."""
    of_the_future = element(0x00091001, "OB", b"abcd").replace(b"OB", b"ZZ")
    yield Row(26, "VR 'ZZ'", lambda: instance({0x00091001: of_the_future}), Kept(warned=True))
    for vr in ("  ", "\0\0", "us", "??"):
        unknown = element(0x00091001, "LO", b"abcd").replace(b"LO", vr.encode())
        yield Row(
            26,
            f"VR {vr!r}",
            partial(instance, {0x00091001: unknown}),
            Refused(CANNOT_UNDERSTAND),
        )
    for syntax in ("1.2.3", "1.2.840.10008.1.2.999", "x", CT_IMAGE_STORAGE, "1.2.840.10008.1.20"):
        yield Row(
            29,
            f"transfer syntax {syntax}",
            partial(instance, syntax=syntax),
            Refused(UNSUPPORTED),
        )
    yield Row(30, "no transfer syntax", lambda: instance(meta=file_meta(None)), Refused(MISSING))
    yield Row(30, "empty transfer syntax", lambda: instance(meta=file_meta("")), Refused(MISSING))
    yield Row(31, "implicit VR", in_implicit_vr, Kept(warned=False, frame=200, rendered=200))
    big = b"".join(image(order=">").values())
    yield Row(
        31,
        "big endian",
        lambda: file_of(big, file_meta(BIG_ENDIAN)),
        Kept(warned=False, frame=200, rendered=200),
    )
    yield Row(
        31,
        "deflated",
        lambda: file_of(deflated(b"".join(image().values())), file_meta(DEFLATED)),
        Kept(warned=False, frame=200, rendered=200),
    )
    for what, syntax, data in (
        ("explicit VR said to be implicit", IMPLICIT, b"".join(image().values())),
        ("implicit VR said to be explicit", EXPLICIT, in_implicit_vr()[IMPLICIT_BEGIN:]),
    ):
        yield Row(
            31,
            what,
            partial(file_of, data, file_meta(syntax)),
            Kept(warned=True),
        )
    yield from deflation()


def deflation() -> Iterator[Row]:
    """32: what is deflated, and what only says so."""

    def bombed(mib: int) -> bytes:
        size = mib * MIB
        before = image({PIXEL_DATA: element(PIXEL_DATA, "OB", b"", min(size, 2**32 - 2))})
        return file_of(bomb(b"".join(before.values()), size), file_meta(DEFLATED))

    yield Row(32, "600 MB from 600 KB", lambda: bombed(600), Kept(large=True))
    yield Row(32, "3 GB from 3 MB", lambda: bombed(3072), Refused(TOO_MUCH))
    yield Row(32, "20 GB from 20 MB", lambda: bombed(20_000), Refused(TOO_MUCH))
    cannot = Refused(CANNOT_UNDERSTAND)
    data_set = b"".join(image().values())
    good = deflated(data_set)
    trailer = gzip_trailer(data_set)
    broken = {
        "cut": good[: len(good) // 2],
        "cut by a byte": good[:-1],
        "broken": good[:20] + bytes([good[20] ^ 0xFF]) + good[21:],
        "not deflated": data_set,
        "empty": b"",
        "with a zlib header": zlib.compress(data_set),
        "with junk behind it": good + b"\0junk",
        "with junk far behind it": good + bytes(2 * 1024 * 1024) + b"junk",
        "with half of gzip's trailer": good + trailer[:4],
        "with a trailer of other bytes": good + trailer[4:] + trailer[4:],
        "with a trailer of another length": good + trailer[:4] + trailer[:4],
        "with junk behind a trailer": good + trailer + b"junk",
    }
    for what, data in broken.items():
        yield Row(32, f"deflated: {what}", partial(file_of, data, file_meta(DEFLATED)), cannot)
    for what, has_trailer, zeros in (
        ("a NUL behind it", False, 1),
        ("gzip's trailer", True, 0),
        ("gzip's trailer and NULs", True, 2 * MIB),
    ):
        file = partial(deflated_file, has_trailer=has_trailer, zeros=zeros)
        yield Row(32, f"deflated: with {what}", file, Kept(warned=False))


def deflated_file(*, has_trailer: bool, zeros: int) -> bytes:
    """A file of a deflated data set, with what may follow that."""
    data_set = b"".join(image().values())
    trailer = gzip_trailer(data_set) if has_trailer else b""
    return file_of(deflated(data_set) + trailer + bytes(zeros), file_meta(DEFLATED))


def gzip_trailer(data: bytes) -> bytes:
    """What follows the deflated data in a gzip file (RFC 1952 2.3.1)."""
    return struct.pack("<2I", zlib.crc32(data), len(data))


def rows() -> list[Row]:
    """All of them."""
    return [
        *beginning(), *lengths(), *nesting(), *order(), *identity(), *syntaxes()
    ]  # fmt: skip
