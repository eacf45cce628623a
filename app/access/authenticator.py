"""`Authenticator`: from an Authorization header to a `Principal`, or to nobody.

A valid token is remembered for `REMEMBERED_SECONDS`, so that a viewer's thousand requests cost one
look into the index, and a token that was revoked is refused everywhere within that time. What is
not valid is not remembered, so that it costs no memory.

Who may break the glass has what they have opened looked up for every request: so it is open, and
closed again, from the next one on, whichever process that comes to.
"""

import time
from dataclasses import replace
from datetime import UTC, datetime

from app.access import development
from app.access.certificates import Certificate
from app.access.credentials import GUEST_PREFIX, hash_of, token_in
from app.access.grants import READING, subject_of_role, subject_of_token
from app.access.oidc.provider import Known, Provider
from app.access.oidc.tokens import looks_signed
from app.access.principal import Deidentified, Holder, Principal, Scope
from app.access.sessions import find_session
from app.access.sessions import principal_of as principal_of_stored
from app.archive import Archive
from app.errors import Unauthenticated
from app.index import grants, overrides, partitions, shares, tokens
from app.index.grants import Held
from app.index.restriction import Action, Depth, Patient
from app.index.shares import Session, StoredShare, subject_of_share
from app.index.tokens import Token
from app.outgoing.addresses import Destinations

REMEMBERED_SECONDS = 30
REMEMBERED_TOKENS = 10_000
_FAR = datetime(9999, 1, 1, tzinfo=UTC).timestamp()

SCOPE_OF = {
    Action.SEARCH: Scope.READ,
    Action.READ: Scope.READ,
    Action.RENDER: Scope.READ,
    Action.STORE: Scope.STORE,
    Action.DELETE: Scope.DELETE,
    Action.SHARE: Scope.SHARE,
}

GUESTS_MAY = frozenset({Scope.READ})


