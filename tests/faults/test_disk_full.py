"""No space left: whoever stores is told, whoever reads notices nothing, and it passes."""

import asyncio
import random

import pytest

from tests.faults.history import Heard, client_of, look, requests_of, send
from tests.faults.trial import Stage, assert_whole, now, send_again


@pytest.mark.parametrize("fault", ["D1:full:1", "F7:full:1", "F7:full:4"])
async def test_a_full_disk_costs_no_instance(stage: Stage, fault: str) -> None:
    began = await now(stage)
    requests = requests_of(random.Random(fault))
    server = await stage.start(fault)
    statuses = []
    async with client_of(server.base, stage.token) as client:
        for request in requests:
            statuses.append(await send(client, request))
            for sent in request:
                assert await look(client, sent) is (sent.heard is Heard.STORED)
    told = [status for status in statuses if status != 200]
    assert len(told) == 1
    assert told[0] in {202, 503}
    # There is space again, and it is the same server.
    await send_again(stage, server, requests)
    await asyncio.to_thread(server.end)
    await assert_whole(stage, began)
