"""Clients that break off at any byte, say what is not so, or send the same again and again."""

import asyncio
import random
from urllib.parse import urlsplit

from tests.factories import multipart
from tests.faults.history import Request, client_of, look_at_all, requests_of, send
from tests.faults.nursery import ServerProcess
from tests.faults.trial import Stage, assert_whole, now, send_again

BREAKS = 24
MANY, AT_ONCE = 500, 20
MIB = 1024 * 1024
GONE_SECONDS = 20
POOL = 5
"""Connections to the database that a server may open later."""


async def test_who_breaks_off_leaves_instances_whole_or_not_at_all(stage: Stage) -> None:
    began = await now(stage)
    chance = random.Random(4)
    server = await stage.start()
    requests = [chance.choice(requests_of(chance)) for _ in range(BREAKS)]
    await asyncio.gather(*(break_off(stage, server, request, chance) for request in requests))
    everything = [sent for request in requests for sent in request]
    there = await look_at_all(server.base, stage.token, everything)
    assert 0 < len(there) < len(everything), "the breaks came all too early or all too late"
    await send_again(stage, server, requests)
    assert len(await look_at_all(server.base, stage.token, everything)) == len(everything)
    assert list((stage.settings.data_dir / "spool").iterdir()) == []
    await asyncio.to_thread(server.end)
    await assert_whole(stage, began)


async def test_many_who_break_off_leave_no_file_no_connection_and_no_memory(stage: Stage) -> None:
    """I9."""
    chance = random.Random(9)
    requests = requests_of(chance)
    server = await stage.start()
    spool = stage.settings.data_dir / "spool"

    async def many(count: int) -> None:
        for _ in range(count // AT_ONCE):
            some = chance.choices(requests, k=AT_ONCE)
            await asyncio.gather(*(break_off(stage, server, one, chance) for one in some))

    await many(MANY // 5)
    files, memory = server.open_files, server.memory
    await many(MANY)
    async with asyncio.timeout(GONE_SECONDS):
        while server.open_files > files + POOL or list(spool.iterdir()):
            await asyncio.sleep(0.05)
    assert server.memory - memory < 64 * MIB


async def test_who_sends_the_same_again_hears_the_same_again(stage: Stage) -> None:
    began = await now(stage)
    server = await stage.start()
    request = requests_of(random.Random(5))[0]
    body, content_type = multipart([sent.file for sent in request])
    async with client_of(server.base, stage.token) as client:
        answers = await asyncio.gather(
            *(
                client.post("/studies", content=body, headers={"Content-Type": content_type})
                for _ in range(5)
            )
        )
    assert [answer.status_code for answer in answers] == [200] * 5
    assert len({answer.content for answer in answers}) == 1
    assert len(await look_at_all(server.base, stage.token, request)) == len(request)
    await asyncio.to_thread(server.end)
    await assert_whole(stage, began)


async def break_off(
    stage: Stage, server: ServerProcess, request: Request, chance: random.Random
) -> None:
    """Send a request up to some byte, and go away, by a reset or politely."""
    body, content_type = multipart([sent.file for sent in request])
    address = urlsplit(server.base)
    _, writer = await asyncio.open_connection(address.hostname, address.port)
    chunked = chance.random() < 0.5
    # Of a message that is sent whole nobody waits for the answer.
    sent = body[: chance.randrange(len(body) + len(body) // 4)]
    size = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    writer.write(
        f"POST /dicomweb/studies HTTP/1.1\r\nHost: archive\r\n"
        f"Authorization: Bearer {stage.token}\r\nContent-Type: {content_type}\r\n"
        f"{size}\r\n\r\n".encode()
    )
    try:
        writer.write(b"%x\r\n%b\r\n" % (len(sent), sent) if chunked and sent else sent)
        await writer.drain()
        await asyncio.sleep(chance.uniform(0, 0.2))
    except ConnectionError:
        pass
    if chance.random() < 0.5:
        writer.transport.abort()
    else:
        writer.close()


async def test_who_says_a_wrong_length_is_not_taken_for_having_finished(stage: Stage) -> None:
    server = await stage.start()
    request = requests_of(random.Random(6))[0]
    body, content_type = multipart([sent.file for sent in request])
    address = urlsplit(server.base)
    for length in (len(body) - 3000, len(body) + 3000):
        _, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            f"POST /dicomweb/studies HTTP/1.1\r\nHost: archive\r\n"
            f"Authorization: Bearer {stage.token}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {length}\r\n\r\n".encode()
        )
        writer.write(body)
        writer.write_eof()
        await asyncio.sleep(0.3)
        writer.transport.abort()
    there = await look_at_all(server.base, stage.token, request)
    async with client_of(server.base, stage.token) as client:
        assert await send(client, request) == 200
    assert there <= await look_at_all(server.base, stage.token, request)
