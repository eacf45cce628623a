"""The versions of an instance, of which all but the newest have been replaced. An extension.

/studies/{study}/series/{series}/instances/{instance}/versions                which there are: JSON
/studies/{study}/series/{series}/instances/{instance}/versions/{version}      one: a DICOM object

A version never changes, so its number may be kept with what was retrieved by it.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from starlette.responses import Response

from app.dicom.mediatypes import DICOM, JSON, MULTIPART, Offer, choose
from app.errors import NotAcceptable, NotFound
from app.index.instances import StoredInstance, locate_versions
from app.retrieve.asking import RANGES, Ask, Asked, answers, target_of
from app.retrieve.plan import instance_path, plan_instances
from app.retrieve.response import plan_response
from app.web.dependencies import DICOMWEB
from app.web.plain_route import PlainRoute
from app.web.responses import dicom_json

router = APIRouter(prefix=DICOMWEB, tags=["Retrieve"], route_class=PlainRoute)

_VERSIONS = "/studies/{study}/series/{series}/instances/{instance}/versions"


@router.get(_VERSIONS, responses=answers("The versions, the newest first", JSON))
async def list_versions(ask: Asked, study: str, series: str, instance: str) -> Response:
    """What is stored under the UID of an instance: the instance, and those that it replaced."""
    if choose(ask.accepted, [Offer(JSON)]) is None:
        raise NotAcceptable(f"Versions are listed as {JSON}.")
    found = await _versions(ask, study, series, instance)
    described = [_described(version, ask.base) for version in found]
    return await dicom_json(ask.request, orjson.dumps(described), media_type=JSON)


@router.get(
    _VERSIONS + "/{version}",
    responses=answers("The version", f'{MULTIPART}; type="{DICOM}"', DICOM) | RANGES,
)
async def retrieve_version(
    ask: Asked,
    study: str,
    series: str,
    instance: str,
    version: Annotated[int, Path(ge=1, lt=2**31)],
) -> Response:
    """An instance as it was before others took its place."""
    found = await _versions(ask, study, series, instance)
    wanted = [each for each in found if each.version == version]
    if not wanted:
        raise NotFound(f"There is no version {version}: the newest is {found[0].version}.")
    plan = plan_instances(wanted, ask.accepted, single=True)
    parts = tuple(replace(part, location=_path(part.instance)) for part in plan.parts)
    return await plan_response(ask.request, ask.archive, replace(plan, parts=parts), ask.base)


async def _versions(ask: Ask, study: str, series: str, instance: str) -> Sequence[StoredInstance]:
    target_of(study, series, instance)
    async with ask.archive.reading() as connection:
        found = await locate_versions(connection, ask.visibility, study, series, instance)
    if not found:
        raise NotFound
    return found


def _path(version: StoredInstance) -> str:
    return f"{instance_path(version)}/versions/{version.version}"


def _described(version: StoredInstance, base: str) -> dict[str, Any]:
    return {
        "version": version.version,
        "url": base + _path(version),
        "stored_at": version.created_at.astimezone(UTC).isoformat(),
        "transfer_syntax_uid": version.transfer_syntax_uid,
        "length": version.length,
        "sha256": version.sha256.hex(),
    }
