"""Print what an archive is made of: a software bill of materials, as CycloneDX 1.6 in JSON.

It lists what `requirements.lock` installs on this machine: each distribution with its licence as it
declares it, the hashes of the files that the lock takes for it, and what needs it. The same lock
gives the same bytes on machines of one kind; no address of a package index and no path is in it.
"""

import json
import platform
import sys
from collections import defaultdict
from collections.abc import Iterator
from importlib.metadata import Distribution
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.locked import RUNNING, Locked, due, installed, licence_of

ARCHIVE = "hilum"
BUILT_BY = "flit-core"

Json = dict[str, Any]


def render() -> str:
    """The bill as JSON."""
    locked = sorted(due(RUNNING), key=lambda one: one.name)
    found = installed()
    refs = {one.name: f"pkg:pypi/{one.name}@{one.version}" for one in locked}
    refs[ARCHIVE] = ARCHIVE
    needed = needs(found)
    bill: Json = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": ARCHIVE,
                "name": ARCHIVE,
                "version": found[ARCHIVE].version,
                "licenses": _licences(found[ARCHIVE]),
            },
            "properties": [{"name": "hilum:installed-on", "value": machine()}],
        },
        "components": [_component(one, found[one.name], refs[one.name]) for one in locked],
        "dependencies": [
            {"ref": refs[name], "dependsOn": sorted(refs[other] for other in needed[name])}
            for name in sorted(refs)
        ],
    }
    return json.dumps(bill, indent=2, ensure_ascii=False) + "\n"


def machine() -> str:
    """The kind of machine, on which it depends what is installed."""
    major, minor, _ = platform.python_version_tuple()
    return f"{platform.python_implementation()} {major}.{minor}, {sys.platform}"


def _component(locked: Locked, distribution: Distribution, ref: str) -> Json:
    return {
        "type": "library",
        "bom-ref": ref,
        "name": locked.name,
        "version": locked.version,
        "hashes": [{"alg": "SHA-256", "content": sha256} for sha256 in locked.sha256],
        "licenses": _licences(distribution),
        "purl": ref,
    }


def _licences(distribution: Distribution) -> list[Json]:
    licence = licence_of(distribution)
    if licence is None:
        return []
    if " " in licence:
        return [{"expression": licence, "acknowledgement": "declared"}]
    return [{"license": {"id": licence, "acknowledgement": "declared"}}]


def needs(found: dict[str, Distribution]) -> dict[str, set[str]]:
    """What each distribution needs, from the archive on, with the extras that are asked for."""
    needed: defaultdict[str, set[str]] = defaultdict(set)
    needed[ARCHIVE].add(BUILT_BY)
    seen: set[tuple[str, str]] = set()
    asked = [(ARCHIVE, "")]
    while asked:
        name, extra = one = asked.pop()
        if one in seen:
            continue
        seen.add(one)
        for requirement in _requirements(found[name], extra):
            other = canonicalize_name(requirement.name)
            if other != name:
                needed[name].add(other)
            asked += [(other, wanted) for wanted in ("", *requirement.extras)]
    return needed


def _requirements(distribution: Distribution, extra: str) -> Iterator[Requirement]:
    for requirement in map(Requirement, distribution.requires or ()):
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


if __name__ == "__main__":
    sys.stdout.write(render())
