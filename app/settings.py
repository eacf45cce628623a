"""`Settings`: everything that an operator can set, from the environment or a `.env` file.

Built once where the program starts and passed in from there; there is no global instance.
`HILUM_PORT=9000` sets `port`, `HILUM_LIMITS__INSTANCE_BYTES=1000000` sets `limits.instance_bytes`.
"""

import os
from base64 import b64decode
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

KIB, MIB, GIB = 1024, 1024**2, 1024**3
MEMORY = "memory://"
MOST_WORKERS = 4
"""More, on a large machine, are for its operator to ask for."""


_CHARACTER_SET = r"^(ISO_IR (192|100|101|109|110|144|127|126|138|148|203|13|166)|GB18030|GBK)$"
"""Those of PS3.3 C.12.1.1.2 that need no code extensions."""
_PRINTABLE = r"^[ -\[\]-~]{1,64}$"
"""A value of an LO, in ASCII."""


class Duplicates(StrEnum):
    """What becomes of an instance whose UID is stored already, with other content."""

    REJECT = "reject"
    REPLACE = "replace"
    KEEP = "keep"


class ForwardedHeaders(StrEnum):
    """The headers by which a proxy tells whom it asks for, and how it was reached."""

    X_FORWARDED = "x-forwarded"
    FORWARDED = "forwarded"


class CertificateForm(StrEnum):
    """How a proxy tells of the certificate that a caller came with."""

    CLIENT_CERT = "client-cert"
    XFCC = "xfcc"
    PEM = "pem"


class Limits(BaseModel):
    """Upper bounds of what one request may cost. Sizes in bytes, times in seconds."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    request_bytes: PositiveInt = 64 * GIB
    """body of one Store request"""
    small_request_bytes: PositiveInt = MIB
    """body of any other request, which is kept in memory"""
    request_parts: PositiveInt = 10_000
    """instances in one Store request"""
    part_header_bytes: PositiveInt = 16 * KIB
    """headers of one part of a message"""
    part_header_lines: PositiveInt = 32
    """lines of them"""
    uri_bytes: PositiveInt = 32 * KIB
    """address of a request, with its query; 5,000 numbers of frames up to 99,999 fit"""
    request_header_bytes: PositiveInt = 32 * KIB
    """headers of a request"""
    request_header_lines: PositiveInt = 100
    """lines of them"""
    instance_bytes: PositiveInt = 16 * GIB
    """one instance"""
    inflated_bytes: PositiveInt = 4 * GIB
    """a deflated data set, inflated"""
    inflated_freely_bytes: PositiveInt = 768 * MIB
    """the same, however small the instance is; an empty mask shrinks to a five-hundredth"""
    inflated_ratio: PositiveInt = 40
    """beyond these, inflated bytes for each byte of the instance"""
    metadata_bytes: PositiveInt = 4 * MIB
    """one data set in JSON, with a value for 7 of them at most, or XML; all names of bulk data"""
    header_bytes: PositiveInt = 64 * MIB
    """non-bulk bytes of one instance"""
    nesting: PositiveInt = 64
    """depth of sequences in sequences"""
    elements_per_level: PositiveInt = 20_000
    """data elements of one data set or item"""
    elements: PositiveInt = 4_000_000
    """data elements of one instance"""
    fragments: PositiveInt = 1_000_000
    """fragments of compressed pixel data of one instance"""
    items_per_sequence: PositiveInt = 250_000
    """items of one sequence"""
    spool_memory_bytes: PositiveInt = 1 * MIB
    """a part beyond this goes to disk"""
    search_results: PositiveInt = 1_000
    """results of one page"""
    search_keys: PositiveInt = 64
    """attributes that one search may match"""
    search_offset: PositiveInt = 1_000_000
    """results that one search may skip"""
    frames_per_request: PositiveInt = 5_000
    """frames that one request may name"""
    rendered_frames: PositiveInt = 1_000
    """images of one rendered answer: of a study or a series, or frames of an animation"""
    rendered_pixels: PositiveInt = 64_000_000
    """pixels of one rendered image"""
    requests_per_second: NonNegativeInt = 0
    """of one caller, in one process; 0 for any number"""
    concurrent_stores: PositiveInt = 16
    """Store requests at work, in one process"""
    concurrent_reads: PositiveInt = 32
    """whole studies or series being sent, by one process"""
    concurrent_renders: PositiveInt = 4
    """frames being decoded for one process, each in a process of its own"""
    render_seconds: PositiveInt = 20
    """decoding and rendering of one frame"""
    render_memory_bytes: PositiveInt = 2 * GIB
    """memory for decoding and rendering one frame"""
    cache_bytes: NonNegativeInt = 1 * GIB
    """rendered images kept in the data folder of one machine, for a day; 0 keeps none"""
    queue_seconds: PositiveFloat = 5
    """wait for a turn before answering 503"""
    head_seconds: PositiveFloat = 10
    """a request whose headers are not complete by then is given up"""
    body_idle_seconds: PositiveFloat = 30
    """a body in which nothing comes is given up"""
    stall_seconds: PositiveFloat = 30
    """an answer of which too little is taken in this time is given up"""
    slowest_bytes_per_second: PositiveInt = 1 * KIB
    """too little, of a body in a minute and of an answer in the time above"""
    statement_seconds: PositiveFloat = 30
    """one database statement"""


Algorithm = Literal[
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "Ed25519",
]
"""Signatures that need a key which only the signer has."""


def is_protected(address: str) -> bool:
    """Whether what goes to this address is protected by TLS or never leaves this machine."""
    parts = urlsplit(address)
    if parts.scheme == "http":
        return parts.hostname in {"127.0.0.1", "::1", "localhost"}
    return parts.scheme == "https" and bool(parts.hostname)


def _safe(address: str | None) -> str | None:
    if address is not None and not is_protected(address):
        raise ValueError("has to begin with https://")
    return address


def webhook_key(secret: SecretStr) -> bytes:
    """The bytes that a secret of Standard Webhooks stands for; none if it is no such secret."""
    prefix, _, key = secret.get_secret_value().partition("_")
    try:
        return b64decode(key, validate=True) if prefix == "whsec" else b""
    except ValueError:
        return b""


class Oidc(BaseModel):
    """An identity provider whose access tokens are taken besides the archive's own."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    issuer: str
    """address of the provider, as its tokens have it in `iss`"""
    audience: str
    """what its tokens for this archive have in `aud`"""
    algorithms: list[Algorithm] = ["RS256"]
    """by which it signs; a key is used for those that it fits"""
    jwks_url: str | None = None
    """where its keys are; without it, where its own description says"""
    partition: str = "default"
    """the tenant that its users work in"""
    roles_claim: str = "roles"
    """claim with the roles of the user"""
    patient_claim: str = "patient"
    """claim with the Patient ID in context, for the scopes `patient/…` of SMART on FHIR"""
    patient_issuer: str | None = None
    """Issuer of Patient ID of these; without it, any"""
    introspection_url: str | None = None
    """where it is asked about tokens that say nothing by themselves (RFC 7662)"""
    client_id: str | None = None
    """who asks there"""
    client_secret: SecretStr | None = None
    """by what secret"""

    _are_safe = field_validator("issuer", "jwks_url", "introspection_url")(_safe)
    """What decides who is let in comes over TLS, or from this very machine."""


