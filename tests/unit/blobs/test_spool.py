"""Bytes on their way in."""

import errno
import hashlib
import os
import time
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.blobs.contract import BlobsFull
from app.blobs.spool import OLD_SECONDS, Spool, remove_old_files
from app.dicom.source import Source
from app.fingerprint import Fingerprint


def test_few_bytes_stay_in_memory(tmp_path: Path) -> None:
    with Spool(10, tmp_path) as spool:
        spool.write(b"0123456789")
        assert spool.path is None
        assert list(tmp_path.iterdir()) == []
        assert spool.read_at(0, 10) == b"0123456789"


def test_more_go_to_a_file_that_is_gone_after_closing(tmp_path: Path) -> None:
    spool = Spool(10, tmp_path)
    spool.write(b"0123456789")
    spool.write(b"a")
    assert spool.path is not None
    assert Path(spool.path).read_bytes() == b"0123456789a"
    assert spool.read_at(9, 2) == b"9a"
    spool.close()
    spool.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_behind_the_end_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    """As by a thread that outlives the request which it worked for."""
    spool = Spool(10, tmp_path)
    spool.close()
    for piece in (b"short", b"more than stays in memory"):
        with pytest.raises(ValueError, match="closed"):
            spool.write(piece)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_removed_when_receiving_fails(tmp_path: Path) -> None:
    def receive() -> None:
        with Spool(0, tmp_path) as spool:
            spool.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        receive()
    assert list(tmp_path.iterdir()) == []


def test_a_linked_file_outlives_the_spool(tmp_path: Path) -> None:
    with Spool(0, tmp_path) as spool:
        spool.write(b"bytes")
        os.link(str(spool.path), tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@given(pieces=st.lists(st.binary(max_size=40), max_size=8), memory=st.integers(0, 100))
def test_wherever_the_bytes_are_they_read_and_hash_the_same(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], memory: int
) -> None:
    data = b"".join(pieces)
    with Spool(memory, tmp_path_factory.getbasetemp()) as spool:
        for piece in pieces:
            assert spool.write(piece) == len(piece)
        source: Source = spool
        assert source.size == len(data)
        assert spool.sha256 == hashlib.sha256(data).digest()
        assert spool.fingerprint == Fingerprint(spool.sha256, zlib.crc32(data))
        for offset in range(len(data) + 2):
            assert source.read_at(offset, 7) == data[offset : offset + 7]
        assert source.read_at(0, len(data) + 100) == data


@given(pieces=st.lists(st.binary(max_size=20), max_size=12), memory=st.integers(0, 150))
def test_hashes_may_be_asked_for_at_any_time(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes], memory: int
) -> None:
    written = b""
    with Spool(memory, tmp_path_factory.getbasetemp()) as spool:
        for piece in pieces:
            spool.write(piece)
            written += piece
            expected = Fingerprint(hashlib.sha256(written).digest(), zlib.crc32(written))
            assert spool.fingerprint == expected


def test_a_full_disk_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with Spool(0, tmp_path) as spool:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(BlobsFull):
            spool.write(b"a")
    assert list(tmp_path.iterdir()) == []


def test_only_old_files_of_a_crash_are_removed(tmp_path: Path) -> None:
    old, young, foreign = (tmp_path / name for name in ("spool-old", "spool-young", "foreign"))
    for path in (old, young, foreign):
        path.write_bytes(b"x")
    long_ago = time.time() - OLD_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    os.utime(foreign, (long_ago, long_ago))
    assert remove_old_files(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"spool-young", "foreign"}


@pytest.mark.parametrize("size", [3, 30])
@pytest.mark.parametrize("before", [3, 30])
def test_a_spool_takes_over_what_another_one_holds(tmp_path: Path, size: int, before: int) -> None:
    with Spool(10, tmp_path) as spool:
        spool.write(b"x" * before)
        with spool.beside(hashed=True) as other:
            other.write(b"y" * size)
            spool.take_over(other)
            assert other.size == 0
        assert spool.read_at(0, 100) == b"y" * size
        assert spool.size == size
        assert spool.sha256 == hashlib.sha256(b"y" * size).digest()
        assert spool.fingerprint.crc32 == zlib.crc32(b"y" * size)
        assert len(list(tmp_path.iterdir())) == (size > 10)
    assert list(tmp_path.iterdir()) == []
