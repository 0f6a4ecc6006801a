"""An issuer, its secrets and its sign-ins, on storage in memory."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.identity.key_file import KeyFile
from shared.identity.local_issuer import LocalIssuer
from shared.identity.model import ObjectId, Principal
from shared.identity.secrets import SecretBox
from shared.identity.sign_in import SignIns
from shared.kernel.clock import ManualClock
from shared.storage.memory import MemoryStorage

TENANT = "00000000-0000-0000-0000-000000000001"
BASE_URL = "http://localhost:7071"


@pytest.fixture
def clock() -> ManualClock:
    """Tokens are checked against the system's clock, so these tests begin at it."""
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def box(storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> SecretBox:
    return SecretBox(storage=storage, wrapper=KeyFile(tmp_path / "keys"), clock=clock)


@pytest.fixture
def issuer(storage: MemoryStorage, box: SecretBox, clock: ManualClock) -> LocalIssuer:
    return LocalIssuer(storage=storage, box=box, clock=clock, tenant=TENANT, base_url=BASE_URL)


@pytest.fixture
def sign_ins(storage: MemoryStorage, box: SecretBox, clock: ManualClock) -> SignIns:
    return SignIns(storage=storage, box=box, clock=clock)


@pytest.fixture
def ada() -> Principal:
    return Principal(
        object_id=ObjectId("11111111-0000-0000-0000-000000000000"),
        name="Ada",
        tenant=TENANT,
        roles=frozenset({"Reader"}),
    )
