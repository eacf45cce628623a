"""`Provider`: from a token of the identity provider to what the archive knows of its holder.

The holder is restricted: sees what grants let `user:SUBJECT` see, and each role that the provider
tells, and no more than the scopes allow. By its scopes it has the role `smart-patient`,
`smart-user` or `smart-system`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.access.grants import NAME, SUBJECT, subject_of_role
from app.access.oidc.asking import Introspection
from app.access.oidc.binding import bound_to
from app.access.oidc.keys import FETCH_SECONDS, Keys
from app.access.oidc.smart import Allowed, allowed_by
from app.access.oidc.tokens import looks_signed, verified
from app.dicom import normal
from app.errors import Forbidden, Unauthenticated
from app.outgoing.addresses import Destinations
from app.outgoing.client import client
from app.settings import Oidc

MOST_ROLES = 100
"""Who has more is not let in: what the others deny would be allowed."""


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a token is of, and until when."""

    name: str
    subjects: tuple[str, ...]
    allowed: Allowed
    patient_id: str | None
    """The patient in context; None if there is none."""
    purpose: str | None
    expires_at: float
    """Seconds since 1970."""
    bound_to: bytes | None
    """SHA-256 of the certificate that has to come with the token, if one has."""


class Provider:
    """The identity provider of the settings, as one process knows it."""

    def __init__(self, settings: Oidc, destinations: Destinations) -> None:
        self._settings = settings
        self._http = client(destinations, seconds=FETCH_SECONDS)
        self._keys = Keys(settings, self._http)
        self._introspection = Introspection(settings, self._http)

    def could_know(self, token: str) -> bool:
        """Whether the token may be one of the provider's."""
        return looks_signed(token) or self._settings.introspection_url is not None

    async def known(self, token: str, address: str) -> Known:
        """Whose token it is that came from this address.

        Raises `Unauthenticated`, `Forbidden`, `ProviderUnavailable` and `TooBusy`.
        """
        if looks_signed(token):
            claims = await verified(token, self._keys, self._settings)
        else:
            claims = await self._introspection.asked(token, address)
        return self._known(claims)

    def _known(self, claims: Mapping[str, Any]) -> Known:
        subject = f"user:{claims['sub']}"
        if not SUBJECT.fullmatch(subject):
            raise Unauthenticated
        allowed = allowed_by(_words(claims.get("scope")))
        roles = [role for role in _words(claims.get(self._settings.roles_claim)) if _is_name(role)]
        if len(roles) > MOST_ROLES:
            raise Forbidden(f"The access token has more than {MOST_ROLES} roles.")
        roles += [f"smart-{context}" for context in sorted(allowed.contexts)]
        patient = claims.get(self._settings.patient_claim)
        purpose = claims.get("purpose_of_use")
        return Known(
            claims["sub"],
            (subject, *map(subject_of_role, dict.fromkeys(roles))),
            allowed,
            normal.text(patient) if isinstance(patient, str) else None,
            purpose if isinstance(purpose, str) and purpose.isprintable() else None,
            float(claims["exp"]),
            bound_to(claims),
        )

    async def close(self) -> None:
        """Let go of the connections."""
        await self._http.aclose()


def _words(value: Any) -> list[str]:
    """What a claim lists, as a text with spaces or as an array."""
    if isinstance(value, str):
        return value.split()
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _is_name(role: str) -> bool:
    return NAME.fullmatch(role) is not None and not role.startswith("smart-")
