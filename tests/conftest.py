"""Fixtures that every test can ask for; each lives in a module of its own under tests/fixtures."""

import gc

from hypothesis import settings

# How long an example takes says more of the machine than of the code; pytest has a timeout.
settings.register_profile("archive", deadline=None)
settings.load_profile("archive")


def pytest_collection_finish() -> None:
    """Look through eight thousand tests for garbage once, and not again with each of them."""
    gc.collect()
    gc.freeze()


pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.s3",
    "tests.fixtures.server",
    "tests.fixtures.trust",
]
