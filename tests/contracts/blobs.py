"""What every store of blobs must do: the one suite that each backend inherits.

A backend's module defines a class that derives from `BlobStoreContract` and a fixture `store`.
"""

import asyncio
import hashlib
import resource
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.blobs.contract import CHUNK, PIECE, BlobExists, BlobMissing, BlobStore
from app.blobs.keys import fresh_stem
from app.blobs.spool import Spool
from app.span import Span

SMALL = b"0123456789"
LARGE_BYTES = 64 * CHUNK
LARGE_MAY_COST = 40 * CHUNK


class BlobStoreContract:
    """The promises of `app.blobs.contract.BlobStore`."""

    tells_what_is_lost = True
    """Whether a blob that has gone is noticed without being read."""

    @pytest.fixture
    def key(self) -> str:
        return fresh_stem(1)

    @pytest.fixture
    def spooled(self, tmp_path: Path) -> Iterator["Spooled"]:
        spooled = Spooled(tmp_path)
        yield spooled
        spooled.close()

    async def test_what_is_put_is_read(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(SMALL))
        assert await store.read(key, Span(0, 10)) == SMALL
        assert await store.size(key) == 10

    async def test_a_spooled_file_is_put_and_outlives_the_spool(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        upload = spooled(SMALL, memory_bytes=0)
        assert upload.path
        await store.put(key, upload)
        upload.close()
        assert await store.read(key, Span(0, 10)) == SMALL

    async def test_what_is_there_is_not_lost(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(SMALL))
        assert await store.lost({key: 10}) == frozenset()
        found = await store.lost({key: 11, fresh_stem(1): 0})
        assert len(found) == (2 if self.tells_what_is_lost else 0)

    @pytest.mark.parametrize("span", [Span(0, 1), Span(9, 1), Span(3, 4), Span(0, 0), Span(10, 0)])
    async def test_any_span_within_a_blob_is_read_and_streamed(
        self, store: BlobStore, spooled: "Spooled", key: str, span: Span
    ) -> None:
        await store.put(key, spooled(SMALL))
        assert await store.read(key, span) == SMALL[span.offset : span.end]
        assert await joined(store.stream(key, span)) == SMALL[span.offset : span.end]

    @pytest.mark.parametrize("span", [Span(0, 11), Span(9, 2), Span(10, 1), Span(11, 0)])
    async def test_a_span_that_reaches_beyond_the_end_is_refused_before_the_first_byte(
        self, store: BlobStore, spooled: "Spooled", key: str, span: Span
    ) -> None:
        await store.put(key, spooled(SMALL))
        with pytest.raises(BlobMissing):
            await store.read(key, span)
        with pytest.raises(BlobMissing):
            await anext(store.stream(key, span))

    async def test_what_is_not_there_is_missing(self, store: BlobStore, key: str) -> None:
        with pytest.raises(BlobMissing):
            await store.read(key, Span(0, 1))
        with pytest.raises(BlobMissing):
            await store.size(key)
        with pytest.raises(BlobMissing):
            await joined(store.stream(key, Span(0, 1)))
        with pytest.raises(BlobMissing):
            await joined(store.stream(key, Span(0, 0)))

    async def test_a_blob_of_no_bytes_is_a_blob(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(b""))
        assert await store.size(key) == 0
        assert await store.read(key, Span(0, 0)) == b""
        assert await joined(store.stream(key, Span(0, 0))) == b""
        with pytest.raises(BlobExists):
            await store.put(key, spooled(b""))

    async def test_a_key_is_written_once(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(SMALL))
        with pytest.raises(BlobExists):
            await store.put(key, spooled(b"something else"))
        assert await store.read(key, Span(0, 10)) == SMALL

    async def test_of_eight_writers_of_one_key_exactly_one_wins(
        self, store: BlobStore, spooled: "Spooled"
    ) -> None:
        for _ in range(2):
            key = fresh_stem(1)
            contents = [bytes([48 + writer]) * 1000 for writer in range(8)]
            results = await asyncio.gather(
                *(store.put(key, spooled(content)) for content in contents), return_exceptions=True
            )
            winners = [i for i, result in enumerate(results) if result is None]
            assert len(winners) == 1
            assert all(isinstance(r, BlobExists) for r in results if r is not None)
            assert await store.read(key, Span(0, 1000)) == contents[winners[0]]

    async def test_a_deleted_blob_is_gone_and_deleting_again_is_no_error(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(SMALL))
        await store.delete(key)
        await store.delete(key)
        await store.delete(fresh_stem(1))
        with pytest.raises(BlobMissing):
            await store.read(key, Span(0, 1))

    async def test_a_listing_tells_key_length_and_time_of_each_blob_with_the_prefix(
        self, store: BlobStore, spooled: "Spooled"
    ) -> None:
        owner = secrets.token_hex(4)
        for name in ("aa/bb/one", "aa/bc/two", "aa/b", "ab/three", "a-four"):
            await store.put(f"{owner}/{name}", spooled(name.encode()))
        before = datetime.now(UTC) - timedelta(minutes=1)
        for prefix, names in {
            "": {"aa/bb/one", "aa/bc/two", "aa/b", "ab/three", "a-four"},
            "a": {"aa/bb/one", "aa/bc/two", "aa/b", "ab/three", "a-four"},
            "aa/": {"aa/bb/one", "aa/bc/two", "aa/b"},
            "aa/b": {"aa/bb/one", "aa/bc/two", "aa/b"},
            "aa/bb/": {"aa/bb/one"},
            "ab": {"ab/three"},
            "nothing": set(),
            "no/thing": set(),
        }.items():
            found = [info async for info in store.list(f"{owner}/{prefix}")]
            assert {info.key for info in found} == {f"{owner}/{name}" for name in names}
            assert len(found) == len(names)
            for info in found:
                assert info.length == len(info.key.removeprefix(f"{owner}/"))
                assert before < info.written_at < datetime.now(UTC) + timedelta(minutes=1)

    async def test_a_listing_without_prefix_has_everything(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(SMALL))
        assert key in {info.key async for info in store.list()}

    @pytest.mark.parametrize(
        "bad", ["", "/a", "a/", "a//b", "../a", "a/../b", ".", "a.b", "a b", "a\0", "ä", "a" * 201]
    )
    async def test_a_key_that_is_none_never_reaches_the_store(
        self, store: BlobStore, spooled: "Spooled", bad: str
    ) -> None:
        with pytest.raises(ValueError, match="not a key"):
            await store.put(bad, spooled(SMALL))
        with pytest.raises(ValueError, match="not a key"):
            await store.read(bad, Span(0, 1))
        with pytest.raises(ValueError, match="not a key"):
            await anext(store.stream(bad, Span(0, 1)))
        with pytest.raises(ValueError, match="not a key"):
            await store.size(bad)
        with pytest.raises(ValueError, match="not a key"):
            await store.delete(bad)

    async def test_a_large_blob_goes_in_and_out_in_little_memory(
        self, store: BlobStore, tmp_path: Path, key: str
    ) -> None:
        with Spool(CHUNK, tmp_path) as upload:
            for number in range(LARGE_BYTES // CHUNK):
                upload.write(bytes([number]) * CHUNK)
            before = memory_peak_from_now()
            await store.put(key, upload)
            digest = hashlib.sha256()
            async for piece in store.stream(key, Span(0, LARGE_BYTES)):
                assert len(piece) <= PIECE
                digest.update(piece)
            assert digest.digest() == upload.sha256
            assert memory_peak() - before < self.large_may_cost()
            with pytest.raises(BlobExists):
                await store.put(key, upload)
        assert await store.size(key) == LARGE_BYTES
        assert await store.read(key, Span(LARGE_BYTES - 2, 2)) == b"\x3f\x3f"
        assert [i.key async for i in store.list(key)] == [key]

    async def test_a_stream_may_be_left_before_its_end(
        self, store: BlobStore, spooled: "Spooled", key: str
    ) -> None:
        await store.put(key, spooled(bytes(3 * CHUNK)))
        stream = store.stream(key, Span(0, 3 * CHUNK))
        assert await anext(stream) == bytes(PIECE)
        await stream.aclose()  # type: ignore[attr-defined]  # every stream here is a generator
        assert await store.size(key) == 3 * CHUNK

    async def test_a_store_that_answers_says_so(self, store: BlobStore) -> None:
        await store.check()

    def large_may_cost(self) -> int:
        """Bytes of memory that the large blob may take."""
        return LARGE_MAY_COST


class Spooled:
    """Makes uploads of given bytes, and closes them at the end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._spools: list[Spool] = []

    def __call__(self, data: bytes, memory_bytes: int = CHUNK) -> Spool:
        spool = Spool(memory_bytes, self._directory)
        spool.write(data)
        self._spools.append(spool)
        return spool

    def close(self) -> None:
        for spool in self._spools:
            spool.close()


async def joined(stream: AsyncIterator[bytes]) -> bytes:
    return b"".join([piece async for piece in stream])


def memory_peak_from_now() -> int:
    """Forget the peak so far, where the system can, and return the new one in bytes."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return memory_peak()


def memory_peak() -> int:
    """The most memory that this process has had, in bytes."""
    with suppress(OSError):
        status = Path("/proc/self/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
