"""Too many at once wait for a while and are then sent away, before anything of theirs is read."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.elements import PIXEL_DATA, element, fresh_uid, instance, uid
from tests.fixtures.server import FixedSettings, Server, serving
from tests.raw_http import RawConnection, request

MIB = 1024 * 1024
WAIT = 0.3
CONNECTIONS = 2
LIMITS = {"concurrent_stores": 2, "concurrent_reads": 2, "queue_seconds": WAIT}
DICOM = {"Content-Type": "application/dicom"}


@pytest.fixture(scope="module")
def server(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("crowds")
    values = {"database_url": module_database_url, "data_dir": folder, "limits": LIMITS}
    values["database_connections"] = CONNECTIONS
    with serving(FixedSettings.model_validate(values)) as running:
        yield running


async def test_a_store_too_many_is_sent_away_before_its_body_is_read(server: Server) -> None:
    token = await server.token("store", "read")
    headers = ["Content-Type: application/dicom", "Content-Length: 100000"]
    expecting = [*headers, "Expect: 100-continue"]
    head = request("POST", "/dicomweb/studies", expecting, token=token)
    with (
        RawConnection(server.url) as one,
        RawConnection(server.url) as two,
        RawConnection(server.url) as three,
    ):
        for connection in (one, two):
            connection.send(head)
            await asyncio.to_thread(connection.wait_until_wanted)
            connection.send(b"x" * 1000)
        begin = time.monotonic()
        three.send(head)
        answer = await asyncio.to_thread(three.receive)
        assert answer.status == 503
        assert 1 <= int(answer.headers["retry-after"]) <= 10
        assert time.monotonic() - begin > WAIT / 2
        async with server.client("read") as reader:
            assert (await reader.get("/studies")).status_code == 200
    async with server.client("store") as client, asyncio.timeout(20):
        # The server may hear later that the two have gone.
        while (stored := await client.post("/studies", content=instance(), headers=DICOM)).is_error:
            assert stored.status_code == 503


async def test_a_study_too_many_is_sent_away_while_others_are_being_sent(server: Server) -> None:
    study = fresh_uid()
    async with server.client("store") as client:
        for _ in range(2):
            pixels = element(PIXEL_DATA, "OB", bytes(8 * MIB))
            image = instance(
                {0x0020000D: element(0x0020000D, "UI", uid(study)), PIXEL_DATA: pixels}
            )
            assert (await client.post("/studies", content=image, headers=DICOM)).status_code == 200
    async with server.client("read") as reader:
        path = f"/studies/{study}"
        async with reader.stream("GET", path) as one, reader.stream("GET", path) as two:
            assert (one.status_code, two.status_code) == (200, 200)
            refused = await reader.get(path)
            assert refused.status_code == 503
            assert "retry-after" in refused.headers
            assert (await reader.get(f"{path}/metadata")).status_code == 200
        async with reader.stream("GET", path) as three:
            assert three.status_code == 200
            assert sum([len(piece) async for piece in three.aiter_raw()]) > 16 * MIB


async def test_who_takes_nothing_holds_no_connection_to_the_database(server: Server) -> None:
    token = await server.token("read")
    async with server.client("store", "read") as client:
        large = instance({PIXEL_DATA: element(PIXEL_DATA, "OB", bytes(8 * MIB))})
        stored = (await client.post("/studies", content=large, headers=DICOM)).json()
        url = stored["00081199"]["Value"][0]["00081190"]["Value"][0]
        asking = request("GET", url.removeprefix(server.url), ["Accept: */*"], token=token)
        with ExitStack() as readers:
            for _ in range(10 * CONNECTIONS):
                readers.enter_context(RawConnection(server.url)).send(asking)
            await asyncio.sleep(0.5)
            async with asyncio.timeout(10):
                for _ in range(3):
                    assert (await client.get("/studies?limit=1")).status_code == 200
