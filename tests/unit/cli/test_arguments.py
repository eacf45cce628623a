"""Arguments that cannot be used are refused in a line, before anything is looked for."""

from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from typer.testing import CliRunner

from app.cli import commands
from app.errors import InvalidParameter


@pytest.mark.parametrize(
    "command",
    [
        "token create --name x --days 9999999999",
        "token revoke 9223372036854775808",
        "grant add role:x --days 9999999999",
        "grant end 9223372036854775808",
        "share add 1.2 --name x --days 9999999999",
        "share revoke 0",
        "override end 9223372036854775808",
        "audit retain --key key.pem --days 9999999999",
    ],
)
def test_a_number_that_nothing_has_is_refused(command: str) -> None:
    ran = CliRunner().invoke(commands, command.split())
    assert (ran.exit_code, type(ran.exception)) == (2, SystemExit)
    assert "Invalid value" in ran.output


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_file_of_checkpoints_that_cannot_be_read_is_refused(
    tmp_path: Path, content: bytes | None
) -> None:
    key, kept = tmp_path / "key.pem", tmp_path / "kept"
    key.write_bytes(OKPKey.generate_key("Ed25519").as_pem())
    if content is not None:
        kept.write_bytes(content)
    arguments = ["audit", "verify", "--checkpoints", str(kept), "--key", str(key)]
    ran = CliRunner().invoke(commands, arguments)
    assert isinstance(ran.exception, InvalidParameter)
    assert str(ran.exception).endswith("kept': cannot be read")


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_signed(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(OKPKey.generate_key("Ed25519").as_pem())
    into = tmp_path / "missing" / "checkpoints"
    ran = CliRunner().invoke(
        commands, ["audit", "checkpoint", "--key", str(key), "--into", str(into)]
    )
    assert isinstance(ran.exception, InvalidParameter)
    assert str(ran.exception).endswith("checkpoints': cannot be written")
