"""Which store a URL names."""

from pathlib import Path

import pytest

from app.blobs.contract import BlobsUnavailable
from app.blobs.local import LocalBlobs
from app.blobs.memory import MemoryBlobs
from app.blobs.objectstore import ObjectStoreBlobs
from app.blobs.open import open_blobs


async def test_without_a_url_blobs_lie_in_the_data_folder(tmp_path: Path) -> None:
    assert isinstance(open_blobs(None, tmp_path / "data"), LocalBlobs)
    assert (tmp_path / "data/blobs").is_dir()
    assert (tmp_path / "data/spool").is_dir()


async def test_a_file_url_names_a_folder(tmp_path: Path) -> None:
    assert isinstance(open_blobs(f"file://{tmp_path}/a%20b", tmp_path), LocalBlobs)
    assert (tmp_path / "a b").is_dir()


async def test_memory_is_memory(tmp_path: Path) -> None:
    assert isinstance(open_blobs("memory://", tmp_path), MemoryBlobs)


@pytest.mark.parametrize(
    "url", ["s3://bucket", "s3://bucket/some/prefix", "gs://bucket/prefix", "az://container/prefix"]
)
async def test_object_stores_are_opened_without_asking_them(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    store = open_blobs(url, tmp_path)
    assert isinstance(store, ObjectStoreBlobs)
    await store.close()


@pytest.mark.parametrize(
    "url", ["", "blobs", "/srv/blobs", "file://host/path", "file://", "s3://", "ftp://host/path"]
)
def test_anything_else_is_refused_and_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names no store of blobs"):
        open_blobs(url, tmp_path)


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BlobsUnavailable, match="file/spool cannot be used: Not a directory"):
        open_blobs(None, tmp_path / "file")
