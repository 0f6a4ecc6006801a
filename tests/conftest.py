"""Storage for tests: in memory with a clock set by hand, on Azurite with the system's clock, or each in turn."""

from datetime import UTC, datetime

import pytest

from shared.kernel.clock import ManualClock
from shared.storage.memory import MemoryStorage


@pytest.fixture
def clock() -> ManualClock:
    """Noon of an ordinary day; it moves only when told to."""
    return ManualClock(datetime(2026, 3, 4, 12, tzinfo=UTC))


@pytest.fixture
def storage(clock: ManualClock) -> MemoryStorage:
    """A storage account in memory, on `clock`."""
    return MemoryStorage(clock)
