"""What every implementation of tables holds to, in memory and on Azurite."""

import math
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.storage.limits import ordinal
from shared.storage.ports import (
    Delete,
    Insert,
    Operation,
    Replace,
    Row,
    RowChanged,
    RowExists,
    RowNotFound,
    Storage,
    StorageKeyInvalid,
    StorageLimitExceeded,
    Table,
    Upsert,
    Value,
    prefix_end,
)

MIXED = [
    "a",
    "A",
    "b",
    "B",
    "aa",
    "aB",
    "Z",
    "z",
    "0",
    "9",
    "_",
    "-",
    "é",
    "Ω",
    "雪",
    "🦊",
    "\uffee",
    "~",
    " x",
    "x y",
]


@pytest.fixture
def table(any_storage: Storage) -> Table:
    return any_storage.table("rows")


VALUES: dict[str, Value] = {
    "text": "käse 🦊 \n\t\"quoted\" 'single' </a>",
    "empty": "",
    "small": 1,
    "big": 2**63 - 1,
    "least": -(2**63),
    "whole": 1.0,
    "half": 0.5,
    "tiny": 5e-324,
    "infinite": -math.inf,
    "yes": True,
    "no": False,
    "instant": datetime(2026, 3, 4, 5, 6, 7, 891234, tzinfo=UTC),
    "early": datetime(1601, 1, 1, tzinfo=UTC),
    "late": datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    "raw": bytes(range(256)),
    "nothing": b"",
    "date_like": "2026-03-04T05:06:07Z",
    "number_like": "12",
}


def kinds(row: Row) -> dict[str, type]:
    return {name: type(value) for name, value in row.values.items()}


def test_every_kind_of_value_comes_back_with_its_type(table: Table):
    written = table.insert("p", "k", VALUES)
    read = table.get("p", "k")
    assert read.values == VALUES
    assert kinds(read) == {name: type(value) for name, value in VALUES.items()}
    assert written == read
    assert list(table.query("p")) == [read]


def test_not_a_number_comes_back(table: Table):
    table.insert("p", "k", {"n": math.nan})
    value = table.get("p", "k").values["n"]
    assert isinstance(value, float)
    assert math.isnan(value)
    table.insert("p", "k", {"n": math.nan})


def test_an_instant_is_kept_in_utc_whatever_its_zone(table: Table):
    there = datetime(2026, 3, 4, 5, tzinfo=timezone(timedelta(hours=5)))
    table.insert("p", "k", {"at": there})
    found = table.get("p", "k").values["at"]
    assert isinstance(found, datetime)
    assert (found, found.tzinfo) == (there, UTC)


def test_columns_that_are_none_are_left_out(table: Table):
    assert table.insert("p", "k", {"a": None, "b": 1}).values == {"b": 1}
    row = table.replace(table.get("p", "k"), {"a": 2, "b": None})
    assert row.values == table.get("p", "k").values == {"a": 2}


def test_what_is_absent_is_not_found_and_deleting_it_is_fine(table: Table):
    for _ in range(2):  # at first without the table, then with it
        with pytest.raises(RowNotFound):
            table.get("p", "k")
        with pytest.raises(RowNotFound):
            table.delete("p", "k", etag="W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\"")
        table.delete("p", "k")
        assert list(table.query()) == []
        page = table.page("p", size=1)
        assert (list(page.rows), page.next) == ([], None)
        table.upsert("p", "k", {})
        table.delete("p", "k")


def test_insert_takes_equal_values_as_its_own_and_refuses_others(table: Table):
    first = table.insert("p", "k", {"n": 1, "none": None})
    assert table.insert("p", "k", {"n": 1}).etag == first.etag
    for other in ({"n": 2}, {}, {"n": 1, "m": 1}, {"n": True}, {"n": 1.0}, {"n": "1"}):
        with pytest.raises(RowExists):
            table.insert("p", "k", other)
    assert table.get("p", "k") == first


