"""An archive in which something was done, by several callers and in two partitions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.fixtures.server import Server


@asynccontextmanager
async def auditor(
    server: Server, *scopes: str, partition: str = "default"
) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody who looks into the audit of a partition."""
    token = await server.token(*(scopes or ("audit",)), partition=partition)
    async with httpx.AsyncClient(
        base_url=f"{server.url}/fhir",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=30,
    ) as http:
        yield http
