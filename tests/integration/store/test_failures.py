"""Disks fill, blobs and databases go away, callers hang up: nothing is told that is not so."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from app.archive import Archive
from app.blobs.contract import BlobsFull, BlobsUnavailable, Upload
from app.blobs.local import LocalBlobs
from app.errors import Unavailable
from app.index.database import Database
from app.settings import Settings
from app.span import Span
from tests.factories import ct_dataset, ct_series, multipart, part10
from tests.fixtures.server import Server, serving
from tests.integration.store.conftest import Modality, blobs_of, count


@pytest.fixture
def failing_puts(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Exception], None]:
    """Makes every put from the n-th on fail."""

    def fail_from(number: int, error: Exception) -> None:
        original, calls = LocalBlobs.put, 0

        async def put(self: LocalBlobs, key: str, upload: Upload) -> None:
            nonlocal calls
            calls += 1
            if calls >= number:
                raise error
            await original(self, key, upload)

        monkeypatch.setattr(LocalBlobs, "put", put)

    return fail_from


@pytest.mark.parametrize("error", [BlobsFull(), BlobsUnavailable()])
async def test_without_blobs_nothing_is_stored_and_the_caller_may_try_again(
    modality: Modality,
    archive: Archive,
    failing_puts: Callable[[int, Exception], None],
    error: Exception,
) -> None:
    failing_puts(1, error)
    answer = await modality.store(*ct_series(3))
    assert answer.status == 503
    assert int(answer.http.headers["retry-after"]) > 0
    assert await count(archive, "instance") == 0


@pytest.mark.parametrize(("error", "reason"), [(BlobsFull(), 0xA700), (BlobsUnavailable(), 0x0110)])
async def test_what_was_stored_before_the_blobs_failed_is_told(
    modality: Modality,
    archive: Archive,
    failing_puts: Callable[[int, Exception], None],
    error: Exception,
    reason: int,
) -> None:
    failing_puts(71, error)
    answer = await modality.store(*ct_series(80))
    assert answer.status == 202
    assert len(answer.stored) == 70
    assert [given for _, given in answer.failed] == [reason] * 10
    assert await count(archive, "instance") == 70
    assert len(await blobs_of(archive)) == 70


async def test_without_the_database_nothing_is_told_to_be_stored(
    modality: Modality, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def transact(self: Database, work: object) -> object:
        raise Unavailable("The database does not answer.")

    slices = ct_series(2)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "transact", transact)
        assert (await modality.store(*slices)).status == 503
    assert (await modality.store(*slices)).status == 200


async def test_a_commit_whose_answer_is_lost_loses_nothing(
    modality: Modality, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Database.transact

    async def transact(self: Database, work: Callable[[Any], Awaitable[Any]]) -> object:
        await original(self, work)
        raise Unavailable("The connection to the database was lost.")

    (instance,) = ct_series(1)
    with monkeypatch.context() as patch:
        patch.setattr(Database, "transact", transact)
        assert (await modality.store(instance)).status == 503
    before = await blobs_of(archive)
    assert len(before) == 1
    assert (await modality.store(instance)).status == 200
    assert await blobs_of(archive) == before
    ((key, length),) = before.items()
    assert await archive.blobs.read(key, Span(0, length)) == instance


async def test_a_blob_that_cannot_be_deleted_is_left_and_harms_nobody(
    modality: Modality, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete(self: LocalBlobs, key: str) -> None:
        raise BlobsUnavailable

    (instance,) = ct_series(1)
    await modality.store(instance)
    monkeypatch.setattr(LocalBlobs, "delete", delete)
    assert (await modality.store(instance)).status == 200
    assert len(await blobs_of(archive)) == 2


class TestACallerWhoHangsUp:
    async def test_leaves_what_was_whole_and_nothing_of_the_rest(
        self, server: Server, archive: Archive, settings: Settings
    ) -> None:
        large = part10(ct_dataset(Rows=1200, Columns=1200, PixelData=bytes(2 * 1200 * 1200)))
        whole = part10(ct_dataset())
        body, content_type = multipart([whole, large])
        await send_and_hang_up(server, body[:-1000], content_type, len(body))
        await until(lambda: count(archive, "audit"), 2)
        assert await count(archive, "instance") == 1
        assert await blobs_of(archive) == {next(iter(await blobs_of(archive))): len(whole)}
        assert list((settings.data_dir / "spool").iterdir()) == []

    async def test_is_in_the_audit_with_what_is_stored_of_the_message(
        self, server: Server, archive: Archive
    ) -> None:
        dataset = ct_dataset()
        body, content_type = multipart([part10(dataset), bytes(1000)])
        await send_and_hang_up(server, body[:-1000], content_type, len(body))
        await until(lambda: count(archive, "audit"), 1)
        assert await count(archive, "instance") == 1
        async with archive.reading() as connection:
            rows = await connection.fetch(
                "SELECT status, action, study_instance_uid, sop_instance_uid, patient_id FROM audit"
                " ORDER BY sequence"
            )
        told = "C", dataset.StudyInstanceUID, dataset.SOPInstanceUID, dataset.PatientID
        # With the commit of what is stored, and when nothing else comes.
        assert [tuple(row) for row in rows] == [(202, *told), (499, *told)]

    async def test_is_never_taken_for_having_finished(
        self, server: Server, archive: Archive
    ) -> None:
        (instance,) = ct_series(1)
        for chunked in (False, True):
            length = None if chunked else 9999
            await send_and_hang_up(server, instance, "application/dicom", length)
        await until(lambda: count(archive, "audit"), 2)
        assert await count(archive, "instance") == 0
        assert await blobs_of(archive) == {}


class TestLimits:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        limits = settings.limits.model_copy(
            update={
                "request_bytes": 20_000,
                "instance_bytes": 4_000,
                "request_parts": 5,
                "concurrent_stores": 1,
                "queue_seconds": 0.2,
                "body_idle_seconds": 2,
            }
        )
        return settings.model_copy(update={"limits": limits})

    @pytest.fixture
    def server(self, settings: Settings) -> Iterator[Server]:
        with serving(settings) as running:
            yield running

    async def test_an_instance_that_is_too_large_is_refused_and_the_others_stored(
        self, modality: Modality, archive: Archive
    ) -> None:
        large = ct_dataset(PixelData=bytes(6_000))
        answer = await modality.store(*ct_series(2), part10(large), *ct_series(1))
        assert answer.status == 202
        assert len(answer.stored) == 3
        assert answer.failed == [(large.SOPInstanceUID, 0xA700)]
        assert len(await blobs_of(archive)) == 3

    async def test_a_body_that_is_too_large_is_refused(self, modality: Modality) -> None:
        body, content_type = multipart([bytes(30_000)])

        async def chunked() -> AsyncIterator[bytes]:
            yield body

        assert (await modality.post(body, content_type)).status == 413
        assert (await modality.post(chunked(), content_type)).status == 413

    async def test_a_message_of_too_many_parts_is_refused(self, modality: Modality) -> None:
        assert (await modality.store(*[b"x"] * 5)).status == 409
        assert (await modality.store(*[b"x"] * 6)).status == 413

    async def test_a_crowd_waits_outside_and_is_told_to_come_again(
        self, server: Server, modality: Modality
    ) -> None:
        body, content_type = multipart(ct_series(1))
        reader, writer = await begin(server, body[:100], content_type, len(body))
        answer = await modality.store(*ct_series(1))
        assert answer.status == 503
        assert int(answer.http.headers["retry-after"]) > 0
        writer.write(body[100:])
        assert b" 200 " in await reader.readline()
        writer.close()
        await writer.wait_closed()
        assert (await modality.store(*ct_series(1))).status == 200

    async def test_a_caller_who_stops_in_the_middle_gives_up_the_place(
        self, server: Server, modality: Modality
    ) -> None:
        reader, writer = await begin(server, b"--factory", multipart([])[1], 1000)
        assert b" 408 " in await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await writer.wait_closed()
        assert (await modality.store(*ct_series(1))).status == 200


class TestBlobsThatDoNotAnswer:
    @pytest.fixture
    def settings(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{nobody.getsockname()[1]}")
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
            monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
            monkeypatch.setenv("AWS_REGION", "us-east-1")
            monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
            yield settings.model_copy(update={"blobs_url": "s3://bucket/prefix"})

    async def test_are_a_reason_to_try_again(self, modality: Modality, archive: Archive) -> None:
        answer = await modality.store(*ct_series(2))
        assert answer.status == 503
        assert await count(archive, "instance") == 0


async def begin(
    server: Server, sent: bytes, content_type: str, length: int | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Begin to store: the head of a request and, when it has its turn, some of its body.

    That is chunked if it has no length.
    """
    token = await server.token("store")
    host, _, port = server.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    head = (
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: archive\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {content_type}\r\n{size}\r\nExpect: 100-continue\r\n\r\n"
    )
    writer.write(head.encode())
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(b"%x\r\n%b\r\n" % (len(sent), sent) if length is None else sent)
    await writer.drain()
    return reader, writer


async def send_and_hang_up(
    server: Server, sent: bytes, content_type: str, length: int | None
) -> None:
    """Begin to store, and go away."""
    _, writer = await begin(server, sent, content_type, length)
    await asyncio.sleep(0.3)
    writer.close()
    await writer.wait_closed()


async def until(ask: Callable[[], Awaitable[int]], wanted: int) -> None:
    """Wait until the answer is the wanted one."""
    async with asyncio.timeout(10):
        while await ask() < wanted:
            await asyncio.sleep(0.05)
