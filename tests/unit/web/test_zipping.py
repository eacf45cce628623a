"""Archives that Python's own reader takes, of any size, written without going back."""

import io
import struct
import zipfile
from datetime import UTC, datetime

import pytest

from app.web import zipping
from app.web.zipping import ZipWriter, zip_length

MOMENT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
MEMBERS = {"1.2/1.dcm": b"first" * 1000, "1.2/2.dcm": b"", "ü.dcm": bytes(range(256))}


def archive(*, known: bool) -> bytes:
    writer = ZipWriter()
    written = b""
    for name, data in MEMBERS.items():
        written += writer.begin(name, MOMENT, len(data) if known else None)
        for piece in (data[:100], data[100:]):
            writer.add(piece)
            written += piece
        written += writer.end()
    return written + writer.finish()


@pytest.mark.parametrize("known", [True, False])
def test_members_come_back(known: bool) -> None:
    with zipfile.ZipFile(io.BytesIO(archive(known=known))) as found:
        assert found.testzip() is None
        assert {info.filename: found.read(info) for info in found.infolist()} == MEMBERS
        assert {info.date_time for info in found.infolist()} == {(2026, 2, 3, 4, 5, 6)}
        assert {info.compress_type for info in found.infolist()} == {zipfile.ZIP_STORED}


def test_the_length_is_known_before() -> None:
    lengths = [(name, len(data)) for name, data in MEMBERS.items()]
    assert zip_length(lengths) == len(archive(known=True))


def test_places_beyond_four_gigabytes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a border of 4 KB instead, so that the test has to write no such archive."""
    monkeypatch.setattr(zipping, "_FULL", 4000)
    writer = ZipWriter()
    for name, data in MEMBERS.items():
        writer.begin(name, MOMENT, len(data))
        writer.add(data)
        writer.end()
    end = writer.finish()
    assert b"PK\x06\x06" in end
    assert b"PK\x06\x07" in end
    wide = [struct.unpack_from("<Q", end, at + 4)[0] for at in _extras(end)]
    assert 5000 in wide, "the long member's length"
    assert any(offset > 5000 for offset in wide), "where the others lie"


def _extras(directory: bytes) -> list[int]:
    return [at for at in range(len(directory) - 12) if directory[at : at + 2] == b"\1\0"
            and directory[at + 2] in (8, 16, 24) and directory[at + 3] == 0]  # fmt: skip


def test_more_members_than_sixteen_bits_count() -> None:
    writer = ZipWriter()
    written = []
    for number in range(70_000):
        written += [writer.begin(f"{number}", MOMENT, 0), writer.end()]
    data = b"".join([*written, writer.finish()])
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        assert len(found.infolist()) == 70_000
        assert found.namelist()[-1] == "69999"
    assert zip_length((f"{number}", 0) for number in range(70_000)) == len(data)


def test_a_member_of_more_than_four_gigabytes() -> None:
    """Its bytes are counted, not written: the directory says what it would be."""
    writer = ZipWriter()
    head = writer.begin("long", MOMENT, 5 << 30)
    assert head[18:26] == b"\xff" * 8
    writer.skip(5 << 30)
    assert struct.unpack("<IIQQ", writer.end())[2:] == (5 << 30, 5 << 30)
    assert struct.pack("<QQ", 5 << 30, 5 << 30) in writer.finish()
    assert zip_length([("long", 5 << 30)]) > 5 << 30
