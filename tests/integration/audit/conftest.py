"""Feeds that look for something to send more often than those of an archive."""

import pytest

from app.audit import feeding


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeding, "IDLE_SECONDS", 0.05)
