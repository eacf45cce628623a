"""Feeds of the audit: everything arrives, in order, whoever is killed on the way."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from lxml import etree
from typer.testing import CliRunner

from app.archive import Archive, open_archive
from app.audit import feeding
from app.audit.event import AuditEvent, audit_event, note_of
from app.audit.feeding import Feed, feeds
from app.audit.receivers import Sent
from app.audit.trail import Trail
from app.cli import commands
from app.index import audit_feeds
from app.index.audit_feeds import Lag
from app.index.audits import StoredRecord
from app.settings import Audit, Settings
from tests.archive_process import ArchiveProcess
from tests.fixtures.feeds import Certificates, FhirServer, Syslog, certificates

SCHEMA = Path(__file__).parents[2] / "unit/audit/schema.rng"
HEADER = re.compile(
    rb"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z [!-~]+ hilum \d+ DICOM\+RFC3881 - \xef\xbb\xbf"
)


def some_event(number: int, partition_id: int) -> AuditEvent:
    return audit_event(
        note_of("GET", f"/studies/1.{number}"),
        at=datetime.now(UTC),
        status=200,
        request_id=f"r{number}",
        method="GET",
        path=f"/dicomweb/studies/1.{number}",
        query=b"",
        client_address=None,
        partition_id=partition_id,
        principal="viewer",
    )


async def write(archive: Archive, first: int, last: int, partition_id: int = 1) -> None:
    trail = Trail(archive)
    await asyncio.gather(
        *(trail.record(some_event(number, partition_id)) for number in range(first, last))
    )


async def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def until_noted(archive: Archive, seconds: float = 20) -> None:
    """Return when the feed knows of all that it has sent."""
    async with asyncio.timeout(seconds):
        while (await lag_of(archive)).unsent:
            await asyncio.sleep(0.02)


async def failing(archive: Archive, seconds: float = 20) -> Lag:
    """How far behind the feed is as soon as it has failed."""
    async with asyncio.timeout(seconds):
        while (lag := await lag_of(archive)).failure is None:
            await asyncio.sleep(0.02)
    return lag


async def lag_of(archive: Archive) -> Lag:
    async with archive.reading() as connection:
        (lag,) = await audit_feeds.lags(connection)
    return lag


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@asynccontextmanager
async def opened(settings: Settings, **audit: Any) -> AsyncIterator[Archive]:
    chosen = settings.model_copy(
        update={"audit": Audit(**audit), "outgoing_networks": [ip_network("127.0.0.1")]}
    )
    archive = await open_archive(chosen)
    begun = feeds(archive)
    try:
        yield archive
    finally:
        for feed in begun:
            await feed.close()
        await archive.close()


def numbers(messages: Sequence[bytes]) -> list[int]:
    """Of the studies that the messages tell of; each is right by the schema."""
    schema = etree.RelaxNG(etree.parse(SCHEMA))
    found = []
    for message in messages:
        header = HEADER.match(message)
        assert header is not None, message[:100]
        tree = etree.fromstring(message[header.end() :])
        schema.assertValid(tree)
        study = tree.xpath("string(ParticipantObjectIdentification/@ParticipantObjectID)")
        found.append(int(study.removeprefix("1.")))
    return found


async def test_syslog_gets_everything_over_a_killed_receiver(
    settings: Settings, signed: Certificates
) -> None:
    syslog = Syslog(signed)
    with syslog.running():
        pass
    address = f"tls://127.0.0.1:{syslog.port}"
    tls = {"authorities": signed.authority, "certificate": signed.client}
    async with opened(settings, syslog=address, **tls) as archive:
        await write(archive, 0, 150)
        lag = await failing(archive)
        assert lag.unsent == 150
        assert lag.failure == "ConnectionRefusedError"
        syslog.cut = 2
        with syslog.running():
            await until(lambda: len(syslog.messages) >= 100)
        await write(archive, 150, 200)
        with syslog.running():
            await until(lambda: len(syslog.messages) >= 200)
            while (lag := await lag_of(archive)).unsent:
                await asyncio.sleep(0.02)
        assert (lag.failing_since, lag.failure, lag.oldest) == (None, None, None)
    got = numbers(syslog.messages)
    assert list(dict.fromkeys(got)) == list(range(200))
    assert not syslog.cut


async def test_a_receiver_whom_nobody_vouches_for_gets_nothing(
    settings: Settings, signed: Certificates
) -> None:
    syslog = Syslog(signed)
    with syslog.running():
        address = f"tls://127.0.0.1:{syslog.port}"
        async with opened(settings, syslog=address) as archive:
            await write(archive, 0, 1)
            assert (await failing(archive)).failure == "CERTIFICATE_VERIFY_FAILED"
    assert syslog.messages == []


async def test_what_a_receiver_refuses_has_not_arrived(
    settings: Settings, signed: Certificates
) -> None:
    """It says so when it has our certificate, or has none: with TLS 1.3 we are sending by then."""
    syslog = Syslog(signed)
    with syslog.running():
        address = f"tls://127.0.0.1:{syslog.port}"
        async with opened(settings, syslog=address, authorities=signed.authority) as archive:
            await write(archive, 0, 3)
            async with asyncio.timeout(20):
                while (lag := await lag_of(archive)).failure is None:
                    await asyncio.sleep(0.02)
            assert (lag.failure, lag.unsent) == ("TLSV13_ALERT_CERTIFICATE_REQUIRED", 3)
    assert syslog.messages == []


async def test_fhir_gets_everything_over_failures(settings: Settings) -> None:
    fhir = FhirServer(failing=3)
    with fhir.running():
        base = f"http://127.0.0.1:{fhir.port}/fhir/"
        async with opened(settings, fhir=base, fhir_token="secret") as archive:
            await write(archive, 0, 120)
            await write(archive, 0, 30, partition_id=0)
            await until(lambda: len(fhir.events) >= 150)
    ids = [str(event["id"]) for event in fhir.events]
    for partition, last in ((1, 120), (0, 30)):
        mine = [one for one in ids if one.startswith(f"{partition}-")]
        assert list(dict.fromkeys(mine)) == [f"{partition}-{n}" for n in range(1, last + 1)]
    assert fhir.bearer == {"Bearer secret"}
    assert {event["resourceType"] for event in fhir.events} == {"AuditEvent"}


async def test_receivers_where_nobody_may_be_called_get_nothing(
    settings: Settings, signed: Certificates
) -> None:
    fhir, syslog = FhirServer(), Syslog(signed)
    with fhir.running(), syslog.running():
        audit = Audit(
            fhir=f"http://127.0.0.1:{fhir.port}/fhir",
            syslog=f"tls://localhost:{syslog.port}",
            authorities=signed.authority,
        )
        archive = await open_archive(settings.model_copy(update={"audit": audit}))
        begun = feeds(archive)
        await write(archive, 0, 1)
        async with asyncio.timeout(20):
            while True:
                async with archive.reading() as connection:
                    told = [lag.failure or "" for lag in await audit_feeds.lags(connection)]
                if len(told) == 2 and all("HILUM_OUTGOING_NETWORKS" in why for why in told):
                    break
                await asyncio.sleep(0.02)
        for feed in begun:
            await feed.close()
        await archive.close()
    assert (fhir.events, syslog.messages) == ([], [])


class Noting:
    """A receiver that notes who sent what."""

    def __init__(self, name: str, got: list[tuple[str, int]]) -> None:
        self.name, self.got = name, got

    async def send(self, records: Sequence[StoredRecord]) -> Sent:
        await asyncio.sleep(0.05)
        self.got += [(self.name, record.sequence) for record in records]
        return Sent(len(records))

    async def close(self) -> None:
        """Nothing is open."""


async def test_one_of_several_sends_and_another_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeding, "LEASE_SECONDS", 1.0)
    archive = await open_archive(settings)
    got: list[tuple[str, int]] = []
    first = Feed(archive, "syslog", Noting("first", got))
    await write(archive, 0, 250)
    await until(lambda: len(got) >= 250)
    second = Feed(archive, "syslog", Noting("second", got))
    await write(archive, 250, 400)
    await until(lambda: len(got) >= 400)
    assert {name for name, _ in got} == {"first"}
    await until_noted(archive)  # what was sent and not noted would be sent again
    first._task.cancel()  # as one that is killed: it lets go of nothing
    await write(archive, 400, 500)
    await until(lambda: len(got) >= 500)
    assert {name for name, _ in got[400:]} == {"second"}
    assert [sequence for _, sequence in got] == list(range(1, 501))
    await second.close()
    await first.close()
    await archive.close()


class Slow(Noting):
    """A receiver that does not get more than so many records in time."""

    async def send(self, records: Sequence[StoredRecord]) -> Sent:
        return Sent(0, "TimeoutError") if len(records) > 30 else await super().send(records)


async def test_a_receiver_for_whom_a_batch_is_too_much_gets_less(settings: Settings) -> None:
    archive = await open_archive(settings)
    got: list[tuple[str, int]] = []
    await write(archive, 0, 150)
    feed = Feed(archive, "syslog", Slow("slow", got))
    await until(lambda: len(got) >= 150)
    assert [sequence for _, sequence in got] == list(range(1, 151))
    await feed.close()
    await archive.close()


async def test_who_has_lost_the_lease_moves_nothing(settings: Settings) -> None:
    archive = await open_archive(settings)
    async with archive.writing() as connection:
        assert await audit_feeds.hold(connection, "fhir", "one", 60)
        assert not await audit_feeds.hold(connection, "fhir", "two", 60)
        await audit_feeds.advance(connection, "fhir", "two", {1: 7}, None)
        assert not await connection.fetchval("SELECT count(*) FROM audit_feed_place")
        for reached in (7, 5):
            await audit_feeds.advance(connection, "fhir", "one", {1: reached}, None)
        assert await connection.fetchval("SELECT sequence FROM audit_feed_place") == 7
        await audit_feeds.release(connection, "fhir", "one")
        assert await audit_feeds.hold(connection, "fhir", "two", 60)
    await archive.close()


async def end_lease(database_url: str) -> None:
    """Let the lease of who was killed be over."""
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute("UPDATE audit_feed SET held_until = now()")
    finally:
        await connection.close()


async def test_a_killed_archive_goes_on_where_it_was(tmp_path: Path, database_url: str) -> None:
    fhir = FhirServer(seconds=0.05)
    with fhir.running():
        archive = ArchiveProcess(
            tmp_path / "data",
            HILUM_DATABASE_URL=database_url,
            HILUM_OUTGOING_NETWORKS='["127.0.0.1"]',
            HILUM_AUDIT__FHIR=f"http://127.0.0.1:{fhir.port}/fhir",
        )
        await asyncio.to_thread(archive.start)
        with archive.client() as http:
            for _ in range(60):
                assert http.get("/studies").is_success
            await until(lambda: bool(fhir.events))
        archive.kill()
        before = len(fhir.events)
        await end_lease(database_url)
        await asyncio.to_thread(archive.start)
        with archive:
            with archive.client() as http:
                assert http.get("/studies").is_success
            await until(lambda: len({str(event["id"]) for event in fhir.events}) >= 61, 40)
    ids = [str(event["id"]) for event in fhir.events]
    assert list(dict.fromkeys(ids)) == [f"1-{number}" for number in range(1, 62)]
    assert before < 60
    told = await asyncio.to_thread(
        CliRunner().invoke,
        commands,
        ["audit", "feeds"],
        env={"HILUM_DATABASE_URL": database_url},
    )
    assert told.exit_code == 0
    assert re.search(r"^fhir: \d+ records unsent", told.stdout, re.MULTILINE), told.stdout
