"""The bundle measures itself into a workspace of its own, and does not measure that."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from shared.bootstrap import Services
from shared.http.measures import SYSTEM_WORKSPACE
from shared.kernel.clock import ManualClock
from shared.kernel.health import examine
from shared.loganalytics.ingestion.system import TABLE
from shared.settings import Settings
from shared.storage.memory import MemoryStorage


@pytest.fixture
def bundle(tmp_path: Path) -> Services:
    clock = ManualClock(datetime(2026, 11, 22, 12, tzinfo=UTC))
    return Services(
        settings=Settings(issuer="local", data_dir=tmp_path), clock=clock, account=MemoryStorage(clock)
    )


def test_measuring_again_and_again_writes_the_same_number_of_records(bundle: Services) -> None:
    bundle.workspaces.create_default(subscription="s", group="g", name="mine", location="local")
    written = [bundle.measures.write() for _ in range(4)]
    assert written[0] > 5
    assert len(set(written)) == 1
    system = bundle.measures.system
    snapshot = bundle.log_store.snapshot(system, [TABLE])
    assert sum(batch.shares[TABLE].rows for batch in snapshot.state.tail(TABLE)) == sum(written)


def test_the_system_workspace_is_one_and_is_made_once(bundle: Services) -> None:
    bundle.measures.write()
    names = [workspace.name for workspace in bundle.workspaces.list()]
    assert names == [SYSTEM_WORKSPACE]


def test_a_healthy_bundle_says_so_and_a_poison_message_degrades_it(bundle: Services) -> None:
    assert examine(bundle.health_checks())["state"] == "ok"
    bundle.storage.queue("oms-jobs-poison").send('{"v": 1}')
    found = examine(bundle.health_checks())
    assert found["state"] == "degraded"
    assert "oms poison" in found["checks"]["poison"]["reason"]
