"""What children are asked to do in these tests."""

import json
import os
import signal
import sys
import time
from pathlib import Path

from app.errors import InvalidParameter, TooLarge, Unprocessable

ERRORS = {
    "unprocessable": Unprocessable("It cannot be made."),
    "too large": TooLarge("It is too large."),
    "parameter": InvalidParameter("viewport", "0,0", "sees nothing"),
    "bug": KeyError("Rows"),
}


def reverse(data: bytes) -> bytes:
    return data[::-1]


def pid() -> bytes:
    return str(os.getpid()).encode()


def environment() -> bytes:
    return json.dumps(dict(os.environ)).encode()


def fail(name: str) -> bytes:
    raise ERRORS[name]


def calculate_for_ever() -> bytes:
    while True:
        pass


def sleep_for_ever() -> bytes:
    while True:
        time.sleep(1)


def crash() -> bytes:
    os.kill(os.getpid(), signal.SIGSEGV)
    return b""


def take(memory: int) -> bytes:
    return str(len(bytearray(memory))).encode()


def write_file(path: str) -> bytes:
    Path(path).write_bytes(b"patient")
    return b""


def imported(module: str) -> bytes:
    return str(module in sys.modules).encode()


def lie(reply: bytes) -> bytes:
    """As a child would whose decoder was made to run the code of somebody else."""
    os.write(0, reply)
    time.sleep(60)
    return b""
