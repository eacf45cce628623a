"""How modules are made: what the linters cannot say."""

import ast
from pathlib import Path

import pytest

APP = Path("app")
MODULES = sorted(path for path in APP.rglob("*.py") if path.name != "__init__.py")
VAGUE = {"utils", "util", "helpers", "helper", "common", "base", "manager", "misc"}
UNFINISHED = ("TODO", "FIXME", "XXX", "NotImplementedError")
LONGEST = 400


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_says_its_job(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text())), "has no docstring"


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_is_readable_in_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_is_named_for_what_it_holds(path: Path) -> None:
    assert not VAGUE & set(path.with_suffix("").parts)


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_a_module_is_finished(path: Path) -> None:
    text = path.read_text()
    assert not [mark for mark in UNFINISHED if mark in text]


def test_calls_leave_by_one_door() -> None:
    """But those of `make demo`, which asks the archive itself."""
    doors = ("AsyncClient(", "httpx.get(", "create_connection(", "open_connection(", "urlopen(")
    for path in MODULES:
        if not path.is_relative_to(APP / "outgoing"):
            text = path.read_text()
            assert not [door for door in doors if door in text], path


def test_no_package_shadows_the_migration_library() -> None:
    assert not Path("alembic/__init__.py").exists()


def test_no_test_is_switched_off() -> None:
    switches = ("mark." + "skip", "mark." + "xfail", "pytest." + "skip(")
    for path in Path("tests").rglob("*.py"):
        text = path.read_text()
        assert not [switch for switch in switches if switch in text], path
