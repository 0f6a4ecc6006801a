"""How JSON values become columns, however odd they are."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.ticks import parse_iso_ticks, ticks_of
from shared.kql.types import KqlType
from shared.loganalytics.logstore.model import FrameColumn, JsonKind
from shared.storage.memory import MemoryStorage
from tests.logstore.samples import WORKSPACE, ask, frame, store_on

NUMBER, STRING, BOOL, CONTAINER = JsonKind.NUMBER, JsonKind.STRING, JsonKind.BOOL, JsonKind.CONTAINER


@pytest.fixture(params=["array", "lines", "large"])
def one_value(request: pytest.FixtureRequest, storage: MemoryStorage, clock: ManualClock, tmp_path: Path):
    """The stored form of one JSON value in a column of a type, by each way that a frame may be read."""
    store = store_on(storage, tmp_path, clock)

    def stored(value: str, kind: KqlType, *columns: FrameColumn) -> Any:
        filling = [b'{"pad":"%s"}' % (b"x" * 600_000)] if request.param == "large" else []
        records = [b'{"v":%s}' % value.encode(), *filling]
        body = b"\n".join(records) if request.param == "lines" else b"[" + b",".join(records) + b"]"
        schema = {column.name: column.type for column in columns} or {"v": kind}
        options: dict[str, Any] = {"columns": columns} if columns else {}
        name = f"T{len(list(tmp_path.rglob('*')))}_CL"
        store.append(WORKSPACE, [frame(body, clock, rows=len(records), schema=schema, table=name, **options)])
        rows = ask(store, table=name, schema=schema)
        empty = tuple("" if one is KqlType.STRING else None for one in schema.values())
        if request.param == "large":
            assert empty in rows
            rows.remove(empty)
        (row,) = rows
        return row if columns else row[0]

    return stored


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ('"text"', KqlType.STRING, "text"),
        ("null", KqlType.STRING, ""),
        ("1.5", KqlType.STRING, "1.5"),
        ("true", KqlType.STRING, "true"),
        ("123456789012345678901234567890", KqlType.STRING, "123456789012345678901234567890"),
        ('{"a": [1, "x"]}', KqlType.STRING, '{"a":[1,"x"]}'),
        (r'"\u00e9\n\"\\\u0000\ud83d\ude00"', KqlType.STRING, 'é\n"\\\0😀'),
        ("7", KqlType.LONG, 7),
        ('"7"', KqlType.LONG, 7),
        ("7.0", KqlType.LONG, 7),
        ("7.5", KqlType.LONG, None),
        ("9223372036854775807", KqlType.LONG, 9223372036854775807),
        ("9223372036854775808", KqlType.LONG, None),
        ("3000000000", KqlType.INT, None),
        ('"x"', KqlType.LONG, None),
        ("{}", KqlType.LONG, None),
        ("1e3", KqlType.REAL, 1000.0),
        ('"0.1"', KqlType.REAL, 0.1),
        ('"x"', KqlType.REAL, None),
        ("true", KqlType.BOOL, True),
        ('"False"', KqlType.BOOL, False),
        ("0", KqlType.BOOL, False),
        ('"maybe"', KqlType.BOOL, None),
        (
            '"5770385F-C22A-43E0-BF4C-06F5698FFBD9"',
            KqlType.GUID,
            UUID("5770385f-c22a-43e0-bf4c-06f5698ffbd9"),
        ),
        ('"5770385fc22a43e0bf4c06f5698ffbd9"', KqlType.GUID, UUID("5770385f-c22a-43e0-bf4c-06f5698ffbd9")),
        ('"x"', KqlType.GUID, None),
        ('"1.02:03:04.5"', KqlType.TIMESPAN, 937_845_000_000),
        ('"-00:00:01"', KqlType.TIMESPAN, -10_000_000),
        ('"00:61:00"', KqlType.TIMESPAN, None),
        ('{"a":{"b":[1,null]}}', KqlType.DYNAMIC, '{"a":{"b":[1,null]}}'),
        ('"s"', KqlType.DYNAMIC, '"s"'),
        ("null", KqlType.DYNAMIC, None),
    ],
)
def test_a_value_is_converted_to_its_columns_type_or_is_null(
    one_value: Any, value: str, kind: KqlType, expected: Any
):
    assert one_value(value, kind) == expected


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-04T05:06:07.1234567Z",
        "2026-03-04T05:06:07Z",
        "2026-03-04T05:06:07.1Z",
        "2026-03-04T05:06:07.123456789Z",
        "2026-03-04T05:06:07.1234567+05:30",
        "2026-03-04T05:06:07.12+05:37",
        "2026-03-04 05:06",
        "2026-03-04",
        "2026-03-04T05:06:07,25Z",
        " 2026-03-04T05:06:07.1234567Z ",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.9999999Z",
        "2026-03-04T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "infinity",
        "epoch",
        "20260304",
        "2026-03-04 (BC)",
        "",
    ],
)
def test_an_instant_keeps_all_seven_digits_and_what_is_none_is_null(one_value: Any, text: str):
    assert one_value(json.dumps(text), KqlType.DATETIME) == parse_iso_ticks(text)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1.25", (1.25, "", None, None, None)),
        ('"plain \\"text\\""', (None, 'plain "text"', None, None, None)),
        ("true", (None, "", True, None, None)),
        ('"2026-03-04T05:06:07Z"', (None, "", None, parse_iso_ticks("2026-03-04T05:06:07Z"), None)),
        ('"2026-13-04T05:06:07Z"', (None, "2026-13-04T05:06:07Z", None, None, None)),
        (
            '"{5770385f-c22a-43e0-bf4c-06f5698ffbd9}"',
            (None, "", None, None, UUID("5770385f-c22a-43e0-bf4c-06f5698ffbd9")),
        ),
        ('{"a":1}', (None, '{"a":1}', None, None, None)),
    ],
)
def test_a_key_of_mixed_kinds_fills_the_column_of_each_kind(
    one_value: Any, value: str, expected: tuple[Any, ...]
):
    columns = [
        FrameColumn(source="v", name="v_d", type=KqlType.REAL, kinds=frozenset({NUMBER})),
        FrameColumn(
            source="v", name="v_s", type=KqlType.STRING, kinds=frozenset({STRING, CONTAINER}), pattern="plain"
        ),
        FrameColumn(source="v", name="v_b", type=KqlType.BOOL, kinds=frozenset({BOOL})),
        FrameColumn(
            source="v", name="v_t", type=KqlType.DATETIME, kinds=frozenset({STRING}), pattern="datetime"
        ),
        FrameColumn(source="v", name="v_g", type=KqlType.GUID, kinds=frozenset({STRING}), pattern="guid"),
    ]
    assert one_value(value, KqlType.STRING, *columns) == expected


def test_records_that_the_fast_reader_refuses_are_kept_with_their_neighbours(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock)
    columns = [
        FrameColumn(source="a", name="lower_s", type=KqlType.STRING),
        FrameColumn(source="A", name="upper_s", type=KqlType.STRING),
        FrameColumn(source='it\'s "odd"', name="odd_s", type=KqlType.STRING),
    ]
    schema = {column.name: column.type for column in columns}
    body = (
        rb'[{"a":1,"a":2.50,"A":"up"}, {"it'
        rb"'"
        rb's \"odd\"":"\ud800x"},'
        b' {"a":{"k":1,"k":12345678901234567890123}}]'
    )
    plain = frame([{"a": "x"}, {"a": "y"}], clock, columns=[columns[0]])
    store.append(WORKSPACE, [plain, frame(body, clock, rows=3, columns=columns)])
    assert ask(store, schema=schema) == sorted(
        [
            ("x", "", ""),
            ("y", "", ""),
            ("2.5", "up", ""),
            ("", "", "\ufffdx"),
            ('{"k":12345678901234567890123}', "", ""),
        ],
        key=repr,
    )


def test_columns_that_the_service_sets_are_there(storage: MemoryStorage, clock: ManualClock, tmp_path: Path):
    store = store_on(storage, tmp_path, clock)
    noon = ticks_of(clock.now())
    resource = "/subscriptions/5770385f/resourceGroups/g/providers/x/y/z"
    constants = {"SourceSystem": "RestAPI", "_ResourceId": resource, "TenantId": WORKSPACE, "Type": "App_CL"}
    bounds = (noon - 10, noon + 10)
    late, missing = {"TimeGenerated": "2020-01-01T00:00:00Z", "Text": "é"}, {"N": 5}
    store.append(
        WORKSPACE,
        [frame([late, missing], clock, constants=constants, time_bounds=bounds, billable=False)],
    )
    names = [
        "TimeGenerated",
        "TenantId",
        "Type",
        "SourceSystem",
        "_ResourceId",
        "_SubscriptionId",
        "_IsBillable",
    ]
    common = (noon, WORKSPACE, "App_CL", "RestAPI", resource, "5770385f", "False")
    assert ask(store, *names, "_BilledSize") == [(*common, 10.0), (*common, 16.0)]
    assert ask(store, "N", ingestion_time=True) == [(5, noon), (None, noon)]


def test_a_wide_record_and_a_record_without_any_key_are_kept(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock)
    schema = {f"c{n}": KqlType.STRING if n % 2 else KqlType.REAL for n in range(500)}
    record = {f"c{n}": str(n) for n in range(500)}
    store.append(WORKSPACE, [frame([record, {}], clock, schema=schema), frame([{}], clock, schema={})])
    rows = ask(store, "c0", "c499", schema=schema)
    assert rows == sorted([(0.0, "499"), (None, ""), (None, "")], key=repr)
