"""Timer triggers on Azurite: schedule, status blob, lateness, one leader, retries; and the rules behind them."""

import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.blob import BlobServiceClient

from devhost.ncrontab import parse_schedule
from devhost.timers import CONTAINER, Status, is_monitored, start_status
from tests.devhost.running import RunningHost, until

NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC)
STATUS = "timers/devhost/Host.Functions.yearly/status"


@pytest.fixture
def blobs(azurite_connection: str) -> Iterator[BlobServiceClient]:
    with BlobServiceClient.from_connection_string(azurite_connection) as service:
        yield service


def read_status(blobs: BlobServiceClient) -> dict[str, Any] | None:
    blob = blobs.get_blob_client(CONTAINER, STATUS)
    return json.loads(blob.download_blob().readall()) if blob.exists() else None


def test_a_timer_fires_on_its_schedule_and_never_twice_for_one_occurrence(
    azurite_connection: str, tmp_path: Path
) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    try:
        fired = host.await_events("each_second", 4)
    finally:
        host.kill()
    seconds = [int(event["at"]) for event in fired]
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds))
    assert not any(event["late"] for event in fired)


def test_run_on_startup_runs_at_once_and_a_retry_policy_tries_again(
    azurite_connection: str, tmp_path: Path
) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    try:
        tries = host.await_events("at_startup", 3)
        assert [event["attempt"] for event in tries] == [0, 1, 2]
        host.await_events("each_second", 1)
        assert len(host.events("at_startup")) == 3
    finally:
        host.kill()


def test_a_timer_that_missed_its_time_runs_late_on_the_next_start_and_its_status_says_when(
    azurite_connection: str, blobs: BlobServiceClient, tmp_path: Path
) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    try:
        first = until("the timer's status is written", lambda: read_status(blobs))
        assert host.terminate() == 0
        assert host.events("yearly") == []
        next_year = datetime.now(UTC).year + 1
        assert first["Next"] == f"{next_year}-01-01T00:00:00.000000+00:00"
        # As if the host had been down since before last New Year.
        long_ago = datetime(next_year - 2, 6, 1, tzinfo=UTC)
        missed = {"Last": long_ago.isoformat(), "Next": f"{next_year - 1}-01-01T00:00:00+00:00"}
        blobs.get_blob_client(CONTAINER, STATUS).upload_blob(
            json.dumps({**missed, "LastUpdated": long_ago.isoformat()}), overwrite=True
        )
        host = RunningHost.start(tmp_path, storage=azurite_connection)
        late = host.await_events("yearly")
        assert [event["late"] for event in late] == [True]
        until(
            "the status tells of the run",
            lambda: (read_status(blobs) or {}).get("Last", "").startswith(str(next_year - 1)),
        )
    finally:
        host.kill()


def test_of_two_hosts_only_one_runs_the_timers_and_the_other_takes_over(
    azurite_connection: str, tmp_path: Path
) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    first = RunningHost.start(folders[0], storage=azurite_connection)
    second: RunningHost | None = None
    try:
        first.await_events("each_second", 1)
        second = RunningHost.start(folders[1], storage=azurite_connection)
        first.await_events("each_second", len(first.events("each_second")) + 3)
        assert second.events("each_second") == []
        leaders = [
            host.admin("GET", "/admin/host/status").json()["listeners"][1]["leader"]
            for host in (first, second)
        ]
        assert leaders == [True, False]
        assert first.terminate() == 0
        second.await_events("each_second", 1)
    finally:
        first.kill()
        if second is not None:
            second.kill()


def test_a_killed_host_that_starts_again_leads_at_once(azurite_connection: str, tmp_path: Path) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    host.await_events("each_second", 1)
    host.kill()
    before = len(host.events("each_second"))
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    try:
        host.await_events("each_second", before + 1)
        status = host.admin("GET", "/admin/host/status").json()["listeners"][1]
        assert (status["function"], status["leader"]) == ("each_second", True)
    finally:
        host.kill()


def test_a_timer_can_be_run_by_hand(azurite_connection: str, tmp_path: Path) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection)
    try:
        assert host.admin("POST", "/admin/functions/yearly", b"{}").status == 202
        assert [event["late"] for event in host.await_events("yearly")] == [False]
    finally:
        host.kill()


def test_a_first_start_is_never_late() -> None:
    status = start_status(parse_schedule("0 0 * * * *"), None, NOON)
    assert (status.last, status.next) == (None, NOON + timedelta(hours=1))


def test_a_missed_occurrence_stays_in_the_status() -> None:
    stored = Status(last=NOON, next=NOON + timedelta(hours=1), updated=NOON)
    assert start_status(parse_schedule("0 0 * * * *"), stored, NOON + timedelta(hours=5)) == stored


def test_a_changed_schedule_is_not_late_for_times_it_never_had() -> None:
    stored = Status(last=NOON, next=NOON + timedelta(hours=1), updated=NOON)
    status = start_status(parse_schedule("0 30 * * * *"), stored, NOON + timedelta(hours=5))
    assert status.next == NOON + timedelta(hours=5, minutes=30)


@pytest.mark.parametrize(
    ("schedule", "binding", "monitored"),
    [
        ("0 * * * * *", {}, True),
        ("*/30 * * * * *", {}, False),
        ("00:01:00", {}, True),
        ("00:00:59", {}, False),
        ("0 0 * * * *", {"useMonitor": False}, False),
        ("0 0 * * * *", {"useMonitor": True}, True),
    ],
)
def test_a_status_is_kept_for_schedules_of_a_minute_and_longer(
    schedule: str, binding: dict[str, bool], monitored: bool
) -> None:
    assert is_monitored(parse_schedule(schedule), binding, NOON) is monitored


def test_a_status_reads_back_as_it_was_written_and_a_damaged_one_is_none() -> None:
    status = Status(last=None, next=NOON, updated=NOON)
    assert Status.from_json(json.dumps(status.to_json()).encode()) == status
    for damaged in (b"", b"{}", b"[]", b'{"Last": 1, "Next": 2, "LastUpdated": 3}'):
        assert Status.from_json(damaged) is None