class Authenticator:
    """Knows the callers of one archive; one in each process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._remembered: dict[bytes, tuple[float, Principal]] = {}
        self._held: dict[tuple[int, tuple[str, ...]], tuple[float, Held]] = {}
        oidc, destinations = archive.settings.oidc, Destinations.of(archive.settings)
        self._provider = Provider(oidc, destinations) if oidc is not None else None
        self._partitions: dict[str, int] = {}
        self._developer: Principal | None = None

    async def close(self) -> None:
        """Let go of what leads to the identity provider."""
        if self._provider is not None:
            await self._provider.close()

    async def principal_of(
        self, authorization: str, certificate: Certificate | None = None
    ) -> Principal:
        """Who sent this header, and came with this certificate.

        The token tells who it is; the certificate has to be there if the token is bound to it.
        Raises `Unauthenticated`, whatever is wrong, and `ProviderUnavailable` if only an identity
        provider could tell, and does not.
        """
        presented = token_in(authorization)
        if presented is None:
            raise Unauthenticated
        principal = await self.principal_with(presented)
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
        partition_id = await self._partition_named(settings.partition)
        subjects = (*certificate.subjects, *map(subject_of_role, settings.roles))
        held = await self._held_by(partition_id, subjects)
        held = await self._opened(partition_id, subjects[0], held)
        holder = Holder(subjects, held)
        return Principal(
            None,
            certificate.name,
            partition_id,
            scopes_of(holder),
            holder,
            certificate.ends_at,
            bound_to=certificate.sha256,
        )

    async def principal_with(self, presented: str) -> Principal:
        """As `principal_of`, for a token by itself."""
        principal = await self._principal_with(presented, hash_of(presented))
        holder = principal.holder
        if holder is None or not holder.held.breaking:
            return principal
        held = await self._opened(principal.partition_id, principal.subject, holder.held)
        return replace(principal, holder=replace(holder, held=held))

    async def _principal_with(self, presented: str, sha256: bytes) -> Principal:
        if (remembered := self._remembered.get(sha256)) and time.monotonic() < remembered[0]:
            return remembered[1]
        self._remembered.pop(sha256, None)
        seconds, principal = await self._recognise(presented, sha256)
        if len(self._remembered) >= REMEMBERED_TOKENS:
            self._remembered.clear()
        self._remembered[sha256] = (time.monotonic() + seconds, principal)
        return principal

    async def principal_of_session(
        self, secret: str, study_instance_uid: str | None = None
    ) -> Principal:
        """Whose session this is the secret of, the one that opens that study alone or, without it,
        that of a cookie. Raises `Unauthenticated` if there is none or it has ended."""
        session = await find_session(self._archive.database, secret)
        if session is None or session.study_instance_uid != study_instance_uid:
            raise Unauthenticated
        held = None
        if session.restricted:
            held = await self._held_by(session.partition_id, tuple(session.subjects))
            held = await self._opened(session.partition_id, session.subjects[0], held)
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

    async def _held_by(self, partition_id: int, subjects: tuple[str, ...]) -> Held:
        key, now = (partition_id, subjects), time.monotonic()
        if (remembered := self._held.get(key)) and now < remembered[0]:
            return remembered[1]
        async with self._archive.reading() as connection:
            held = await grants.held(connection, partition_id, subjects)
        if len(self._held) >= REMEMBERED_TOKENS:
            self._held.clear()
        self._held[key] = now + REMEMBERED_SECONDS, held
        return held

    async def _opened(self, partition_id: int, caller: str, held: Held) -> Held:
        """What the caller holds, with what it has open in an emergency at this moment."""
        if not held.breaking:
            return held
        async with self._archive.reading() as connection:
            found = await overrides.open_to(connection, partition_id, caller)
        return held.opened(found) if found else held

    async def _recognise(self, presented: str, sha256: bytes) -> tuple[float, Principal]:
        """Whose token it is, and for how many seconds that may be remembered."""
        if presented.startswith(GUEST_PREFIX):
            return await self._guest(sha256)
        provider = self._provider
        if provider is not None and looks_signed(presented):
            return await self._user(provider, presented)
        try:
            token = await self._valid_token(sha256)
        except Unauthenticated:
            if provider is None or not provider.could_know(presented):
                raise
            return await self._user(provider, presented)
        principal = Principal(
            token_id=token.id,
            name=token.name,
            partition_id=token.partition_id,
            scopes=frozenset(scope for scope in Scope if scope in token.scopes),
            holder=await self._holder(token) if token.restricted else None,
            expires_at=token.expires_at,
        )
        return _remember_seconds(token), principal

    async def _guest(self, sha256: bytes) -> tuple[float, Principal]:
        """Who has exchanged a link for a session."""
        async with self._archive.reading() as connection:
            session = await shares.session_of(connection, sha256)
            if session is None:
                raise Unauthenticated
            subject = subject_of_share(session.share_id)
            held = await grants.held(connection, session.partition_id, [subject])
        holder = Holder((subject,), held, actions=frozenset(READING))
        principal = Principal(
            None,
            name_of_guest(session.share_id),
            session.partition_id,
            frozenset() if session.uid_key else GUESTS_MAY,
            holder,
            session.expires_at,
            deidentified_of(session),
        )
        return _seconds_left(session.expires_at), principal

    async def _user(self, provider: Provider, presented: str) -> tuple[float, Principal]:
        known = await provider.known(presented)
        oidc = self._archive.settings.oidc
        assert oidc is not None
        partition_id = await self._partition_named(oidc.partition)
        async with self._archive.reading() as connection:
            held = await grants.held(connection, partition_id, known.subjects)
        holder = holder_of(known, held, oidc.patient_issuer)
        until = datetime.fromtimestamp(min(known.expires_at, _FAR), UTC)
        principal = Principal(
            None,
            known.name,
            partition_id,
            scopes_of(holder),
            holder,
            until,
            bound_to=known.bound_to,
        )
        seconds = known.expires_at - time.time()
        return min(max(seconds, 0.0), REMEMBERED_SECONDS), principal

    async def _partition_named(self, name: str) -> int:
        """The partition of a setting. Raises `Unauthenticated` as long as there is none."""
        if name not in self._partitions:
            async with self._archive.reading() as connection:
                partition_id = await partitions.find(connection, name)
            if partition_id is None:
                raise Unauthenticated
            self._partitions[name] = partition_id
        return self._partitions[name]

    async def _holder(self, token: Token) -> Holder:
        subjects = (subject_of_token(token.id), *map(subject_of_role, token.roles))
        async with self._archive.reading() as connection:
            held = await grants.held(connection, token.partition_id, subjects)
        return Holder(subjects, held, token.purpose)

    async def _valid_token(self, sha256: bytes) -> Token:
        async with self._archive.reading() as connection:
            token = await tokens.find_by_hash(connection, sha256)
        if token is None or token.revoked_at is not None or _remember_seconds(token) <= 0:
            raise Unauthenticated
        async with self._archive.transaction() as connection:
            await tokens.touch(connection, token.id)
        return token


def guest_of(share: StoredShare) -> Principal:
    """Who comes by a link and has not been let in: for the audit, and nothing else."""
    subject = subject_of_share(share.id)
    holder = Holder((subject,), Held(Depth.STUDY, (), ()), actions=frozenset())
    return Principal(None, name_of_guest(share.id), share.partition_id, frozenset(), holder)


def deidentified_of(session: Session) -> Deidentified | None:
    """How what is shared is shown; None for as it is."""
    return Deidentified(session.uid_key, session.studies) if session.uid_key else None


def name_of_guest(share_id: int) -> str:
    """What logs and the audit call who comes by a link."""
    return f"share {share_id}"


def scopes_of(holder: Holder) -> frozenset[Scope]:
    """What somebody without a token of ours may ask for; to look into the audit, grants decide."""
    scopes = {SCOPE_OF[action] for action in holder.actions if action in SCOPE_OF}
    if Action.AUDIT in holder.actions and holder.held.auditing:
        scopes.add(Scope.AUDIT)
    return frozenset(scopes)


def holder_of(known: Known, held: Held, patient_issuer: str | None) -> Holder:
    """What a user may do. Without a patient in context, nothing is allowed of one."""
    allowed, patient = known.allowed, None
    actions = allowed.everywhere
    of_patient = allowed.of_patient
    if known.patient_id is not None:
        patient = Patient(known.patient_id, patient_issuer)
        actions |= of_patient
    # No scope tells of it: a grant has to allow it, of what the user may read anyway.
    if Action.READ in allowed.everywhere:
        actions |= {Action.BREAK_GLASS}
    elif Action.READ in actions:
        actions |= {Action.BREAK_GLASS}
        of_patient |= {Action.BREAK_GLASS}
    return Holder(known.subjects, held, known.purpose, actions, of_patient, patient)


def _remember_seconds(token: Token) -> float:
    """For how long the token may be taken without another look; not at all if it has expired."""
    if token.expires_at is None:
        return REMEMBERED_SECONDS
    return _seconds_left(token.expires_at)


def _seconds_left(expires_at: datetime) -> float:
    return min((expires_at - datetime.now(UTC)).total_seconds(), REMEMBERED_SECONDS)
