"""The contract of blobs, kept by those in memory."""

import sys

import pytest

from app.blobs.contract import BlobStore
from app.blobs.memory import MemoryBlobs
from tests.contracts.blobs import BlobStoreContract


class TestMemoryBlobs(BlobStoreContract):
    @pytest.fixture
    def store(self) -> BlobStore:
        return MemoryBlobs()

    def large_may_cost(self) -> int:
        return sys.maxsize  # memory is where they are
