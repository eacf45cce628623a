"""What can be made again is kept, within bounds, and never shown when it is not what was put."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from app.blobs.cache import OLDEST_SECONDS, Cache

KEY, OTHER = "ab" * 20, "cd" * 20
MOST = 160_000


@pytest.fixture
async def cache(tmp_path: Path) -> AsyncIterator[Cache]:
    opened = Cache(tmp_path / "cache", MOST)
    yield opened
    await opened.close()


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def kept(cache: Cache, key: str, data: bytes) -> None:
    cache.put(key, data)
    await cache.close()


async def test_what_was_put_is_there_for_every_process(cache: Cache, tmp_path: Path) -> None:
    assert await cache.get(KEY) is None
    await kept(cache, KEY, b"image")
    assert await cache.get(KEY) == b"image"
    assert await Cache(tmp_path / "cache", MOST).get(KEY) == b"image"
    assert await cache.get(OTHER) is None


@pytest.mark.parametrize(
    "spoil", [lambda data: b"", lambda data: data[:-1], lambda data: data[:-1] + b"X"]
)
async def test_what_was_spoilt_is_not_there(
    cache: Cache, tmp_path: Path, spoil: Callable[[bytes], bytes]
) -> None:
    await kept(cache, KEY, b"image")
    (file,) = files(tmp_path)
    file.write_bytes(spoil(file.read_bytes()))
    assert await cache.get(KEY) is None
    await kept(cache, KEY, b"image")
    assert await cache.get(KEY) == b"image"


async def test_a_file_under_the_name_of_another_is_not_there(cache: Cache, tmp_path: Path) -> None:
    await kept(cache, KEY, b"of one partition")
    (file,) = files(tmp_path)
    other = tmp_path / "cache" / OTHER[:2] / OTHER[2:]
    other.parent.mkdir()
    file.rename(other)
    assert await cache.get(OTHER) is None


async def test_it_never_grows_much_beyond_its_size(cache: Cache, tmp_path: Path) -> None:
    data = os.urandom(MOST // 20)
    last = 0
    for number in range(100):
        last = number
        await kept(cache, f"{number:040x}", data)
        assert sum(file.stat().st_size for file in files(tmp_path)) <= MOST * 9 // 8
    assert await cache.get(f"{last:040x}") == data
    assert await cache.get(f"{0:040x}") is None


async def test_two_processes_may_clear_up_at_once(tmp_path: Path) -> None:
    caches = [Cache(tmp_path, MOST) for _ in range(4)]
    data = os.urandom(MOST // 20)
    for number in range(100):
        for place, cache in enumerate(caches):
            cache.put(f"{number:02x}{place:038x}", data)
        await asyncio.gather(*(cache.close() for cache in caches))
    assert sum(file.stat().st_size for file in files(tmp_path)) <= MOST * 5 // 4


async def test_what_is_old_goes(cache: Cache, tmp_path: Path) -> None:
    await kept(cache, KEY, b"old")
    (file,) = files(tmp_path)
    then = time.time() - OLDEST_SECONDS - 1
    os.utime(file, (then, then))
    await kept(cache, OTHER, b"new")
    await cache.tidy()
    assert await cache.get(KEY) is None
    assert await cache.get(OTHER) == b"new"


async def test_a_cache_of_no_size_keeps_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache", 0)
    await kept(cache, KEY, b"")
    await kept(cache, KEY, b"image")
    assert await cache.get(KEY) is None
    await cache.tidy()
    assert not (tmp_path / "cache").exists()


async def test_where_nothing_can_be_written_nothing_is_kept_and_nothing_fails(
    tmp_path: Path,
) -> None:
    (tmp_path / "cache").write_bytes(b"no folder")
    cache = Cache(tmp_path / "cache", MOST)
    await kept(cache, KEY, b"image")
    assert await cache.get(KEY) is None
    await cache.tidy()


async def test_what_is_too_large_is_not_kept(cache: Cache, tmp_path: Path) -> None:
    await kept(cache, KEY, bytes(MOST // 2))
    assert files(tmp_path) == []
