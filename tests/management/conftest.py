"""The management plane's parts on storage in memory."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.arm.store import ResourceStore
from shared.identity.key_file import KeyFile
from shared.identity.secrets import SecretBox
from shared.kernel.clock import ManualClock
from shared.loganalytics.workspaces.service import Workspaces
from shared.storage.memory import MemoryStorage

SUBSCRIPTION = "00000000-0000-0000-0000-000000000002"


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
