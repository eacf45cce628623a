"""`Certificate`: who a client certificate says that its holder is, by the names that grants use.

    cert:sha256:0f3a…                  this one certificate, by the SHA-256 of its DER
    cert:dn:CN=CT 2,O=Hospital         whoever has this subject, as RFC 4514 writes it
    cert:dns:ct2.example.org           or one of these alternative names (RFC 5280, 4.2.1.6)
    cert:uri:spiffe://example.org/ct2
    cert:email:ct2@example.org

Numbers and the names of hosts are in lower case.

Whether it is genuine, and whether its holder has its key, has been seen by who ended TLS.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from warnings import catch_warnings, simplefilter

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from app.access.grants import SUBJECT
from app.errors import Unauthenticated

MOST_NAMES = 100
"""Alternative names of one certificate. With more it is refused: one of them may deny something."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A client certificate, as far as it matters here."""

    sha256: bytes
    name: str
    """What logs and the audit call its holder: by the first name that it has, and by the number."""
    subjects: tuple[str, ...]
    """What grants call the holder: this very certificate first."""
    begins_at: datetime
    ends_at: datetime

    def demand_valid(self, now: datetime | None = None) -> None:
        """Return if it is valid at that moment, or now. Raises `Unauthenticated`."""
        if not self.begins_at <= (now or datetime.now(UTC)) <= self.ends_at:
            raise Unauthenticated


@lru_cache(maxsize=1024)
def certificate_of(der: bytes) -> Certificate:
    """What the certificate says. Raises `ValueError` if it is none, or has too many names."""
    try:
        with catch_warnings():
            simplefilter("ignore")  # of what is odd and can be read
            return _read(x509.load_der_x509_certificate(der))
    except (x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ValueError("is no certificate that can be read") from error


def _read(certificate: x509.Certificate) -> Certificate:
    sha256 = certificate.fingerprint(SHA256())
    distinguished = certificate.subject.rfc4514_string()
    named = [f"cert:dn:{distinguished}", *_alternatives(certificate)]
    names = list(filter(_can_be_granted, dict.fromkeys(named)))
    number = f"cert:sha256:{sha256.hex()}"
    return Certificate(
        sha256,
        " ".join([*names[:1], number]),
        (number, *names),
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _can_be_granted(subject: str) -> bool:
    """Whether grants can name it, and it can be shown to people as it is."""
    return SUBJECT.fullmatch(subject) is not None and subject.isprintable()


def _alternatives(certificate: x509.Certificate) -> Iterator[str]:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    if len(extension.value) > MOST_NAMES:
        raise ValueError("has too many names")
    for name in extension.value:
        match name:
            case x509.DNSName(value=value):
                yield f"cert:dns:{value.lower()}"
            case x509.UniformResourceIdentifier(value=value):
                yield f"cert:uri:{value}"
            case x509.RFC822Name(value=value):
                yield f"cert:email:{value}"
