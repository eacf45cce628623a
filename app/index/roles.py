"""The role of the database that a serving archive needs: it cannot change the schema or the past.

    owner     owns the tables, and migrates them:  `hilum migrate`, `hilum audit retain`
    service   what `grant_to` gives it:            `hilum serve` and every other command

Who takes over a serving archive can therefore neither remove an audit record nor a trigger.
"""

import asyncpg

from app.errors import InvalidParameter
from app.index.database import asyncpg_url
from app.index.failures import ours
from app.index.tables import Study

_APPENDED = "SELECT, INSERT"
_PRIVILEGES = {
    "audit": _APPENDED,
    "audit_chain": "SELECT, INSERT, UPDATE",
    "audit_retention": "SELECT",
    "change": _APPENDED,
    "alembic_version": "SELECT",
}
"""Of the tables in which not everything may be written."""
_ALL = "SELECT, INSERT, UPDATE, DELETE"


async def grant_to(url: str, role: str) -> None:
    """Let the role use the tables, and take from it what it may not do. `url` is the owner's.

    Raises `InvalidParameter` if there is no such role, and `Unavailable`.
    """
    with ours(OSError):
        connection = await asyncpg.connect(asyncpg_url(url))
        try:
            name = await connection.fetchval(
                "SELECT quote_ident(rolname) FROM pg_roles"
                " WHERE rolname = $1 AND NOT rolsuper AND rolname <> current_user",
                role,
            )
            if name is None:
                why = "is no role, or one that may do everything anyway"
                raise InvalidParameter("--service-role", role, why)
            async with connection.transaction():
                for statement in _statements(name):
                    await connection.execute(statement)
        finally:
            await connection.close()


def _statements(role: str) -> list[str]:
    tables = [*(table.name for table in Study.metadata.sorted_tables), "alembic_version"]
    return [
        f"REVOKE CREATE ON SCHEMA public FROM {role}, PUBLIC",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}, PUBLIC",
        f"GRANT USAGE ON SCHEMA public TO {role}",
        f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}",
        *(f'GRANT {_PRIVILEGES.get(name, _ALL)} ON "{name}" TO {role}' for name in tables),
    ]
