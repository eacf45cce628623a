"""A server that is asked to end: stores that are under way finish, or are told to try again."""

import asyncio
import random
import signal
from urllib.parse import urlsplit

from tests.factories import multipart
from tests.faults.history import Request, look_at_all, requests_of
from tests.faults.nursery import ServerProcess
from tests.faults.trial import Stage, assert_whole, now, send_again

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def begin(
    stage: Stage, server: ServerProcess, body: bytes, content_type: str, first: int
) -> Connection:
    """Send the head of a request and the first bytes of its body."""
    address = urlsplit(server.base)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: archive\r\n"
        f"Authorization: Bearer {stage.token}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n".encode()
        + body[:first]
    )
    await writer.drain()
    return reader, writer


async def status_of(connection: Connection) -> int:
    reader, writer = connection
    line = await asyncio.wait_for(reader.readline(), 20)
    head_and_body = await reader.read()
    assert b"\r\n\r\n" in head_and_body, "the answer is not whole"
    writer.close()
    return int(line.split()[1])


async def test_what_arrives_in_time_is_stored_and_acknowledged(stage: Stage) -> None:
    began = await now(stage)
    server = await stage.start()
    requests = requests_of(random.Random(1))
    bodies = [multipart([sent.file for sent in request]) for request in requests]
    connections = [
        await begin(stage, server, body, content_type, len(body) // 2)
        for body, content_type in bodies
    ]
    await asyncio.sleep(0.2)
    server.send(signal.SIGTERM)
    await asyncio.sleep(0.5)
    for (body, _), (_, writer) in zip(bodies, connections, strict=True):
        writer.write(body[len(body) // 2 :])
    assert [await status_of(connection) for connection in connections] == [200] * len(requests)
    await asyncio.to_thread(server.end)
    await _all_there(stage, requests)
    await assert_whole(stage, began)


async def test_what_does_not_arrive_in_time_is_told_to_try_again(stage: Stage) -> None:
    began = await now(stage)
    server = await stage.start(last_seconds=0.5)
    request = next(r for r in requests_of(random.Random(2)) if len(r) == 4)
    body, content_type = multipart([sent.file for sent in request])
    connection = await begin(stage, server, body, content_type, len(body) - 100)
    await asyncio.sleep(0.3)
    server.send(signal.SIGTERM)
    assert await status_of(connection) == 503
    await asyncio.to_thread(server.end)

    server = await stage.start()
    there = await look_at_all(server.base, stage.token, request)
    assert there == {sent.uid for sent in request[:3]}, "what came whole is kept"
    await send_again(stage, server, [request])
    await asyncio.to_thread(server.end)
    await _all_there(stage, [request])
    await assert_whole(stage, began)


async def _all_there(stage: Stage, requests: list[Request]) -> None:
    server = await stage.start()
    everything = [sent for request in requests for sent in request]
    there = await look_at_all(server.base, stage.token, everything)
    assert there == {sent.uid for sent in everything}
    await asyncio.to_thread(server.end)
