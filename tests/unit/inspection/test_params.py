"""What is asked of the audit is understood wholly or refused."""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import BadRequest
from app.index.audit_search import Begins, Condition, OfKind, OfPatient, OneOf, Outside
from app.inspection.params import COUNT, MOST, after, read

PARTITION = 3


@pytest.mark.parametrize(
    ("query", "condition"),
    [
        ("agent=viewer", OneOf("principal", ["viewer"])),
        ("agent.identifier=a,b", OneOf("principal", ["a", "b"])),
        ("agent:identifier=%7Ca", OneOf("principal", ["a"])),
        ("agent=a%5C,b", OneOf("principal", ["a,b"])),
        ("agent=a%5C%7Cb", OneOf("principal", ["a|b"])),
        ("agent=a%5C%5C,b", OneOf("principal", ["a\\", "b"])),
        ("agent=a%5Cb", OneOf("principal", ["a\\b"])),
        ("address=192.0.2.,fe80:", Begins("client_address", ["192.0.2.", "fe80:"])),
        ("address:exact=192.0.2.1", OneOf("client_address", ["192.0.2.1"])),
        ("patient=P1", OfPatient([("P1", None)])),
        ("patient.identifier=urn:oid:1.2.40%7CP1", OfPatient([("P1", "1.2.40")])),
        ("patient.identifier=St.%20E%7CP1,%7CP2", OfPatient([("P1", "St. E"), ("P2", "")])),
        ("patient=P%5C%7C1", OfPatient([("P|1", None)])),
        ("patient=St%5C%7CE%7CP%5C%7C1,%7CP%5C,2", OfPatient([("P|1", "St|E"), ("P,2", "")])),
        ("entity=1.2.3", OneOf("study_instance_uid", ["1.2.3"])),
        (
            "entity.identifier=urn:dicom:uid%7Curn:oid:1.2.3",
            OneOf("study_instance_uid", ["1.2.3"]),
        ),
        ("action=C,R", OneOf("action", ["C", "R"])),
        ("outcome=8", OneOf("outcome", [8])),
        (
            "outcome=http://terminology.hl7.org/CodeSystem/audit-event-outcome%7C4",
            OneOf("outcome", [4]),
        ),
        ("type=110114", OfKind([("110114", action) for action in "CRUDE"])),
        ("subtype=110104", OfKind([("110104", action) for action in "CRU"], ["110104"])),
        ("subtype=http://hl7.org/fhir/restful-interaction%7Cdelete", OfKind([("110105", "D")], [])),
        ("type=nothing", OfKind([], ())),
        (
            "date=ne2026",
            Outside(datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)),
        ),
        ("_id=3-17,4-18,x", OneOf("sequence", [17])),
    ],
)
def test_a_parameter_is_a_condition(query: str, condition: Condition) -> None:
    wanted = read(query.encode(), PARTITION).wanted
    assert list(wanted.conditions) == [condition]
    assert (wanted.partition_id, wanted.limit) == (PARTITION, COUNT)


def test_parameters_that_are_repeated_narrow() -> None:
    wanted = read(b"action=C&action=R&date=ge2026&date=lt2027", PARTITION).wanted
    assert len(wanted.conditions) == 2
    assert (wanted.since, wanted.until) == (
        datetime(2026, 1, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


@pytest.mark.parametrize(
    "query",
    [
        *("nothing=1", "agent.name=x", "action.identifier=R", "date:missing=true", "patient="),
        *("date=x", "action=X", "outcome=1", "entity=x", "entity=urn:x%7C1.2", "_count=-1"),
        *("_count=x", "_after=x", "_after=1", "_format=xml", "agent=%00", "_sort=date"),
        *(
            "_after=99999999999999999-1",
            "agent=" + ",".join("x" * 65),
            "&".join(["date=2026"] * 65),
        ),
        *("=", "x", "agent=%FF", "_count=٣", "address=", "address=1,", "address.exact=1"),
        *("outcome=urn:x%7C0", "action=urn:x%7CR", "_id=" + ",".join(["3-1"] * 65)),
    ],
)
def test_what_is_not_understood_is_refused(query: str) -> None:
    with pytest.raises(BadRequest):
        read(query.encode(), PARTITION)


def test_the_order_there_is_may_be_asked_for() -> None:
    assert read(b"_sort=-date&_count=7", PARTITION).kept == (("_sort", "-date"), ("_count", "7"))


def test_pages_are_bounded() -> None:
    assert read(b"_count=100000", PARTITION).wanted.limit == MOST
    assert read(b"_count=0", PARTITION).wanted.limit == 0


@given(st.integers(0, 2**52), st.integers(1, 10**17))
def test_a_place_is_read_as_it_was_written(microseconds: int, sequence: int) -> None:
    place = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds), sequence
    assert read(f"_after={after(*place)}".encode(), PARTITION).wanted.after == place


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=4))
def test_whatever_is_asked_is_understood_or_refused(pairs: list[tuple[str, str]]) -> None:
    query = urlencode(
        [(k.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for k, v in pairs]
    )
    try:
        read(query.encode(), PARTITION)
    except BadRequest:
        return
    assert set(dict(pairs)) <= {"_format", *("date", "agent", "address", "patient", "entity")} | {
        *("action", "outcome", "type", "subtype", "_id", "_count", "_after")
    }
