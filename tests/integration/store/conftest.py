"""Fixtures of the tests of Store: the archive behind the server, and someone who stores."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from app.archive import Archive, open_archive
from app.settings import Settings
from tests.factories import multipart
from tests.fixtures.server import Server


@dataclass(frozen=True)
class Modality:
    """A client that stores."""

    http: httpx.AsyncClient

    async def store(
        self, *parts: bytes, study: str | None = None, **headers: str
    ) -> "StoreResponse":
        """Store the parts in one message."""
        body, content_type = multipart(parts)
        return await self.post(body, content_type, study=study, **headers)

    async def post(
        self, body: Any, content_type: str | None, *, study: str | None = None, **headers: str
    ) -> "StoreResponse":
        """Send a body as it is."""
        path = "/studies" if study is None else f"/studies/{study}"
        sent = headers | ({"Content-Type": content_type} if content_type else {})
        return StoreResponse(await self.http.post(path, content=body, headers=sent))


@dataclass(frozen=True)
class StoreResponse:
    """The answer to a store."""

    http: httpx.Response

    @property
    def status(self) -> int:
        return self.http.status_code

    @property
    def module(self) -> dict[str, Any]:
        """The Store Instances Response Module."""
        module: dict[str, Any] = self.http.json()
        return module

    @property
    def stored(self) -> list[str]:
        """SOP Instance UIDs of what is stored."""
        return [value(item, "00081155") for item in self._items("00081199")]

    @property
    def failed(self) -> list[tuple[str | None, int]]:
        """SOP Instance UID, if it is known, and Failure Reason of what is not."""
        return [
            (value(item, "00081155") if "00081155" in item else None, value(item, "00081197"))
            for tag in ("00081198", "0008119A")
            for item in self._items(tag)
        ]

    @property
    def comments(self) -> list[str]:
        """What is said of attributes, of all items."""
        return [
            value(attribute, "00000902")
            for tag in ("00081198", "00081199", "0008119A")
            for item in self._items(tag)
            for attribute in item.get("00741048", {}).get("Value", [])
        ]

    def _items(self, tag: str) -> Iterable[dict[str, Any]]:
        items: list[dict[str, Any]] = self.module.get(tag, {}).get("Value", [])
        return items


def value(item: dict[str, Any], tag: str) -> Any:
    """The only value of an attribute."""
    (only,) = item[tag]["Value"]
    return only


@pytest.fixture
async def modality(server: Server) -> AsyncIterator[Modality]:
    async with server.client("store") as http:
        yield Modality(http)


@pytest.fixture
async def archive(settings: Settings) -> AsyncIterator[Archive]:
    """The archive that the server has open, opened here as well."""
    archive = await open_archive(settings)
    yield archive
    await archive.close()


async def blobs_of(archive: Archive) -> dict[str, int]:
    """Length of every blob by its key."""
    return {info.key: info.length async for info in archive.blobs.list()}


async def count(archive: Archive, table: str) -> int:
    """Rows of a table."""
    async with archive.reading() as connection:
        rows: int = await connection.fetchval(f"SELECT count(*) FROM {table}")
    return rows
