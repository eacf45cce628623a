"""The contract of blobs, kept by those on a local disk; and what only a disk can do wrong."""

import errno
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.blobs.contract import PIECE, BlobMissing, BlobsFull, BlobStore, BlobsUnavailable
from app.blobs.keys import fresh_stem
from app.blobs.local import LocalBlobs
from app.span import Span
from tests.contracts.blobs import BlobStoreContract, Spooled


class TestLocalBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> BlobStore:
        return LocalBlobs(tmp_path / "blobs")

    async def test_a_file_of_the_same_file_system_is_linked_and_not_copied(
        self, store: BlobStore, spooled: Spooled, tmp_path: Path
    ) -> None:
        upload = spooled(b"bytes", memory_bytes=0)
        await store.put("p1/linked", upload)
        assert upload.path
        assert (tmp_path / "blobs/p1/linked").samefile(upload.path)

    @pytest.mark.parametrize("memory_bytes", [0, 100])
    async def test_bytes_are_durable_before_they_have_a_name_and_the_name_before_put_returns(
        self, tmp_path: Path, spooled: Spooled, steps: list[str], memory_bytes: int
    ) -> None:
        store = LocalBlobs(tmp_path / "blobs")
        upload = spooled(b"bytes", memory_bytes)
        steps.clear()
        await store.put("p1/ab/key", upload)
        assert steps == ["fsync blobs", "fsync p1", "fdatasync", "link key", "fsync ab"]
        steps.clear()
        await store.put("p1/ab/other", upload)
        assert steps == ["fdatasync", "link other", "fsync ab"]

    async def test_a_folder_made_by_another_process_is_synced_before_it_is_trusted(
        self, tmp_path: Path, spooled: Spooled, steps: list[str]
    ) -> None:
        store = LocalBlobs(tmp_path / "blobs")
        (tmp_path / "blobs/p1/ab").mkdir(parents=True)
        steps.clear()
        await store.put("p1/ab/key", spooled(b"bytes"))
        assert steps[:2] == ["fsync blobs", "fsync p1"]

    @pytest.mark.parametrize(
        ("number", "error"),
        [
            (errno.ENOSPC, BlobsFull),
            (errno.EDQUOT, BlobsFull),
            (errno.EIO, BlobsUnavailable),
            (errno.EROFS, BlobsUnavailable),
        ],
    )
    @pytest.mark.parametrize("step", ["fdatasync", "fsync", "link"])
    async def test_a_failing_disk_is_no_success_and_leaves_nothing_aside(
        self,
        store: BlobStore,
        spooled: Spooled,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        step: str,
        number: int,
        error: type[Exception],
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, step, fail)
        with pytest.raises(error):
            await store.put(fresh_stem(1), spooled(b"bytes"))
        assert list((tmp_path / "blobs/.incoming").iterdir()) == []

    async def test_bytes_of_another_file_system_are_copied(
        self, store: BlobStore, spooled: Spooled, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        link = os.link

        def link_within_blobs_only(source: str, target: Path) -> None:
            if "blobs" not in source:
                raise OSError(errno.EXDEV, "Invalid cross-device link")
            link(source, target)

        monkeypatch.setattr(os, "link", link_within_blobs_only)
        await store.put("p1/key", spooled(b"bytes", memory_bytes=0))
        assert await store.read("p1/key", Span(0, 5)) == b"bytes"

    async def test_a_blob_cut_short_while_it_is_streamed_does_not_end_as_if_whole(
        self, store: BlobStore, spooled: Spooled, tmp_path: Path
    ) -> None:
        size = 3 * 1024 * 1024
        await store.put("p1/key", spooled(bytes(size)))
        stream = store.stream("p1/key", Span(0, size))
        await anext(stream)
        os.truncate(tmp_path / "blobs/p1/key", PIECE + 5)
        with pytest.raises(BlobMissing):
            await anext(stream)

    async def test_a_blob_deleted_while_it_is_streamed_is_streamed_to_its_end(
        self, store: BlobStore, spooled: Spooled
    ) -> None:
        size = 3 * 1024 * 1024
        await store.put("p1/key", spooled(bytes(size)))
        stream = store.stream("p1/key", Span(0, size))
        received = len(await anext(stream))
        await store.delete("p1/key")
        async for piece in stream:
            received += len(piece)
        assert received == size

    async def test_copies_that_a_crash_left_are_removed_once_old(self, tmp_path: Path) -> None:
        incoming = tmp_path / "blobs/.incoming"
        incoming.mkdir(parents=True)
        (incoming / "old").write_bytes(b"x")
        (incoming / "young").write_bytes(b"x")
        os.utime(incoming / "old", (time.time() - 90_000,) * 2)
        store = LocalBlobs(tmp_path / "blobs")
        assert [path.name for path in incoming.iterdir()] == ["young"]
        assert [info async for info in store.list()] == []

    async def test_a_store_whose_folder_has_gone_does_not_answer(
        self, store: BlobStore, spooled: Spooled, tmp_path: Path
    ) -> None:
        (tmp_path / "blobs/.incoming").rmdir()
        (tmp_path / "blobs").rmdir()
        with pytest.raises(BlobsUnavailable):
            await store.check()
        with pytest.raises(BlobsUnavailable):
            await store.put("p1/key", spooled(b"bytes"))

    def test_a_folder_that_cannot_be_made_is_refused_at_once(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(BlobsUnavailable):
            LocalBlobs(tmp_path / "file")


class TestLocalBlobsWithoutReadingFromTheCache(BlobStoreContract):
    """As on a system that cannot tell whether a read would wait."""

    @pytest.fixture
    def store(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BlobStore:
        monkeypatch.setattr("app.blobs.local._READ_NOW", None)
        return LocalBlobs(tmp_path / "blobs")


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store asks of the disk, in order."""
    taken: list[str] = []

    def note(name: str, say: Callable[..., str]) -> None:
        original = getattr(os, name)

        def noted(*arguments: object) -> object:
            taken.append(say(*arguments))
            return original(*arguments)

        monkeypatch.setattr(os, name, noted)

    def name_of(number: int) -> str:
        return Path(f"/proc/self/fd/{number}").readlink().name

    note("fsync", lambda number: f"fsync {name_of(number)}")
    note("fdatasync", lambda number: "fdatasync")
    note("link", lambda source, target: f"link {target.name}")
    return taken
