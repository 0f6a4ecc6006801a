"""Storage for tests: in memory with a clock set by hand, on Azurite with the system's clock, or each in turn."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devhost.azurite import Azurite, account_key
from shared.kernel.clock import ManualClock
from shared.storage.azure import AzureStorage
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage

ACCOUNTS = 6000


@pytest.fixture
def clock() -> ManualClock:
    """Noon of an ordinary day; it moves only when told to."""
    return ManualClock(datetime(2026, 3, 4, 12, tzinfo=UTC))


@pytest.fixture
def storage(clock: ManualClock) -> MemoryStorage:
    """A storage account in memory, on `clock`."""
    return MemoryStorage(clock)


@pytest.fixture(scope="session")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Azurite]:
    """One Azurite in memory for this pytest process (with xdist: for each worker)."""
    folder: Path = tmp_path_factory.mktemp("azurite")
    accounts = {f"test{number:05}": account_key("tests") for number in range(ACCOUNTS)}
    with Azurite.start(log_file=folder / "azurite.log", accounts=accounts) as running:
        yield running


@pytest.fixture(scope="session")
def unused_accounts(azurite: Azurite) -> Iterator[str]:
    """Names of accounts that no test has seen."""
    return iter(azurite.accounts)


@pytest.fixture
def azurite_connection(azurite: Azurite, unused_accounts: Iterator[str]) -> str:
    """The connection string of an empty account of Azurite, this test's own."""
    return azurite.connection_string_of(next(unused_accounts))


@pytest.fixture
def azurite_storage(azurite_connection: str) -> Iterator[AzureStorage]:
    """An empty account of Azurite, this test's own."""
    with AzureStorage.from_connection_string(azurite_connection) as account:
        yield account


@pytest.fixture(params=["memory", "azurite"])
def any_storage(request: pytest.FixtureRequest) -> Storage:
    """An empty account in memory, then one of Azurite: for what must hold on both."""
    return request.getfixturevalue("storage" if request.param == "memory" else "azurite_storage")
