"""Headers with certificates: from whom, how often, and in which form."""

import base64
from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.certificates import Certificate
from app.errors import Unauthenticated
from app.settings import CertificateForm, ClientCertificates
from app.web.client_certificates import certificate_in, from_client_cert, from_pem, from_xfcc
from app.web.proxies import BY_PROXY
from tests.fixtures.authority import DAY, Authority, Signed
from tests.unit.web.asgi import scope

AUTHORITY = Authority()
ONE, OTHER = AUTHORITY.sign("CT 1"), AUTHORITY.sign("CT 2")
EXPIRED = AUTHORITY.sign("CT 3", begins=-2 * DAY, ends=timedelta(seconds=-1))
EARLY = AUTHORITY.sign("CT 4", begins=timedelta(hours=1))
READERS: list[Callable[[str], Certificate]] = [from_client_cert, from_pem, from_xfcc]


def client_cert(signed: Signed) -> str:
    return f":{base64.b64encode(signed.der).decode()}:"


def bare(signed: Signed) -> str:
    """As Traefik has it."""
    return base64.b64encode(signed.der).decode().replace("+", "%2B").replace("/", "%2F")


def xfcc(signed: Signed) -> str:
    return (
        f"By=spiffe://example.org/archive;Hash={signed.sha256.hex()};"
        f'Cert="{signed.escaped}";Subject="CN=a \\"b\\", c;d=e,O=Hospital";URI=spiffe://example.org/ct;'
        "DNS=ct1.example.org;DNS=ct.example.org"
    )


ESCAPED, HASH = ONE.escaped, ONE.sha256.hex()


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (from_client_cert, client_cert(ONE)),
        (from_pem, ESCAPED),
        (from_pem, ESCAPED.replace("%0A", "%20")),
        (from_pem, ESCAPED.replace("%2B", "+").replace("%2F", "/")),
        (from_pem, bare(ONE)),
        (from_xfcc, xfcc(ONE)),
        (from_xfcc, f'cert="{ESCAPED}"'),
        (from_xfcc, f"CERT={ESCAPED};hash={HASH.upper()};"),
    ],
    ids=range(8),
)
def test_the_certificate_is_read(read: Callable[[str], Certificate], value: str) -> None:
    assert read(value).sha256 == ONE.sha256


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (from_client_cert, ""),
        (from_client_cert, ":"),
        (from_client_cert, client_cert(ONE)[:-1]),
        (from_client_cert, client_cert(ONE) + ";a=1"),
        (from_client_cert, f"{client_cert(ONE)}, {client_cert(OTHER)}"),
        (from_client_cert, f":{base64.b64encode(ONE.der + OTHER.der).decode()}:"),
        (from_client_cert, f":{base64.b64encode(ONE.der[:-1]).decode()}:"),
        (from_client_cert, f": {client_cert(ONE)[1:]}"),
        (from_client_cert, f":{base64.urlsafe_b64encode(ONE.der * 2).decode()}:"),
        (from_client_cert, ESCAPED),
        (from_pem, ""),
        (from_pem, ONE.pem),
        (from_pem, ESCAPED + OTHER.escaped),
        (from_pem, f"{bare(ONE)},{bare(OTHER)}"),
        (from_pem, ESCAPED + "%"),
        (from_pem, ESCAPED + "%zz"),
        (from_pem, ESCAPED + "%00"),
        (from_pem, ESCAPED + "%FF"),
        (from_pem, client_cert(ONE)),
        (from_xfcc, ""),
        (from_xfcc, f"Hash={HASH}"),
        (from_xfcc, f'Subject="CN=CT 1,O=Hospital";Hash={HASH}'),
        (from_xfcc, f"{xfcc(ONE)},{xfcc(OTHER)}"),
        (from_xfcc, f'{xfcc(ONE)};Cert="{OTHER.escaped}"'),
        (from_xfcc, f"{xfcc(ONE)};Hash={OTHER.sha256.hex()}"),
        (from_xfcc, f'Cert="{ESCAPED}'),
        (from_xfcc, f'Cert="{ESCAPED}"x'),
        (from_xfcc, f';Cert="{ESCAPED}"'),
        (from_xfcc, f'Subject="\\";Cert="{ESCAPED}"'),
        (from_xfcc, f'Subject="CN=x";Cert="{OTHER.escaped}";Hash={HASH}'),
    ],
    ids=range(30),
)
def test_what_is_not_one_certificate_is_refused(
    read: Callable[[str], Certificate], value: str
) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(value)


