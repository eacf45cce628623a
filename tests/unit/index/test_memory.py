"""How much memory the embedded PostgreSQL takes: a part of what there is, within bounds."""

from pathlib import Path

import pytest

from app.index import memory

GIB = 1 << 30


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(memory, "LIMIT", tmp_path / "memory.max")
    return tmp_path / "memory.max"


def test_a_container_has_what_it_may_have(limit: Path) -> None:
    machine = memory.memory_bytes()
    limit.write_text("max\n")
    assert memory.memory_bytes() == machine
    limit.write_text(f"{machine - 1}\n")
    assert memory.memory_bytes() == machine - 1
    limit.write_text(f"{machine + 1}\n")
    assert memory.memory_bytes() == machine


@pytest.mark.parametrize(
    ("there_is", "megabytes"),
    [
        (GIB // 4, 128),
        (GIB, 128),
        (2 * GIB, 256),
        (6 * GIB, 768),
        (8 * GIB, 1024),
        (64 * GIB, 1024),
    ],
)
def test_an_eighth_is_for_buffers(
    monkeypatch: pytest.MonkeyPatch, there_is: int, megabytes: int
) -> None:
    monkeypatch.setattr(memory, "memory_bytes", lambda: there_is)
    assert memory.buffer_megabytes() == megabytes
