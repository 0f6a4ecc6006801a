"""Conversions answer as the engine was measured to: errors become null, text takes Kusto's forms."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kernel.ticks import MAX_TICKS, format_ticks, format_timespan_ticks
from shared.kql.functions.build import literal
from shared.kql.types import KqlType as T
from tests.kql.functions_harness import boolean, call, dynamic, instant, long, real, span, text

HOUR, DAY = 36_000_000_000, 864_000_000_000


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (boolean(value=True), "True"),
        (boolean(value=None), ""),
        (long(123), "123"),
        (long(None), ""),
        (real(1.0), "1.0"),
        (real(1.0 / 3.0), "0.3333333333333333"),
        (real(-0.0), "-0.0"),
        (real(math.inf), "inf"),
        (real(math.nan), "NaN"),
        (literal("1.50", T.DECIMAL), "1.5"),
        (instant("2020-01-01T00:00:00Z"), "2020-01-01T00:00:00.0000000Z"),
        (instant("0001-01-01T00:00:00.0000001Z"), "0001-01-01T00:00:00.0000001Z"),
        (span(DAY + 2 * HOUR), "1.02:00:00"),
        (span(-1), "-00:00:00.0000001"),
        (dynamic({"a": [1, 2]}), '{"a":[1,2]}'),
        (dynamic("x"), "x"),
        (dynamic(value=True), "true"),
        (dynamic(None), ""),
    ],
)
def test_tostring_prints_every_type_as_kusto_does(value: object, expected: str):
    assert call("tostring", value) == expected  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("\t456\t", 456),
        ("+5", 5),
        ("-0", 0),
        ("007", 7),
        ("0x1F", 31),
        ("0X1f", 31),
        ("0xFFFFFFFFFFFFFFFF", -1),
        ("-0x10", None),
        ("5.7", None),
        ("1e3", None),
        ("1_000", None),
        ("9223372036854775808", None),
        ("abc", None),
        ("", None),
    ],
)
def test_tolong_reads_decimal_and_hexadecimal_text_and_nothing_else(source: str, expected: int | None):
    assert call("tolong", text(source), columns=True) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1e10", 1e10),
        ("5.", 5.0),
        (".5", 0.5),
        ("Inf", math.inf),
        ("1_000", None),
        ("0x10", None),
        ("1,5", None),
    ],
)
def test_todouble_reads_what_kusto_reads(source: str, expected: float | None):
    assert call("todouble", text(source), columns=True) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (real(2.9), 2),
        (real(-2.5), -2),
        (real(1e19), 2147483647),
        (long(2147483648), -2147483648),
        (span(HOUR), 1640261632),
    ],
)
def test_toint_cuts_reals_off_and_wraps_longs_around(value: object, expected: int):
    assert call("toint", value, columns=True) == expected  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("value", "as_long", "as_real", "as_bool"),
    [
        (2147483648, 2147483648, 2147483648.0, True),
        (1.9, 1, 1.9, True),
        ("42", 42, 42.0, True),
        ("3.14", None, 3.14, None),
        ("0x10", 16, None, True),
        (True, 1, 1.0, True),
        (None, None, None, None),
        ([1], None, None, None),
    ],
)
def test_a_dynamic_converts_by_the_kind_of_its_value(
    value: object,
    as_long: int | None,
    as_real: float | None,
    as_bool: bool | None,
):
    assert call("tolong", dynamic(value), columns=True) == as_long
    assert call("todouble", dynamic(value), columns=True) == as_real
    assert call("tobool", dynamic(value), columns=True) == as_bool


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("2015-12-31 23:59:59.9", "2015-12-31T23:59:59.9000000Z"),
        ("2020-06-15T13:45:09.1234567Z", "2020-06-15T13:45:09.1234567Z"),
        ("2024-01-05T10:11:12.5+02:00", "2024-01-05T08:11:12.5000000Z"),
        ("2024/01/15 12:35:35", "2024-01-15T12:35:35.0000000Z"),
        ("12-02-2022", "2022-12-02T00:00:00.0000000Z"),
        ("Sat, 05 Nov 22 14:05:02 GMT", "2022-11-05T14:05:02.0000000Z"),
        ("2020-02-30", None),
        ("2020-13-01", None),
        ("not a date", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("columns", [False, True])
def test_todatetime_reads_constants_and_columns_alike(source: str, expected: str | None, columns: bool):
    assert call("todatetime", text(source), columns=columns) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("1.02:03:04.5", "1.02:03:04.5000000"),
        ("-00:30:00", "-00:30:00"),
        ("13:00", "13:00:00"),
        ("1d", "1.00:00:00"),
        ("2h", "02:00:00"),
        ("abc", None),
        ("", None),
    ],
)
def test_totimespan_reads_clock_and_unit_forms(source: str, expected: str | None):
    assert call("totimespan", text(source), columns=True) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("true", True),
        ("tRuE", True),
        ("1", True),
        ("-1", True),
        ("0", False),
        ("yes", None),
        (" true", None),
        ("1.0", None),
    ],
)
def test_tobool_reads_words_and_whole_numbers(source: str, expected: bool | None):
    assert call("tobool", text(source), columns=True) is expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('{"a": 1}', {"a": 1}),
        ("null", None),
        ("", None),
        ("hello", "hello"),
        ("[1,2", "[1,2"),
        ('"hi"', "hi"),
    ],
)
def test_parse_json_keeps_text_that_is_not_json_as_a_string(source: str, expected: object):
    assert call("parse_json", text(source), columns=True) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1, "long"),
        (1.5, "double"),
        ("s", "string"),
        (None, "null"),
        (True, "bool"),
        ([], "array"),
        ({}, "dictionary"),
    ],
)
def test_gettype_tells_what_a_dynamic_holds(value: object, expected: str):
    assert call("gettype", dynamic(value), columns=True) == expected


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=0, max_value=MAX_TICKS))
def test_an_instant_survives_the_way_through_text(ticks: int):
    shown = call("tostring", literal(ticks, T.DATETIME), columns=True)
    assert shown == format_ticks(ticks, digits=7)
    assert call("todatetime", text(shown), columns=True) == shown


@settings(deadline=None, max_examples=60)
@given(st.integers(min_value=-(2**62), max_value=2**62))
def test_a_timespan_survives_the_way_through_text(ticks: int):
    shown = call("tostring", span(ticks), columns=True)
    assert shown == format_timespan_ticks(ticks)
    assert call("totimespan", text(shown), columns=True) == shown
