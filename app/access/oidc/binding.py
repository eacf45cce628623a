"""`bound_to`: the certificate without which a token is worth nothing (RFC 8705, 3)."""

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

from app.errors import Unauthenticated

THUMBPRINT = "x5t#S256"
_SHA256 = re.compile(r"[A-Za-z0-9_-]{43}")


def bound_to(claims: Mapping[str, Any]) -> bytes | None:
    """The SHA-256 of the certificate; None for a token of who has it (a bearer).

    Other ways of confirmation are not known here, and passed over (RFC 7800, 3.1). Raises
    `Unauthenticated` if it cannot be read.
    """
    confirmation = claims.get("cnf")
    if confirmation is None:
        return None
    if not isinstance(confirmation, Mapping):
        raise Unauthenticated
    if THUMBPRINT not in confirmation:
        return None
    thumbprint = confirmation[THUMBPRINT]
    if not isinstance(thumbprint, str) or not _SHA256.fullmatch(thumbprint):
        raise Unauthenticated
    return urlsafe_b64decode(thumbprint + "=")
