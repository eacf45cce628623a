"""Opening an archive: what cannot be opened leaves nothing open."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from app.archive import open_archive
from app.index.database import Database
from app.settings import Settings


async def test_no_database_is_connected_to_where_there_are_no_blobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[object] = []
    monkeypatch.setattr(Database, "open", opened.append)
    settings = Settings(
        data_dir=tmp_path, blobs_url="ftp://blobs", database_url=SecretStr("postgresql://x/y")
    )
    with pytest.raises(ValueError, match="names no store of blobs"):
        await open_archive(settings)
    assert opened == []
