"""The chain can be done again by anybody who has SHA-256 and JSON."""

import hashlib
import json
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from app.audit import chain
from app.audit.event import AuditEvent

RECORD = AuditEvent(
    partition_id=1,
    at=datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=UTC),
    request_id="r1",
    event="110104",
    action="R",
    outcome=0,
    principal="viewer",
    client_address="192.0.2.1",
    method="GET",
    path="/dicomweb/studies/1.2",
    query="PatientID=Ä",
    status=200,
    study_instance_uid="1.2",
    series_instance_uid=None,
    sop_instance_uid=None,
)


def test_a_record_is_sealed_as_the_documentation_says() -> None:
    values = asdict(RECORD) | {"at": "2026-01-02T03:04:05.000600Z"}
    values = {name: value for name, value in values.items() if name not in chain.LATER}
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert chain.canonical(RECORD) == text.encode()
    first = hashlib.sha256(b"hilum audit, partition 1").digest()
    expected = hashlib.sha256(first + hashlib.sha256(text.encode()).digest()).digest()
    assert chain.link(chain.genesis(1), chain.digest(RECORD)) == expected


@pytest.mark.parametrize("name", [field.name for field in fields(AuditEvent)])
def test_no_field_can_change_without_its_digest(name: str) -> None:
    value: Any = getattr(RECORD, name)
    match value:
        case int():
            other: Any = value + 1
        case datetime():
            other = value + timedelta(microseconds=1)
        case _:
            other = f"{value}x"
    assert chain.digest(replace(RECORD, **{name: other})) != chain.digest(RECORD)


def test_a_moment_has_one_form_whatever_its_zone() -> None:
    elsewhere = RECORD.at.astimezone(timezone(timedelta(hours=5)))
    assert chain.digest(replace(RECORD, at=elsewhere)) == chain.digest(RECORD)


def test_a_record_of_before_a_field_was_there_keeps_its_hash() -> None:
    """As `hilum audit verify` computes it of a record that was written long ago."""
    told = (
        b'{"action":"R","at":"2026-01-02T03:04:05.000600Z","client_address":"192.0.2.1",'
        b'"event":"110104","method":"GET","outcome":0,"partition_id":1,'
        b'"path":"/dicomweb/studies/1.2","principal":"viewer","query":"PatientID=\xc3\x84",'
        b'"request_id":"r1","series_instance_uid":null,"sop_instance_uid":null,"status":200,'
        b'"study_instance_uid":"1.2"}'
    )
    assert chain.digest(RECORD) == hashlib.sha256(told).digest()


def test_the_patients_of_a_list_are_sealed_as_they_come_back() -> None:
    several = [{"id": "P1", "issuer": ""}, {"id": "Ä", "issuer": "A"}]
    back = json.loads(json.dumps([dict(reversed(one.items())) for one in several]))
    record = replace(RECORD, patients=several)
    assert b'"patients":[{"id":"P1","issuer":""},{"id":"\xc3\x84","issuer":"A"}]' in (
        chain.canonical(record)
    )
    assert chain.digest(replace(RECORD, patients=back)) == chain.digest(record)
    assert chain.digest(replace(RECORD, patients=several[:1])) != chain.digest(record)


def test_nothing_and_the_word_for_it_differ() -> None:
    assert chain.digest(replace(RECORD, query=None)) != chain.digest(replace(RECORD, query="null"))
