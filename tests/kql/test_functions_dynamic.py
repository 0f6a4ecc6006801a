"""Bags, arrays and series."""

import math
from typing import Any

import pytest

from shared.kql.functions.registry import ArgumentRefused
from tests.kql.functions_harness import boolean, call, dynamic, long, real, text

FIVE = dynamic([1, 2, 3, 4, 5])


def test_bags():
    assert call("bag_pack", text("a"), long(1), text("b"), dynamic([1])) == {"a": 1, "b": [1]}
    assert call("bag_merge", dynamic({"a": 1}), dynamic({"a": 2, "b": 3})) == {"a": 1, "b": 3}
    assert call("bag_keys", dynamic({"a": 1, "b": 2})) == ["a", "b"]
    assert call("bag_keys", dynamic([1])) is None
    assert call("bag_set_key", dynamic({"a": 1}), text("a"), long(2)) == {"a": 2}
    assert call("bag_zip", dynamic(["a", 8, "b"]), dynamic([1, "2", 2.5])) == {"a": 1, "b": 2.5}
    assert call("bag_has_key", dynamic({"a": {"b": 1}}), text("$.a.b"), columns=True) is True
    assert call("bag_remove_keys", dynamic({"a": {"b": 1, "c": 2}, "d": 3}), dynamic(["$.a.b", "d"])) == {
        "a": {"c": 2}
    }
    assert call("dynamic_to_json", dynamic({"b": 1, "a": 2})) == '{"a":2,"b":1}'


def test_keys_without_a_value_are_refused():
    with pytest.raises(ArgumentRefused, match="pairs"):
        call("bag_pack", text("a"), long(1), text("b"))


@pytest.mark.parametrize(
    ("function", "args", "expected"),
    [
        ("array_slice", (long(-3), long(-2)), [3, 4]),
        ("array_slice", (long(1), long(99)), [2, 3, 4, 5]),
        ("array_slice", (long(3), long(1)), []),
        ("array_rotate_left", (long(2),), [3, 4, 5, 1, 2]),
        ("array_rotate_right", (long(2),), [4, 5, 1, 2, 3]),
        ("array_shift_left", (long(2),), [3, 4, 5, None, None]),
        ("array_shift_right", (long(2), long(-1)), [-1, -1, 1, 2, 3]),
        ("array_split", (dynamic([1, -2]),), [[1], [2, 3], [4, 5]]),
        ("array_reverse", (), [5, 4, 3, 2, 1]),
        ("array_sort_desc", (), [5, 4, 3, 2, 1]),
        ("array_concat", (dynamic([6]),), [1, 2, 3, 4, 5, 6]),
        ("set_difference", (dynamic([1, 5]),), [2, 3, 4]),
        ("set_intersect", (dynamic([5, 1, 9]),), [1, 5]),
        ("array_length", (), 5),
        ("array_sum", (), 15.0),
        ("array_index_of", (long(3),), 2),
        ("array_index_of", (long(9),), -1),
        ("set_has_element", (long(3),), True),
    ],
)
def test_arrays(function: str, args: tuple[Any, ...], expected: object):
    assert call(function, FIVE, *args, columns=True) == expected


def test_what_is_no_array_has_no_length():
    assert call("array_length", dynamic({"a": 1}), columns=True) is None
    assert call("array_sum", dynamic([]), columns=True) is None
    assert call("array_slice", dynamic("text"), long(0), long(1), columns=True) is None


def test_sorting_puts_nulls_last_and_takes_other_arrays_along():
    assert call("array_sort_asc", dynamic([3, "a", None, 1])) == [1, 3, "a", None]
    assert call("array_sort_asc", dynamic([None, "b", "a"]), boolean(value=False)) == [None, "a", "b"]
    assert call("array_sort_asc", dynamic([3, 1, 2]), dynamic(["c", "a", "b"])) == [
        [1, 2, 3],
        ["a", "b", "c"],
    ]


def test_arrays_side_by_side():
    assert call("zip", dynamic([1, 2]), dynamic([3])) == [[1, 3], [2, None]]
    assert call("array_iff", dynamic([True, False, None]), dynamic([1, 2, 3]), long(0)) == [1, 0, None]
    assert call("set_union", dynamic([1, 2, 1]), dynamic([3])) == [1, 2, 3]
    assert call("jaccard_index", dynamic([1, 2]), dynamic([2, 3])) == pytest.approx(1 / 3)


def test_ranges_are_closed():
    assert call("range", long(1), long(10), long(3)) == [1, 4, 7, 10]
    assert call("range", long(3), long(1)) == []
    assert call("range", real(0.5), long(2)) == [0.5, 1.5]


def test_json_paths():
    assert call("extract_json", text("$.a.b"), text('{"a":{"b":5}}'), text("long")) == 5
    assert call("treepath", dynamic({"a": {"b": 1}})) == ["['a']", "['a']['b']"]


def test_series_arithmetic_keeps_whole_numbers_whole_and_gaps_gaps():
    assert call("series_add", dynamic([1, 2, None]), dynamic([3, 4, 5])) == [4, 6, None]
    assert call("series_greater", dynamic([1, 20]), long(15)) == [False, True]
    assert call("series_divide", dynamic([1, 0]), dynamic([2, 0])) == [0.5, "NaN"]
    assert call("series_fill_forward", dynamic([None, 1, None])) == [None, 1, 1]
    assert call("series_fill_linear", dynamic([None, 1, None, 3])) == [1.0, 1.0, 2.0, 3.0]
    assert call("series_iir", dynamic([1, 2, 3]), dynamic([1]), dynamic([1, -1])) == [1.0, 3.0, 6.0]
    fir = call(
        "series_fir", dynamic([5, 15, 10]), dynamic([1, -1]), boolean(value=False), boolean(value=False)
    )
    assert fir == [5, 10, -5]


def test_series_statistics():
    stats = call("series_stats_dynamic", dynamic([10, 20]))
    assert stats["stdev"] == pytest.approx(math.sqrt(50))
    assert call("series_fit_line", dynamic([1, 2, 4, 8])) == pytest.approx(0.92)
    assert call("series_dot_product", dynamic([1, 2, 4]), dynamic([4, 2, 1])) == 12.0


def test_what_stands_out_of_the_season_is_flagged():
    season = [phase + at * 7 % 5 / 10 for at, phase in enumerate([1, 20, 3, 40] * 10)]
    season[22] += 20
    flags = call("series_decompose_anomalies", dynamic(season), columns=True)
    assert [at for at, flag in enumerate(flags) if flag] == [22]
    assert call("series_decompose", dynamic([1, 2, 3] * 4), long(3)) == pytest.approx([1, 2, 3] * 4)
    forecast = call("series_decompose_forecast", dynamic([*[1, 2, 3] * 4, 0, 0, 0]), long(3), long(3))
    assert forecast[-3:] == pytest.approx([1, 2, 3])


def test_noise_scores_by_its_distance_from_the_middle_eighty_percent():
    series = [*range(-10, 11), 30]
    flags = call("series_decompose_anomalies", dynamic(series), real(1.5), long(0), text("none"))
    assert flags[-1] == 1
    assert sum(map(abs, flags)) == 1
