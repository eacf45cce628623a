"""Work in the background goes on whatever went wrong, and the log says nothing of a patient."""

import asyncio
from collections.abc import Iterator

from structlog.testing import capture_logs

from app.errors import Unavailable
from app.upkeep.repeating import Repeating


async def failing_with(*errors: Exception) -> list[str]:
    """What is logged of work that fails with one after the other, and then does not."""
    left: Iterator[Exception] = iter(errors)
    done = asyncio.Event()

    async def work() -> None:
        if (error := next(left, None)) is not None:
            raise error
        done.set()

    with capture_logs() as lines:
        repeating = Repeating("work", work, seconds=0.001)
        await done.wait()
        await repeating.close()
    return [f"{line['event']} {line['error']}" for line in lines]


async def test_our_own_errors_are_logged_as_they_tell_it() -> None:
    assert await failing_with(Unavailable("No."), Unavailable("No.")) == ["work_failed No."] * 2


async def test_of_others_only_their_place_is_logged() -> None:
    (line,) = await failing_with(ValueError("Doe^Jane"))
    assert "test_repeating.py" in line
    assert line.endswith("builtins.ValueError")
    assert "Doe" not in line
