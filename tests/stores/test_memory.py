import pytest
from contract import StoreContract

from behemoth.stores import MemoryStore


class TestMemoryStore(StoreContract):
    """Memory keeps the contract."""

    @pytest.fixture
    def store(self):
        """Give an empty store."""
        return MemoryStore()
