"""An archive that the tests of a module share, with whatever they have stored."""

from tests.acceptance.retrieve.conftest import shared_server, viewer

__all__ = ["shared_server", "viewer"]
