"""`python -m tests.memory`: what a serving process takes of memory under loads of hospital size.

An archive with its embedded PostgreSQL is started in a temporary folder, loaded, and measured: the
peak of its resident memory above what it had before. Each load has a bound; exits 1 beyond one.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx

from tests.archive_process import ArchiveProcess
from tests.elements import PIXEL_DATA, STUDY, element, fresh_uid, instance, uid
from tests.raw_http import RawConnection, request

MIB = 1024 * 1024
DICOM = {"Content-Type": "application/dicom"}
RELATED = {"Content-Type": "multipart/related; boundary=b"}
CONCURRENT = 16
READERS = 200
READER_BYTES_PER_SECOND = 10 * 1024


class Archive:
    """The archive that is measured."""

    def __init__(self, process: ArchiveProcess) -> None:
        self._process = process
        self.client = httpx.AsyncClient(
            base_url=process.base,
            headers={"Authorization": f"Bearer {process.token}"},
            trust_env=False,
            timeout=600,
        )
        self.token = process.token or ""
        self.base = process.base

    async def grown(self, work: Callable[[], Awaitable[str]]) -> tuple[int, float, str]:
        """MiB that the process grew by at most, seconds, and what the work says of itself."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")
        before, begin = self._status("VmRSS"), time.perf_counter()
        said = await work()
        seconds = time.perf_counter() - begin
        return (self._status("VmHWM") - before) // MIB, seconds, said

    def _status(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(status.split(f"{name}:")[1].split()[0]) * 1024


def large(size: int, study: str | None = None) -> tuple[bytes, Iterator[bytes]]:
    """The head of an instance with so many bytes of pixels, and these."""
    pixels = element(PIXEL_DATA, "OB", b"", min(size, 2**32 - 2))
    changes = {PIXEL_DATA: pixels}
    if study is not None:
        changes[STUDY] = element(STUDY, "UI", uid(study))
    piece = bytes(MIB)
    left = min(size, 2**32 - 2)
    pieces = (piece[: min(MIB, left - at)] for at in range(0, left, MIB))
    return instance(changes), pieces


async def body_of(size: int) -> AsyncIterator[bytes]:
    head, pieces = large(size)
    yield head
    for piece in pieces:
        yield piece


async def message_of(count: int, size: int, study: str) -> AsyncIterator[bytes]:
    """A message of so many instances of one study."""
    for _ in range(count):
        head, pieces = large(size, study)
        yield b"--b\r\nContent-Type: application/dicom\r\n\r\n" + head + b"".join(pieces) + b"\r\n"
    yield b"--b--\r\n"


async def taken(archive: Archive, url: str, accept: str) -> tuple[int, float]:
    """How many bytes an answer has, and the seconds to its first."""
    begin, first, length = time.perf_counter(), 0.0, 0
    async with archive.client.stream("GET", url, headers={"Accept": accept}) as answer:
        assert answer.status_code == 200, answer.status_code
        async for piece in answer.aiter_raw():
            first = first or time.perf_counter() - begin
            length += len(piece)
    return length, first


async def one_large_instance(archive: Archive, size: int) -> str:
    answer = await archive.client.post("/studies", content=body_of(size), headers=DICOM)
    assert answer.status_code == 200, answer.text
    url = answer.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    length, first = await taken(archive, url, "application/dicom; transfer-syntax=*")
    assert length > size - MIB
    return f"stored and retrieved, first byte after {first:.2f} s"


async def many_in_a_message(archive: Archive, count: int, size: int, study: str) -> str:
    content = message_of(count, size, study)
    answer = await archive.client.post("/studies", content=content, headers=RELATED)
    assert answer.status_code == 200, answer.text[:500]
    assert len(answer.json()["00081199"]["Value"]) == count
    return f"{count} instances stored by one request"


async def metadata_of(archive: Archive, study: str) -> str:
    length, first = await taken(archive, f"/studies/{study}/metadata", "application/dicom+json")
    return f"{length / MIB:.1f} MiB of metadata, first byte after {first:.2f} s"


async def whole_study(archive: Archive, study: str) -> str:
    length, first = await taken(
        archive, f"/studies/{study}", 'multipart/related; type="application/dicom"'
    )
    return f"{length / MIB:.0f} MiB sent, first byte after {first:.2f} s"


async def many_stores(archive: Archive, size: int) -> str:
    async def store() -> None:
        answer = await archive.client.post("/studies", content=body_of(size), headers=DICOM)
        assert answer.status_code == 200, answer.text

    await asyncio.gather(*(store() for _ in range(CONCURRENT)))
    return f"{CONCURRENT} at once"


async def search_seconds(archive: Archive, seconds: float) -> float:
    """The 95th percentile of how long a search takes."""
    found: list[float] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        begin = time.perf_counter()
        assert (await archive.client.get("/studies?limit=10")).status_code == 200
        found.append(time.perf_counter() - begin)
        await asyncio.sleep(0.02)
    return statistics.quantiles(found, n=20)[-1]


async def slow_readers(archive: Archive, url: str, seconds: float) -> str:
    """Readers who take little, while others search: with and without them, in turn."""
    idle = await search_seconds(archive, 5)
    origin, path = archive.base.removesuffix("/dicomweb"), url[url.index("/dicomweb") :]
    asking = request("GET", path, ["Accept: */*"], token=archive.token)
    connections = [RawConnection(origin) for _ in range(READERS)]
    for connection in connections:
        connection.send(asking)
        connection.socket.setblocking(False)

    async def read() -> None:
        while True:
            for connection in connections:
                with suppress(BlockingIOError):
                    connection.socket.recv(READER_BYTES_PER_SECOND)
            await asyncio.sleep(1)

    reading = asyncio.create_task(read())
    coming = await search_seconds(archive, 10)
    busy = await search_seconds(archive, seconds)
    reading.cancel()
    for connection in connections:
        connection.socket.close()
    return (
        f"searches (p95) {1000 * busy:.0f} ms, {1000 * idle:.0f} ms without them and"
        f" {1000 * coming:.0f} ms in the 10 s in which they come"
    )


async def run(archive: Archive, gigabytes: float, count: int, seconds: float) -> bool:
    study = fresh_uid()
    warm = await archive.client.post("/studies", content=instance(), headers=DICOM)
    assert warm.status_code == 200
    target = await archive.client.post("/studies", content=body_of(16 * MIB), headers=DICOM)
    url = target.json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    size = int(gigabytes * 1024) * MIB
    loads: list[tuple[str, int, Callable[[], Awaitable[str]]]] = [
        (f"an instance of {gigabytes:g} GB", 64, lambda: one_large_instance(archive, size)),
        (
            f"{count} x 512 KiB in one request",
            64,
            lambda: many_in_a_message(archive, count, 512 * 1024, study),
        ),
        (
            f"{count} small in one request",
            64,
            lambda: many_in_a_message(archive, count, 64, fresh_uid()),
        ),
        (f"metadata of {count} instances", 64, lambda: metadata_of(archive, study)),
        (f"a study of {count} x 512 KiB", 64, lambda: whole_study(archive, study)),
        (
            f"{CONCURRENT} stores of 256 MB",
            CONCURRENT * 16,
            lambda: many_stores(archive, 256 * MIB),
        ),
        (f"{READERS} slow readers", 384, lambda: slow_readers(archive, url, seconds)),
    ]
    good = True
    for name, most, work in loads:
        grown, took, said = await archive.grown(work)
        good = good and grown <= most
        print(f"{name:32} {grown:5} MiB (at most {most}) {took:7.1f} s  {said}", flush=True)
    return good


def main() -> int:
    """Parse the command line and run."""
    parser = argparse.ArgumentParser(prog="make test-memory", description=__doc__)
    parser.add_argument("--gigabytes", type=float, default=4, help="of one instance")
    parser.add_argument("--count", type=int, default=5000, help="instances of one request")
    parser.add_argument("--seconds", type=float, default=60, help="of slow reading")
    chosen = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="hilum-memory-") as folder,
        ArchiveProcess(Path(folder) / "data") as process,
    ):
        good = asyncio.run(run(Archive(process), chosen.gigabytes, chosen.count, chosen.seconds))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
