"""`Report`: what was looked at, a line each. For every environment: it imports nothing."""

from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """Prints a line for each thing that is looked at, and counts those that are wrong."""

    def __init__(self) -> None:
        self.failures = 0

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        """Look at this: whatever is raised is what is wrong with it."""
        try:
            yield
        except Exception as error:
            self.failures += 1
            print(f"WRONG   {what}: {type(error).__name__}: {error}", flush=True)
        else:
            print(f"ok      {what}", flush=True)