def test_of_two_writers_with_the_same_etag_only_the_first_wins(table: Table):
    row = table.insert("p", "k", {"n": 1})
    newer = table.replace(row, {"n": 2})
    with pytest.raises(RowChanged):
        table.replace(row, {"n": 2})  # even with equal values: a counter must not lose a step
    with pytest.raises(RowChanged):
        table.delete("p", "k", etag=row.etag)
    assert table.get("p", "k") == newer
    table.delete("p", "k", etag=newer.etag)
    with pytest.raises(RowNotFound):
        table.replace(newer, {"n": 3})
    with pytest.raises(RowNotFound):
        table.delete("p", "k", etag=newer.etag)


def test_replace_and_upsert_write_whole_rows(table: Table):
    row = table.insert("p", "k", {"a": 1, "b": 2})
    assert table.replace(row, {"a": 3}).values == {"a": 3}
    assert table.upsert("p", "k", {"c": 4}).values == {"c": 4}
    assert table.get("p", "k").values == {"c": 4}


def test_counting_from_many_threads_loses_no_step(table: Table):
    table.insert("p", "k", {"n": 0})

    def step(_: int) -> None:
        while True:
            row = table.get("p", "k")
            count = row.values["n"]
            assert isinstance(count, int)
            try:
                table.replace(row, {"n": count + 1})
            except RowChanged:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(step, range(20)))
    assert table.get("p", "k").values == {"n": 20}


def test_of_many_threads_that_insert_exactly_one_wins(table: Table):
    def insert(number: int) -> int:
        try:
            table.insert("p", "k", {"n": number})
        except RowExists:
            return 0
        return 1

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(insert, range(16))) == 1


def test_rows_come_by_partition_and_key_in_ordinal_order(table: Table):
    for key in MIXED:
        table.insert(key, "k", {"key": key})
        table.insert("one", key, {"key": key})
    assert [row.key for row in table.query("one")] == sorted(MIXED, key=ordinal)
    assert [row.partition for row in table.query(start="k", before="l") if row.partition != "one"] == sorted(
        MIXED, key=ordinal
    )
    for key in MIXED:
        assert table.get("one", key).values == {"key": key}
        assert [row.key for row in table.query("one", start=key, before=key + "\x20")] == [key]


@pytest.mark.parametrize(
    "key",
    [
        "",
        "a'b",
        "''",
        "a%b",
        "%20",
        "a+b",
        "a b",
        "(a,b)",
        "a=b&c",
        "a:b;c",
        "@p",
        '"',
        "x" * 512,
        "🦊" * 256,
    ],
)
def test_a_key_comes_back_as_it_was_given(table: Table, key: str):
    row = table.insert(key, key, {"n": 1})
    assert (row.partition, row.key) == (key, key)
    assert table.get(key, key) == row
    assert list(table.query(key, start=key)) == [row]
    row = table.replace(row, {"n": 2})
    table.transact(key, [Replace(key=key, values={"n": 3}, etag=row.etag)])
    assert table.upsert(key, key, {"n": 4}).values == {"n": 4}
    table.transact(key, [Delete(key=key)])
    assert list(table.query()) == []


@pytest.mark.parametrize(
    "key", ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\x7fb", "a\x9fb", "\ud800", "x" * 513, "🦊" * 257]
)
def test_a_key_that_azure_would_refuse_is_refused(table: Table, key: str):
    attempts: Sequence[Callable[[], object]] = [
        lambda: table.insert(key, "k", {}),
        lambda: table.upsert("p", key, {}),
        lambda: table.get("p", key),
        lambda: table.delete(key, "k"),
        lambda: table.query(key),
        lambda: table.page(key, size=1),
        lambda: table.transact(key, [Insert(key="k", values={})]),
        lambda: table.transact("p", [Delete(key=key)]),
    ]
    for attempt in attempts:
        with pytest.raises(StorageKeyInvalid):
            attempt()


@pytest.mark.parametrize("name", ["", "ab", "1ab", "a-b", "tables", "Tables", "a" * 64, "käse", "abc\n"])
def test_a_table_name_that_azure_would_refuse_is_refused(any_storage: Storage, name: str):
    with pytest.raises(StorageKeyInvalid):
        any_storage.table(name)


