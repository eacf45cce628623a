"""What is committed: true for everybody, on every machine."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from app.cli import commands
from app.cli.schema import OPENAPI
from app.main import create_app
from app.web.openapi import openapi_text
from scripts import settings_reference

TRACKED = subprocess.run(
    ["git", "ls-files"], capture_output=True, check=True, text=True
).stdout.splitlines()
PAGES = [Path(name) for name in TRACKED if name.endswith(".md")]
LOCKS = (Path("requirements.lock"), Path("requirements-dev.lock"))
APART = (Path("requirements-audit.lock"), Path("requirements-clients.lock"))
# Written so that it does not find itself.
ELSEWHERE = re.compile(
    "|".join(["/wor" + "k/", "/tm" + "p/bash", "pypi" + r"\.org", "python" + "hosted"])
)


def text_of(name: str) -> str:
    try:
        return Path(name).read_text()
    except (UnicodeDecodeError, FileNotFoundError):
        return ""


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text(), re.MULTILINE))


def test_nothing_names_a_machine_or_a_package_index() -> None:
    found = [name for name in TRACKED if ELSEWHERE.search(text_of(name))]
    assert not found


@pytest.mark.parametrize("lock", [*LOCKS, *APART], ids=str)
def test_a_lock_file_pins_by_version_and_hash_and_names_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    for requirement in re.split(r"\n(?=\w)", text.replace("\\\n", "").strip()):
        assert re.match(r"[\w.-]+==\S+", requirement), requirement[:80]
        assert "--hash=sha256:" in requirement, requirement[:80]


def test_both_lock_files_agree() -> None:
    short, long = (dict(re.findall(r"^([\w.-]+)==(\S+)", lock.read_text(), re.M)) for lock in LOCKS)
    assert short.items() <= long.items()


def test_every_dependency_is_locked() -> None:
    project = tomllib.loads(Path("pyproject.toml").read_text())
    wanted = [*project["project"]["dependencies"], *project["build-system"]["requires"]]
    locked = re.findall(r"^([\w.-]+)==", LOCKS[0].read_text(), re.M)
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        assert name is not None
        assert name[0] in locked


def test_every_make_target_that_a_page_names_exists() -> None:
    for page in PAGES:
        named = set(re.findall(r"\bmake ([a-z-]+)", _code(page.read_text())))
        assert named <= targets(), page


def test_every_command_that_a_page_names_exists() -> None:
    hilum = get_command(commands)
    assert isinstance(hilum, TyperGroup)
    for page in PAGES:
        named = set(re.findall(r"\bhilum ([a-z]+)", _code(page.read_text())))
        assert named <= hilum.commands.keys(), page


def test_every_link_between_pages_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!\w+:)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_decisions_are_numbered_one_after_another() -> None:
    decisions = sorted(Path("docs/decisions").glob("[0-9]*.md"))
    for number, decision in enumerate(decisions, start=1):
        assert decision.name.startswith(f"{number:04}-"), decision
        assert decision.read_text().startswith(f"# {number}. "), decision


def test_the_settings_page_is_what_the_settings_say() -> None:
    page = Path("docs/reference/settings.md").read_text()
    assert page == settings_reference.render(), "run: make reference"


def test_the_openapi_document_is_what_the_routes_say() -> None:
    assert OPENAPI.read_bytes() == openapi_text(create_app()), "run: make openapi"


def test_the_container_serves_as_an_ordinary_user() -> None:
    lines = Path("Dockerfile").read_text().splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in {"root", "0"}
    assert f"--uid 10001 {users[-1]}" in "\n".join(lines)
    last_user = max(n for n, line in enumerate(lines) if line.startswith("USER "))
    assert all(not line.startswith(("RUN ", "COPY ", "ADD ")) for line in lines[last_user:])
    assert "--require-hashes" in "\n".join(lines)


def test_every_setting_of_the_example_exists() -> None:
    known = set(re.findall(r"`(HILUM_\w+)`", settings_reference.render()))
    named = set(re.findall(r"^#? ?(HILUM_\w+)=", Path(".env.example").read_text(), re.MULTILINE))
    assert named
    assert named <= known


def _code(page: str) -> str:
    """What stands in code blocks and code spans of a page."""
    return "\n".join(re.findall(r"```.*?```|`[^`\n]+`", page, re.DOTALL))
