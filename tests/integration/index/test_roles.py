"""The role that serves: enough to serve, and no way to change the schema or the past."""

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest
from typer.testing import CliRunner

from app.cli import commands
from app.errors import InvalidParameter
from app.index import migrate
from app.index.roles import grant_to
from tests import factories
from tests.fixtures.server import FixedSettings, serving

_numbers = count(1)


@pytest.fixture
async def role(database_url: str) -> AsyncIterator[str]:
    """A role that may log in, and nothing else."""
    name = f"service {next(_numbers)}"
    owner = await asyncpg.connect(database_url)
    await owner.execute(f'CREATE ROLE "{name}" LOGIN')
    yield name
    await owner.execute(f'DROP OWNED BY "{name}"')
    await owner.execute(f'DROP ROLE "{name}"')
    await owner.close()


def as_role(url: str, role: str) -> str:
    """The URL by which the role connects."""
    return urlsplit(url)._replace(netloc=f"{role.replace(' ', '%20')}@").geturl()


FORBIDDEN = [
    "UPDATE audit SET status = 200",
    "DELETE FROM audit",
    "TRUNCATE audit",
    "DELETE FROM audit_chain",
    "INSERT INTO audit_retention VALUES (1, 9, '', '')",
    "DELETE FROM change",
    "UPDATE alembic_version SET version_num = '0000'",
    "CREATE TABLE mine (n int)",
    "DROP TABLE audit",
    "ALTER TABLE audit DISABLE TRIGGER ALL",
    "DROP TRIGGER append_only ON audit",
    "CREATE OR REPLACE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN OLD; END'",
    "SET session_replication_role = replica",
]


async def test_the_role_serves_and_cannot_change_the_past(
    database_url: str, role: str, tmp_path: Path
) -> None:
    await grant_to(database_url, role)
    url = as_role(database_url, role)
    migrate.upgrade(url)
    values = {"database_url": url, "data_dir": tmp_path / "data", "duplicates": "replace"}
    dataset = factories.ct_dataset()
    file = factories.part10(dataset)
    dataset.PatientName = "Doe^John"
    changed = factories.part10(dataset)
    headers = {"Content-Type": "application/dicom"}
    with serving(FixedSettings.model_validate(values)) as server:
        async with server.client("admin") as http:
            for content in (file, changed):
                answer = await http.post("/studies", content=content, headers=headers)
                assert answer.status_code < 300, answer.text
            (study,) = (await http.get("/studies")).json()
            uid = study["0020000D"]["Value"][0]
            for path in ("", "/metadata", "/instances"):
                answer = await http.get(f"/studies/{uid}{path}")
                assert answer.status_code == 200
    connection = await asyncpg.connect(url)
    try:
        assert await connection.fetchval("SELECT count(*) FROM audit") == 7
        for statement in FORBIDDEN:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
    finally:
        await connection.close()


async def test_a_role_that_is_not_there_or_may_do_everything_is_refused(database_url: str) -> None:
    for name in ("nobody", "hilum"):
        with pytest.raises(InvalidParameter):
            await grant_to(database_url, name)


async def test_the_command_line_grants(
    database_url: str, role: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_DATABASE_URL", database_url)
    ran = await asyncio.to_thread(CliRunner().invoke, commands, ["migrate", "--service-role", role])
    assert ran.exit_code == 0, ran.output
    connection = await asyncpg.connect(as_role(database_url, role))
    assert await connection.fetchval("SELECT count(*) FROM study") == 0
    await connection.close()
