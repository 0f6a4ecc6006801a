"""Custom logs: which columns a batch makes, and that every value comes out of one of them."""

import gzip
import os
import string
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.clock import ManualClock
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.custom_logs import MAX_FIELD_BYTES, CustomLog, custom_log_frame
from shared.loganalytics.ingestion.errors import InvalidDataFormat
from shared.loganalytics.ingestion.shapes import look, observe
from shared.loganalytics.logstore.frames import check_frame
from shared.loganalytics.logstore.model import Frame
from shared.loganalytics.tables.model import ColumnTypeConflict, LogTable, TooManyColumns
from shared.loganalytics.tables.registry import TableRegistry
from shared.loganalytics.tables.store import TableStore
from shared.storage.memory import MemoryStorage
from tests.ingestion.reading import Row, rows_of

WORKSPACE = "11111111-1111-1111-1111-111111111111"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
GUID = "8145d822-13a7-44ad-859c-36f31a84f6dd"


class Sender:
    """Sends batches to one table."""

    def __init__(self) -> None:
        clock = ManualClock(NOON)
        self.tables = TableRegistry(TableStore(MemoryStorage(clock).table("omstables")), clock)

    @property
    def table(self) -> LogTable | None:
        return self.tables.schema(WORKSPACE, "App_CL")

    @property
    def columns(self) -> Mapping[str, KqlType]:
        """The columns that the batches made."""
        return {
            name: type_
            for name, type_ in self.tables.require(WORKSPACE, "App_CL").types.items()
            if name[-2:-1] == "_"
        }

    def frame(self, value: Any, *, time_field: str = "", body: bytes | None = None) -> Frame:
        text = orjson.dumps(value) if body is None else body
        frame = custom_log_frame(
            CustomLog(
                table="App_CL",
                value=orjson.loads(text),
                size=len(text),
                time_field=time_field,
                constants={},
                received=NOON,
            ),
            self.table,
            self._extend,
        )
        assert frame is not None
        check_frame(frame)
        return frame

    def send(self, *records: Any, time_field: str = "") -> list[Row]:
        rows = rows_of(self.frame(list(records), time_field=time_field))
        return [{key: row[key] for key in row if key != "TimeGenerated"} for row in rows]

    def _extend(self, columns: Iterable[Column]) -> LogTable:
        return self.tables.extend(WORKSPACE, "App_CL", columns)


@pytest.fixture
def sender() -> Sender:
    return Sender()


def test_a_columns_suffix_tells_the_type_of_its_values(sender: Sender):
    rows = sender.send(
        {
            "text": "up",
            "flag": True,
            "number": 3.5,
            "whole": 7,
            "when": "2026-11-22T10:00:00.1234567Z",
            "id": GUID,
        }
    )
    assert rows == [
        {
            "text_s": "up",
            "flag_b": True,
            "number_d": 3.5,
            "whole_d": 7.0,
            "when_t": "2026-11-22T10:00:00.1234567Z",
            "id_g": GUID,
        }
    ]
    assert sender.columns == {
        "text_s": KqlType.STRING,
        "flag_b": KqlType.BOOL,
        "number_d": KqlType.REAL,
        "whole_d": KqlType.REAL,
        "when_t": KqlType.DATETIME,
        "id_g": KqlType.STRING,
    }


def test_a_guid_without_dashes_gets_them(sender: Sender):
    assert sender.send({"id": "8145d82213a744ad859c36f31a84f6dd"}, {"id": GUID}) == [{"id_g": GUID}] * 2


def test_objects_and_arrays_are_kept_as_their_text(sender: Sender):
    assert sender.send({"a": {"b": [1, {"c": None}]}, "l": [1, "x"]}) == [
        {"a_s": '{"b":[1,{"c":null}]}', "l_s": '[1,"x"]'}
    ]


def test_nulls_make_no_column(sender: Sender):
    assert sender.send({"a": None, "b": 1}) == [{"b_d": 1.0}]
    assert list(sender.columns) == ["b_d"]


