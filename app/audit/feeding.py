"""`Feed`: sends the records of the audit to a receiver, as long as its process serves.

Every process tries to hold every feed; the one that does sends what is not sent, in the order of
each partition, and notes how far it has come when the receiver has it. Whoever is killed loses
nothing: another goes on from there when the lease is over, and sends at most the last batch again.
What cannot be sent is tried again, less and less often, and nothing behind it is sent meanwhile:
of a batch half, then a quarter, so that a receiver for whom it was too much gets on.
"""

import asyncio
import secrets
from collections.abc import Sequence
from random import SystemRandom

import structlog

from app.archive import Archive
from app.audit.alerts import ALERTS, alert_receiver
from app.audit.receivers import Receiver, fhir_receiver
from app.audit.syslog import SyslogReceiver
from app.errors import for_log
from app.index import audit_feeds
from app.index.audits import StoredRecord
from app.outgoing.addresses import Destinations

LEASE_SECONDS = 15.0
EACH = 100
"""Records of one partition in a batch."""
IDLE_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0

log = structlog.get_logger()


class Feed:
    """One feed, in one process."""

    def __init__(
        self,
        archive: Archive,
        name: str,
        receiver: Receiver,
        subtypes: Sequence[str] | None = None,
    ) -> None:
        self._archive = archive
        self._name = name
        self._receiver = receiver
        self._subtypes = subtypes
        self._holder = secrets.token_hex(8)
        self._failures = 0
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop, and let another process go on at once."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._receiver.close()
        try:
            async with self._archive.writing() as connection:
                await audit_feeds.release(connection, self._name, self._holder)
        except Exception as error:
            log.warning("audit_feed_not_released", feed=self._name, error=for_log(error))

    async def _run(self) -> None:
        while True:
            try:
                seconds = await self._turn()
            # The database, most often; what was not noted is sent again.
            except Exception as error:
                seconds = self._failed(for_log(error))
            await asyncio.sleep(seconds)

    async def _turn(self) -> float:
        """Send a batch, if it is ours to send and there is one; seconds to wait then."""
        async with self._archive.writing() as connection:
            if not await audit_feeds.hold(
                connection, self._name, self._holder, LEASE_SECONDS, self._subtypes
            ):
                self._failures = 0
                return IDLE_SECONDS
            each = max(EACH >> self._failures, 1)
            records = await audit_feeds.unsent(connection, self._name, each, self._subtypes)
        if not records:
            return IDLE_SECONDS
        sent = await self._receiver.send(records)
        async with self._archive.writing() as connection:
            reached = _reached(records[: sent.records])
            await audit_feeds.advance(connection, self._name, self._holder, reached, sent.failure)
        if sent.failure is not None:
            return self._failed(sent.failure)
        self._failures = 0
        return 0

    def _failed(self, why: str) -> float:
        log.warning("audit_feed_fails", feed=self._name, error=why)
        self._failures += 1
        longest = min(LONGEST_WAIT_SECONDS, IDLE_SECONDS * 2 ** min(self._failures - 1, 10))
        seconds: float = longest * SystemRandom().uniform(0.5, 1.0)
        return seconds


def feeds(archive: Archive) -> list[Feed]:
    """Those of the settings, begun."""
    settings, source = archive.settings.audit, archive.settings.audit_source
    destinations = Destinations.of(archive.settings)
    emergency = archive.settings.emergency
    begun = []
    if settings.syslog is not None:
        syslog = SyslogReceiver(settings.syslog, settings, source, destinations)
        begun.append(Feed(archive, "syslog", syslog))
    if settings.fhir is not None:
        fhir = fhir_receiver(settings.fhir, settings, source, destinations)
        begun.append(Feed(archive, "fhir", fhir))
    if emergency.webhook is not None and emergency.webhook_secret is not None:
        secret = emergency.webhook_secret
        alerts = alert_receiver(emergency.webhook, secret, settings, source, destinations)
        begun.append(Feed(archive, "alerts", alerts, tuple(ALERTS)))
    return begun


def _reached(records: Sequence[StoredRecord]) -> dict[int, int]:
    """The last of each partition, as they come in order."""
    return {record.partition_id: record.sequence for record in records}
