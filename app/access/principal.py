"""`Principal`: who is asking, and what their token lets them do."""

from dataclasses import dataclass
from enum import StrEnum

from app.errors import Forbidden
from app.index.visibility import Visibility


class Scope(StrEnum):
    """A kind of action; `admin` implies every other."""

    READ = "read"
    STORE = "store"
    DELETE = "delete"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Principal:
    """The holder of a valid token. `partition_id` is the only partition it ever works in."""

    token_id: int
    name: str
    partition_id: int
    scopes: frozenset[Scope]

    @property
    def visibility(self) -> Visibility:
        """What this caller may see; every reading statement takes it."""
        return Visibility(self.partition_id)

    def demand(self, scope: Scope) -> None:
        """Return if the caller has the scope; raises `Forbidden` else."""
        if scope not in self.scopes and Scope.ADMIN not in self.scopes:
            raise Forbidden(f"The access token lacks the scope {scope.value!r}.")