def test_a_single_object_is_a_record(sender: Sender):
    assert rows_of(sender.frame({"a": 1}))[0]["a_d"] == 1.0


def test_values_of_two_types_in_one_batch_go_to_two_columns(sender: Sender):
    assert sender.send({"n": 1}, {"n": "x"}, {"n": True}, {"n": [1]}, {"n": None}) == [
        {"n_d": 1.0},
        {"n_s": "x"},
        {"n_b": True},
        {"n_s": "[1]"},
        {},
    ]


def test_a_type_that_the_column_does_not_hold_makes_another_column(sender: Sender):
    sender.send({"n": 1, "s": "x", "b": True})
    assert sender.send({"n": "many", "s": 2, "b": 0}) == [{"n_s": "many", "s_d": 2.0, "b_d": 0.0}]
    assert set(sender.columns) == {"n_d", "n_s", "s_s", "s_d", "b_b", "b_d"}


def test_a_text_that_says_a_value_of_the_column_goes_there(sender: Sender):
    sender.send({"n": 1, "b": True, "t": "2026-11-22T10:00:00Z"})
    assert sender.send({"n": "3.25", "b": "False", "t": "2026-11-22 11:30:00"}) == [
        {"n_d": 3.25, "b_b": False, "t_t": "2026-11-22T11:30:00Z"}
    ]
    assert set(sender.columns) == {"n_d", "b_b", "t_t"}


def test_times_and_guids_go_to_a_column_of_strings_that_is_there(sender: Sender):
    sender.send({"a": "x"})
    assert sender.send({"a": GUID}, {"a": "2026-11-22T10:00:00Z"}) == [
        {"a_s": GUID},
        {"a_s": "2026-11-22T10:00:00Z"},
    ]
    assert set(sender.columns) == {"a_s"}


def test_texts_of_several_kinds_each_find_their_column(sender: Sender):
    sender.send({"a": GUID})
    sender.send({"a": "2026-11-22T10:00:00Z"})
    assert sender.send(
        {"a": "8145d82213a744ad859c36f31a84f6dd"},
        {"a": "plain"},
        {"a": "2026-11-22T11:00:00Z"},
        {"a": {"o": 1}},
        {"a": ""},
        {"a": 4},
    ) == [
        {"a_g": GUID},
        {"a_s": "plain"},
        {"a_t": "2026-11-22T11:00:00Z"},
        {"a_s": '{"o":1}'},
        {},
        {"a_d": 4.0},
    ]


def test_mixed_texts_without_a_column_yet_share_one_of_strings(sender: Sender):
    assert sender.send({"a": GUID}, {"a": "plain"}) == [{"a_s": GUID}, {"a_s": "plain"}]


def test_empty_texts_say_nothing_about_a_column(sender: Sender):
    sender.send({"when": "2026-11-22T10:00:00Z"})
    assert sender.send({"when": ""}, {"when": "2026-11-22T11:00:00Z"}) == [
        {},
        {"when_t": "2026-11-22T11:00:00Z"},
    ]
    assert set(sender.columns) == {"when_t"}


@pytest.mark.parametrize(
    "text",
    [
        "2026-13-01T00:00:00Z",
        "2026-11-22",
        "10:00:00",
        "not-a-time-but-long-enough",
        "2026-11-22 10:00:00Z",
        "z" * 32,
        "z" * 36,
    ],
)
def test_what_only_resembles_a_time_or_a_guid_is_text(sender: Sender, text: str):
    assert sender.send({"a": text}) == [{"a_s": text}]


def test_characters_that_no_column_holds_become_underscores(sender: Sender):
    assert sender.send({"@timestamp": 1.5, "a b": 1, "c.d": "x", "ä": "y", "n\u0000l": 2}) == [
        {"_timestamp_d": 1.5, "a_b_d": 1.0, "c_d_s": "x", "__s": "y", "n_l_d": 2.0}
    ]


def test_names_that_differ_only_in_case_are_one_column(sender: Sender):
    assert sender.send({"User": "a"}, {"user": "b"}) == [{"User_s": "a"}, {"User_s": "b"}]
    assert sender.send({"USER": "c"}) == [{"User_s": "c"}]


