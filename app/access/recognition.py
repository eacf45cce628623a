"""`Recognition`: from what a caller presents to a `Principal`, by looking it up each time.

    hilum_…           a token of the archive's own
    hilum_share_…     what the link of a share was exchanged for
    anything else     a token of the identity provider, if there is one

`app.access.authenticator` asks here for what it does not remember.
"""

import time
from datetime import UTC, datetime

from app.access.credentials import GUEST_PREFIX, PREFIX
from app.access.grants import READING, subject_of_role, subject_of_token
from app.access.holdings import Holdings
from app.access.oidc.provider import Known, Provider
from app.access.oidc.tokens import looks_signed
from app.access.principal import Deidentified, Holder, Principal, Scope
from app.archive import Archive
from app.errors import Unauthenticated
from app.index import partitions, shares, tokens
from app.index.grants import Held
from app.index.restriction import Action, Depth, Patient
from app.index.shares import Session, StoredShare, subject_of_share
from app.index.tokens import Token
from app.outgoing.addresses import Destinations

REMEMBERED_SECONDS = 30
"""For how long, at most, what was found may be taken without another look."""
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


class Recognition:
    """Knows the tokens of one archive, and the provider that vouches for others."""

    def __init__(self, archive: Archive, holdings: Holdings) -> None:
        self._archive = archive
        self._holdings = holdings
        oidc, destinations = archive.settings.oidc, Destinations.of(archive.settings)
        self._provider = Provider(oidc, destinations) if oidc is not None else None
        self._partitions: dict[str, int] = {}

    async def close(self) -> None:
        """Let go of what leads to the identity provider."""
        if self._provider is not None:
            await self._provider.close()

    async def recognise(
        self, presented: str, sha256: bytes, address: str
    ) -> tuple[float, Principal]:
        """Whose token it is that came from this address, and for how many seconds that may be
        remembered.

        Raises as `Authenticator.principal_of`.
        """
        if presented.startswith(GUEST_PREFIX):
            return await self._guest(sha256)
        provider = self._provider
        if provider is not None and looks_signed(presented):
            return await self._user(provider, presented, address)
        try:
            token = await self._valid_token(sha256)
        except Unauthenticated:
            # One of ours that has ended, or is good elsewhere, is nobody else's business.
            ours = presented.startswith(PREFIX)
            if provider is None or ours or not provider.could_know(presented):
                raise
            return await self._user(provider, presented, address)
        principal = Principal(
            token_id=token.id,
            name=token.name,
            partition_id=token.partition_id,
            scopes=frozenset(scope for scope in Scope if scope in token.scopes),
            holder=await self._holder(token) if token.restricted else None,
            expires_at=token.expires_at,
        )
        return _remember_seconds(token), principal

    async def partition_named(self, name: str) -> int:
        """The partition of a setting. Raises `Unauthenticated` as long as there is none."""
        if name not in self._partitions:
            async with self._archive.reading() as connection:
                partition_id = await partitions.find(connection, name)
            if partition_id is None:
                raise Unauthenticated
            self._partitions[name] = partition_id
        return self._partitions[name]

    async def _guest(self, sha256: bytes) -> tuple[float, Principal]:
        """Who has exchanged a link for a session."""
        async with self._archive.reading() as connection:
            session = await shares.session_of(connection, sha256)
            if session is None:
                raise Unauthenticated
        subjects = (subject_of_share(session.share_id),)
        held = await self._holdings.granted(session.partition_id, subjects, anew=True)
        holder = Holder(subjects, held, actions=frozenset(READING))
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

    async def _user(
        self, provider: Provider, presented: str, address: str
    ) -> tuple[float, Principal]:
        known = await provider.known(presented, address)
        oidc = self._archive.settings.oidc
        assert oidc is not None
        partition_id = await self.partition_named(oidc.partition)
        held = await self._holdings.granted(partition_id, known.subjects, anew=True)
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

    async def _holder(self, token: Token) -> Holder:
        subjects = (subject_of_token(token.id), *map(subject_of_role, token.roles))
        held = await self._holdings.granted(token.partition_id, subjects, anew=True)
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
