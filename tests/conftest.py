"""Storage for tests: in memory with a clock set by hand, on Azurite with the system's clock, or each in turn."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devhost.azurite import Azurite, account_key
from shared.kernel.clock import ManualClock
from shared.storage.azure import AzureStorage
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage
from tests.faultproxy import FaultProxy, Faults
from tests.suite import suite as suite  # the fixture, for every folder

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


@pytest.fixture
def faults() -> Faults:
    """What `faulty_storage` suffers: nothing, until a test sets a plan or a rate."""
    return Faults(random=random.Random(7))


@dataclass(frozen=True, slots=True)
class HastyClock:
    """The system's clock, but its sleeps are fifty times as short."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds / 50)


@pytest.fixture
def fault_proxy(azurite: Azurite, faults: Faults) -> Iterator[FaultProxy]:
    """A proxy before Azurite that breaks what `faults` says."""
    with FaultProxy(azurite.endpoints, faults) as proxy:
        yield proxy


@pytest.fixture
def faulty_connection(azurite_connection: str, azurite: Azurite, fault_proxy: FaultProxy) -> str:
    """The connection string of `azurite_storage`'s account, by way of the fault proxy."""
    connection = azurite_connection
    for service, address in azurite.endpoints.items():
        connection = connection.replace(address, fault_proxy.endpoints[service])
    return connection


@pytest.fixture
def faulty_storage(faulty_connection: str) -> Iterator[AzureStorage]:
    """The same account as `azurite_storage`, by way of the fault proxy; retries do not wait long."""
    with AzureStorage.from_connection_string(faulty_connection, clock=HastyClock()) as account:
        yield account
