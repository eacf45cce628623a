"""`Authenticator`: from an Authorization header to a `Principal`, or to nobody.

A valid token is remembered for `REMEMBERED_SECONDS`, so that a viewer's thousand requests cost one
look into the index, and a token that was revoked is refused everywhere within that time. What is
not valid is not remembered, so that it costs no memory. What its holder is granted is remembered
for a moment only: see `app.access.holdings`.
"""

import time
from dataclasses import replace

from app.access import development
from app.access.certificates import Certificate
from app.access.credentials import hash_of, token_in
from app.access.grants import subject_of_role
from app.access.holdings import Holdings
from app.access.principal import Holder, Principal, Scope
from app.access.recognition import Recognition, scopes_of
from app.access.sessions import find_session
from app.access.sessions import principal_of as principal_of_stored
from app.archive import Archive
from app.errors import Unauthenticated
from app.index import partitions

REMEMBERED_TOKENS = 10_000


class Authenticator:
    """Knows the callers of one archive; one in each process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._holdings = Holdings(archive)
        self._recognition = Recognition(archive, self._holdings)
        self._developer: Principal | None = None

    async def close(self) -> None:
        """Let go of what leads to the identity provider."""
        await self._recognition.close()

    async def principal_of(
        self, authorization: str, certificate: Certificate | None = None, address: str = ""
    ) -> Principal:
        """Who sent this header from this address, and came with this certificate.

        The token tells who it is; the certificate has to be there if the token is bound to it.
        Raises `Unauthenticated`, whatever is wrong, and `ProviderUnavailable` if only an identity
        provider could tell, and does not, or `TooBusy` if it is asked too much;
        `Forbidden` for a user of it with more roles than can be looked at.
        """
        presented = token_in(authorization)
        if presented is None:
            raise Unauthenticated
        principal = await self.principal_with(presented, address)
        if principal.bound_to is not None and (
            certificate is None or certificate.sha256 != principal.bound_to
        ):
            raise Unauthenticated
        return principal

    async def principal_of_certificate(self, certificate: Certificate) -> Principal:
        """Who came with this certificate and nothing else. Raises `Unauthenticated`."""
        settings = self._archive.settings.client_certificates
        if settings is None or not settings.alone:
            raise Unauthenticated
        partition_id = await self._recognition.partition_named(settings.partition)
        subjects = (*certificate.subjects, *map(subject_of_role, settings.roles))
        holder = Holder(subjects, await self._holdings.held_by(partition_id, subjects))
        return Principal(
            None,
            certificate.name,
            partition_id,
            scopes_of(holder),
            holder,
            certificate.ends_at,
            bound_to=certificate.sha256,
        )

    async def principal_with(self, presented: str, address: str = "") -> Principal:
        """As `principal_of`, for a token by itself."""
        found = await self._principal_with(presented, hash_of(presented), address)
        return await self._with_grants(found)

    async def looked_up_again(self, principal: Principal) -> Principal:
        """The same caller, by the grants of this very moment, which count from here on."""
        again = await self._with_grants(principal, anew=True)
        if again.holder is None or again.holder.held.auditing:
            return again
        return replace(again, scopes=again.scopes - {Scope.AUDIT})

    async def _with_grants(self, principal: Principal, *, anew: bool = False) -> Principal:
        holder = principal.holder
        if holder is None:
            return principal
        held = await self._holdings.held_by(principal.partition_id, holder.subjects, anew=anew)
        return replace(principal, holder=replace(holder, held=held))

    async def _principal_with(self, presented: str, sha256: bytes, address: str) -> Principal:
        if (remembered := self._remembered.get(sha256)) and time.monotonic() < remembered[0]:
            return remembered[1]
        self._remembered.pop(sha256, None)
        seconds, principal = await self._recognition.recognise(presented, sha256, address)
        if len(self._remembered) >= REMEMBERED_TOKENS:
            self._remembered.clear()
        self._remembered[sha256] = (time.monotonic() + seconds, principal)
        return principal

    async def principal_of_session(
        self, secret: str, study_instance_uid: str | None = None
    ) -> Principal:
        """The caller whose session has this secret.

        With a study it must be a session for that study alone, without one that of a cookie. Raises
        `Unauthenticated` if there is no such session, or it has ended.
        """
        session = await find_session(self._archive.database, secret)
        if session is None or session.study_instance_uid != study_instance_uid:
            raise Unauthenticated
        held = None
        if session.restricted:
            held = await self._holdings.held_by(session.partition_id, tuple(session.subjects))
        return principal_of_stored(session, held)

    async def principal_without_token(self) -> Principal:
        """Who asks without a token. Raises `Unauthenticated`, but in development mode.

        Only for what `app.web.development` takes for a request from this machine.
        """
        if not self._archive.settings.development:
            raise Unauthenticated
        if self._developer is None:
            async with self._archive.transaction() as connection:
                partition_id = await partitions.ensure(connection, partitions.DEFAULT)
            self._developer = development.principal_of(partition_id)
        return self._developer
