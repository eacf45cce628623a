"""A page of another origin, and a headless browser that opens it."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from numpy.typing import NDArray

BUILT = Path(__file__).parent / "page" / "dist"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGE_SECONDS = 150
# The names of JavaScript's typed arrays.
TYPES = {
    "Uint8Array": "<u1",
    "Uint8ClampedArray": "<u1",
    "Int8Array": "<i1",
    "Uint16Array": "<u2",
    "Int16Array": "<i2",
    "Uint32Array": "<u4",
    "Int32Array": "<i4",
    "Float32Array": "<f4",
}


def browser() -> str:
    """The browser's path: $BROWSER_PATH, or one that is on PATH."""
    wanted = os.environ.get("BROWSER_PATH")
    found = next(filter(None, map(shutil.which, [wanted] if wanted else BROWSERS)), None)
    if found is None:
        raise SystemExit(f"No browser: {', '.join(BROWSERS)} on PATH, or BROWSER_PATH=/path/to/it.")
    return found


@dataclass
class Shown:
    """What a page has shown of one frame."""

    pixels: NDArray[Any]
    facts: dict[str, str]


@dataclass
class Visit:
    """What a page is told to do, and what it says; `failures` is None until its end."""

    plan: dict[str, Any]
    frames: dict[tuple[str, int], Shown] = field(default_factory=dict)
    failures: list[str] | None = None
    ended: threading.Event = field(default_factory=threading.Event)


class Page(SimpleHTTPRequestHandler):
    """Serves what is built; `server.visit` is what the page asks for and reports to."""

    server: "Site"

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/plan.json":
            self._answer(json.dumps(self.server.visit.plan).encode())
        else:
            super().do_GET()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        address = urlsplit(self.path)
        visit = self.server.visit
        if address.path == "/pixels":
            facts = {name: values[0] for name, values in parse_qs(address.query).items()}
            key = (facts["image"], int(facts["frame"]))
            visit.frames[key] = Shown(np.frombuffer(body, TYPES[facts["type"]]), facts)
            self._answer(b"{}")
        else:
            visit.failures = json.loads(body)
            self._answer(b"{}")
            visit.ended.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, content: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Site(ThreadingHTTPServer):
    """The pages' server, on a free port of the loopback address."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), partial(Page, directory=str(BUILT)))
        self.visit = Visit({})
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def origin(self, host: str) -> str:
        return f"http://{host}:{self.server_port}"

    def open(self, host: str, page: str, plan: dict[str, Any]) -> Visit:
        """Open the page under this host's name, and wait until it has done what it is to do."""
        self.visit = Visit(plan)
        with _browsing(f"{self.origin(host)}/{page}"):
            self.visit.ended.wait(PAGE_SECONDS)
        return self.visit


@contextmanager
def _browsing(address: str) -> Iterator[None]:
    with tempfile.TemporaryDirectory(prefix="hilum-viewer-", ignore_cleanup_errors=True) as profile:
        options = ["--headless=new", "--no-first-run", "--no-proxy-server", "--disable-gpu"]
        options += [f"--user-data-dir={profile}", "--disable-dev-shm-usage"]
        if os.geteuid() == 0:
            options.append("--no-sandbox")  # Chromium has none for root.
        process = subprocess.Popen(
            [browser(), *options, address],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
