"""What grants call who has a certificate, and to which certificate a token is bound."""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from app.access.certificates import MOST_NAMES, certificate_of
from app.access.grants import SUBJECT
from app.access.oidc.binding import bound_to
from app.errors import Unauthenticated
from tests.fixtures.authority import DAY, Authority

AUTHORITY = Authority()
NAMES = (
    x509.DNSName("CT2.example.org"),
    x509.UniformResourceIdentifier("spiffe://example.org/ct2"),
    x509.RFC822Name("ct2@example.org"),
    x509.IPAddress(ip_address("192.0.2.1")),
)


def test_its_holder_has_the_names_of_subject_and_alternatives() -> None:
    signed = AUTHORITY.sign("CT 2", *NAMES)
    certificate = certificate_of(signed.der)
    number = f"cert:sha256:{sha256(signed.der).hexdigest()}"
    assert certificate.subjects == (
        number,
        "cert:dn:CN=CT 2,O=Hospital",
        "cert:dns:ct2.example.org",
        "cert:uri:spiffe://example.org/ct2",
        "cert:email:ct2@example.org",
    )
    assert certificate.name == f"cert:dn:CN=CT 2,O=Hospital {number}"
    assert all(map(SUBJECT.fullmatch, certificate.subjects))


@pytest.mark.parametrize(
    ("common_name", "written"),
    [
        ("CT,O=Other", "CN=CT\\,O=Other,O=Hospital"),
        ("CT+O=x", "CN=CT\\+O=x,O=Hospital"),
        ("Röntgen 1", "CN=Röntgen 1,O=Hospital"),
        ("#", "CN=\\#,O=Hospital"),
        (" x ", "CN=\\ x\\ ,O=Hospital"),
        ("CT\x00", "CN=CT\\00,O=Hospital"),
    ],
)
def test_a_name_cannot_pretend_to_be_another(common_name: str, written: str) -> None:
    subject = certificate_of(AUTHORITY.sign(common_name).der).subjects[1]
    assert subject == f"cert:dn:{written}"


@pytest.mark.parametrize("common_name", ["CT\n2", "CT\x1b[2J", "CT\x85", "CT\u2028", "CT\u202e2"])
def test_what_would_break_a_line_is_no_name(common_name: str) -> None:
    certificate = certificate_of(AUTHORITY.sign(common_name).der)
    assert len(certificate.subjects) == 1
    assert certificate.name == certificate.subjects[0]


def test_no_name_is_passed_over_however_many_there_are() -> None:
    many = [x509.DNSName(f"host{number}.example") for number in range(MOST_NAMES)]
    assert len(certificate_of(AUTHORITY.sign("x", *many).der).subjects) == MOST_NAMES + 2
    with pytest.raises(ValueError, match="too many names"):
        certificate_of(AUTHORITY.sign("x", *many, x509.DNSName("another.example")).der)


def test_it_is_valid_from_then_until_then() -> None:
    certificate = certificate_of(AUTHORITY.sign("x", begins=-DAY, ends=DAY).der)
    certificate.demand_valid()
    certificate.demand_valid(certificate.begins_at)
    certificate.demand_valid(certificate.ends_at)
    second = timedelta(seconds=1)
    for moment in (certificate.begins_at - second, certificate.ends_at + second):
        with pytest.raises(Unauthenticated):
            certificate.demand_valid(moment)
    assert certificate.ends_at > datetime.now(UTC)


ONE = AUTHORITY.sign("CT 2", *NAMES).der


@given(st.integers(0, len(ONE) - 1), st.integers(0, 255), st.integers(0, len(ONE)))
def test_a_broken_one_is_read_or_refused(place: int, octet: int, length: int) -> None:
    broken = (ONE[:place] + bytes([octet]) + ONE[place + 1 :])[-length:]
    try:
        certificate = certificate_of(broken)
    except ValueError:
        return
    assert certificate.sha256 == sha256(broken).digest()
    assert all(map(SUBJECT.fullmatch, certificate.subjects))
    assert certificate.name.isprintable()


THUMBPRINT = urlsafe_b64encode(sha256(ONE).digest()).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({}, None),
        ({"cnf": None}, None),
        ({"cnf": {}}, None),
        ({"cnf": {"jkt": "x"}}, None),
        ({"cnf": {"x5t#S256": THUMBPRINT}}, sha256(ONE).digest()),
    ],
    ids=range(5),
)
def test_a_token_is_bound_to_the_certificate_that_it_names(
    claims: Mapping[str, Any], expected: bytes | None
) -> None:
    assert bound_to(claims) == expected


@pytest.mark.parametrize(
    "confirmation",
    [
        *("x", 1, [], True, {"x5t#S256": None}, {"x5t#S256": ""}, {"x5t#S256": 7}),
        *({"x5t#S256": THUMBPRINT[:-1]}, {"x5t#S256": THUMBPRINT + "="}),
        *({"x5t#S256": THUMBPRINT + THUMBPRINT}, {"x5t#S256": "ä" * 43}, {"x5t#S256": "+" * 43}),
        *({"x5t#S256": [THUMBPRINT]}, {"x5t#S256": THUMBPRINT[:-2] + "\n" + THUMBPRINT[-2:]}),
    ],
    ids=range(14),
)
def test_a_binding_that_cannot_be_read_is_refused(confirmation: object) -> None:
    with pytest.raises(Unauthenticated):
        bound_to({"cnf": confirmation})
