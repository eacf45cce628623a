"""A server with a room of its own, whose routes do what a room may do, well or badly."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest
from fastapi import APIRouter, Request
from starlette.responses import Response

from app.errors import NotFound
from app.main import create_app
from app.settings import Settings
from app.web.dependencies import DICOMWEB, Administrator, BaseUrl, Deleter, Reader, Storer
from app.web.responses import StreamingResponse, dicom_json
from tests.fixtures.server import Server, serving

room = APIRouter(prefix=f"{DICOMWEB}/room")
served: list[str] = []
"""The names of routes that were reached."""


@room.get("/read")
async def read(caller: Reader, base: BaseUrl) -> Response:
    served.append("read")
    return Response(f"{caller.name} {base}", media_type="text/plain")


@room.post("/read")
async def store(_: Storer, request: Request) -> Response:
    return Response(str(len(await request.body())), media_type="text/plain")


@room.delete("/read")
async def delete(_: Deleter) -> Response:
    return Response(status_code=204)


@room.get("/administrate")
async def administrate(_: Administrator) -> Response:
    return Response("done")


@room.get("/number")
async def number(_: Reader, limit: int = 0) -> Response:
    return Response(str(limit))


@room.get("/missing")
async def missing(_: Reader) -> Response:
    raise NotFound("There is no such study.")


@room.get("/broken")
async def broken(_: Reader) -> Response:
    raise ValueError("Doe^Jane")


@room.get("/json")
async def json(_: Reader, request: Request) -> Response:
    return await dicom_json(request, b'[{"00100010":{"vr":"PN"}}]' * 200, etag='"1"')


def _stream(pieces: Callable[[], AsyncIterator[bytes]]) -> Response:
    return StreamingResponse(pieces(), media_type="application/octet-stream")


@room.get("/stream")
async def stream(_: Reader) -> Response:
    return _stream(_endless)


@room.get("/stream-that-breaks")
async def stream_that_breaks(_: Reader) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"the beginning"
        raise OSError("Doe^Jane")

    return _stream(pieces)


@room.get("/stream-that-never-begins")
async def stream_that_never_begins(_: Reader) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        raise NotFound("There is no such blob.")
        yield b""

    return _stream(pieces)


endless_streams: list[str] = []
"""`begun` and `ended`, as it happens."""


async def _endless() -> AsyncIterator[bytes]:
    endless_streams.append("begun")
    try:
        while True:
            yield b"x" * 65536
            await asyncio.sleep(0)
    finally:
        endless_streams.append("ended")


@pytest.fixture
def room_server(settings: Settings) -> Iterator[Server]:
    """The archive with the room above."""
    served.clear()
    endless_streams.clear()
    app = create_app(settings)
    app.include_router(room)
    with serving(settings, app) as server:
        yield server


async def records(server: Server) -> list[dict[str, Any]]:
    """The whole audit, oldest first."""
    connection = await asyncpg.connect(server.database_url)
    try:
        rows = await connection.fetch(
            "SELECT *, xmin::text AS transaction FROM audit ORDER BY partition_id, sequence"
        )
        return [dict(row) for row in rows]
    finally:
        await connection.close()


async def execute(server: Server, statement: str) -> None:
    """Do something to the database behind the archive's back."""
    connection = await asyncpg.connect(server.database_url)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
