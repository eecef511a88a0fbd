import pytest

from behemoth.stores import MemoryStore
from tests.stores.contract import StoreContract


class TestMemoryStore(StoreContract):
    """Memory keeps the contract."""

    @pytest.fixture
    def store(self):
        """Give an empty store."""
        return MemoryStore()
