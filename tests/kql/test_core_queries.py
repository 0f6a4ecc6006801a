"""Small queries and their answers, written from Microsoft's reference: the operators one by one."""

from typing import Any

import pytest

from shared.kql import KqlSemanticError, KqlUnsupported
from tests.kql.core_harness import Tables, answer

PEOPLE = "datatable(name: string, age: long, city: string)['Ann', 31, 'Oslo', 'Bob', 25, 'Rome', 'Cid', 31, 'Oslo', 'Dee', long(null), '']"

CASES: list[tuple[str, list[str], list[tuple[Any, ...]]]] = [
    (f"{PEOPLE} | where age > 30 | project name", ["name"], [("Ann",), ("Cid",)]),
    (f"{PEOPLE} | where age != 31 | project name", ["name"], [("Bob",), ("Dee",)]),
    (f"{PEOPLE} | where not(age > 30) | project name", ["name"], [("Bob",)]),
    (f"{PEOPLE} | where isempty(city) | count", ["Count"], [(1,)]),
    (
        f"{PEOPLE} | extend age = age + 1, twice = age * 2 | take 1",
        ["name", "age", "city", "twice"],
        [("Ann", 32, "Oslo", 62)],
    ),
    (f"{PEOPLE} | project-away a* | take 1", ["name", "city"], [("Ann", "Oslo")]),
    (f"{PEOPLE} | project-keep c*, name | take 1", ["name", "city"], [("Ann", "Oslo")]),
    (
        f"{PEOPLE} | project-by-names 'c*', dynamic(['name', 'nowhere']) | take 1",
        ["city", "name"],
        [("Oslo", "Ann")],
    ),
    (
        f"{PEOPLE} | summarize arg_max(oldest = age, who = name) by city | where city == 'Rome'",
        ["city", "oldest", "who"],
        [("Rome", 25, "Bob")],
    ),
    (
        f"{PEOPLE} | summarize arg_max(age, name) by city | where city == ''",
        ["city", "age", "name"],
        [("", None, "Dee")],
    ),
    (
        (
            "let t = toscalar(print datetime(2024-01-02)); let n = toscalar(print 5);"
            " print t - 1d, t + 1h * n, (t - datetime(2024-01-01)) * 2, n * 3 - 1, 7 / n"
        ),
        ["print_0", "print_1", "print_2", "print_3", "print_4"],
        [("2024-01-01T00:00:00Z", "2024-01-02T05:00:00Z", "2.00:00:00", 14, 1)],
    ),
    (
        "print s = dynamic([1, 2, 3, 10, 9, 8]) | extend (r, at, v, rv, fit) = series_fit_2lines(s) | project r, at, rv",
        ["r", "at", "rv"],
        [(1.0, 3, 0.0)],
    ),
    (
        (
            f"{PEOPLE} | partition by city (sort by age asc nulls last, name asc | extend n = row_number(),"
            " before = prev(name), years = row_cumsum(age), r = row_rank_dense(age)) | project name, n, before, years, r"
            " | sort by name asc"
        ),
        ["name", "n", "before", "years", "r"],
        [("Ann", 1, "", 31, 1), ("Bob", 1, "", 25, 1), ("Cid", 2, "Ann", 62, 1), ("Dee", 1, "", 0, 1)],
    ),
    (
        (
            "datatable(a: dynamic)[dynamic([3, 1]), dynamic([5])] | mv-apply x = a to typeof(long)"
            " on (sort by x asc | extend n = row_number(), s = row_cumsum(x)) | project x, n, s | sort by x asc"
        ),
        ["x", "n", "s"],
        [(1, 1, 1), (3, 2, 4), (5, 1, 5)],
    ),
    (
        (
            f"{PEOPLE} | partition by city (summarize n = count() by age | join kind=leftouter"
            " (datatable(age: long, word: string)[31, 'old']) on age | project age, n, word) | sort by age asc"
        ),
        ["age", "n", "word"],
        [(None, 1, ""), (25, 1, ""), (31, 2, "old")],
    ),
    (
        (
            "datatable(k: string, a: dynamic)['x', dynamic([1, 2]), 'y', dynamic([2])] | mv-apply v = a to typeof(long)"
            " on (join (datatable(v: long, w: string)[2, 'two']) on v) | project k, v, w | sort by k asc"
        ),
        ["k", "v", "w"],
        [("x", 2, "two"), ("y", 2, "two")],
    ),
    ("print array_index_of(dynamic([5, 15]), 15.0)", ["print_0"], [(1,)]),
    (
        "print round(geo_distance_2points(0, 0, 90, 0)), geo_distance_2points(300, 1, 1, 1)",
        ["print_0", "print_1"],
        [(10007559.0, None)],
    ),
    (
        f"{PEOPLE} | project-rename who = name | project-reorder city | take 1",
        ["city", "who", "age"],
        [("Oslo", "Ann", 31)],
    ),
    (
        f"{PEOPLE} | sort by age asc, name desc | project name",
        ["name"],
        [("Dee",), ("Bob",), ("Cid",), ("Ann",)],
    ),
    (f"{PEOPLE} | sort by age | project name", ["name"], [("Ann",), ("Cid",), ("Bob",), ("Dee",)]),
    (f"{PEOPLE} | top 1 by age asc nulls last | project name", ["name"], [("Bob",)]),
    (f"{PEOPLE} | distinct city | sort by city asc", ["city"], [("",), ("Oslo",), ("Rome",)]),
    (
        f"{PEOPLE} | summarize n = count(), sum(age) by city | sort by city asc",
        ["city", "n", "sum_age"],
        [("", 1, 0), ("Oslo", 2, 62), ("Rome", 1, 25)],
    ),
    (
        f"{PEOPLE} | summarize avg(age), count() by Old = age > 30 | sort by Old asc",
        ["Old", "avg_age", "count_"],
        [(None, None, 1), (False, 25.0, 1), (True, 31.0, 2)],
    ),
    (
        f"{PEOPLE} | summarize arg_max(age, *) by city | where city == 'Rome'",
        ["city", "age", "name"],
        [("Rome", 25, "Bob")],
    ),
    (
        f"{PEOPLE} | summarize names = make_list(name) by age | where age == 31",
        ["age", "names"],
        [(31, ["Ann", "Cid"])],
    ),
    (
        "print 7 / 2, -7 / 2, -7 % 3, 7.0 / 2, 1 / 0",
        ["print_0", "print_1", "print_2", "print_3", "print_4"],
        [(3, -3, 2, 3.5, None)],
    ),
    ("print x = 9223372036854775807 + 1", ["x"], [(-(2**63),)]),
    (
        "datatable(a: long)[9223372036854775807] | extend b = a + a, c = a * 3",
        ["a", "b", "c"],
        [(2**63 - 1, -2, 9223372036854775805)],
    ),
    (
        "print d = datetime(2024-03-01) - datetime(2024-02-28 12:00), e = datetime(2024-02-29) + 1.5d",
        ["d", "e"],
        [("1.12:00:00", "2024-03-01T12:00:00Z")],
    ),
    ("print 1d / 1h, 90m * 2, 1h > 30m", ["print_0", "print_1", "print_2"], [(24.0, "03:00:00", True)]),
    (
        "print a = 'Hello' =~ 'hELLO', b = 'abc' has 'b', c = 'a b c' has 'B', d = 'a_b' has 'b', e = 'abc' contains 'BC', f = 'abc' contains_cs 'BC'",
        ["a", "b", "c", "d", "e", "f"],
        [(True, False, True, True, True, False)],
    ),
    (
        "print a = 5 in (1, 5), b = 'x' in~ ('X'), c = 'q' !in ('x'), d = 5 between (1 .. 5), e = 'the cat' has_any ('dog', 'cat'), f = 'the cat' has_all ('the', 'dog')",
        ["a", "b", "c", "d", "e", "f"],
        [(True, True, True, True, True, False)],
    ),
    (
        "print d = dynamic({'a': {'b': [1, 'x']}}) | project d.a.b[0], d['a']['b'][1], m = d.no.such, isnull(d.x)",
        ["d_a_b_0", "d_a_b_1", "m", "Column1"],
        [(1, "x", None, True)],
    ),
    ("let n = 2; let T = range i from 1 to 5 step 1; T | where i > n | summarize sum(i)", ["sum_i"], [(12,)]),
    (
        "let f = (x: long, y: long = 10) { x + y }; print f(1), f(1, 2), f(y = 3, x = 4)",
        ["print_0", "print_1", "print_2"],
        [(11, 3, 7)],
    ),
    (
        "let keep = (T: (v: long), least: long) { T | where v >= least }; keep((range v from 1 to 3 step 1), 2)",
        ["v"],
        [(2,), (3,)],
    ),
    ("let m = toscalar(range x from 1 to 5 step 1 | summarize max(x)); print m", ["print_0"], [(5,)]),
    ("range x from 1 to 3 step 1 | where x in (range y from 2 to 9 step 1)", ["x"], [(2,), (3,)]),
    (
        "let A = datatable(k: long, a: string)[1, 'x', 1, 'y', 2, 'z', long(null), 'n']; let B = datatable(k: long, b: string)[1, 'p', 3, 'q', long(null), 'm']; A | join B on k | sort by b asc",
        ["k", "a", "k1", "b"],
        [(None, "n", None, "m"), (1, "x", 1, "p")],
    ),
    (
        "let A = datatable(k: long, a: string)[1, 'x', 2, 'z']; let B = datatable(k: long, b: string)[1, 'p', 3, 'q']; A | join kind=fullouter B on k | sort by k asc, k1 asc",
        ["k", "a", "k1", "b"],
        [(None, "", 3, "q"), (1, "x", 1, "p"), (2, "z", None, "")],
    ),
    (
        "let A = datatable(k: long)[1, 2]; let B = datatable(j: long)[2, 3]; A | join kind=leftanti B on $left.k == $right.j",
        ["k"],
        [(1,)],
    ),
    (
        "let A = datatable(k: long)[1, 2]; let B = datatable(j: long)[2, 3]; A | join kind=rightsemi B on $left.k == $right.j",
        ["j"],
        [(2,)],
    ),
    (
        "let A = datatable(k: long)[1, 2]; let B = datatable(k: long, v: string)[2, 'two']; A | lookup B on k | sort by k asc",
        ["k", "v"],
        [(1, ""), (2, "two")],
    ),
    (
        "union (print a = 1), (print a = 2.5, b = 'x') | sort by b asc",
        ["a_long", "a_real", "b"],
        [(1, None, ""), (None, 2.5, "x")],
    ),
    (
        "let V = view () { print x = 1 }; union withsource=T V, (print x = 2) | sort by x asc",
        ["T", "x"],
        [("V", 1), ("union_arg1", 2)],
    ),
    (
        "print a = dynamic([1, 2]), b = dynamic(['x']) | mv-expand a to typeof(long), b",
        ["a", "b"],
        [(1, "x"), (2, None)],
    ),
    (
        "print d = dynamic({'p': 1, 'q': 2}) | mv-expand kind=array d | project k = d[0], v = d[1]",
        ["k", "v"],
        [("p", 1), ("q", 2)],
    ),
    (
        "datatable(g: string, d: dynamic)['a', dynamic([3, 1, 2]), 'b', dynamic([9])] | mv-apply e = d to typeof(long) on (top 2 by e | summarize s = sum(e)) | project g, s",
        ["g", "s"],
        [("a", 5), ("b", 9)],
    ),
    (
        "print s = 'id=7 name=Ann x' | parse s with 'id=' id: long ' name=' name ' ' * | project id, name",
        ["id", "name"],
        [(7, "Ann")],
    ),
    (
        "print s = 'id=z name=Ann x' | parse s with 'id=' id: long ' name=' name ' ' * | project id, name",
        ["id", "name"],
        [(None, "")],
    ),
    (
        "print s = 'a=1;b=two' | parse-kv s as (a: long, b: string) with (pair_delimiter=';', kv_delimiter='=') | project a, b",
        ["a", "b"],
        [(1, "two")],
    ),
    (
        "datatable(t: datetime, v: long)[datetime(2024-01-01), 1, datetime(2024-01-03), 3] | make-series s = sum(v) default=0 on t from datetime(2024-01-01) to datetime(2024-01-04) step 1d | project s",
        ["s"],
        [([1, 0, 3],)],
    ),
    (
        "datatable(c: string, s: string, v: long)['a', 'x', 1, 'a', 'y', 2, 'b', 'x', 9] | top-nested 1 of c by sum(v), top-nested 1 of s by sum(v)",
        ["c", "aggregated_c", "s", "aggregated_s"],
        [("b", 9, "x", 9)],
    ),
    (
        "range x from 1 to 4 step 1 | serialize n = row_number(), p = prev(x, 1, 0), c = row_cumsum(x)",
        ["x", "n", "p", "c"],
        [(1, 1, 0, 1), (2, 2, 1, 3), (3, 3, 2, 6), (4, 4, 3, 10)],
    ),
    (
        "range x from 1 to 4 step 1 | scan declare (c: long = 0) with (step s: true => c = iff(x == 3, 0, s.c + x);)",
        ["x", "c"],
        [(1, 1), (2, 3), (3, 0), (4, 4)],
    ),
    (
        "datatable(g: string, v: long)['a', 1, 'a', 5, 'b', 3] | partition by g (top 1 by v) | sort by g asc",
        ["g", "v"],
        [("a", 5), ("b", 3)],
    ),
    (
        "datatable(d: dynamic, n: long)[dynamic({'a': 1, 'b': 'x'}), 7, dynamic({'a': 2.5}), 8] | evaluate bag_unpack(d) | sort by n asc",
        ["n", "a", "b"],
        [(7, 1.0, "x"), (8, 2.5, "")],
    ),
    (
        "datatable(k: string, p: string, v: long)['r', 'x', 1, 'r', 'y', 2, 's', 'x', 3] | evaluate pivot(p, sum(v)) | sort by k asc",
        ["k", "x", "y"],
        [("r", 1, 2), ("s", 3, 0)],
    ),
    ("print a = 1, b = 'x' | evaluate narrow()", ["Row", "Column", "Value"], [(0, "a", "1"), (0, "b", "x")]),
    (
        "print a = 1, b = 'x' | getschema | project ColumnName, ColumnType",
        ["ColumnName", "ColumnType"],
        [("a", "long"), ("b", "string")],
    ),
    (
        "let T = materialize(range x from 1 to 3 step 1); union T, T | summarize count(), sum(x)",
        ["count_", "sum_x"],
        [(6, 12)],
    ),
    ("datatable(a: string, A: long)['x', 1] | extend b = strcat(a, A)", ["a", "A", "b"], [("x", 1, "x1")]),
    ("datatable(x: real)[real(nan), 1.5] | where x == x", ["x"], [(1.5,)]),
    (
        "print t = bin(datetime(2024-01-31 23:59), 7d), b = bin(-5, 2)",
        ["t", "b"],
        [("2024-01-29T00:00:00Z", -6)],
    ),
    ("print s = 'x' | search 'X'", ["$table", "s"], [("search_arg0", "x")]),
    ("declare query_parameters(n: long = 3); print n + 1", ["print_0"], [(4,)]),
]


