"""Alerts: that an emergency override was opened or has ended, to a webhook, as it happens.

What is sent is read from the audit, where it stands if and only if it has happened: the records of
these types are the ones that wait (see `app.audit.feeding`). An alert tells identifiers alone, and
no reason, which is a text in which a name may stand; the audit has it, under the record's id.

    POST                          {"type": "emergency-override.started",
    webhook-id: 1-17               "timestamp": "2026-01-02T03:04:05.678900Z",
    webhook-timestamp: 1767323045  "data": {"record": "1-17", "override": 5, …}}
    webhook-signature: v1,…

Headers and signature are those of Standard Webhooks: HMAC-SHA256 over the id, the moment at which
it is sent, and the body, with dots between them. The id is the same however often it comes.
"""

import hmac
import time
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import parse_qsl

import orjson
from pydantic import SecretStr

from app.audit.overrides import STARTED, STOPPED
from app.audit.receivers import SEND_SECONDS, HttpReceiver, tls_of
from app.audit.telling import id_of, instant
from app.index.audits import StoredRecord
from app.outgoing.addresses import Destinations
from app.outgoing.client import client
from app.settings import Audit, webhook_key

ALERTS = {STARTED: "emergency-override.started", STOPPED: "emergency-override.stopped"}


def alert_receiver(
    address: str, secret: SecretStr, settings: Audit, source: str, destinations: Destinations
) -> HttpReceiver:
    """Where each is posted, signed with the secret."""
    key = webhook_key(secret)
    http = client(destinations, seconds=SEND_SECONDS * 2, tls=tls_of(settings))

    def form(record: StoredRecord) -> tuple[bytes, Mapping[str, str]]:
        body = alert_of(record, source)
        return body, signed(id_of(record), body, key, int(time.time()))

    return HttpReceiver(http, address, form)


def alert_of(record: StoredRecord, source: str) -> bytes:
    """The body, in JSON; `source` is what this archive is called."""
    data = {
        "record": id_of(record),
        "source": source,
        "override": record.override,
        "by": record.principal,
        "study_instance_uid": record.study_instance_uid,
        "patient_id": record.patient_id,
        "issuer_of_patient_id": record.issuer_of_patient_id,
        # The subject, and until when.
        **dict(parse_qsl(record.query or "")),
    }
    told = {name: value for name, value in data.items() if value is not None}
    assert record.subtype is not None  # or it would not wait to be sent
    kind = ALERTS[record.subtype]
    return orjson.dumps({"type": kind, "timestamp": instant(record.at), "data": told})


def signed(identity: str, body: bytes, key: bytes, seconds: int) -> dict[str, str]:
    """The headers of a message that is sent at this moment, in seconds since 1970."""
    signature = hmac.digest(key, f"{identity}.{seconds}.".encode() + body, "sha256")
    return {
        "Content-Type": "application/json",
        "webhook-id": identity,
        "webhook-timestamp": str(seconds),
        "webhook-signature": f"v1,{b64encode(signature).decode()}",
    }
