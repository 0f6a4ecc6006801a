"""Instants and durations: bins, periods, parts and formats, over whole ticks."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.ticks import MAX_TICKS
from shared.kql.functions import REGISTRY
from shared.kql.functions.build import literal
from shared.kql.functions.registry import ArgumentRefused
from shared.kql.types import KqlType as T
from tests.kql.functions_harness import NOON, Recorder, call, instant, long, real, span, text

HOUR, DAY = 36_000_000_000, 864_000_000_000


def test_now_and_ago_are_constants_of_the_query():
    assert REGISTRY.by_name["now"].emit(Recorder(), []).value == NOON
    ago = REGISTRY.by_name["ago"].emit(Recorder(), [span(DAY)])
    assert ago.constant
    assert ago.value == NOON - DAY


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    ("period", "start", "end"),
    [
        ("day", "2017-02-01T00:00:00.0000000Z", "2017-02-01T23:59:59.9999999Z"),
        ("week", "2017-01-29T00:00:00.0000000Z", "2017-02-04T23:59:59.9999999Z"),
        ("month", "2017-02-01T00:00:00.0000000Z", "2017-02-28T23:59:59.9999999Z"),
        ("year", "2017-01-01T00:00:00.0000000Z", "2017-12-31T23:59:59.9999999Z"),
    ],
)
def test_a_period_begins_and_ends_alike_for_constants_and_columns(
    period: str,
    start: str,
    end: str,
    columns: bool,
):
    at = instant("2017-02-01T10:10:17Z")
    assert call(f"startof{period}", at, columns=columns) == start
    assert call(f"endof{period}", at, columns=columns) == end


def test_an_offset_moves_by_whole_periods():
    at = instant("2017-01-01T10:10:17Z")
    assert call("startofweek", at, long(-1), columns=True) == "2016-12-25T00:00:00.0000000Z"
    assert call("startofmonth", at, long(1), columns=True) == "2017-02-01T00:00:00.0000000Z"


@pytest.mark.parametrize("columns", [False, True])
def test_bins_round_down_and_weeks_count_from_year_one(columns: bool):
    assert call("bin", long(-5), long(2), columns=columns) == -6
    assert call("bin", real(-5.5), real(2.0), columns=columns) == -6.0
    assert call("bin", instant("1955-11-05T06:15:00.5Z"), span(7 * DAY), columns=columns) == (
        "1955-10-31T00:00:00.0000000Z"
    )
    assert call("bin", span(16 * DAY), span(7 * DAY), columns=columns) == "14.00:00:00"


def test_a_bin_that_is_not_positive_holds_nothing():
    assert call("bin", instant("2020-01-01"), span(-1), columns=True) is None
    assert call("bin", long(5), long(0), columns=True) is None


@settings(deadline=None, max_examples=60)
@given(st.integers(-(2**53), 2**53), st.integers(1, 10**12))
def test_a_bin_is_the_greatest_multiple_not_above_the_value(value: int, size: int):
    found = call("bin", long(value), long(size), columns=True)
    assert found % size == 0
    assert found <= value < found + size


@settings(deadline=None, max_examples=60)
@given(st.integers(0, MAX_TICKS), st.integers(1, 400 * DAY))
def test_bins_of_constants_and_of_columns_agree(ticks: int, size: int):
    at, by = literal(ticks, T.DATETIME), span(size)
    assert call("bin", at, by) == call("bin", at, by, columns=True)


@pytest.mark.parametrize(
    ("at", "size", "fixed", "expected"),
    [
        ("2017-05-17T10:20:00Z", 7 * DAY, "2017-06-04", "2017-05-14T00:00:00.0000000Z"),
        ("2023-03-12T07:30:00Z", 90 * 600_000_000, "2023-03-12T00:07:00Z", "2023-03-12T06:07:00.0000000Z"),
    ],
)
def test_bin_at_counts_from_the_fixed_point(at: str, size: int, fixed: str, expected: str):
    assert call("bin_at", instant(at), span(size), instant(fixed)) == expected


@pytest.mark.parametrize(
    ("part", "left", "right", "expected"),
    [
        ("year", "2017-01-01", "2000-12-31", 17),
        ("quarter", "2017-07-01", "2017-03-30", 2),
        ("month", "2017-01-01", "2015-12-30", 13),
        ("week", "2017-10-29", "2017-09-30T23:59:00Z", 5.0),
        ("day", "2017-10-29", "2017-09-30T23:59:00Z", 29),
        ("minute", "2017-10-30T23:05:01Z", "2017-10-30T23:00:59Z", 5),
        ("second", "2020-01-01T00:00:01.9999999Z", "2020-01-01T00:00:00.0000001Z", 1),
        ("microsecond", "2020-01-01T00:00:00.0000020Z", "2020-01-01T00:00:00.0000005Z", 2),
        ("nanosecond", "2020-01-01T00:00:00.0000002Z", "2020-01-01T00:00:00Z", 200),
    ],
)
def test_datetime_diff_counts_the_boundaries_between(part: str, left: str, right: str, expected: float):
    assert call("datetime_diff", text(part), instant(left), instant(right)) == expected


@pytest.mark.parametrize(
    ("part", "amount", "at", "expected"),
    [
        ("year", 1, "2020-02-29", "2021-02-28T00:00:00.0000000Z"),
        ("month", 1, "2020-01-31", "2020-02-29T00:00:00.0000000Z"),
        ("quarter", -3, "2020-02-29T12:00:00Z", "2019-05-29T12:00:00.0000000Z"),
        ("week", 2, "2020-06-15", "2020-06-29T00:00:00.0000000Z"),
        ("day", -1, "0001-01-01", None),
    ],
)
@pytest.mark.parametrize("columns", [False, True])
def test_datetime_add_keeps_to_the_calendar(
    part: str,
    amount: int,
    at: str,
    expected: str | None,
    columns: bool,
):
    assert call("datetime_add", text(part), long(amount), instant(at), columns=columns) == expected


def test_parts_of_an_instant():
    at = instant("2016-01-01T13:45:09.1234567Z")
    found = {
        part: call("datetime_part", text(part), at) for part in ("Year", "Hour", "Millisecond", "Nanosecond")
    }
    assert found == {"Year": 2016, "Hour": 13, "Millisecond": 123, "Nanosecond": 123456700}
    assert call("week_of_year", at) == 53
    assert call("dayofweek", at) == "5.00:00:00"
    assert call("dayofyear", at) == 1


def test_make_datetime_is_null_where_there_is_no_such_day():
    parts = [long(each) for each in (2020, 2, 29, 13, 45, 9)]
    assert call("make_datetime", *parts) == call("make_datetime", *parts, columns=True)
    assert call("make_datetime", long(2020), long(13), long(1), columns=True) is None
    assert call("make_timespan", long(1), long(12), long(30), real(55.123)) == "1.12:30:55.1230000"
    assert call("make_timespan", long(0), long(25), long(61)) is None


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("yy-MM-dd [HH:mm:ss]", "07-03-09 [05:04:03]"),
        ("yyyy-M-d h:m:s tt", "2007-3-9 5:4:3 AM"),
        # Longer runs are not names of days and months: they are read piece by piece.
        ("dddd, MMMM d, yyyy", "0909, 0303 9, 2007"),
        ("s.f FFFFFFF", "3.5 5"),
        ("fffffff", "5000000"),
    ],
)
def test_format_datetime_writes_kustos_specifiers(pattern: str, expected: str):
    assert call("format_datetime", instant("2007-03-09T05:04:03.5Z"), text(pattern)) == expected


def test_a_letter_that_means_nothing_in_a_format_is_refused():
    with pytest.raises(ArgumentRefused, match="'T' has no meaning"):
        call("format_datetime", instant("2007-03-09"), text("yyyy-MM-ddTHH"))
    with pytest.raises(ArgumentRefused, match="'c' has no meaning"):
        call("format_timespan", span(1), text("c"))


def test_format_timespan_keeps_the_sign():
    assert call("format_timespan", span(-(DAY + 2 * HOUR)), text("d.hh:mm")) == "-1.02:00"
    assert call("format_timespan", span(29 * DAY + 9 * HOUR + 51_234_500), text("ddd.h:mm:ss [fffffff]")) == (
        "029.9:00:05 [1234500]"
    )


def test_time_zones_follow_daylight_saving():
    assert call("datetime_utc_to_local", instant("2024-07-01T12:00:00Z"), text("US/Pacific")) == (
        "2024-07-01T05:00:00.0000000Z"
    )
    assert call("datetime_local_to_utc", instant("2024-01-01T05:00:00Z"), text("US/Pacific")) == (
        "2024-01-01T13:00:00.0000000Z"
    )


def test_unix_time_becomes_an_instant():
    assert call("unixtime_seconds_todatetime", long(1546300799)) == "2018-12-31T23:59:59.0000000Z"
    assert call("unixtime_milliseconds_todatetime", real(1546300799000.5)) == "2018-12-31T23:59:59.0005000Z"
    assert (
        call("unixtime_nanoseconds_todatetime", long(1546300799000000100)) == "2018-12-31T23:59:59.0000001Z"
    )
