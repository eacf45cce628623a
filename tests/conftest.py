"""Fixtures that every test can ask for; each lives in a module of its own under tests/fixtures."""

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.s3",
    "tests.fixtures.server",
]
