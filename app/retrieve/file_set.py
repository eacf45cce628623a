"""A ZIP archive as a file-set (PS3.10 8): names by File IDs, and a DICOMDIR that leads to them.

The DICOMDIR is made of the metadata when the instances have been sent, a page of them at a time.
"""

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.blobs.spool import spool_directory
from app.dicom.directory import WANTED, Directory
from app.dicom.longjson import loads
from app.index.instances import metadata_of
from app.index.visibility import Visibility
from app.retrieve.contents import RecodedInstance, Transcoded
from app.retrieve.plan import Part, Plan

DIRECTORY_NAME = "DICOMDIR"

_PAGE = 32


def member_names(plan: Plan) -> Iterator[str]:
    """What the instances are called in the archive, in their order.

    By their UIDs, or, where there is a DICOMDIR, by File IDs: those of a series in one folder.
    """
    if plan.directory_for is None:
        for part in plan.parts:
            one = part.instance
            series = f"{one.study_instance_uid}/{one.series_instance_uid}"
            yield f"{series}/{one.sop_instance_uid}.dcm"
        return
    last, folder, number = None, 0, 0
    for part in plan.parts:
        if part.instance.series_instance_uid != last:
            last, folder, number = part.instance.series_instance_uid, folder + 1, 0
        number += 1
        yield f"DICOM/S{folder:07}/I{number:07}"


async def directory_pieces(
    archive: Archive, plan: Plan, visibility: Visibility, uid: str
) -> AsyncGenerator[bytes]:
    """The DICOMDIR of what is sent. `uid`: its own."""
    memory = archive.settings.limits.spool_memory_bytes
    folder = spool_directory(archive.settings.data_dir)
    with tempfile.SpooledTemporaryFile(memory, dir=str(folder)) as file:
        directory = Directory(file, uid)
        await _fill(archive, plan, visibility, directory)
        await asyncio.to_thread(directory.finish)
        file.seek(0)
        while piece := await asyncio.to_thread(file.read, CHUNK):
            yield piece


async def _fill(archive: Archive, plan: Plan, visibility: Visibility, directory: Directory) -> None:
    names = member_names(plan)
    parts = list(plan.parts)
    for start in range(0, len(parts), _PAGE):
        page = parts[start : start + _PAGE]
        async with archive.reading() as connection:
            ids = [part.instance.id for part in page]
            packed = await metadata_of(connection, visibility, ids)
        for part, name in zip(page, names, strict=False):
            if part.instance.id in packed:  # else it has just been deleted
                metadata = packed[part.instance.id]
                await asyncio.to_thread(_add, directory, part, name, metadata)


def _add(directory: Directory, part: Part, name: str, packed: bytes) -> None:
    directory.add(loads(packed, WANTED), name, _syntax_of(part))


def _syntax_of(part: Part) -> str:
    match part.content:
        case Transcoded(target=target):
            return target
        case RecodedInstance(recoding=recoding):
            return recoding.target
    return part.instance.transfer_syntax_uid
