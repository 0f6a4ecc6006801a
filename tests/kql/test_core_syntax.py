"""Text to tree: the lexer's traps, errors that point, and printing as the parser's inverse."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.kql import KqlSyntaxError, KqlUnsupported, parse, unparse
from shared.kql.syntax import ast
from shared.kql.syntax.lexer import TokenKind, tokenize
from shared.kql.syntax.literals import datetime_ticks, timespan_ticks
from shared.kql.types import KqlType

QUERIES = [
    "T",
    "T | where a == 1 and (b > 2 or not(c)) | project x = a + b * 2, ['my col']",
    "T | where a = 5",
    "T | summarize 90th_Percentile = percentile(x, 90), count() by bin(t, 1h), g,\n| take 5",
    "print 1000., 1.5e3, .5, 0xFF, 1h, 1.5d, 100ms",
    'print @"C:\\a", "tab\\t", h"secret", \'it\'\'s\', "one" "two"',
    "print datetime(2024-01-02 03:04:05.1234567), datetime(null), time(1.02:03:04), guid(74be27de-1e4e-49d9-b579-fe0b331d3642)",
    "print real(nan), long(null), dynamic({'a': [1, 2, {'b': null}], \"c\": datetime(2024-01-01)})",
    'T | where s has "x" or s !contains "y" or s in~ ("a", "b") or s !in ("c") or n between (1 .. 5)',
    "T | extend x = d.a.b['c d'][0][-1].e | project-away a*, *b, c",
    "let n = 5; let f = (x: long, y: string = 'a') { strcat(y, x) }; T | extend z = f(n)",
    "let g = view () { T | take 1 }; union withsource=src isfuzzy=true g, (T | where a > 1), View*",
    "T | join kind=leftouter hint.strategy=broadcast (U | project k, v) on k, $left.a == $right.b",
    "datatable(a: long, b: string)[1, 'x', 2, 'y',] | sort by a desc nulls last, b asc",
    "range x from 1 to 10 step 2 | top 3 by x | count as N",
    "T | mv-expand with_itemindex=i a, b = d.c to typeof(long) limit 5 | mv-apply e = a on (where e > 1 | summarize sum(e))",
    'T | parse kind=regex flags=U s with * "a=" a: long "," b \' \' c: datetime *',
    "T | parse-kv s as (a: long, b: string) with (pair_delimiter=';', kv_delimiter='=')",
    "T | make-series n = count() default=0, avg(v) on t from ago(1d) to now() step 1h by g",
    "T | make-series count() on t in range(ago(1d), now(), 1h)",
    'search in (T, U) "error*" and not(level:"debug")',
    "find in (T) where a == 1 project a, b",
    "T | top-nested 3 of a by sum(v), top-nested of b by max(v) desc",
    "T | evaluate pivot(a, sum(b), c) | render timechart with (title='x', ycolumns=a, b)",
    "T | scan declare (c: long = 0) with (step s: true => c = s.c + 1;)",
    "declare query_parameters(a: long = 5); set notruncation; T | where x > a",
    "T | fork (where a > 1) b = (count) | as X",
    "T | invoke f(1) | getschema",
    "workspace('w').T | union app('x').U, table('V')",
    "// a comment\nT // another\n| where x > 1 // and more\n;",
    "T | where\u00a0a\u2003> 1",
]


@pytest.mark.parametrize("text", QUERIES)
def test_printing_is_the_inverse_of_parsing(text: str):
    tree = parse(text)
    assert parse(unparse(tree)) == tree


_names = st.sampled_from(["a", "b", "TimeGenerated", "my col", "in", "90th", "ö"])
_leaves = st.one_of(
    _names.map(ast.Name),
    st.integers(0, 2**63 - 1).map(lambda value: ast.Literal(KqlType.LONG, value)),
    st.text(max_size=8)
    .filter(lambda text: "\x00" not in text)
    .map(lambda text: ast.Literal(KqlType.STRING, text)),
    st.floats(allow_nan=False, allow_infinity=False, min_value=0).map(
        lambda value: ast.Literal(KqlType.REAL, value)
    ),
    st.booleans().map(lambda value: ast.Literal(KqlType.BOOL, value)),
    st.integers(0, 10**17).map(lambda value: ast.Literal(KqlType.TIMESPAN, value)),
    st.integers(0, 3 * 10**18).map(lambda value: ast.Literal(KqlType.DATETIME, value)),
)


def _grown(inner: st.SearchStrategy[ast.Expr]) -> st.SearchStrategy[ast.Expr]:
    operators = st.sampled_from(
        ["+", "-", "*", "/", "%", "and", "or", "==", "!=", "<", "has", "contains_cs", "=~"]
    )
    return st.one_of(
        st.builds(ast.Binary, operators, inner, inner),
        st.builds(ast.Between, st.booleans(), inner, inner, inner),
        st.builds(
            ast.InList,
            st.sampled_from(["in", "!in~", "has_any"]),
            inner,
            st.lists(inner, min_size=1, max_size=3).map(tuple),
        ),
        st.builds(ast.Call, st.sampled_from(["f", "strlen"]), st.lists(inner, max_size=3).map(tuple)),
        st.builds(ast.Member, _names.map(ast.Name), st.sampled_from(["x", "y z"])),
        st.builds(ast.Index, _names.map(ast.Name), inner),
    )


@settings(max_examples=150, deadline=None)
@given(st.recursive(_leaves, _grown, max_leaves=12))
def test_any_expression_survives_printing_and_parsing(expression: ast.Expr):
    tree = ast.Query(
        (
            ast.Expression(
                ast.Pipeline(ast.Name("T"), (ast.Project("extend", (ast.Named(("x",), expression),)),))
            ),
        )
    )
    assert parse(unparse(tree)) == tree


def test_a_range_of_numbers_is_not_a_real():
    kinds = [token.kind for token in tokenize("1..5")]
    assert kinds == [TokenKind.LONG, TokenKind.PUNCTUATION, TokenKind.LONG, TokenKind.END]


@pytest.mark.parametrize(
    ("text", "ticks"),
    [
        ("1d", 864_000_000_000),
        ("-1.5h", -54_000_000_000),
        ("1.02:03:04.0000005", 937_840_000_005),
        ("100ms", 1_000_000),
        ("3 minutes", 1_800_000_000),
        ("7tick", 7),
        ("nonsense", None),
    ],
)
def test_timespans_are_read_in_every_spelling(text: str, ticks: int | None):
    assert timespan_ticks(text) == ticks


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-03",
        "2024-02-03T00:00:00Z",
        "02/03/2024",
        "2024-02-03 02:00:00+02:00",
        "3 Feb 2024",
        "20240203",
        "2024, 2, 3",
    ],
)
def test_datetimes_are_read_in_every_spelling(text: str):
    assert datetime_ticks(text) == datetime_ticks("2024-02-03 00:00:00.0000000")


def test_the_seventh_digit_is_kept():
    first, second = (
        datetime_ticks("2024-01-01 00:00:00.1234567"),
        datetime_ticks("2024-01-01 00:00:00.1234568"),
    )
    assert first is not None
    assert second == first + 1


@pytest.mark.parametrize(
    ("text", "line", "column", "token", "suggestion"),
    [
        ("T | were x > 1", 1, 5, "were", "where"),
        ("T\n| where x >", 2, 12, "", None),
        ("T | project a, | take 5 5", 1, 25, "5", None),
        ("T | summarise count()", 1, 5, "summarise", "summarize"),
        ("print 'open", 1, 7, "'", None),
        ("datatable(a: lng)[1]", 1, 14, "lng", "long"),
    ],
)
def test_a_syntax_error_points_at_its_place(
    text: str, line: int, column: int, token: str, suggestion: str | None
):
    with pytest.raises(KqlSyntaxError) as caught:
        parse(text)
    error = caught.value
    assert (error.line, error.column, error.token, error.suggestion) == (line, column, token, suggestion)
    assert error.code == "SyntaxError"


def test_nesting_beyond_reason_is_refused_and_not_a_crash():
    with pytest.raises(KqlSyntaxError, match="nested too deeply"):
        parse("print " + "(" * 5_000 + "1" + ")" * 5_000)


def test_statements_that_are_not_supported_say_their_name():
    with pytest.raises(KqlUnsupported, match="declare pattern"):
        parse("declare pattern p; T")
