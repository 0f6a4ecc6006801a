"""Aggregates and functions over rows in order."""

import math

import pytest

from shared.kql.functions.registry import ArgumentRefused, Bound
from shared.kql.types import KqlType as T
from tests.kql.functions_harness import aggregate, boolean, dynamic, long, window

X = Bound(sql='"x"', type=T.LONG)


def test_of_no_rows_sums_are_zero_means_nan_extremes_null_and_lists_empty():
    assert aggregate("sum", T.LONG, []) == 0
    assert math.isnan(aggregate("avg", T.REAL, []))
    assert aggregate("max", T.LONG, []) is None
    assert aggregate("max", T.STRING, []) == ""
    assert aggregate("stdev", T.LONG, []) == 0.0
    assert aggregate("make_list", T.LONG, []) == []
    assert aggregate("make_bag", T.DYNAMIC, []) == {}
    assert aggregate("count", T.LONG, []) == 0


def test_sums_wrap_around_as_sixty_four_bits_do():
    assert aggregate("sum", T.LONG, [2**63 - 1, 1, 2]) == -(2**63) + 2
    assert aggregate("avg", T.LONG, [2**63 - 1, 1, 2]) == pytest.approx(-3.0744573456182584e18)


def test_nulls_are_skipped_but_counted():
    assert aggregate("count", T.LONG, [1, None]) == 2
    assert aggregate("sum", T.LONG, [1, None]) == 1
    assert aggregate("dcount", T.LONG, [1, 1, None]) == 1
    assert aggregate("make_list", T.LONG, [1, None, 1]) == [1, 1]
    assert aggregate("make_list_with_nulls", T.LONG, [1, None]) == [1, None]


def test_nan_is_both_the_least_and_the_greatest_real():
    assert math.isnan(aggregate("min", T.REAL, [1.0, math.nan]))
    assert math.isnan(aggregate("max", T.REAL, [1.0, math.nan]))


def test_sets_keep_the_order_in_which_values_came_and_stop_at_their_limit():
    assert aggregate("make_set", T.LONG, [3, 1, 2, 3, None]) == [3, 1, 2]
    assert aggregate("make_set", T.STRING, ["a", "", "b", ""]) == ["a", "", "b"]
    assert aggregate("make_set", T.LONG, [1, 2, 3], long(2)) == [1, 2]
    assert aggregate("make_list", T.REAL, [3.5, math.nan]) == [3.5, "NaN"]
    assert aggregate("make_list", T.DATETIME, [0]) == ["0001-01-01T00:00:00.0000000Z"]


def test_percentiles_are_values_that_occur():
    assert aggregate("percentile", T.LONG, list(range(10)), long(50)) == 4
    assert aggregate("percentile", T.LONG, list(range(10)), long(100)) == 9
    assert aggregate("percentiles_array", T.LONG, [1, 2, 3], dynamic([50, 90])) == [2, 3]
    weights = Bound(sql="CASE x WHEN 10 THEN 8 WHEN 20 THEN 6 WHEN 30 THEN 3 ELSE 1 END", type=T.LONG)
    assert aggregate("percentilew", T.LONG, [10, 20, 30, 40], weights, long(75)) == 20


def test_a_percentile_outside_its_range_is_refused():
    with pytest.raises(ArgumentRefused, match="between 0 and 100"):
        aggregate("percentile", T.LONG, [1], long(101))


def test_the_row_of_an_extreme_answers_even_where_all_keys_are_null():
    assert aggregate("arg_max", T.LONG, [None, 5, 3], X) == 5
    assert aggregate("arg_min", T.LONG, [None, 5, 3], X) == 3
    assert aggregate("arg_max", T.LONG, [None], Bound(sql="'q'", type=T.STRING)) == "q"


def test_conditional_twins_look_at_the_rows_where_it_holds():
    above = Bound(sql="x > 1", type=T.BOOL)
    assert aggregate("sumif", T.LONG, [1, 2, 3], above) == 5
    assert aggregate("dcountif", T.LONG, [1, 2, 2], above) == 1
    assert aggregate("make_set_if", T.LONG, [1, 2, 3], above, long(1)) == [2]
    assert aggregate("arg_max", T.LONG, [1], X) == 1
    assert aggregate("countif", T.BOOL, [True, None, False]) == 1


def test_bags_join_and_the_first_value_of_a_key_stays():
    assert aggregate("make_bag", T.DYNAMIC, ['{"a":1}', '{"a":2,"b":3}', None]) == {"a": 1, "b": 3}


def test_neighbours():
    assert window("prev", T.LONG, [5, 6, 7]) == [None, 5, 6]
    assert window("next", T.STRING, ["a", "b"]) == ["b", ""]
    assert window("prev", T.LONG, [5, 6, 7], long(2), long(0)) == [0, 0, 5]


def test_a_neighbour_at_no_distance_is_refused():
    with pytest.raises(ArgumentRefused, match="at least 1"):
        window("prev", T.LONG, [1], long(0))


def test_running_sums_and_ranks_restart():
    assert window("row_cumsum", T.LONG, [1, 2, 3]) == [1, 3, 6]
    assert window("row_cumsum", T.LONG, [1, 2, 3], Bound(sql="x = 2", type=T.BOOL)) == [1, 2, 5]
    assert window("row_cumsum", T.LONG, [1, 2], boolean(value=False)) == [1, 3]
    assert window("row_rank_dense", T.LONG, [1, 1, 2, 1]) == [1, 1, 2, 3]
    assert window("row_rank_min", T.LONG, [1, 1, 2, 1]) == [1, 1, 3, 4]
