"""The authorisation matrix again, for users of an identity provider.

Whatever scopes they come with, they are answered as a restricted token with the same grants, or
refused for want of a scope: no scope of SMART on FHIR lets anybody administer, look into the audit
or see what no grant shows.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.fixtures.provider import AUDIENCE, Provider, providing
from tests.fixtures.server import FixedSettings, Server, serving
from tests.integration.access.population import Given, give, index_of
from tests.integration.access.test_matrix import MATRIX, OURS, READING, RESTRICTED, answers_to

EVERY = "user/*.* user/*.cruds system/*.* system/*.cruds patient/*.* launch openid offline_access"
ADMINISTRATOR = "admin hilum/admin user/AuditEvent.rs system/AuditEvent.rs"
GRANTS = RESTRICTED | {
    "all": [Given((*READING, "store", "share"))],
    "auditor": [Given(("audit",))],
}
"""Of the role of each name."""


@dataclass(frozen=True)
class User:
    """A user by scopes and roles, and the caller of the matrix who is answered the same."""

    scope: str
    roles: tuple[str, ...]
    like: str
    patient: str | None = None
    lacks: frozenset[str] = frozenset()
    """Of the scopes that restricted tokens have there."""
    audits: bool = False


def user(scope: str, *roles: str, like: str, lacks: tuple[str, ...] = (), **more: Any) -> User:
    return User(scope, roles, like, lacks=frozenset(lacks), **more)


USERS = {
    "every scope": user(EVERY, like="without grants", lacks=("share",)),
    "what would administer": user(
        f"{EVERY} {ADMINISTRATOR} share audit",
        *("admin", "administrator", "auditors"),
        like="without grants",
    ),
    "every scope for one study": user(f"{EVERY} share", "study", like="study"),
    "sharing one study": user(f"{EVERY} share", "shares", like="shares"),
    "denied": user(f"{EVERY} share", "denied", like="denied"),
    "breaking the glass": user(
        "user/ImagingStudy.rs",
        "breaks the glass",
        like="breaks the glass",
        lacks=("store", "share"),
    ),
    "of one patient": user(
        "patient/*.*", "all", like="patient", lacks=("share",), patient=OURS.patient_id
    ),
    "without the patient": user("patient/*.*", "all", like="no scope"),
    "no scope of imaging": user(f"openid {ADMINISTRATOR} user/Patient.rs", "all", like="no scope"),
    "auditing": user(
        "user/*.rs audit", "auditor", like="without grants", lacks=("store", "share"), audits=True
    ),
    "granted the audit, without its scope": user(
        EVERY, "auditor", like="without grants", lacks=("share",)
    ),
}


def expected(asked: User) -> dict[tuple[str, str], int]:
    """The status for each route."""
    return {
        (method, path): (
            403
            if _scope_of(path, row.body) in asked.lacks
            else row.expected["auditor" if asked.audits and _is_audit(path) else asked.like]
        )
        for (method, path), row in MATRIX.items()
    }


def _scope_of(path: str, body: object) -> str | None:
    if path.startswith("/shares"):
        return "share"
    return "store" if isinstance(body, bytes) else None


def _is_audit(path: str) -> bool:
    return path.startswith(("/fhir/", "/audit/"))


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with providing() as running:
        yield running


@pytest.fixture(scope="module")
async def http(populated: Server, provider: Provider) -> AsyncIterator[httpx.AsyncClient]:
    """The same archive, which takes the provider's tokens."""
    values = {
        "database_url": populated.database_url,
        "data_dir": populated.data_dir,
        "outgoing_networks": ["127.0.0.1"],
        "oidc": {"issuer": provider.issuer, "audience": AUDIENCE},
    }
    async with index_of(populated) as index:
        for name, grants in GRANTS.items():
            await give(index, role_of(name), grants)
    with serving(FixedSettings.model_validate(values)) as server:
        async with httpx.AsyncClient(base_url=server.url, trust_env=False, timeout=30) as client:
            yield client


def role_of(name: str) -> str:
    return "role:" + name.replace(" ", "-")


@pytest.mark.parametrize("name", USERS)
async def test_users_are_answered_as_who_has_the_same_grants(
    http: httpx.AsyncClient, provider: Provider, name: str
) -> None:
    asked = USERS[name]
    claims: dict[str, Any] = {
        "roles": [role_of(role).removeprefix("role:") for role in asked.roles]
    }
    if asked.patient is not None:
        claims["patient"] = asked.patient
    token = await asyncio.to_thread(provider.token, asked.scope, name.replace(" ", "-"), **claims)
    assert await answers_to(http, {name: token}, name) == expected(asked)
