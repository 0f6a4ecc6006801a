"""The management API on storage in memory."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic_settings import SettingsConfigDict

from shared.bootstrap import Services
from shared.kernel.clock import ManualClock
from shared.settings import Settings
from shared.storage.memory import MemoryStorage
from tests.arm.world import ORIGIN, SUBSCRIPTION, TENANT, Caller


class GivenSettings(Settings):
    """Settings that read no environment."""

    model_config = SettingsConfigDict(env_prefix="NOTHING_READS_THIS_", frozen=True, extra="ignore")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def services(storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> Services:
    settings = GivenSettings(
        data_dir=tmp_path, subscription_id=SUBSCRIPTION, tenant_id=TENANT, base_url=ORIGIN, issuer="local"
    )
    return Services(settings=settings, clock=clock, account=storage)


@pytest.fixture
def caller(services: Services) -> Caller:
    return Caller(services)
