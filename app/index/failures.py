"""What goes wrong between us and PostgreSQL, as errors of the archive.

    others in the way, too many at once, too slow       TooBusy       the same may work in a moment
    gone, starting, stopping, full, read-only, no entry Unavailable   somebody may have to look
    anything else                                       stays as it is: the mistake is ours

What PostgreSQL says of an error can quote values of patients, so it is never part of ours.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg

from app.errors import TooBusy, Unavailable

_OF_CLIENT = (asyncpg.InterfaceError, asyncpg.InternalClientError)
"""What asyncpg raises by itself; the second one also if the server has just ended the session."""

REFUSED = (asyncpg.DataError, asyncpg.ProgramLimitExceededError, TypeError, ValueError)
"""What is raised for a value that cannot be written, here or there: others can be without it."""


class Contended(TooBusy):
    """Others worked on the same rows; the transaction was undone and can be tried again."""


_BY_STATE: dict[str, tuple[type[Unavailable], str]] = {
    "08": (Unavailable, "The connection to the database was lost."),
    "25006": (Unavailable, "The database can only be read at the moment."),
    "25P03": (Unavailable, "The transaction was left alone for too long."),
    "28": (Unavailable, "The database does not let the archive in."),
    "3D000": (Unavailable, "The database does not exist."),
    "40": (Contended, "Others worked at the same place of the database."),
    "53": (TooBusy, "The database is short of memory or connections."),
    "53100": (Unavailable, "The database has no space left."),
    "57014": (TooBusy, "The database took too long."),
    "57P": (Unavailable, "The database is starting or stopping."),
    "58": (Unavailable, "The database cannot read or write its files."),
    "XX001": (Unavailable, "The database is damaged."),
    "XX002": (Unavailable, "The database is damaged."),
}
"""By the beginning of SQLSTATE (PostgreSQL, Appendix A); the longest one counts."""


@contextmanager
def ours(*kinds: type[BaseException]) -> Iterator[None]:
    """Turns errors of asyncpg, and of the given kinds, into the archive's where there is one."""
    try:
        yield
    except (asyncpg.PostgresError, *_OF_CLIENT, *kinds) as error:
        failure = _failure(error)
        if failure is None:
            raise
        raise failure from error


def _failure(error: BaseException) -> Unavailable | None:
    match error:
        case asyncpg.PostgresError():
            state = error.sqlstate or ""
            known = next((_BY_STATE[state[:n]] for n in (5, 3, 2) if state[:n] in _BY_STATE), None)
            return known[0](known[1]) if known else None
        case TimeoutError():
            return TooBusy("The database took too long.")
        case OSError():
            return Unavailable("The database does not answer.")
        case ValueError():
            return None
        case _:
            return Unavailable("The connection to the database was lost.")
