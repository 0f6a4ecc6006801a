"""The registry of tables: standard ones, those that workspaces make, and growth under concurrency."""

import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.errors import OmsError
from shared.kql.types import Column, KqlType
from shared.loganalytics.tables.model import (
    ColumnNameInvalid,
    ColumnTypeConflict,
    Retention,
    RetentionInvalid,
    TableExists,
    TableNameInvalid,
    TableNotFound,
    TableOrigin,
    TablePlan,
    TableProtected,
    TooManyColumns,
)
from shared.loganalytics.tables.registry import MAX_STALE_SECONDS, TableRegistry
from shared.loganalytics.tables.standard import standard_names, standard_table
from shared.loganalytics.tables.store import TableStore
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage

CONTOSO = "11111111-1111-1111-1111-111111111111"
FABRIKAM = "22222222-2222-2222-2222-222222222222"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def column(name: str, type_: KqlType = KqlType.STRING) -> Column:
    return Column(name=name, type=type_)


def registry_on(storage: Storage, clock: ManualClock | None = None) -> TableRegistry:
    return TableRegistry(TableStore(storage.table("omstables")), clock or ManualClock(NOON))


@pytest.fixture
def registry() -> TableRegistry:
    return registry_on(MemoryStorage(ManualClock(NOON)))


def test_every_workspace_has_the_standard_tables_with_their_columns(registry: TableRegistry):
    heartbeat = registry.require(CONTOSO, "Heartbeat")
    assert heartbeat.types["ComputerIP"] is KqlType.STRING
    assert heartbeat.types["RemoteIPLatitude"] is KqlType.REAL
    assert heartbeat.types["TimeGenerated"] is KqlType.DATETIME
    assert not heartbeat.is_custom
    assert "Perf" in registry.names(CONTOSO)


def test_all_tables_have_the_columns_that_the_service_sets():
    for name in standard_names():
        table = standard_table(name)
        assert table is not None
        assert {"TenantId", "TimeGenerated", "Type", "_ResourceId", "_BilledSize"} <= table.types.keys()


if "OMS_SHARED" in os.environ:

    def test_the_standard_tables_have_the_columns_and_types_of_the_listing():
        listing = orjson.loads(
            (Path(os.environ["OMS_SHARED"]) / "loganalytics/table_schemas.json").read_bytes()
        )
        assert sorted(listing) == sorted(standard_names())
        for name, columns in listing.items():
            table = standard_table(name)
            assert table is not None
            assert {c: table.types[c].value for c in columns} == columns


def test_a_table_comes_into_being_with_its_first_columns_and_grows(registry: TableRegistry):
    assert registry.schema(CONTOSO, "App_CL") is None
    registry.extend(CONTOSO, "App_CL", [column("Message_s")])
    table = registry.extend(CONTOSO, "App_CL", [column("Code_d", KqlType.REAL)])
    assert table.types["Message_s"] is KqlType.STRING
    assert table.types["Code_d"] is KqlType.REAL
    assert table.origin is TableOrigin.CLASSIC
    assert "App_CL" in registry.names(CONTOSO)


def test_one_workspace_does_not_see_the_tables_of_another(registry: TableRegistry):
    registry.extend(CONTOSO, "App_CL", [column("Message_s")])
    assert registry.schema(FABRIKAM, "App_CL") is None
    assert "App_CL" not in registry.names(FABRIKAM)


def test_a_column_that_another_instance_added_is_seen_within_seconds():
    storage = MemoryStorage(ManualClock(NOON))
    clock = ManualClock(NOON)
    here, there = registry_on(storage, clock), registry_on(storage, clock)
    here.extend(CONTOSO, "App_CL", [column("a_s")])
    assert there.require(CONTOSO, "App_CL").types.keys() >= {"a_s"}
    here.extend(CONTOSO, "App_CL", [column("b_s")])
    clock.advance(MAX_STALE_SECONDS + 0.1)
    assert there.require(CONTOSO, "App_CL").types.keys() >= {"a_s", "b_s"}


def test_columns_added_at_once_by_many_instances_are_all_kept():
    storage = MemoryStorage(ManualClock(NOON))

    def add(number: int) -> None:
        registry_on(storage).extend(CONTOSO, "App_CL", [column(f"c{number}_s"), column("shared_s")])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(16)))
    types = registry_on(storage).require(CONTOSO, "App_CL").types
    assert types.keys() >= {f"c{number}_s" for number in range(16)} | {"shared_s"}


def test_a_columns_type_never_changes(registry: TableRegistry):
    registry.extend(CONTOSO, "App_CL", [column("n_d", KqlType.REAL)])
    with pytest.raises(ColumnTypeConflict):
        registry.extend(CONTOSO, "App_CL", [column("n_d", KqlType.LONG)])
    with pytest.raises(ColumnTypeConflict):
        registry.extend(CONTOSO, "Heartbeat", [column("Computer", KqlType.LONG)])
    assert registry.require(CONTOSO, "App_CL").types["n_d"] is KqlType.REAL