@pytest.mark.parametrize(
    "column", ["", "a-b", "a b", "1a", "PartitionKey", "RowKey", "Timestamp", "käse", "a" * 256, "a.b"]
)
def test_a_column_name_that_azure_would_refuse_is_refused(table: Table, column: str):
    with pytest.raises(StorageKeyInvalid):
        table.insert("p", "k", {column: 1})
    with pytest.raises(StorageKeyInvalid):
        table.query("p", where={column: 1})
    with pytest.raises(StorageKeyInvalid):
        table.query("p", select=[column])


def keys(rows: Iterable[Row]) -> list[tuple[str, str]]:
    return [(row.partition, row.key) for row in rows]


def test_a_query_takes_a_range_of_keys_and_equal_columns(table: Table):
    for number in range(10):
        table.insert("p", f"k{number}", {"even": number % 2 == 0, "n": number, "name": "o'clock"})
        table.insert("q", f"k{number}", {"n": number})
    assert keys(table.query("p", start="k3", before="k6")) == [("p", "k3"), ("p", "k4"), ("p", "k5")]
    assert keys(table.query(start="k9")) == [("p", "k9"), ("q", "k9")]
    assert keys(table.query("p", where={"even": True}, before="k3")) == [("p", "k0"), ("p", "k2")]
    assert keys(table.query(where={"n": 1})) == [("p", "k1"), ("q", "k1")]
    assert keys(table.query(where={"name": "o'clock", "n": 1})) == [("p", "k1")]
    assert keys(table.query(where={"name": "' or 1 eq 1 or name eq '"})) == []
    assert keys(table.query("p", start="k", before=prefix_end("k"))) == [("p", f"k{n}") for n in range(10)]
    assert keys(table.query("p", start="k5", before="k5")) == []


@pytest.mark.parametrize(
    "column",
    [
        "text",
        "empty",
        "small",
        "big",
        "least",
        "whole",
        "half",
        "yes",
        "no",
        "instant",
        "early",
        "raw",
        "number_like",
    ],
)
def test_a_query_finds_each_kind_of_value(table: Table, column: str):
    table.insert("p", "k", VALUES)
    table.insert("p", "other", {"unrelated": 1})
    assert [row.key for row in table.query(where={column: VALUES[column]})] == ["k"]


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_query_for_what_odata_cannot_write_is_refused(table: Table, value: float):
    with pytest.raises(StorageKeyInvalid, match="cannot ask for"):
        table.query(where={"n": value})


def test_a_query_with_select_brings_only_those_columns(table: Table):
    row = table.insert("p", "k", {"a": 1, "b": 2})
    table.insert("p", "l", {"b": 3})
    first, second = table.query("p", select=["a", "c"])
    assert (first.values, second.values) == ({"a": 1}, {})
    assert (first.partition, first.key, first.etag, first.modified) == ("p", "k", row.etag, row.modified)
    assert [row.values for row in table.query("p", select=[])] == [{}, {}]


def fill(table: Table, names: Sequence[str]) -> None:
    for first in range(0, len(names), 100):
        table.transact("p", [Insert(key=name, values={"n": 1}) for name in names[first : first + 100]])


def test_more_than_a_thousand_rows_of_mixed_case_come_whole_and_in_order(table: Table):
    names = [f"{letter}{number}" for number in range(210) for letter in "aAzZmM"]
    fill(table, names)
    table.insert("q", "last", {})
    assert [row.key for row in table.query("p")] == sorted(names)
    assert len(list(table.query())) == len(names) + 1
    paged: list[str] = []
    after: str | None = None
    sizes: list[int] = []
    while True:
        page = table.page("p", size=500, after=after)
        sizes.append(len(page.rows))
        paged += [row.key for row in page.rows]
        if (after := page.next) is None:
            break
    assert paged == sorted(names)
    assert max(sizes) <= 500


def test_pages_run_on_across_partitions_and_within_ranges(table: Table):
    for partition in "pqr":
        for number in range(4):
            table.insert(partition, f"k{number}", {})
    found: list[tuple[str, str]] = []
    after: str | None = None
    while True:
        page = table.page(start="k1", before="k3", size=3, after=after)
        assert len(page.rows) <= 3
        found += [(row.partition, row.key) for row in page.rows]
        if (after := page.next) is None:
            break
    assert found == [(partition, f"k{number}") for partition in "pqr" for number in (1, 2)]


