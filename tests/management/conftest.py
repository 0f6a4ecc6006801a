"""The management plane's parts on storage in memory."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from devhost.azurite import Azurite
from shared.arm.store import ResourceStore
from shared.identity.key_file import KeyFile
from shared.identity.secrets import SecretBox
from shared.kernel.clock import ManualClock
from shared.loganalytics.workspaces.service import Workspaces
from shared.storage.memory import MemoryStorage
from tests.management.suite import SUBSCRIPTION, Suite


@pytest.fixture
def clock() -> ManualClock:
    """Tokens are checked against the system's clock, so these tests begin at it."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def box(storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> SecretBox:
    return SecretBox(storage=storage, wrapper=KeyFile(tmp_path / "keys"), clock=clock)


@pytest.fixture
def resources(storage: MemoryStorage, clock: ManualClock) -> ResourceStore:
    return ResourceStore(storage=storage, clock=clock)


@pytest.fixture
def workspaces(
    storage: MemoryStorage, resources: ResourceStore, box: SecretBox, clock: ManualClock
) -> Workspaces:
    return Workspaces(storage=storage, resources=resources, box=box, clock=clock)


@pytest.fixture(scope="session")
def tls_suite(
    tmp_path_factory: pytest.TempPathFactory, azurite: Azurite, unused_accounts: Iterator[str]
) -> Iterator[Suite]:
    """One bundle for all tests of real clients; each makes groups of its own."""
    storage = azurite.connection_string_of(next(unused_accounts))
    running = Suite.start(tmp_path_factory.mktemp("suite"), storage)
    yield running
    running.host.kill()


@pytest.fixture(scope="session")
def plain_suite(
    tmp_path_factory: pytest.TempPathFactory, azurite: Azurite, unused_accounts: Iterator[str]
) -> Iterator[Suite]:
    """The same over plain http."""
    storage = azurite.connection_string_of(next(unused_accounts))
    running = Suite.start(tmp_path_factory.mktemp("plain"), storage, tls=False)
    yield running
    running.host.kill()


@pytest.fixture(scope="session")
def suite(tls_suite: Suite) -> Suite:
    return tls_suite


@pytest.fixture
def group(suite: Suite, request: pytest.FixtureRequest) -> Iterator[str]:
    """A resource group of this test's own, by name."""
    name = f"rg-{abs(hash(request.node.nodeid)):x}"
    path = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}?api-version=2022-09-01"
    assert suite.ask("PUT", path, {"location": "westeurope"}).status == 201
    yield name
    suite.ask("DELETE", path)
