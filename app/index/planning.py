"""When PostgreSQL plans a statement: once for any values, or each time for those given.

What is right for SM, of which there are few, reads all of an archive for CT.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg

from app.index.statements import Connection


@asynccontextmanager
async def planned(connection: Connection, *, kept: bool) -> AsyncIterator[None]:
    """Plan each statement for its values; with `kept` a plan may be kept, as PostgreSQL thinks.

    That costs two exchanges, and the making of the plans.
    """
    if kept:
        yield
        return
    await connection.execute("SET plan_cache_mode = force_custom_plan")
    try:
        yield
    finally:
        # A transaction that has failed takes it back by itself.
        with suppress(asyncpg.InFailedSQLTransactionError):
            await connection.execute("RESET plan_cache_mode")
