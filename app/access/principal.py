"""`Principal`: who is asking, and what their token lets them do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.access.grants import READING
from app.errors import Forbidden
from app.index.grants import Held
from app.index.restriction import Action, Patient, Restriction
from app.index.visibility import Visibility


class Scope(StrEnum):
    """A kind of action; `admin` implies every other."""

    READ = "read"
    STORE = "store"
    DELETE = "delete"
    AUDIT = "audit"
    SHARE = "share"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who sees only what grants let them see."""

    subjects: tuple[str, ...]
    """The caller and its roles, as grants name them."""
    held: Held
    """What those grants had in common when the caller was last looked up."""
    purpose: str | None = None
    actions: frozenset[Action] = frozenset(Action)
    """What the caller may do at most, whatever the grants say."""
    of_patient: frozenset[Action] = frozenset()
    """Those of them that are narrowed to `patient`."""
    patient: Patient | None = None


@dataclass(frozen=True, slots=True)
class Deidentified:
    """How data is shown to who is not to know who it is of."""

    key: bytes
    """By which UIDs are replaced."""
    studies: tuple[str, ...]
    """Study Instance UIDs, as they are stored."""


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a valid token. `partition_id` is the only partition it ever works in."""

    token_id: int | None
    """None for whom an identity provider or a certificate vouches."""
    name: str
    partition_id: int
    scopes: frozenset[Scope]
    holder: Holder | None = None
    """None for who sees the whole partition."""
    expires_at: datetime | None = None
    """When what the caller came with ends by itself."""
    deidentified: Deidentified | None = None
    """Who has this has no scope, so that every other way to data is closed."""
    bound_to: bytes | None = None
    """SHA-256 of the certificate that has to come with every request."""

    @property
    def subject(self) -> str:
        """The caller as grants name it."""
        if self.token_id is not None:
            return f"token:{self.token_id}"
        return self.holder.subjects[0] if self.holder is not None else self.name

    @property
    def whose(self) -> str | None:
        """Whose shares and overrides the caller lists and ends; None for everybody's."""
        return None if Scope.ADMIN in self.scopes else self.subject

    def visibility_for(self, action: Action, *, lasting: bool = False) -> Visibility:
        """What this caller may do that to; every reading statement takes it.

        `lasting`: without what is open in an emergency. Raises `Forbidden` if it is nothing for
        want of a scope.
        """
        if self.holder is None:
            return Visibility(self.partition_id)
        holder, held = self.holder, self.holder.held
        if action not in holder.actions:
            raise Forbidden(f"The access token does not allow to {action}.")
        # Of what could be opened, nothing is known beforehand.
        named = action is not Action.BREAK_GLASS
        restriction = Restriction(
            holder.subjects,
            action,
            held.depth,
            holder.purpose,
            held.studies if named else None,
            held.patients if named else None,
            held.steady,
            holder.patient if action in holder.of_patient else None,
            overriding=bool(held.overrides) and action in READING and not lasting,
        )
        return Visibility(self.partition_id, restriction)

    def demand(self, scope: Scope) -> None:
        """Return if the caller has the scope; raises `Forbidden` else."""
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise Forbidden(f"The access token lacks the scope {scope.value!r}.")
