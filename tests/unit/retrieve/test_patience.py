"""What has begun goes on when its turn comes, and not before."""

import pytest

from app.errors import TooBusy, Unprocessable
from app.retrieve.patience import patiently


async def test_who_is_busy_is_asked_again() -> None:
    refusals = [TooBusy(), TooBusy()]

    async def work() -> bytes:
        if refusals:
            raise refusals.pop()
        return b"an image"

    assert await patiently(work) == b"an image"
    assert not refusals


async def test_what_cannot_be_done_is_not_tried_again() -> None:
    tried = 0

    async def work() -> bytes:
        nonlocal tried
        tried += 1
        raise Unprocessable("It is broken.")

    with pytest.raises(Unprocessable):
        await patiently(work)
    assert tried == 1
