"""What dcmtk and dicom3tools say of instances that are retrieved: nothing worse than as stored.

Each object is asked for as it is stored, and in transfer syntaxes in which frames are sent.
"""

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
from pydicom.uid import RLELossless

from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from tests.clients.report import Report

LONGEST_SECONDS = 30


@dataclass(frozen=True)
class Tool:
    """A program that reads a file, and what it has to say against it."""

    name: str
    package: str
    """Debian's."""
    faults: Callable[[str, int], set[str]]
    """Of what it prints, and its exit code."""
    knows_all: bool = True
    """Whether it reads transfer syntaxes younger than it, and deflated data sets."""

    @property
    def is_there(self) -> bool:
        return shutil.which(self.name) is not None

    def look_at(self, path: Path) -> set[str]:
        """What it finds wrong with the file."""
        done = subprocess.run(
            [self.name, str(path)],
            capture_output=True,
            errors="replace",
            timeout=LONGEST_SECONDS,
            check=False,
        )
        return self.faults(done.stdout + done.stderr, done.returncode)


def _of_dcmdump(said: str, code: int) -> set[str]:
    return {line for line in said.splitlines() if line[:2] in {"E:", "F:"}} | _failed(code)


def _of_dcmftest(said: str, code: int) -> set[str]:
    return set() if said.startswith("yes:") else {said.partition(":")[0]} | _failed(code)


def _of_dciodvfy(said: str, code: int) -> set[str]:
    """Every kind of error, whichever value or frame has it."""
    errors = (line for line in said.splitlines() if line.startswith("Error"))
    return {re.sub(r"\d+", "n", line) for line in errors} | ({"killed"} if code < 0 else set())


def _failed(code: int) -> set[str]:
    return {f"exit code {code}"} if code else set()


TOOLS = (
    Tool("dcmdump", "dcmtk", _of_dcmdump),
    Tool("dcmftest", "dcmtk", _of_dcmftest),
    Tool("dciodvfy", "dicom3tools", _of_dciodvfy, knows_all=False),
)
_JPEG = "1.2.840.10008.1.2.4."
OLD = {EXPLICIT_VR_LITTLE_ENDIAN, RLELossless, *(_JPEG + n for n in ("57", "70", "80", "90", "91"))}
"""Transfer syntaxes in which frames are sent that every tool knows."""


def missing() -> list[str]:
    """What is not installed, and where it is found."""
    return [
        f"{tool.name} is not installed (Debian: apt install {tool.package})"
        for tool in TOOLS
        if not tool.is_there
    ]


def validate(
    client: httpx.Client,
    name: str,
    stored: bytes,
    url: str,
    targets: Sequence[str],
    folder: Path,
    report: Report,
) -> None:
    """Have the tools that are installed look at a stored object, as it comes in each `targets`."""
    tools = [tool for tool in TOOLS if tool.is_there]
    before = set(_findings(tools, folder, stored))
    with report.on(f"{name}: as stored"):
        assert _retrieved(client, url, "*") == stored, "other bytes"
    for target in targets:
        sent = _retrieved(client, url, target)
        if sent is None:
            continue
        with report.on(f"{name}: {TRANSFER_SYNTAXES[target].name}"):
            able = [tool for tool in tools if tool.knows_all or target in OLD]
            worse = set(_findings(able, folder, sent)) - before
            assert not worse, "; ".join(sorted(worse))


def _retrieved(client: httpx.Client, url: str, syntax: str) -> bytes | None:
    """The instance in this transfer syntax; None if it cannot be sent so."""
    answer = client.get(url, headers={"Accept": f"application/dicom; transfer-syntax={syntax}"})
    if answer.status_code == httpx.codes.NOT_ACCEPTABLE:
        return None
    return answer.raise_for_status().content


def _findings(tools: list[Tool], folder: Path, file: bytes) -> Iterator[str]:
    path = folder / "looked-at.dcm"
    path.write_bytes(file)
    for tool in tools:
        yield from (f"{tool.name}: {fault}" for fault in tool.look_at(path))
