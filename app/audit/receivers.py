"""`Receiver`: where the records of the audit are sent.

A receiver tells how many of the records it was handed are surely there, from the first on. What it
does not tell of is sent again, so that it may come twice, and is never lost or out of order.
"""

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import httpx
import orjson

from app.audit.fhir import MEDIA_TYPE, audit_event_of
from app.index.audits import StoredRecord
from app.outgoing.addresses import AddressRefused, Destinations
from app.outgoing.client import client
from app.settings import Audit

SEND_SECONDS = 4.0
"""For each step of sending; all of them together take less than the lease of a feed."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How many records have arrived, and why not all, if that is a failure."""

    records: int
    failure: str | None = None


class Receiver(Protocol):
    """Somewhere to send records to. Raises nothing."""

    async def send(self, records: Sequence[StoredRecord]) -> Sent:
        """Send them in their order, or the first ones, before the lease of the feed is over."""

    async def close(self) -> None:
        """Let go of connections."""


Form = Callable[[StoredRecord], tuple[bytes, Mapping[str, str]]]
"""Makes of a record the body and the headers of a request."""


def tls_of(settings: Audit) -> ssl.SSLContext:
    """Whom we believe, and who we are."""
    context = ssl.create_default_context(cafile=settings.authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.certificate_key)
    return context


class HttpReceiver:
    """A server to which each record is posted by itself, in a form of its own."""

    def __init__(self, http: httpx.AsyncClient, address: str, form: Form) -> None:
        self._http = http
        self._address = address
        self._form = form

    async def send(self, records: Sequence[StoredRecord]) -> Sent:
        """One request each; another answer than success stops it."""
        until = time.monotonic() + SEND_SECONDS
        for number, record in enumerate(records):
            if number and time.monotonic() > until:
                return Sent(number)
            content, headers = self._form(record)
            try:
                async with self._http.stream(
                    "POST", self._address, content=content, headers=headers
                ) as answer:
                    if not answer.is_success:
                        return Sent(number, f"answered with HTTP status {answer.status_code}")
            except AddressRefused as error:
                return Sent(number, str(error))
            except httpx.HTTPError as error:
                return Sent(number, type(error).__name__)
        return Sent(len(records))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def fhir_receiver(
    base: str, settings: Audit, source: str, destinations: Destinations
) -> HttpReceiver:
    """A FHIR server, to which each record is posted as an AuditEvent (ITI-20, RESTful)."""
    token = settings.fhir_token
    bearer = {"Authorization": f"Bearer {token.get_secret_value()}"} if token else {}
    http = client(
        destinations,
        seconds=SEND_SECONDS * 2,
        tls=tls_of(settings),
        headers=bearer | {"Content-Type": MEDIA_TYPE, "Prefer": "return=minimal"},
    )

    def form(record: StoredRecord) -> tuple[bytes, Mapping[str, str]]:
        return orjson.dumps(audit_event_of(record, source)), {}

    return HttpReceiver(http, base.rstrip("/") + "/AuditEvent", form)