def test_a_page_goes_on_where_rows_were_added_and_deleted_meanwhile(table: Table):
    fill(table, [f"k{number}" for number in range(6)])
    page = table.page("p", size=3)
    table.delete("p", "k3")
    table.insert("p", "k0a", {})
    table.insert("p", "k9", {})
    rest = table.page("p", size=10, after=page.next)
    assert [row.key for row in rest.rows] == ["k4", "k5", "k9"]


@pytest.mark.parametrize("after", ["", "nonsense", "bnVsbA", "é"])
def test_a_continuation_that_is_none_is_refused(table: Table, after: str):
    with pytest.raises(StorageKeyInvalid):
        table.page("p", size=1, after=after)


@pytest.mark.parametrize("size", [0, 1001])
def test_a_page_holds_one_to_a_thousand_rows(table: Table, size: int):
    with pytest.raises(StorageLimitExceeded):
        table.page("p", size=size)


def test_a_transaction_does_all_it_says(table: Table):
    kept, gone = table.insert("p", "kept", {"n": 1}), table.insert("p", "gone", {})
    table.insert("p", "old", {"n": 1, "m": 1})
    table.transact(
        "p",
        [
            Insert(key="new", values={"n": 1, "none": None}),
            Replace(key="kept", values={"n": 2}, etag=kept.etag),
            Replace(key="old", values={"n": 2}, etag=None),
            Upsert(key="maybe", values={"at": datetime(2026, 1, 1, tzinfo=UTC)}),
            Delete(key="gone", etag=gone.etag),
        ],
    )
    assert {row.key: row.values for row in table.query("p")} == {
        "new": {"n": 1},
        "kept": {"n": 2},
        "old": {"n": 2},
        "maybe": {"at": datetime(2026, 1, 1, tzinfo=UTC)},
    }


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (Insert(key="there", values={"n": 2}), RowExists),
        (
            Replace(key="there", values={"n": 2}, etag="W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\""),
            RowChanged,
        ),
        (Delete(key="there", etag="W/\"datetime'2026-01-01T00%3A00%3A00.0000000Z'\""), RowChanged),
        (Replace(key="absent", values={}, etag=None), RowNotFound),
        (Delete(key="absent"), RowNotFound),
    ],
)
def test_a_transaction_with_one_refusal_does_nothing(table: Table, bad: Operation, error: type[Exception]):
    table.insert("p", "there", {"n": 1})
    table.insert("p", "spare", {"n": 1})
    before = list(table.query("p"))
    with pytest.raises(error):
        table.transact(
            "p", [Insert(key="a", values={}), Delete(key="spare"), bad, Upsert(key="b", values={})]
        )
    assert list(table.query("p")) == before


def test_a_transaction_again_is_its_own_success_only_where_all_of_it_is_there(table: Table):
    first: list[Operation] = [
        Insert(key="a", values={"n": 1}),
        Upsert(key="b", values={"n": 1}),
        Insert(key="c", values={}),
    ]
    table.transact("p", first)
    etags = [row.etag for row in table.query("p")]
    table.transact("p", first)
    assert [row.etag for row in table.query("p")] == etags
    with pytest.raises(RowExists):
        table.transact("p", [Insert(key="a", values={"n": 1}), Insert(key="d", values={})])
    with pytest.raises(RowNotFound):
        table.get("p", "d")


def test_a_counter_in_a_transaction_steps_once_however_often_it_is_told(table: Table):
    counter = table.insert("p", "counter", {"n": 0})
    step: list[Operation] = [
        Insert(key="ledger-1", values={}),
        Replace(key="counter", values={"n": 1}, etag=counter.etag),
    ]
    table.transact("p", step)
    with pytest.raises(RowExists):
        table.transact("p", step)
    again = table.get("p", "counter")
    with pytest.raises(RowExists):
        table.transact("p", [step[0], Replace(key="counter", values={"n": 2}, etag=again.etag)])
    assert table.get("p", "counter") == again


