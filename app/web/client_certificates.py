"""`certificate_in`: the client certificate with which a caller has come to a trusted proxy.

    client-cert    Client-Cert: :MIIB…:                                       RFC 9440
    xfcc           X-Forwarded-Client-Cert: Hash=…;Cert="…";Subject="…"       Envoy
    pem            X-SSL-Client-Cert: -----BEGIN%20CERTIFICATE-----%0AMIIB…   nginx

Rules:
- Only what comes straight from a trusted proxy is looked at, and of it the one header that is
  configured. To others it is as if it were not there.
- It comes once, under its very name, and tells of one certificate. What is more, or spelt with an
  underscore, is what the proxy has not taken away of a caller's own: that is refused, as is what
  cannot be read, and a certificate that is not valid now.
- Everything is read from the certificate itself. What a header says of it besides has to agree.
"""

import base64
import re
from collections.abc import Callable
from urllib.parse import unquote

from starlette.types import Scope

from app.access.certificates import Certificate, certificate_of
from app.errors import Unauthenticated
from app.settings import CertificateForm, ClientCertificates
from app.web.proxies import BY_PROXY

NONE = ("", "::")
"""What proxies send for a caller without a certificate, if they send anything."""

_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_ESCAPED = re.compile(r"(?:[!-$&-~]|%[0-9A-Fa-f]{2})+")
_PAIR = re.compile(r'([A-Za-z]+)=(?:"((?:[^"\\]|\\.)*)"|([^",;=]*))(;|$)')


def certificate_in(scope: Scope, settings: ClientCertificates | None) -> Certificate | None:
    """The certificate; None if there is none, or nobody who may tell of it.

    Raises `Unauthenticated`, whatever is wrong with it.
    """
    if settings is None or not scope["state"].get(BY_PROXY):
        return None
    wanted = (settings.header or _HEADERS[settings.form]).lower().encode()
    told = [
        (name, value)
        for name, value in scope["headers"]
        if name.replace(b"_", b"-") == wanted.replace(b"_", b"-")
    ]
    if not told:
        return None
    if len(told) > 1 or told[0][0] != wanted:
        raise Unauthenticated
    value = told[0][1].decode("latin-1").strip(" \t")
    if value in NONE:
        return None
    try:
        certificate = _READERS[settings.form](value)
    except ValueError as error:
        raise Unauthenticated from error
    certificate.demand_valid()
    return certificate


def from_client_cert(value: str) -> Certificate:
    """Of a byte sequence of structured fields (RFC 8941, 3.3.5). Raises `ValueError`."""
    if len(value) < 2 or value[0] != ":" or value[-1] != ":":
        raise ValueError("is no byte sequence")
    return certificate_of(base64.b64decode(value[1:-1], validate=True))


def from_pem(value: str) -> Certificate:
    """Of PEM with percent-encoding, with or without its first and last line.

    Raises `ValueError`.
    """
    if not _ESCAPED.fullmatch(value):
        raise ValueError("is not percent-encoded")
    text = unquote(value, "ascii", "strict").strip().removeprefix(_BEGIN).removesuffix(_END)
    return certificate_of(base64.b64decode("".join(text.split()), validate=True))


def from_xfcc(value: str) -> Certificate:
    """Of the one element that there may be, with the whole certificate. Raises `ValueError`."""
    pairs: list[tuple[str, str]] = []
    position = 0
    while position < len(value) or not pairs:
        pair = _PAIR.match(value, position)
        if pair is None:
            raise ValueError("is not one element")
        quoted, bare = pair[2], pair[3]
        text = bare if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        pairs.append((pair[1].lower(), text))
        position = pair.end()
    certificates = [text for name, text in pairs if name == "cert"]
    if len(certificates) != 1:
        raise ValueError("does not have one certificate")
    certificate = from_pem(certificates[0])
    if any(text.lower() != certificate.sha256.hex() for name, text in pairs if name == "hash"):
        raise ValueError("has the hash of another certificate")
    return certificate


_HEADERS = {
    CertificateForm.CLIENT_CERT: "Client-Cert",
    CertificateForm.XFCC: "X-Forwarded-Client-Cert",
    CertificateForm.PEM: "X-SSL-Client-Cert",
}
_READERS: dict[CertificateForm, Callable[[str], Certificate]] = {
    CertificateForm.CLIENT_CERT: from_client_cert,
    CertificateForm.XFCC: from_xfcc,
    CertificateForm.PEM: from_pem,
}
