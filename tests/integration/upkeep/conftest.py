"""Fixtures of the tests of upkeep: an archive that is served, seen from within and from without."""

from tests.integration.store.conftest import archive, modality

__all__ = ["archive", "modality"]
