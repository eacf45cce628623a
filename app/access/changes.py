"""What tells of a change to who may do what, in the transaction of the change.

So there is neither without the other, whatever is killed in between.
"""

from collections.abc import Awaitable, Callable

from app.index.database import Connection

Told = Callable[[Connection, int, int], Awaitable[None]]
"""Tells of a change in a partition to what has this number; it is the last that is done."""


async def untold(_: Connection, __: int, ___: int) -> None:
    """Of what nobody has to be told."""