class ClientCertificates(BaseModel):
    """Certificates that callers have, as the trusted proxies tell of them (mutual TLS)."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    form: CertificateForm
    """`client-cert` (RFC 9440), `xfcc` (Envoy) or `pem` (percent-encoded, as of nginx)"""
    header: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")] | None = None
    """that has it; by form Client-Cert, X-Forwarded-Client-Cert or X-SSL-Client-Cert"""
    alone: bool = False
    """whether who has a certificate and no token is let in, to what grants of `cert:…` allow"""
    partition: str = "default"
    """the tenant that they work in"""
    roles: list[str] = []
    """that they all have"""


class Sharing(BaseModel):
    """Links by which studies are shared with people who have no token."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    longest_days: PositiveInt = 90
    """how long a link may hold, and holds if nothing else is asked"""
    session_seconds: PositiveInt = 3600
    """how long what a link was exchanged for lets in"""
    studies: PositiveInt = 100
    """studies of one link"""
    password_guesses: PositiveInt = 5
    """passwords that may be tried in a minute at one link"""


class Emergency(BaseModel):
    """Emergency overrides, by which who may break the glass opens what is closed to them."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    minutes: PositiveInt = 30
    """how long one holds if nothing else is asked"""
    longest_minutes: PositiveInt = 240
    """how long one may hold"""
    overrides_per_hour: PositiveInt = 20
    """that one caller may open"""
    webhook: str | None = None
    """where it is alerted of each that is opened or ends, by POST"""
    webhook_secret: SecretStr | None = None
    """by which that is signed: `whsec_` and 24 to 64 bytes in Base64"""

    _is_private = field_validator("webhook")(_safe)

    @field_validator("webhook_secret")
    @classmethod
    def _is_secret(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None and not 24 <= len(webhook_key(secret)) <= 64:
            raise ValueError("has to be whsec_ and 24 to 64 bytes in Base64")
        return secret

    @model_validator(mode="after")
    def _is_signed(self) -> Self:
        if self.webhook is not None and self.webhook_secret is None:
            raise ValueError("webhook needs webhook_secret")
        return self


class Audit(BaseModel):
    """Where the records of the audit are sent, besides being kept."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    syslog: str | None = None
    """`tls://host:6514`: audit messages of DICOM, by syslog over TLS (RFC 5425)"""
    fhir: str | None = None
    """base of a FHIR server, to which AuditEvent are posted (IHE ITI-20)"""
    fhir_token: SecretStr | None = None
    """bearer token for it"""
    authorities: Path | None = None
    """PEM file of who vouches for their certificates; without it, whom the system trusts"""
    certificate: Path | None = None
    """PEM file of our own, with its chain, for receivers that ask for one"""
    certificate_key: Path | None = None
    """PEM file of its key, if not in the same"""

    @field_validator("syslog")
    @classmethod
    def _is_syslog(cls, address: str | None) -> str | None:
        if address is not None:
            parts = urlsplit(address)
            if parts.scheme != "tls" or not parts.hostname or parts.port == 0:
                raise ValueError("has to be tls://host:port")
        return address

    _is_private = field_validator("fhir")(_safe)