def test_two_properties_of_one_record_that_would_be_one_column_are_refused(sender: Sender):
    with pytest.raises(InvalidDataFormat, match="one column"):
        sender.send({"a b": 1, "a.b": 2})
    assert sender.table is None


@pytest.mark.parametrize("name", ["tenant", "TimeGenerated", "RawData", "", "x" * 46])
def test_names_that_a_property_cannot_have_are_refused(sender: Sender, name: str):
    with pytest.raises(InvalidDataFormat):
        sender.send({"fine": 1}, {name: 1})
    assert sender.table is None


def test_a_name_of_45_characters_is_the_longest(sender: Sender):
    assert sender.send({"x" * 45: 1}) == [{"x" * 45 + "_d": 1.0}]


def test_more_than_500_columns_are_refused_and_change_nothing(sender: Sender):
    sender.send({f"c{n}": n for n in range(500)})
    with pytest.raises(TooManyColumns):
        sender.send({"one": 1, "c1": 1})
    assert len(sender.columns) == 500


@pytest.mark.parametrize("value", ["x", 1, None, True, [1], [{"a": 1}, None], [[{"a": 1}]], "[]"])
def test_what_is_neither_an_object_nor_an_array_of_objects_is_refused(sender: Sender, value: Any):
    with pytest.raises(InvalidDataFormat):
        sender.frame(value)
    assert sender.table is None


def test_a_field_longer_than_32_kb_is_cut(sender: Sender):
    long, wide = "x" * (MAX_FIELD_BYTES + 1), "é" * MAX_FIELD_BYTES
    rows = sender.send({"a": long, "b": wide, "c": {"d": long}, "e": "x" * MAX_FIELD_BYTES})
    assert rows[0]["a_s"] == long[:-1]
    assert rows[0]["b_s"] == "é" * (MAX_FIELD_BYTES // 2)
    assert len(rows[0]["c_s"]) == MAX_FIELD_BYTES
    assert rows[0]["e_s"] == "x" * MAX_FIELD_BYTES


def test_the_time_field_gives_time_generated_and_stays_a_column(sender: Sender):
    frame = sender.frame(
        [{"when": "2026-11-22T10:00:00.1234567Z"}, {"when": "nonsense"}, {}], time_field="when"
    )
    assert [row["TimeGenerated"] for row in rows_of(frame)] == [
        "2026-11-22T10:00:00.1234567Z",
        "2026-11-22T12:00:00Z",
        "2026-11-22T12:00:00Z",
    ]
    assert "when_s" in rows_of(frame)[0]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2026-11-20T12:00:00Z", True),
        ("2026-11-20T11:59:59Z", False),
        ("2026-11-23T12:00:00Z", True),
        ("2026-11-23T12:00:01Z", False),
    ],
)
def test_a_time_more_than_two_days_old_or_a_day_ahead_is_the_time_of_receipt(
    sender: Sender, given: str, kept: bool
):
    row = rows_of(sender.frame([{"when": given}], time_field="when"))[0]
    assert row["TimeGenerated"] == (given if kept else "2026-11-22T12:00:00Z")
    assert row["when_t"] == given


@pytest.mark.parametrize("time_field", ["", "TimeGenerated"])
def test_a_property_time_generated_that_is_a_time_is_the_time_field(sender: Sender, time_field: str):
    frame = sender.frame([{"TimeGenerated": "2026-11-22T10:00:00Z", "a": 1}], time_field=time_field)
    assert rows_of(frame) == [
        {"TimeGenerated": "2026-11-22T10:00:00Z", "TimeGenerated_t": "2026-11-22T10:00:00Z", "a_d": 1.0}
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a":1,"a":2}]',
        b'[{"a":"x" ,"b" : 1}]',
        b'{"a":2}',
        b'\n[{"a":{"b":1,"b":2}}]',
        b'[{"a":1,"\\u0061":2}]',
        b'[{"a":"\\/\\u00e9"}]',
    ],
)
def test_the_store_gets_text_that_every_reader_reads_alike(sender: Sender, body: bytes):
    value = orjson.loads(body)
    assert sender.frame(None, body=body).body == orjson.dumps(value if isinstance(value, list) else [value])


