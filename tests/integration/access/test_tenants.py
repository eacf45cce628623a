"""Two tenants with the same patients, UIDs and bytes: neither learns of the other."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import asyncpg
import httpx
import pytest

from tests.fixtures.server import Server
from tests.integration.access.population import THINGS, client_of, file_of, store
from tests.messages import parts_of

AS_STORED = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
ONE, TWO = "north", "south"


@pytest.fixture
async def tenants(server: Server) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """An administrator of each."""
    async with AsyncExitStack() as stack:
        one, two = [
            await stack.enter_async_context(
                client_of(server, await server.token("admin", partition=name))
            )
            for name in (ONE, TWO)
        ]
        yield one, two


async def test_the_same_uids_are_each_tenants_own(
    tenants: tuple[httpx.AsyncClient, httpx.AsyncClient],
) -> None:
    for http, name in zip(tenants, (ONE, TWO), strict=True):
        answer = await store(http, [file_of(thing, PatientName=name) for thing in THINGS])
        assert answer.status_code == 200, "the one learns of the other"
    etags = []
    for http, name in zip(tenants, (ONE, TWO), strict=True):
        names = {one["00100010"]["Value"][0]["Alphabetic"] for one in await found(http, "/studies")}
        assert names == {name}
        assert len(await found(http, "/instances")) == len(THINGS)
        for thing in THINGS[::5]:
            (stored,) = parts_of(await http.get(thing.path, headers=AS_STORED))
            assert stored == file_of(thing, PatientName=name)
            (metadata,) = (await http.get(f"{thing.path}/metadata")).json()
            assert metadata["00100010"]["Value"][0]["Alphabetic"] == name
            etags.append((await http.get(f"{thing.path}/metadata")).headers["etag"])
    assert len(set(etags)) == len(etags)


async def found(
    http: httpx.AsyncClient, path: str
) -> list[dict[str, dict[str, list[dict[str, str]]]]]:
    results: list[dict[str, dict[str, list[dict[str, str]]]]] = (await http.get(path)).json()
    return results


async def test_what_the_other_has_is_not_there(
    server: Server, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    one, two = tenants
    assert (await store(one, map(file_of, THINGS))).status_code == 200
    assert await found(two, "/studies") == []
    for below in ("", "/metadata", "/frames/1", "/rendered", "/thumbnail", "/versions"):
        assert (await two.get(THINGS[0].path + below)).status_code == 404
    answer = await two.get("/studies", params={"PatientID": THINGS[0].patient_id, "limit": "1"})
    assert answer.json() == []
    assert "warning" not in answer.headers


async def test_the_same_bytes_are_stored_once_for_each(
    server: Server, tenants: tuple[httpx.AsyncClient, httpx.AsyncClient]
) -> None:
    """Otherwise the time or the space that a store takes would tell what others have."""
    for http in tenants:
        assert (await store(http, [file_of(THINGS[0])])).status_code == 200
    connection = await asyncpg.connect(server.database_url)
    rows = await connection.fetch("SELECT partition_id, blob_key FROM instance")
    await connection.close()
    assert len(rows) == len({row["blob_key"] for row in rows}) == 2
    assert all(row["blob_key"].startswith(f"p{row['partition_id']}/") for row in rows)
