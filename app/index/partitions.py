"""Partitions: tenants that share nothing."""

from dataclasses import dataclass
from datetime import datetime

from app.index.database import Connection

DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class Partition:
    """What is known of a partition besides its name."""

    id: int
    created_at: datetime


async def ensure(connection: Connection, name: str) -> int:
    """The id of the partition with this name, which is made if need be."""
    await connection.execute(
        "INSERT INTO partition (name) VALUES ($1) ON CONFLICT (name) DO NOTHING", name
    )
    identity: int = await connection.fetchval("SELECT id FROM partition WHERE name = $1", name)
    return identity


async def find(connection: Connection, name: str) -> int | None:
    """The id of the partition with this name, if there is one."""
    identity: int | None = await connection.fetchval(
        "SELECT id FROM partition WHERE name = $1", name
    )
    return identity


async def describe(connection: Connection, name: str) -> Partition | None:
    """The partition with this name, if there is one."""
    row = await connection.fetchrow("SELECT id, created_at FROM partition WHERE name = $1", name)
    return None if row is None else Partition(*row)