class Settings(BaseSettings):
    """The archive's settings; each has a default with which one machine works."""

    model_config = SettingsConfigDict(
        env_prefix="HILUM_",
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",
        use_attribute_docstrings=True,
    )

    host: str = "127.0.0.1"
    """address to listen on; 0.0.0.0 for all"""
    port: Annotated[int, Field(ge=0, le=65535)] = 8080
    """port to listen on; 0 takes a free one"""
    workers: PositiveInt | None = None
    """processes that serve; without it one for each core, up to four"""
    data_dir: Path = Path("data")
    """folder of the embedded database and of the blobs"""
    public_url: str | None = None
    """origin (and prefix) of the archive as callers see it, for example behind a proxy"""
    trusted_proxies: list[IPv4Network | IPv6Network] = []
    """addresses or networks of proxies whose word on the caller's and our address is taken"""
    forwarded_headers: ForwardedHeaders = ForwardedHeaders.X_FORWARDED
    """by which they tell: `x-forwarded` (X-Forwarded-For, -Proto, -Host, …) or `forwarded`"""
    outgoing_networks: list[IPv4Network | IPv6Network] = []
    """networks that are not public, and have servers that Hilum calls: `["10.0.0.0/8"]`"""
    database_url: SecretStr | None = None
    """`postgresql://user:password@host/database`; without it an embedded PostgreSQL runs"""
    database_connections: Annotated[int, Field(ge=2)] = 10
    """connections to the database, of one process"""
    blobs_url: str | None = None
    """`file:///folder`, `memory://` or `s3://bucket/prefix`; without it the data folder"""
    admin_token: SecretStr | None = None
    """the first administrator's access token, used at the first start; without it one is made"""
    development: bool = False
    """whoever asks from this machine without a token administrates; it must listen there alone"""
    coerce_issuer_of_patient_id: Annotated[str, Field(pattern=_PRINTABLE)] | None = None
    """set in what is stored with a Patient ID and no Issuer of Patient ID"""
    coerce_character_set: Annotated[str, Field(pattern=_CHARACTER_SET)] | None = None
    """declared in what is stored with text that does not fit the character set it declares"""
    duplicates: Duplicates = Duplicates.REJECT
    """other content under a stored UID: `reject`, `replace` by a new version, or `keep` the old"""
    cors_origins: list[str] = ["*"]
    """origins of browser viewers; * for any"""
    audit_source: Annotated[str, Field(pattern=_PRINTABLE)] = "hilum"
    """what this archive is called where audits are gathered"""
    log_format: Literal["auto", "console", "json"] = "auto"
    """lines for people or for machines; `auto`: for people if they go to a terminal"""
    session_seconds: Annotated[int, Field(gt=0, le=24 * 3600)] = 1800
    """for which a browser may look with a cookie that was had for a token"""
    oidc: Oidc | None = None
    """see `Oidc`"""
    client_certificates: ClientCertificates | None = None
    """see `ClientCertificates`"""
    audit: Audit = Audit()
    """see `Audit`"""
    sharing: Sharing = Sharing()
    """see `Sharing`"""
    emergency: Emergency = Emergency()
    """see `Emergency`"""
    limits: Limits = Limits()
    """see `Limits`"""

    @model_validator(mode="after")
    def _certificates_come_by_proxies(self) -> "Settings":
        if self.client_certificates is not None and not self.trusted_proxies:
            raise ValueError("HILUM_CLIENT_CERTIFICATES needs HILUM_TRUSTED_PROXIES")
        return self

    @property
    def processes(self) -> int:
        """How many processes serve. Blobs in memory are those of one."""
        if self.workers is not None:
            return self.workers
        if self.blobs_url == MEMORY:
            return 1
        return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


GROUPS: dict[str, type[BaseModel]] = {
    "oidc": Oidc,
    "client_certificates": ClientCertificates,
    "audit": Audit,
    "sharing": Sharing,
    "emergency": Emergency,
    "limits": Limits,
}
"""Settings that are a group of their own, each with a name of two parts."""