@pytest.mark.parametrize(("query", "columns", "rows"), CASES, ids=[case[0][:60] for case in CASES])
def test_the_query_gets_kustos_answer(query: str, columns: list[str], rows: list[tuple[Any, ...]]):
    names, found = answer(query)
    assert names == columns
    shown = [tuple(None if cell != cell else cell for cell in row) for row in found]
    assert shown == rows


@pytest.mark.parametrize(
    ("query", "message", "token"),
    [
        ("print x = y", "named 'y'", "y"),
        ("Nowhere | take 1", "table or column expression named 'Nowhere'", "Nowhere"),
        ("print strlenn('a')", "Did you mean 'strlen'", "strlenn('a')"),
        ("print 'a' + 1", "Operator '+'", "'a' + 1"),
        ("datatable(x: long)[1] | where row_number() > 1", "fixed order", "row_number()"),
        ("print x = 1 | extend y = x, z = y", "named 'y'", "y"),
        ("print x = 1 | join (print y = 1) on x", "right side", "x"),
        ("range x from 1 to 3 step 1 | summarize sum(sum(x))", "aggregate 'sum' cannot", "sum(x)"),
        ("print x = 1 | where strlen(x) > 1", "must be", "x"),
    ],
)
def test_a_semantic_error_says_what_and_where(query: str, message: str, token: str):
    with pytest.raises(KqlSemanticError) as caught:
        answer(query)
    assert message in str(caught.value)
    assert caught.value.token == token
    assert caught.value.code == "SemanticError"


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("externaldata(x: string)['http://example.org/x.csv']", "externaldata"),
        ("print x = 1 | evaluate autocluster()", "autocluster"),
        ("cluster('c').database('d').T", "cluster"),
        ("print x = 1 | reduce by x", "reduce"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(query: str, name: str):
    with pytest.raises(KqlUnsupported, match=name):
        answer(query)


LOGS = Tables(
    {"Logs": {"TimeGenerated": "datetime", "Level": "string", "Count": "long"}, "Other": {"Level": "string"}},
    {
        "Logs": [
            ("2024-06-15T11:00:00Z", "error", 1),
            ("2024-06-15T09:00:00Z", "info", 2),
            ("2024-06-14T09:00:00Z", "error", 4),
        ],
        "Other": [("warn",)],
    },
)


def test_the_default_range_bounds_tables_that_have_time():
    low = 638_540_064_000_000_000  # 2024-06-15
    _, rows = answer("Logs | summarize sum(Count)", LOGS, default_range=(low, None))
    assert rows == [(3,)]
    _, rows = answer("Other | count", LOGS, default_range=(low, None))
    assert rows == [(1,)]


def test_tables_of_other_types_meet_in_a_union_and_a_search():
    names, rows = answer("union withsource=T Logs, Other | summarize count() by T | sort by T asc", LOGS)
    assert (names, rows) == (["T", "count_"], [("Logs", 3), ("Other", 1)])
    _, rows = answer("search 'ERROR' | summarize sum(Count) by $table", LOGS)
    assert rows == [("Logs", 5)]


def test_query_parameters_are_given_as_literals():
    _, rows = answer(
        "declare query_parameters(t: datetime); print t + 1h", parameters={"t": "datetime(2024-01-01)"}
    )
    assert rows == [("2024-01-01T01:00:00Z",)]
