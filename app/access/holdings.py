"""`Holdings`: what callers are granted, looked up seldom; what they have open, for every request.

Grants are applied by the statements that read (`app.index.restriction`), and hold from the next one
on. What decides about the text of these statements is remembered for a moment, or longer if it
takes long to look it up: whether the grants of a caller look at series and instances, which studies
and patients they name, and whether one is to break the glass. So what a new grant allows may be
seen a moment later. What one denies, and what an ended one allowed, is hidden at once.

Who may break the glass has what they have opened looked up for every request: so it is open, and
closed again, from the next one on, whichever process that comes to.
"""

import time

from app.archive import Archive
from app.index import grants, overrides
from app.index.grants import Held

REMEMBERED_SECONDS = 2.0
LONGEST_REMEMBERED_SECONDS = 30.0
SHARE_OF_LOOKING = 0.01
"""No more of the time goes into looking up one caller: a hundred thousand grants take a fifth of a
second."""
REMEMBERED_CALLERS = 10_000


class Holdings:
    """Knows what is granted in one archive; one in each process."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._remembered: dict[tuple[int, tuple[str, ...]], tuple[float, Held]] = {}

    async def granted(
        self, partition_id: int, subjects: tuple[str, ...], *, anew: bool = False
    ) -> Held:
        """What the grants of these subjects have in common; `anew`: at this very moment."""
        key, now = (partition_id, subjects), time.monotonic()
        if not anew and (remembered := self._remembered.get(key)) and now < remembered[0]:
            return remembered[1]
        async with self._archive.reading() as connection:
            held = await grants.held(connection, partition_id, subjects)
        if len(self._remembered) >= REMEMBERED_CALLERS:
            self._remembered.clear()
        looked = time.monotonic()
        self._remembered[key] = looked + _remember_seconds(looked - now), held
        return held

    async def held_by(
        self, partition_id: int, subjects: tuple[str, ...], *, anew: bool = False
    ) -> Held:
        """The same, with what the first of the subjects has open in an emergency."""
        held = await self.granted(partition_id, subjects, anew=anew)
        if not held.breaking:
            return held
        async with self._archive.reading() as connection:
            found = await overrides.open_to(connection, partition_id, subjects[0])
        return held.opened(found) if found else held


def _remember_seconds(looked: float) -> float:
    """For how long to remember what took so many seconds to look up."""
    seconds = max(REMEMBERED_SECONDS, looked / SHARE_OF_LOOKING)
    return min(seconds, LONGEST_REMEMBERED_SECONDS)
