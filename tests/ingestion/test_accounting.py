"""The daily cap, and the records that tell of volume: each once, however often the timer runs."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.kernel.errors import Category
from shared.loganalytics.ingestion.errors import QuotaExceeded, UnknownColumn
from shared.loganalytics.ingestion.quota import LONGEST_WAIT, RECOUNT_SECONDS, day_of
from shared.loganalytics.ingestion.system import SystemMetrics
from shared.loganalytics.logstore.errors import TailLimitExceeded
from shared.loganalytics.tables.model import TableNotFound
from tests.ingestion.world import CONTOSO, FABRIKAM, NOON, World


@pytest.fixture
def world() -> World:
    return World()


def details(world: World) -> list[str]:
    return [row["Detail"].partition(".")[0].partition(":")[0] for row in world.rows("Operation")]


def test_past_the_cap_posts_are_held_back_until_the_reset_hour(world: World):
    world.cap_at(CONTOSO, 100, reset_hour=15)
    world.send([{"a": "x" * 200}])
    world.clock.advance(1)
    with pytest.raises(QuotaExceeded) as over:
        world.send([{"a": 1}])
    assert over.value.category is Category.THROTTLED
    assert "15:00:00Z" in over.value.message
    assert over.value.retry_after == LONGEST_WAIT
    with pytest.raises(QuotaExceeded):
        world.upload([{"Computer": "a"}], stream="Microsoft-Syslog")
    world.clock.advance(3 * 3600)
    world.send([{"a": 2}])
    assert len(world.rows("App_CL")) == 2


def test_the_cap_of_one_workspace_leaves_the_others_alone(world: World):
    world.cap_at(CONTOSO, 1)
    world.send([{"a": 1}])
    world.send([{"a": 1}], workspace=FABRIKAM)
    world.clock.advance(1)
    world.send([{"a": 1}], workspace=FABRIKAM)
    assert len(world.rows("App_CL", FABRIKAM)) == 2


def test_tables_that_are_free_pass_the_cap(world: World):
    world.cap_at(CONTOSO, 0)
    world.upload([{"Computer": "a"}], stream="Microsoft-Heartbeat")
    assert len(world.rows("Heartbeat")) == 1


def test_what_other_instances_took_counts_after_a_while(world: World):
    other = World(folder=world.folder, clock=world.clock)
    other.__dict__["storage"] = world.storage
    world.cap_at(CONTOSO, 100)
    world.send([{"a": 1}])
    other.send([{"a": "x" * 200}])
    world.clock.advance(RECOUNT_SECONDS + 1)
    with pytest.raises(QuotaExceeded):
        world.send([{"a": 2}])


@pytest.mark.parametrize(
    ("now", "hour", "begin"),
    [
        (datetime(2026, 11, 22, 12, tzinfo=UTC), 0, datetime(2026, 11, 22, tzinfo=UTC)),
        (datetime(2026, 11, 22, 12, tzinfo=UTC), 12, datetime(2026, 11, 22, 12, tzinfo=UTC)),
        (datetime(2026, 11, 22, 11, 59, tzinfo=UTC), 12, datetime(2026, 11, 21, 12, tzinfo=UTC)),
    ],
)
def test_a_workspaces_day_begins_at_its_reset_hour(now: datetime, hour: int, begin: datetime):
    assert day_of(now, hour) == begin


def test_usage_tells_each_tables_volume_of_an_hour_once(world: World):
    world.send([{"a": "x" * 100}])
    world.upload([{"Computer": "a"}], stream="Microsoft-SecurityEvent")
    world.upload([{"Computer": "a"}], stream="Microsoft-Heartbeat")
    world.clock.advance(3600)
    assert world.accounting.tick() == 3
    assert world.accounting.tick() == 0
    rows = {row["DataType"]: row for row in world.rows("Usage")}
    assert len(world.rows("Usage")) == 3
    app = rows["App_CL"]
    assert app["Quantity"] == pytest.approx(len(b'[{"a":""}]') / 1e6 + 100 / 1e6)
    assert (app["QuantityUnit"], app["IsBillable"], app["Solution"]) == ("MBytes", True, "LogManagement")
    assert (app["StartTime"], app["EndTime"], app["TimeGenerated"]) == (
        "2026-11-22T12:00:00Z",
        "2026-11-22T13:00:00Z",
        "2026-11-22T13:00:00Z",
    )
    assert rows["SecurityEvent"]["Solution"] == "Security"
    assert rows["Heartbeat"]["IsBillable"] is False


def test_usage_is_told_once_by_two_instances_and_after_a_crash_before_the_mark(world: World):
    world.send([{"a": 1}])
    world.clock.advance(3600)
    world.accounting.tick()
    world.storage.table("omsaccounting").delete(CONTOSO, "usage")
    assert world.accounting.tick() == 0
    assert len(world.rows("Usage")) == 1


def test_hours_in_which_the_bundle_was_down_are_told_of_later(world: World):
    world.send([{"a": 1}])
    world.clock.advance(3600)
    world.accounting.tick()
    world.send([{"a": 2}])
    world.clock.advance(5 * 3600)
    world.accounting.tick()
    told = [row["StartTime"] for row in world.rows("Usage") if row["DataType"] == "App_CL"]
    assert told == ["2026-11-22T12:00:00Z", "2026-11-22T13:00:00Z"]


def test_the_cap_and_the_day_after_are_told_of_once_each(world: World):
    world.cap_at(CONTOSO, 10)
    world.accounting.tick()
    assert details(world) == []
    world.send([{"a": "x" * 50}])
    for _ in range(4):
        world.clock.advance(1800)
        world.accounting.tick()
    assert details(world) == ["Data collection stopped due to daily limit of data reached"]
    world.clock.advance(timedelta(hours=12).total_seconds())
    for _ in range(4):
        world.clock.advance(1800)
        world.accounting.tick()
    assert details(world)[1:] == ["Data collection resumed"]


def test_own_records_carry_what_the_service_sets_and_come_once_per_cause(world: World):
    record = {
        "OperationName": "Start",
        "TimeGenerated": NOON - timedelta(hours=1),
        "Properties_d": {"a": [1]},
    }
    world.records.write(CONTOSO, "AzureActivity", [record], cause="event 1")
    world.records.write(CONTOSO, "AzureActivity", [record], cause="event 1")
    world.records.write(CONTOSO, "AzureActivity", [record], cause="event 2")
    rows = world.rows("AzureActivity")
    assert len(rows) == 2
    assert rows[0]["TimeGenerated"] == "2026-11-22T11:00:00Z"
    assert (rows[0]["Properties_d"], rows[0]["Type"], rows[0]["_IsBillable"]) == (
        '{"a":[1]}',
        "AzureActivity",
        "False",
    )


def test_own_records_of_a_new_category_extend_azure_diagnostics(world: World):
    world.records.write(
        CONTOSO,
        "AzureDiagnostics",
        [
            {
                "Category": "JobLogs",
                "RunbookName_s": "clean",
                "Count_d": 3,
                "JobId_g": "x",
                "ResultType": "Completed",
            }
        ],
    )
    (row,) = world.rows("AzureDiagnostics")
    assert (row["RunbookName_s"], row["Count_d"], row["ResultType"]) == ("clean", 3.0, "Completed")


def test_own_records_with_a_misspelt_column_or_table_are_refused(world: World):
    with pytest.raises(UnknownColumn, match="Quantitty"):
        world.records.write(CONTOSO, "Usage", [{"Quantitty": 1}])
    with pytest.raises(UnknownColumn):
        world.records.write(CONTOSO, "AzureDiagnostics", [{"RunbookName": "x"}])
    with pytest.raises(TableNotFound):
        world.records.write(CONTOSO, "Usages", [{"a": 1}])
    assert world.stored() == []


def test_own_metrics_go_to_the_system_workspace_and_tell_nothing_of_it(world: World):
    metrics = SystemMetrics(world.records, world.tables, lambda: FABRIKAM, "host1", world.clock)
    metrics.count("bytes in", 10, subject=CONTOSO)
    metrics.count("bytes in", 2.5, subject=CONTOSO)
    metrics.count("bytes in", 99, subject=FABRIKAM)
    assert metrics.flush() == 1
    assert metrics.flush() == 0
    (row,) = world.rows("OmsMetrics_CL", FABRIKAM)
    assert (row["Name"], row["Value"], row["Subject"], row["Instance"]) == (
        "bytes in",
        12.5,
        CONTOSO,
        "host1",
    )


def test_own_metrics_that_could_not_be_written_are_written_later(world: World):
    metrics = SystemMetrics(world.records, world.tables, lambda: FABRIKAM, "host1", world.clock)
    metrics.count("bytes in", 10)
    world.gate.refuses = TailLimitExceeded("later", retry_after=1)
    with pytest.raises(TailLimitExceeded):
        metrics.flush()
    world.gate.refuses = None
    metrics.count("bytes in", 1)
    assert metrics.flush() == 1
    assert world.rows("OmsMetrics_CL", FABRIKAM)[0]["Value"] == 11.0


def test_without_a_system_workspace_nothing_is_counted(world: World):
    metrics = SystemMetrics(world.records, world.tables, lambda: None, "host1", world.clock)
    metrics.count("bytes in", 10)
    assert metrics.flush() == 0
    assert world.stored() == []