@given(st.text(max_size=200), st.sampled_from(READERS))
def test_any_text_is_read_or_refused(value: str, read: Callable[[str], Certificate]) -> None:
    with pytest.raises(ValueError, match=r"."):
        read(value)


VALID = (client_cert(ONE), ESCAPED, xfcc(ONE))


@given(
    st.integers(0, 2),
    st.integers(0, 3000),
    st.integers(0, 3),
    st.text(st.characters(max_codepoint=255), max_size=3),
)
def test_a_broken_header_is_read_or_refused(which: int, place: int, length: int, text: str) -> None:
    """Where it has a hash, as the certificate that this is of."""
    valid = VALID[which]
    place %= len(valid)
    try:
        certificate = READERS[which](valid[:place] + text + valid[place + length :])
    except ValueError:
        return
    if READERS[which] is from_xfcc and place >= valid.index(";Cert="):
        assert certificate.sha256 == ONE.sha256


def found(
    *headers: tuple[str, str],
    form: str = "client-cert",
    header: str | None = None,
    by_proxy: bool = True,
    configured: bool = True,
) -> Certificate | None:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    settings = ClientCertificates(form=CertificateForm(form), header=header)
    asked = scope(headers=raw, state={BY_PROXY: True} if by_proxy else {})
    return certificate_in(asked, settings if configured else None)


@pytest.mark.parametrize(
    ("header", "value", "form"),
    [
        ("Client-Cert", client_cert(ONE), "client-cert"),
        ("X-Forwarded-Client-Cert", xfcc(ONE), "xfcc"),
        ("X-SSL-Client-Cert", ESCAPED, "pem"),
    ],
    ids=["client-cert", "xfcc", "pem"],
)
def test_a_trusted_proxy_tells_by_the_header_of_its_form(
    header: str, value: str, form: str
) -> None:
    certificate = found((header, value), form=form)
    assert certificate is not None
    assert certificate.sha256 == ONE.sha256
    assert found((header, value), form=form, by_proxy=False) is None
    assert found((header, value), form=form, configured=False) is None
    assert found((header, value), form=form, header="X-Other") is None
    assert found(("X-Other", value), form=form, header="X-Other") == certificate
    for other in {"client-cert", "xfcc", "pem"} - {form}:
        assert found((header, value), form=other) is None


@pytest.mark.parametrize("value", ["", " ", "::"])
def test_a_caller_without_a_certificate_has_none(value: str) -> None:
    assert found(("Client-Cert", value)) is None
    assert found() is None


@pytest.mark.parametrize(
    "headers",
    [
        [("Client-Cert", client_cert(ONE)), ("Client-Cert", client_cert(ONE))],
        [("Client-Cert", client_cert(ONE)), ("Client-Cert", client_cert(OTHER))],
        [("Client-Cert", ""), ("Client-Cert", client_cert(OTHER))],
        [("Client-Cert", client_cert(ONE)), ("Client_Cert", client_cert(OTHER))],
        [("Client_Cert", client_cert(ONE))],
        [("Client_Cert", "")],
        [("Client-Cert", client_cert(EXPIRED))],
        [("Client-Cert", client_cert(EARLY))],
        [("Client-Cert", "nonsense")],
        [("Client-Cert", "\xff")],
    ],
    ids=range(10),
)
def test_what_a_caller_may_have_added_is_refused(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(Unauthenticated):
        found(*headers)
    assert found(*headers, by_proxy=False) is None
