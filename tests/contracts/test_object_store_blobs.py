"""The contract of blobs, kept by those in an object store: SeaweedFS, over HTTP."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from app.blobs.contract import BlobExists, BlobStore, BlobsUnavailable
from app.blobs.objectstore import SINGLE_BYTES, ObjectStoreBlobs
from app.blobs.open import open_blobs
from app.span import Span
from tests.contracts.blobs import BlobStoreContract, Spooled, joined
from tests.fixtures.s3 import S3Server

PROGRAM = """
import asyncio
from pathlib import Path
from app.blobs.open import open_blobs
from app.blobs.spool import Spool

async def main():
    store = open_blobs({url!r}, Path({folder!r}))
    with Spool(100, Path({folder!r})) as spool:
        spool.write(b"bytes")
        await store.put("key", spool)

asyncio.run(main())
"""


class TestObjectStoreBlobs(BlobStoreContract):
    tells_what_is_lost = False

    @pytest.fixture
    async def store(self, s3_environment: S3Server, tmp_path: Path) -> AsyncIterator[BlobStore]:
        store = open_blobs(s3_environment.url(), tmp_path)
        assert isinstance(store, ObjectStoreBlobs)
        yield store
        await store.close()

    async def test_a_large_blob_in_memory_goes_in_parts(
        self, store: BlobStore, spooled: Spooled, key: str
    ) -> None:
        upload = spooled(bytes(SINGLE_BYTES) + b"!", memory_bytes=2 * SINGLE_BYTES)
        assert upload.path is None
        await store.put(key, upload)
        assert await store.read(key, Span(SINGLE_BYTES, 1)) == b"!"
        with pytest.raises(BlobExists):
            await store.put(key, upload)

    async def test_two_stores_see_each_others_blobs_at_once(
        self, s3_environment: S3Server, tmp_path: Path, spooled: Spooled, key: str
    ) -> None:
        url = s3_environment.url()
        one, other = open_blobs(url, tmp_path), open_blobs(url, tmp_path)
        await one.put(key, spooled(b"here"))
        assert await other.read(key, Span(0, 4)) == b"here"
        await one.close()
        await other.close()

    async def test_a_large_put_that_fails_burns_its_key(
        self,
        store: BlobStore,
        spooled: Spooled,
        key: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object) -> None:
            raise OSError("the disk that holds the upload fails")

        upload = spooled(bytes(SINGLE_BYTES + 1), memory_bytes=2 * SINGLE_BYTES)
        with monkeypatch.context() as patch:
            patch.setattr("app.blobs.objectstore._in_pieces", fail)
            with pytest.raises(BlobsUnavailable):
                await store.put(key, upload)
        with pytest.raises(BlobExists):
            await store.put(key, upload)
        assert [info async for info in store.list(key)] == []


class TestAnObjectStoreThatFails:
    @pytest.fixture
    def environment(self, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        return monkeypatch

    async def test_one_that_is_not_there_does_not_answer(
        self, environment: pytest.MonkeyPatch, tmp_path: Path, spooled: Spooled
    ) -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
            store = open_blobs("s3://bucket", tmp_path)
            with pytest.raises(BlobsUnavailable):
                await store.check()
            with pytest.raises(BlobsUnavailable):
                await store.put("key", spooled(b"bytes"))
            with pytest.raises(BlobsUnavailable):
                await store.read("key", Span(0, 1))
            await store.close()

    async def test_wrong_keys_to_it_are_no_answer(
        self,
        s3: S3Server,
        environment: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        environment.setenv("AWS_ENDPOINT_URL", s3.endpoint)
        store = open_blobs(s3.url(), tmp_path)
        with pytest.raises(BlobsUnavailable):
            await store.check()
        await store.close()

    async def test_without_its_bucket_it_does_not_answer_and_no_blob_is_missing(
        self, environment: pytest.MonkeyPatch, tmp_path: Path, spooled: Spooled
    ) -> None:
        told = b"<Error><Code>NoSuchBucket</Code></Error>"

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 404 Not Found\r\nConnection: close\r\n")
            writer.write(b"Content-Length: %d\r\n\r\n" % len(told))
            writer.write(b"" if head.startswith(b"HEAD") else told)
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store = open_blobs("s3://bucket", tmp_path)
        for upload in spooled(b"bytes"), spooled(bytes(SINGLE_BYTES + 1)):
            with pytest.raises(BlobsUnavailable):
                await store.put("key", upload)
        with pytest.raises(BlobsUnavailable):
            await store.read("key", Span(0, 1))
        with pytest.raises(BlobsUnavailable):
            await joined(store.stream("key", Span(0, 1)))
        with pytest.raises(BlobsUnavailable):
            await store.size("key")
        with pytest.raises(BlobsUnavailable):
            await store.delete("key")
        await store.close()
        server.close()
        await server.wait_closed()

    @pytest.mark.parametrize("sent", [0, 400])
    async def test_an_answer_that_is_cut_never_looks_whole(
        self, environment: pytest.MonkeyPatch, tmp_path: Path, sent: int
    ) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 206 Partial Content\r\nContent-Length: 1000\r\nETag: e\r\n"
                b"Content-Range: bytes 0-999/1000\r\nConnection: close\r\n"
                b"Last-Modified: Tue, 24 Nov 2026 08:00:00 GMT\r\n\r\n" + bytes(sent)
            )
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
        store = open_blobs("s3://bucket", tmp_path)
        with pytest.raises(BlobsUnavailable):
            await joined(store.stream("key", Span(0, 1000)))
        with pytest.raises(BlobsUnavailable):
            await store.read("key", Span(0, 1000))
        await store.close()
        server.close()
        await server.wait_closed()


@pytest.fixture
def spooled(tmp_path: Path) -> Iterator[Spooled]:
    spooled = Spooled(tmp_path)
    yield spooled
    spooled.close()


def test_a_process_that_used_an_object_store_ends_cleanly(s3: S3Server, tmp_path: Path) -> None:
    for _ in range(3):
        program = PROGRAM.format(url=s3.url(), folder=str(tmp_path))
        subprocess.run([sys.executable, "-c", program], env=os.environ | s3.environment, check=True)
