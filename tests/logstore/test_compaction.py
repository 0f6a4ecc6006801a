"""Compaction, merging, retention and sweeping change where records lie, never what a query finds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.clock import ManualClock
from shared.kernel.ticks import TICKS_PER_SECOND, ticks_of
from shared.kql.translation import Needle, NeedleKind
from shared.kql.types import KqlType
from shared.loganalytics.logstore.building import DAY, build_in_child
from shared.loganalytics.logstore.catalogue import SEGMENTS, STAGED, TABLE
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.model import FrameColumn, JsonKind
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.sweeping import Sweeper, due_tables
from shared.storage.memory import MemoryStorage
from tests.logstore.samples import SCHEMA, WORKSPACE, ask, frame, numbered, store_on

ALL = ("TimeGenerated", *SCHEMA, "_BilledSize", "TenantId", "Type", "_IsBillable")


@pytest.fixture
def store(storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> LogStore:
    return store_on(storage, tmp_path, clock)


@pytest.fixture
def compactor(store: LogStore) -> Compactor:
    return Compactor(store=store)


def needle(text: str, kind: NeedleKind = NeedleKind.TERM, column: str | None = "Text") -> Needle:
    return Needle(kind=kind, column=column, text=text)


def test_compaction_merging_and_sweeping_leave_every_answer_as_it_was(
    store: LogStore, compactor: Compactor, clock: ManualClock, storage: MemoryStorage, tmp_path: Path
):
    for first in range(0, 60, 10):
        store.append(WORKSPACE, [frame(list(numbered(10, clock, first=first)), clock)])
        clock.advance(60)
    before = ask(store, *ALL, ingestion_time=True)
    assert len(before) == 60
    sweeper = Sweeper(store=store)
    compactor.compact_bytes = 100
    for step in range(6):
        assert compactor.compact(WORKSPACE, "App_CL").more is (step < 5)
        store.append(WORKSPACE, [frame([{"N": 1}], clock, table="Other_CL")])
    while compactor.compact(WORKSPACE, "Other_CL").more:
        pass
    assert not due_tables(store, WORKSPACE)
    assert ask(store, *ALL, ingestion_time=True) == before
    assert sweeper.advance_floor(WORKSPACE) == 12
    for _ in range(3):
        clock.advance(3_600)
        sweeper.sweep(WORKSPACE)
        assert ask(store, *ALL, ingestion_time=True) == before
    assert list(storage.blobs(STAGED).list()) == []
    assert list(storage.table(TABLE).query(WORKSPACE, start="b|", before="b}")) == []
    assert ask(store_on(storage, tmp_path / "fresh", clock), *ALL, ingestion_time=True) == before


def test_small_segments_of_a_day_become_one_and_the_old_ones_go_when_no_query_can_need_them(
    store: LogStore, compactor: Compactor, clock: ManualClock, storage: MemoryStorage
):
    for first in range(5):
        store.append(WORKSPACE, [frame(list(numbered(3, clock, first=first * 3)), clock)])
        compactor.compact(WORKSPACE, "App_CL")
    before = ask(store, *ALL)
    merged = compactor.merge(WORKSPACE, "App_CL")
    assert (merged.rows, merged.segments, merged.more) == (15, 1, False)
    assert ask(store, *ALL) == before
    sweeper = Sweeper(store=store)
    assert sweeper.sweep(WORKSPACE) == 0
    clock.advance(3_600)
    assert sweeper.sweep(WORKSPACE) > 0
    assert sum(".parquet" in blob.name for blob in storage.blobs(SEGMENTS).list()) == 1
    assert ask(store, *ALL) == before


def test_a_segment_holds_one_day_and_retention_drops_days_that_are_past(
    store: LogStore, compactor: Compactor, clock: ManualClock
):
    noon = clock.now()
    records = [{"TimeGenerated": (noon - timedelta(days=d)).isoformat(), "N": d} for d in range(10)]
    store.append(WORKSPACE, [frame(records, clock)])
    assert compactor.compact(WORKSPACE, "App_CL").segments == 10
    oldest = ticks_of(noon) // DAY * DAY - 3 * DAY
    assert compactor.retain(WORKSPACE, "App_CL", oldest_ticks=oldest).segments == 6
    assert ask(store, "N") == [(d,) for d in range(4)]
    assert compactor.retain(WORKSPACE, "App_CL", oldest_ticks=oldest).segments == 0


def test_a_deleted_table_is_empty_and_takes_new_records(
    store: LogStore, compactor: Compactor, clock: ManualClock
):
    store.append(WORKSPACE, [frame([{"N": 1}], clock)])
    compactor.compact(WORKSPACE, "App_CL")
    store.append(WORKSPACE, [frame([{"N": 2}], clock)])
    compactor.delete(WORKSPACE, "App_CL")
    assert ask(store, "N") == []
    store.append(WORKSPACE, [frame([{"N": 3}], clock)])
    assert ask(store, "N") == [(3,)]


def test_of_two_compactions_at_once_one_wins_and_nothing_is_there_twice(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    one, two = store_on(storage, tmp_path / "1", clock), store_on(storage, tmp_path / "2", clock)
    one.append(WORKSPACE, [frame(list(numbered(5, clock)), clock)])
    raced = False

    def race(phase: str, operation: str, key: str) -> None:
        nonlocal raced
        if phase == "before" and operation == "table.insert" and "h|" in key and not raced:
            raced = True
            assert not Compactor(store=two).compact(WORKSPACE, "App_CL").conflict

    gated = MemoryStorage(clock, gate=race)
    slow = store_on(gated, tmp_path / "3", clock)
    two = store_on(gated, tmp_path / "4", clock)
    slow.append(WORKSPACE, [frame(list(numbered(5, clock)), clock)])
    lost = Compactor(store=slow).compact(WORKSPACE, "App_CL")
    assert (raced, lost.conflict) == (True, True)
    assert ask(slow, "N") == [(n,) for n in range(5)]


def test_columns_that_came_later_or_in_another_type_are_read_from_every_segment(
    store: LogStore, compactor: Compactor, clock: ManualClock
):
    schemas = [{"A": KqlType.STRING}, {"A": KqlType.STRING, "B": KqlType.LONG}, {"B": KqlType.LONG}]
    for number, schema in enumerate(schemas * 2):
        store.append(WORKSPACE, [frame([{"A": "a", "B": number}], clock, schema=schema)])
        if number < 4:
            compactor.compact(WORKSPACE, "App_CL")
    wanted = {"A": KqlType.STRING, "B": KqlType.LONG, "C": KqlType.STRING, "D": KqlType.REAL}
    before = ask(store, schema=wanted)
    assert before == sorted(
        [
            ("a", None, "", None),
            ("a", 1, "", None),
            ("", 2, "", None),
            ("a", None, "", None),
            ("a", 4, "", None),
            ("", 5, "", None),
        ],
        key=repr,
    )
    compactor.compact(WORKSPACE, "App_CL")
    compactor.merge(WORKSPACE, "App_CL")
    assert ask(store, schema=wanted) == before
    assert ask(store, "B", schema={"B": KqlType.STRING})[-1] == ("5",)


def test_bounds_needles_and_newest_skip_what_cannot_matter_and_nothing_else(
    store: LogStore, compactor: Compactor, clock: ManualClock
):
    start = ticks_of(clock.now())
    count = 5_000
    for day in range(3):
        base = clock.now() + timedelta(days=day)
        records = [
            {
                "TimeGenerated": (base + timedelta(seconds=n)).isoformat(),
                "N": day * count + n,
                "Text": f"Line-{day}x{n}",
            }
            for n in range(count)
        ]
        store.append(WORKSPACE, [frame(records, clock, lines=True)])
        compactor.compact(WORKSPACE, "App_CL")
    everything = ask(store, "N")
    assert len(everything) == 3 * count
    middle = ask(store, "N", min_ticks=start + DAY, max_ticks=start + DAY + 9 * TICKS_PER_SECOND)
    assert middle == [(count + n,) for n in range(10)]
    newest = ask(store, "N", newest=100)
    assert len(newest) <= 1_024
    assert {(3 * count - 1 - n,) for n in range(100)} <= set(newest)
    assert len(ask(store, "N", newest=20_000)) == 3 * count
    in_bounds = ask(store, "N", newest=10, max_ticks=start + DAY + 99 * TICKS_PER_SECOND)
    assert {(count + 99 - n,) for n in range(10)} <= set(in_bounds)
    assert max(in_bounds) == (count + 99,)
    assert ask(store, "N", needles=[needle("absentterm")]) == []
    assert (count + 7,) in ask(store, "N", needles=[needle("1x7")])
    assert (count + 7,) in ask(store, "N", needles=[needle("Line-1x7", NeedleKind.VALUE)])
    assert ask(store, "N", needles=[needle("1x7"), needle("absentterm", column=None)]) == []
    assert len(ask(store, "N", needles=[needle("7", column="N")])) == 3 * count


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(
        ["2026-03-04T05:06:07.1234567Z", "5770385f-c22a-43e0-bf4c-06f5698ffbd9", "1.00:00:01", "\u212a"]
    ),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
)
KEYS = ["a", "A", "b", "it's", 'q"', "é"]
COLUMNS = [
    *(FrameColumn(source="a", name=f"a_{kind.value}", type=kind) for kind in KqlType),
    *(
        FrameColumn(source="b", name=f"b_{kind.value}", type=KqlType.STRING, kinds=frozenset({kind}))
        for kind in JsonKind
    ),
    *(FrameColumn(source=key, name=f"k{n}_s", type=KqlType.STRING) for n, key in enumerate(KEYS)),
]


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.dictionaries(st.sampled_from(KEYS), ODD), min_size=1, max_size=4), min_size=1, max_size=5
    )
)
def test_any_record_reads_the_same_before_and_after_compaction(
    batches: list[list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
):
    clock = ManualClock(datetime(2026, 3, 4, 12, tzinfo=UTC))
    store = store_on(MemoryStorage(clock), tmp_path_factory.mktemp("any"), clock)
    compactor = Compactor(store=store)
    schema = {column.name: column.type for column in COLUMNS}
    for number, records in enumerate(batches):
        lines = number % 2 == 1
        body = json.dumps(records, ensure_ascii=bool(number % 3))
        if lines:
            body = "\n".join(json.dumps(record) for record in records)
        store.append(WORKSPACE, [frame(body.encode(), clock, rows=len(records), columns=COLUMNS)])
    names = [*schema, "_BilledSize"]
    before = ask(store, *names, schema=schema)
    assert len(before) == sum(len(records) for records in batches)
    compactor.compact_bytes = 100
    while due_tables(store, WORKSPACE):
        compactor.compact(WORKSPACE, "App_CL")
        assert ask(store, *names, schema=schema) == before
    compactor.merge(WORKSPACE, "App_CL")
    assert ask(store, *names, schema=schema) == before


def test_a_child_process_builds_the_same_segments(store: LogStore, compactor: Compactor, clock: ManualClock):
    compactor.builder = build_in_child
    for first in range(0, 20_000, 5_000):
        store.append(WORKSPACE, [frame(list(numbered(5_000, clock, first=first)), clock, lines=True)])
    before = ask(store, *ALL)
    assert compactor.compact(WORKSPACE, "App_CL").rows == 20_000
    assert ask(store, *ALL) == before
    assert ask(store, "N", needles=[needle("absentterm")]) == []


@pytest.mark.parametrize("call", range(6))
def test_a_snapshot_that_the_floor_overtakes_misses_nothing(call: int, clock: ManualClock, tmp_path: Path):
    calls = -1

    def overtake(phase: str, operation: str, key: str) -> None:
        nonlocal calls
        if calls >= 0 and phase == "before":
            calls += 1
            if calls == call + 1:
                calls = -1
                Compactor(store=worker).compact(WORKSPACE, "App_CL")
                assert Sweeper(store=worker).advance_floor(WORKSPACE) == 1

    storage = MemoryStorage(clock, gate=overtake)
    reader, worker = store_on(storage, tmp_path / "r", clock), store_on(storage, tmp_path / "w", clock)
    reader.append(WORKSPACE, [frame(list(numbered(5, clock)), clock)])
    calls = 0
    assert ask(reader, "N") == [(n,) for n in range(5)]
    assert ask(reader, "N") == [(n,) for n in range(5)]
