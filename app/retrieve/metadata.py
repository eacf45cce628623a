"""The metadata of a study or a series as one JSON array (PS3.18 10.4.1.1.2).

Rules:
- That of a series is made once for each of its states, of the JSON that Store has kept of every
  instance, and is then kept compressed: it is sent as it lies. What is not kept yet, or is too
  large to be, is made while it is sent. No JSON is parsed.
- What is sent is of one moment, whatever is stored meanwhile.
- However many instances there are, a page of them and what is kept of their series is in memory,
  and no connection is held while that is sent.
- BulkDataURIs become absolute on the way out, below the URL of their instance.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

import structlog

from app.archive import Archive
from app.dicom.jsonmodel import absolute, absolute_pieces, unpack
from app.errors import ArchiveError, NotFound
from app.index.instances import StoredMetadata, locate_metadata, metadata_of
from app.index.series_metadata import (
    Deflated,
    Member,
    StoredSeries,
    keep,
    locate_series,
    members_of,
)
from app.index.visibility import Visibility
from app.retrieve.deflated import Deflator, joined, verbatim
from app.retrieve.plan import series_path
from app.retrieve.service import Target

PAGE = 32
"""Instances whose JSON is read by one statement."""

Page = Sequence[tuple[str, bytes]]
"""The SOP Instance UIDs of some instances, and the compressed JSON that is kept of each."""

KEPT_BYTES = 8 * 1024 * 1024
"""Compressed metadata of one series; more than that is made anew for every request."""

_LONG_BYTES = 64 * 1024  # of compressed JSON: inflating it would hold up the event loop
_BEGIN, _COMMA, _END = map(verbatim, (b"[", b",", b"]"))
_RECIPE = version("hilum")


@dataclass(frozen=True, slots=True)
class Metadata:
    """What is to be sent: the series of a study, or one of them, as they were at one moment."""

    study_instance_uid: str
    base: str
    """The DICOMweb base URL."""
    series: Sequence[StoredSeries]
    members: Mapping[int, Sequence[Member]]
    """The instances of the series whose objects are to be made, by the id of these."""

    @property
    def kept(self) -> Deflated | None:
        """The whole array, if nothing of it has to be made."""
        if self.members:
            return None
        pieces = [piece for one in self.series if one.kept for piece in (_COMMA, one.kept)]
        return joined([_BEGIN, *pieces[1:], _END])

    @property
    def newest(self) -> datetime:
        """When something of it was last stored, replaced or removed."""
        return max(one.updated_at for one in self.series)

    def validator(self, media_type: str) -> str:
        """32 hex digits that change with anything that is sent."""
        digest = hashlib.blake2b(f"{media_type} {_form(self.base)}".encode(), digest_size=16)
        for one in self.series:
            digest.update(f" {one.id} {one.revision}".encode())
        return digest.hexdigest()


async def find_metadata(
    archive: Archive, visibility: Visibility, target: Target, base: str, *, anew: bool = False
) -> Metadata:
    """What is to be sent of the study or the series, with URLs below `base`. Raises `NotFound`.

    `anew`: nothing that is kept is to be sent, and the instances of every series are needed.
    """
    async with archive.reading() as connection:
        found = await locate_series(connection, visibility, _form(base), *target.uids)
    members: dict[int, list[Member]] = {}
    if anew or not all(one.kept for one in found):
        async with archive.snapshot() as connection:
            found = await locate_series(connection, visibility, _form(base), *target.uids)
            missing = [one.id for one in found if anew or one.kept is None]
            members = await members_of(connection, visibility, missing)
    if not found:
        raise NotFound
    return Metadata(target.study_instance_uid, base, found, members)


async def find_instance_metadata(
    archive: Archive, visibility: Visibility, target: Target
) -> StoredMetadata:
    """The metadata of the instance. Raises `NotFound`."""
    async with archive.reading() as connection:
        found = await locate_metadata(connection, visibility, *target.uids)
    if not found:
        raise NotFound
    return found[0]


def instance_validator(found: StoredMetadata, representation: str) -> str:
    """32 hex digits that change with the instance, and with what is told of it."""
    said = f"{_RECIPE} {representation} {found.version} ".encode()
    return hashlib.blake2b(said + found.sha256, digest_size=16).hexdigest()


def is_long(found: StoredMetadata) -> bool:
    """Whether the JSON of the instance is better inflated while it is sent."""
    return len(found.metadata_json) > _LONG_BYTES


def instance_json(found: StoredMetadata, base: str) -> bytes:
    """The JSON array of one instance, with URLs below `base`."""
    series = series_path(found.study_instance_uid, found.series_instance_uid)
    url = f"{base}{series}/instances/{found.sop_instance_uid}"
    return b"[%b]" % absolute(unpack(found.metadata_json), url)


async def metadata_pieces(
    archive: Archive, visibility: Visibility, metadata: Metadata
) -> AsyncGenerator[Deflated]:
    """The JSON array, piece by piece. Raises `NotFound` if an instance has been deleted since."""
    before = _BEGIN
    for series in metadata.series:
        yield before
        before = _COMMA
        if series.kept is not None:
            yield series.kept
            continue
        async for piece in _made(archive, visibility, metadata, series):
            yield piece
    yield _END


async def _made(
    archive: Archive, visibility: Visibility, metadata: Metadata, series: StoredSeries
) -> AsyncGenerator[Deflated]:
    """The objects of the instances of a series, and keep them for the next request."""
    deflator = Deflator()
    made: list[Deflated] = []
    size = 0
    above = series_path(metadata.study_instance_uid, series.series_instance_uid)
    async for page in packed_pages(archive, visibility, metadata.members[series.id]):
        objects = _objects(page, metadata.base + above, first=not size)
        piece = await asyncio.to_thread(deflator.feed, objects)
        yield piece
        size += len(piece.blocks)
        made = [*made, piece] if size <= KEPT_BYTES else []
    if made:
        await _keep(archive, visibility, series, _form(metadata.base), joined(made))


async def packed_pages(
    archive: Archive, visibility: Visibility, members: Sequence[Member]
) -> AsyncGenerator[Page]:
    """What is kept of instances, so many at a time. Raises `NotFound` if one has been deleted."""
    for start in range(0, len(members), PAGE):
        page = members[start : start + PAGE]
        async with archive.reading() as connection:
            packed = await metadata_of(connection, visibility, [one.id for one in page])
        if missing := [one for one in page if one.id not in packed]:
            raise NotFound(f"Instance {missing[0].sop_instance_uid} has just been deleted.")
        yield [(one.sop_instance_uid, packed[one.id]) for one in page]


def _objects(page: Page, series_url: str, *, first: bool) -> Iterator[bytes]:
    """The JSON objects of instances with a comma before each but the first."""
    for number, (sop_instance_uid, packed) in enumerate(page):
        if number or not first:
            yield b","
        yield from absolute_pieces(packed, f"{series_url}/instances/{sop_instance_uid}")


async def _keep(
    archive: Archive, visibility: Visibility, series: StoredSeries, form: str, made: Deflated
) -> None:
    """Keep what has been made; the request goes on whether that works or not."""
    try:
        async with archive.writing() as connection:
            await keep(connection, visibility, series, form, made)
    except ArchiveError as error:
        structlog.get_logger().warning("metadata.keep", why=str(error))


def _form(base: str) -> str:
    """By what recipe metadata is made, and for whom."""
    return f"{_RECIPE} {base}"
