"""An MP4 file tells its transfer syntax and how its frames are read."""

import struct
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app.dicom.assembly import BulkPart, assemble
from app.dicom.source import BytesSource
from app.dicom.videos import MOST_BOXES, read_mp4
from app.span import Span

JPEG = "1.2.840.10008.1.2.4."
ROWS, COLUMNS, FRAMES = 480, 640, 25
AVC_HIGH_4_1 = b"\x01\x64\x00\x29"
AVC_HIGH_4_2 = b"\x01\x64\x00\x2a"
HEVC_MAIN = b"\x01\x01"
HEVC_MAIN_10 = b"\x01\x22"


def box(kind: bytes, *content: bytes, long: bool = False) -> bytes:
    data = b"".join(content)
    if long:
        return struct.pack(">I4sQ", 1, kind, len(data) + 16) + data
    return struct.pack(">I4s", len(data) + 8, kind) + data


def entry(kind: bytes, *children: bytes) -> bytes:
    """A visual sample entry."""
    fixed = bytes(6) + b"\0\1" + bytes(16) + struct.pack(">HH", COLUMNS, ROWS) + bytes(50)
    return box(kind, fixed, *children)


def track(description: bytes, frames: int = FRAMES) -> bytes:
    stsd = box(b"stsd", bytes(4) + b"\0\0\0\1", description)
    stsz = box(b"stsz", bytes(8), struct.pack(">I", frames), bytes(4 * frames))
    media = box(b"mdia", box(b"mdhd", bytes(24)), box(b"minf", box(b"stbl", stsd, stsz)))
    return box(b"trak", box(b"tkhd", bytes(84)), media)


def mp4(configuration: bytes, kind: bytes = b"avcC", *, moov_last: bool = True) -> bytes:
    """A video beside a sound."""
    sound = track(box(b"mp4a", bytes(28)), 7)
    video = track(entry(b"avc1", box(b"colr", bytes(4)), box(kind, configuration)))
    moov = box(b"moov", box(b"mvhd", bytes(100)), sound, video)
    data = box(b"mdat", bytes(5000), long=True)
    return box(b"ftyp", b"isom") + (data + moov if moov_last else moov + data)


def values(file: bytes) -> tuple[str, dict[str, Any]]:
    around = b"before" + file + b"after"
    video = read_mp4(BytesSource(around), Span(6, len(file)))
    assert video is not None
    told = {tag: element["Value"][0] for tag, element in video.attributes.items()}
    return video.transfer_syntax_uid, told


@pytest.mark.parametrize("moov_last", [True, False])
@pytest.mark.parametrize(
    ("configuration", "kind", "uid", "bits"),
    [
        (AVC_HIGH_4_1, b"avcC", "102", 8),
        (AVC_HIGH_4_2, b"avcC", "104", 8),
        (HEVC_MAIN, b"hvcC", "107", 8),
        (HEVC_MAIN_10, b"hvcC", "108", 10),
    ],
)
def test_a_video_tells_its_syntax_and_how_it_is_read(
    configuration: bytes, kind: bytes, uid: str, bits: int, moov_last: bool
) -> None:
    found, told = values(mp4(configuration, kind, moov_last=moov_last))
    assert found == JPEG + uid
    assert (told["00280010"], told["00280011"], told["00280008"]) == (ROWS, COLUMNS, FRAMES)
    assert (told["00280002"], told["00280004"]) == (3, "YBR_PARTIAL_420")
    assert (told["00280101"], told["00280102"]) == (bits, bits - 1)
    assert told["00280100"] == (8 if bits == 8 else 16)


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"no video",
        bytes(100),
        box(b"ftyp", b"isom") + box(b"moov"),
        box(b"ftyp", b"isom") + box(b"moov", track(box(b"mp4a", bytes(200)))),
        box(b"moov", track(entry(b"av01", box(b"av1C", b"\x81")))),
        mp4(AVC_HIGH_4_1)[:-200],
        b"\xff\xff\xff\xffmoov" + bytes(20),
        b"\0\0\0\1moov\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\0\0\0\1moov" + bytes(8),
        b"\0\0\0\4moov" + bytes(8),
    ],
)
def test_what_tells_nothing_is_no_video(file: bytes) -> None:
    assert read_mp4(BytesSource(file), Span(0, len(file))) is None


def test_a_video_is_stored_with_what_it_tells() -> None:
    file = mp4(HEVC_MAIN, b"hvcC")
    metadata: Any = {"7FE00010": {"vr": "OB", "BulkDataURI": "video"}}
    part = BulkPart(Span(0, len(file)), "video/mp4")
    head, *pieces = assemble(metadata, lambda _: [part], BytesSource(file))
    assert isinstance(head, bytes)
    assert (JPEG + "107").encode() in head
    encoded = b"".join(piece for piece in pieces if isinstance(piece, bytes))
    assert b"YBR_PARTIAL_420 " in encoded
    assert b"\x28\0\x08\0IS\2\x0025" in encoded


def test_only_so_many_boxes_are_looked_at() -> None:
    started = time.process_time()
    many = box(b"free") * 1_000_000
    file = box(b"moov", many, track(entry(b"avc1", box(b"avcC", AVC_HIGH_4_1))))
    assert read_mp4(BytesSource(file), Span(0, len(file))) is None
    few = box(b"free") * (MOST_BOXES // 2)
    file = box(b"moov", few, track(entry(b"avc1", box(b"avcC", AVC_HIGH_4_1))))
    assert read_mp4(BytesSource(file), Span(0, len(file))) is not None
    assert time.process_time() - started < 2


@hypothesis_settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), max_size=6), st.integers(0, 6500)
)
def test_no_file_breaks_the_reader(changes: list[tuple[int, int]], length: int) -> None:
    file = bytearray(mp4(AVC_HIGH_4_1, moov_last=False)[:length])
    for at, value in changes:
        file[at : at + 1] = bytes([value])
    read_mp4(BytesSource(bytes(file)), Span(0, len(file)))