def test_a_columns_type_survives_the_deletion_of_its_table(registry: TableRegistry):
    registry.create(CONTOSO, "App_CL", [column("n", KqlType.LONG)])
    registry.delete(CONTOSO, "App_CL")
    assert registry.schema(CONTOSO, "App_CL") is None
    with pytest.raises(ColumnTypeConflict):
        registry.create(CONTOSO, "App_CL", [column("n", KqlType.STRING)])
    again = registry.create(CONTOSO, "App_CL", [column("m")])
    assert again.types["m"] is KqlType.STRING


def test_a_table_takes_five_hundred_columns_and_no_more(registry: TableRegistry):
    registry.extend(CONTOSO, "Wide_CL", [column(f"{'c' * 40}{n:03}_s") for n in range(500)])
    with pytest.raises(TooManyColumns):
        registry.extend(CONTOSO, "Wide_CL", [column("one_more_s")])
    assert "one_more_s" not in registry.require(CONTOSO, "Wide_CL").types


def test_the_widest_table_fits_a_row_of_azure_storage(azurite_storage: Storage):
    wide = [column(f"{'c' * 42}{n:03}_s") for n in range(500)]
    with ThreadPoolExecutor(4) as pool:
        for part in range(0, 500, 125):
            pool.submit(registry_on(azurite_storage).extend, CONTOSO, "Wide_CL", wide[part : part + 125])
    types = registry_on(azurite_storage).require(CONTOSO, "Wide_CL").types
    assert types.keys() >= {each.name for each in wide}


@pytest.mark.parametrize("name", ["App", "_CL", "a" * 101 + "_CL", "App-1_CL", "App _CL", "Ä_CL", "../x_CL"])
def test_a_custom_tables_name_is_letters_digits_and_underscores_before_its_suffix(
    registry: TableRegistry, name: str
):
    with pytest.raises(TableNameInvalid):
        registry.create(CONTOSO, name, [])
    assert registry.schema(CONTOSO, name) is None


@pytest.mark.parametrize("name", ["", "a b", "a.b", "ö", "c" * 48])
def test_a_columns_name_is_letters_digits_and_underscores(registry: TableRegistry, name: str):
    with pytest.raises(ColumnNameInvalid):
        registry.extend(CONTOSO, "App_CL", [column(name)])
    assert registry.schema(CONTOSO, "App_CL") is None


def test_plan_and_retention_are_kept_beside_the_columns(registry: TableRegistry):
    registry.extend(CONTOSO, "App_CL", [column("a_s")])
    registry.update(CONTOSO, "App_CL", plan=TablePlan.BASIC, retention=Retention(days=30, total_days=365))
    registry.update(CONTOSO, "Heartbeat", retention=Retention(days=7))
    app = registry.require(CONTOSO, "App_CL")
    assert (app.plan, app.retention) == (TablePlan.BASIC, Retention(days=30, total_days=365))
    assert "a_s" in app.types
    assert registry.require(CONTOSO, "Heartbeat").retention.days == 7
    assert registry.require(FABRIKAM, "Heartbeat").retention.days is None


@pytest.mark.parametrize(
    "retention",
    [Retention(days=3), Retention(days=731), Retention(days=90, total_days=30), Retention(total_days=4384)],
)
def test_retention_outside_the_limits_is_refused(registry: TableRegistry, retention: Retention):
    with pytest.raises(RetentionInvalid):
        registry.update(CONTOSO, "Heartbeat", retention=retention)


def test_standard_tables_are_neither_made_nor_deleted(registry: TableRegistry):
    with pytest.raises(TableProtected):
        registry.create(CONTOSO, "Heartbeat", [])
    with pytest.raises(TableProtected):
        registry.delete(CONTOSO, "Heartbeat")


def test_what_is_not_there_is_refused_by_name(registry: TableRegistry):
    for attempt in (
        lambda: registry.require(CONTOSO, "Nope_CL"),
        lambda: registry.delete(CONTOSO, "Nope_CL"),
        lambda: registry.update(CONTOSO, "Nope_CL", plan=TablePlan.BASIC),
    ):
        with pytest.raises(TableNotFound, match="Nope_CL"):
            attempt()
    registry.create(CONTOSO, "App_CL", [])
    with pytest.raises(TableExists):
        registry.create(CONTOSO, "App_CL", [])


def test_a_row_of_a_newer_release_is_refused_by_name():
    storage = MemoryStorage(ManualClock(NOON))
    storage.table("omstables").insert(CONTOSO, "App_CL", {"v": 2, "columns": b"{}"})
    with pytest.raises(OmsError) as refused:
        registry_on(storage).schema(CONTOSO, "App_CL")
    assert refused.value.code == "StoredVersionUnsupported"
