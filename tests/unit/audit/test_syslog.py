"""Framing of audit messages for syslog (RFC 5424, RFC 5425), and where they may be sent."""

import pytest
from pydantic import ValidationError

from app.audit.message import message_of
from app.audit.syslog import frame_of
from app.settings import Audit
from tests.unit.audit.records import record


def test_the_length_counts_bytes_and_the_text_is_utf_8() -> None:
    told = record(principal="Günther", reason="Notfall – größte Eile")
    frame = frame_of(told, "archive", "host")
    length, _, message = frame.partition(b" ")
    assert int(length) == len(message) > len(message.decode())
    head = b"<85>1 2026-01-02T03:04:05.678901Z host hilum "
    assert message.startswith(head)
    assert message.endswith(b" DICOM+RFC3881 - \xef\xbb\xbf" + message_of(told, "archive"))


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("syslog", "siem.example.org:6514"),
        ("syslog", "udp://siem.example.org"),
        ("syslog", "tls://"),
        ("fhir", "http://audit.example.org/fhir"),
        ("fhir", "audit.example.org"),
    ],
)
def test_nothing_is_sent_in_the_clear(name: str, address: str) -> None:
    with pytest.raises(ValidationError):
        Audit.model_validate({name: address})