@settings(deadline=None)
@given(
    st.sets(
        st.from_regex(
            r"[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-6][0-9](:[0-5][0-9](\.[0-9]{1,8})?)?(Z|[+-][01][0-9]:[03]0)?",
            fullmatch=True,
        )
        | st.uuids().map(str)
        | st.uuids().map(lambda u: u.hex)
        | st.text(max_size=40),
        min_size=1,
        max_size=5,
    )
)
def test_looking_at_a_whole_column_finds_what_looking_at_each_text_finds(texts: set[str]):
    seen = observe([{"a": text} for text in texts])["a"]
    assert seen.looks == {look(text) for text in texts if text}


names = st.text(string.ascii_letters + string.digits + "_ .@", min_size=1, max_size=6)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False, width=32)
    | st.text(max_size=12).filter(lambda text: text.isprintable())
    | st.sampled_from(
        [GUID, GUID.replace("-", ""), "2026-11-22T10:00:00Z", "true", "12", "-0.5", '":', "2026-11-22 10:00"]
    )
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=4,
)
batches = st.lists(
    st.lists(st.dictionaries(names, values, max_size=4), min_size=1, max_size=6), min_size=1, max_size=3
)


@settings(deadline=None)
@given(batches)
def test_every_value_of_every_record_is_in_just_one_column_and_nothing_else_is(
    given_batches: list[list[Any]],
):
    sender = Sender()
    for records in given_batches:
        try:
            rows = rows_of(sender.frame(records))
        except InvalidDataFormat as refused:
            assert "reserved" in str(refused) or "one column" in str(refused)  # noqa: PT017 - both may happen
            continue
        assert len(rows) == len(records)
        for record, row in zip(records, rows, strict=True):
            sent = sorted(_plain(value) for value in record.values() if value not in (None, ""))
            got = sorted(_plain(value) for key, value in row.items() if key != "TimeGenerated")
            assert got == sent


def _plain(value: Any) -> str:
    """A value as its text, however it was converted."""
    if isinstance(value, (dict, list)):
        return orjson.dumps(value).decode()
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if text == GUID.replace("-", ""):
        return GUID
    if text.startswith("2026-11-22"):
        return text[:16].replace(" ", "T")
    try:
        return str(float(text))
    except ValueError:
        return text


if "OMS_SHARED" in os.environ:

    def test_the_wide_mixed_records_of_real_machines_all_go_in_and_come_out():
        packed = (Path(os.environ["OMS_SHARED"]) / "logstore/security_events.ndjson.gz").read_bytes()
        records = [orjson.loads(line) for line in gzip.decompress(packed).splitlines()]
        sender = Sender()
        for start in range(0, len(records), 250):
            batch = records[start : start + 250]
            rows = rows_of(sender.frame(batch))
            for record, row in zip(batch, rows, strict=True):
                sent = sum(value not in (None, "") for value in record.values())
                assert len(row) - 1 == sent
        assert len(sender.columns) > 200


def test_a_declared_column_of_another_type_is_not_filled_with_what_it_cannot_hold(sender: Sender):
    sender.tables.create(
        WORKSPACE, "App_CL", [Column(name="n_d", type=KqlType.LONG), Column(name="id_g", type=KqlType.GUID)]
    )
    with pytest.raises(ColumnTypeConflict, match="n_d"):
        sender.send({"n": 1.5})
    assert sender.send({"id": GUID}) == [{"id_g": GUID}]


def test_more_than_500_properties_are_refused_before_they_are_looked_at(sender: Sender):
    with pytest.raises(InvalidDataFormat, match="501"):
        sender.send({f"c{n}": n for n in range(501)})
    assert sender.table is None
    sender.send({f"c{n}": None for n in range(501)})
