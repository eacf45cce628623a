"""What clients have sent and heard, and what can be seen of it afterwards.

An instance is acknowledged, or its outcome is unknown: the connection broke, or the archive said
503, or that it failed to process it. What is acknowledged is there for ever. What is unknown is
there wholly or not at all, and stays so until it is sent again.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import httpx
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO
from pydicom.uid import generate_uid

from tests.factories import ct_dataset, multipart, part10
from tests.messages import parts_of

CLIENTS = 3
BACK_SECONDS = 30
AS_STORED = {"Accept": "application/dicom; transfer-syntax=*"}
UNPROCESSED = (0x0110, 0xA700)
"""Failure reasons that say: try again."""


class Heard(StrEnum):
    """What is known of an instance that was sent."""

    STORED = "stored"
    UNKNOWN = "unknown"


@dataclass
class Sent:
    """An instance that somebody has sent."""

    file: bytes
    study: str
    series: str
    uid: str
    pixels: bytes
    heard: Heard = Heard.UNKNOWN
    answers: set[str] = field(default_factory=set)
    """The ids of the requests that told what became of it."""

    @classmethod
    def of(cls, file: bytes) -> "Sent":
        dataset = dcmread(DicomBytesIO(file))
        return cls(
            file,
            dataset.StudyInstanceUID,
            dataset.SeriesInstanceUID,
            dataset.SOPInstanceUID,
            dataset.PixelData,
        )

    @property
    def series_path(self) -> str:
        return f"/studies/{self.study}/series/{self.series}"

    @property
    def path(self) -> str:
        return f"{self.series_path}/instances/{self.uid}"


Request = list[Sent]


def requests_of(chance: random.Random, *, large: int = 0) -> list[Request]:
    """Requests of one study: single instances, messages of several, some on disk.

    `large`: bytes of one instance more.
    """
    study, series = generate_uid(), [generate_uid(), generate_uid()]

    def sent(number: int, size: int) -> Sent:
        return Sent.of(
            part10(
                ct_dataset(
                    StudyInstanceUID=study,
                    SeriesInstanceUID=chance.choice(series),
                    InstanceNumber=number,
                    Rows=size // 512,
                    Columns=256,
                    PixelData=chance.randbytes(size),
                )
            )
        )

    sizes = [[1024], [512] * 4, [3000 * 512], [1024], [512] * 3 + [2500 * 512] + [512] * 3, [512]]
    chance.shuffle(sizes)
    if large:
        sizes.insert(chance.randrange(len(sizes)), [large // 512 * 512])
    return [
        [sent(100 * n + m, size) for m, size in enumerate(message)]
        for n, message in enumerate(sizes)
    ]


@asynccontextmanager
async def client_of(base: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that is patient."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        base_url=base, headers=headers, trust_env=False, timeout=60
    ) as client:
        yield client


async def send(client: httpx.AsyncClient, request: Request) -> int | None:
    """Send a request and note what is heard; the status, or None if nothing was."""
    body, content_type = multipart([sent.file for sent in request])
    try:
        answer = await client.post("/studies", content=body, headers={"Content-Type": content_type})
    except httpx.TransportError:
        return None
    if answer.status_code in {200, 202, 409}:
        _note(request, answer)
    else:
        assert answer.status_code in {500, 503}, answer.text
    return answer.status_code


def _note(sent: Sequence[Sent], answer: httpx.Response) -> None:
    report = answer.json()
    for one in sent:
        one.answers.add(answer.headers["x-request-id"])
    stored = {item["00081155"]["Value"][0] for item in report.get("00081199", {}).get("Value", [])}
    for one in sent:
        if one.uid in stored:
            one.heard = Heard.STORED
    for tag in ("00081198", "0008119A"):
        for item in report.get(tag, {}).get("Value", []):
            assert item["00081197"]["Value"][0] in UNPROCESSED, (
                f"a good instance is refused: {item}"
            )


async def send_all(base: str, token: str, requests: Iterable[Request]) -> None:
    """Several clients send the requests, each the next one when it has heard of the last."""
    waiting = list(requests)

    async def work() -> None:
        async with client_of(base, token) as client:
            while waiting:
                await send(client, waiting.pop(0))

    await asyncio.gather(*(work() for _ in range(CLIENTS)))


async def _answer(client: httpx.AsyncClient, path: str, **how: Any) -> httpx.Response:
    """An answer, or a refusal: an object store that was killed may take a while to be back."""
    deadline = time.monotonic() + BACK_SECONDS
    while True:
        answer = await client.get(path, **how)
        if answer.status_code != 503 or time.monotonic() > deadline:
            return answer
        await asyncio.sleep(0.5)


async def look(client: httpx.AsyncClient, sent: Sent) -> bool:
    """Whether the instance is there. Fails if it is there for one and not for another, or changed.

    Everything that a viewer could ask is asked: search, metadata, the instance, its frame.
    """
    found = await _answer(client, f"{sent.series_path}/instances?SOPInstanceUID={sent.uid}")
    metadata = await _answer(client, f"{sent.path}/metadata")
    stored = await _answer(client, sent.path, headers=AS_STORED)
    frame = await _answer(client, f"{sent.path}/frames/1")
    there = {
        "search": found.status_code == 200 and len(found.json()) == 1,
        "metadata": metadata.status_code == 200,
        "instance": stored.status_code == 200,
        "frame": frame.status_code == 200,
    }
    assert len(set(there.values())) == 1, f"half visible: {there} of {sent.path}"
    if not there["instance"]:
        assert {metadata.status_code, stored.status_code, frame.status_code} == {404}
        assert sent.heard is not Heard.STORED, f"lost: {sent.path}"
        return False
    assert stored.content == sent.file, f"changed: {sent.path}"
    assert parts_of(frame) == [sent.pixels], f"changed: the frame of {sent.path}"
    assert metadata.json()[0]["00080018"]["Value"] == [sent.uid]
    return True


async def look_at_all(base: str, token: str, sent: Iterable[Sent]) -> set[str]:
    """The UIDs of those that are there."""
    waiting = list(sent)
    there: set[str] = set()

    async def work() -> None:
        async with client_of(base, token) as client:
            while waiting:
                one = waiting.pop()
                if await look(client, one):
                    there.add(one.uid)

    await asyncio.gather(*(work() for _ in range(CLIENTS)))
    return there
