"""The attributes that are kept of an instance are read beside the event loop if they are many."""

import threading
from typing import Any

import pytest

from app.dicom import longjson
from app.dicom.jsonmodel import pack
from app.retrieve.values import read_attributes


@pytest.mark.parametrize(("characters", "in_a_thread"), [(1_000, False), (5_000_000, True)])
async def test_what_is_long_inflated_is_read_in_a_thread(
    monkeypatch: pytest.MonkeyPatch, characters: int, in_a_thread: bool
) -> None:
    attributes = {"00104000": {"vr": "LT", "Value": ["x" * characters]}}
    packed = pack(attributes)
    assert len(packed) < 64 * 1024
    threads: list[threading.Thread] = []
    loads = longjson.loads

    def noted(*args: Any, **more: Any) -> Any:
        threads.append(threading.current_thread())
        return loads(*args, **more)

    monkeypatch.setattr(longjson, "loads", noted)
    assert await read_attributes(packed) == attributes
    assert any(thread is not threading.main_thread() for thread in threads) is in_a_thread