def test_of_concurrent_transactions_on_one_row_each_counts_once(table: Table):
    table.insert("p", "counter", {"n": 0})

    def count(number: int) -> None:
        while True:
            row = table.get("p", "counter")
            total = row.values["n"]
            assert isinstance(total, int)
            operations = [
                Replace(key="counter", values={"n": total + number}, etag=row.etag),
                Insert(key=f"ledger-{number}", values={"n": number}),
            ]
            try:
                table.transact("p", operations)
            except RowChanged:
                continue
            return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(12)))
    assert table.get("p", "counter").values == {"n": sum(range(12))}
    assert len(list(table.query("p", start="ledger-", before=prefix_end("ledger-")))) == 12


def test_what_a_transaction_may_not_hold_is_refused(table: Table):
    with pytest.raises(StorageKeyInvalid, match="'a' twice"):
        table.transact("p", [Insert(key="a", values={}), Delete(key="a")])
    with pytest.raises(StorageKeyInvalid, match="at least one"):
        table.transact("p", [])
    with pytest.raises(StorageLimitExceeded, match="101 operations"):
        table.transact("p", [Upsert(key=str(number), values={}) for number in range(101)])
    big = {f"c{number}": "x" * 30_000 for number in range(16)}
    with pytest.raises(StorageLimitExceeded, match="on the wire, more than 4194304"):
        table.transact("p", [Upsert(key=str(number), values=big) for number in range(10)])
    assert list(table.query()) == []


def test_a_transaction_of_a_hundred_large_rows_goes_through(table: Table):
    table.transact("p", [Upsert(key=f"{number:03}", values={"x": "x" * 32_768}) for number in range(100)])
    assert sum(len(str(row.values["x"])) for row in table.query("p")) == 100 * 32_768


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": "x" * 32_769}, "column a has 65538 bytes, more than 65536"),
        ({"a": "🦊" * 16_385}, "column a has 65540 bytes"),
        ({"a": bytes(65_537)}, "column a has 65537 bytes"),
        ({f"c{number}": 1 for number in range(252)}, "252 columns, more than 251"),
        ({f"c{number}": "x" * 32_000 for number in range(17)}, "more than 1048576"),
        ({"a": 2**63}, "Int64"),
        ({"a": datetime(1600, 1, 1, tzinfo=UTC)}, "before 1601"),
    ],
)
def test_a_row_beyond_azures_limits_is_refused(table: Table, values: dict[str, Value], said: str):
    with pytest.raises(StorageLimitExceeded, match=said):
        table.insert("p", "k", values)
    with pytest.raises(StorageLimitExceeded, match=said):
        table.transact("p", [Upsert(key="k", values=values)])
    assert list(table.query()) == []


def test_a_row_just_within_azures_limits_is_kept(table: Table):
    values: dict[str, Value] = dict.fromkeys((f"c{number}" for number in range(15)), "x" * 32_768)
    values |= dict.fromkeys((f"d{number}" for number in range(236)), 1)
    row = table.insert("p", "k", values)
    assert table.replace(row, values).values == table.get("p", "k").values == values


def test_a_value_without_a_zone_or_of_another_type_is_a_mistake(table: Table):
    with pytest.raises(TypeError, match="without a timezone"):
        table.insert("p", "k", {"at": datetime(2026, 1, 1)})  # noqa: DTZ001  the mistake itself
    with pytest.raises(TypeError, match="holds a list"):
        table.insert("p", "k", {"a": []})  # pyright: ignore[reportArgumentType]  the mistake itself
    with pytest.raises(StorageKeyInvalid, match="surrogate"):
        table.insert("p", "k", {"a": "\ud800"})


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    number=st.integers(-(2**63), 2**63 - 1),
    real=st.floats(allow_nan=False),
    raw=st.binary(max_size=40),
    instant=st.datetimes(min_value=datetime(1601, 1, 2), timezones=st.just(UTC)),  # noqa: DTZ001  Hypothesis wants it naive
)
def test_any_values_come_back_equal(
    table: Table, text: str, number: int, real: float, raw: bytes, instant: datetime
):
    values: dict[str, Value] = {"text": text, "number": number, "real": real, "raw": raw, "instant": instant}
    table.upsert("p", "k", values)
    assert table.get("p", "k").values == values
