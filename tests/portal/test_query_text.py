"""What a click does to a query's text, in the browser's own engine."""

from typing import Any

import pytest
from playwright.sync_api import Page

from tests.suite import Suite

CALL = """async ([name, args]) => {
  const own = document.querySelector('script[src*="/logs/app.js"]').src;
  const module = await import(own.replace("app.js", "query_text.js"));
  return module[name](...args);
}"""


def call(page: Page, suite: Suite, name: str, *arguments: Any) -> Any:
    page.goto(f"{suite.url}/logs")
    return page.evaluate(CALL, [name, list(arguments)])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("T", "T\n| where x == 1"),
        ("T | top 5 by a", "T\n| where x == 1\n| top 5 by a"),
        ("T\n| summarize c = count() by x\n| sort by c\n| render piechart", "T\n| summarize c = count() by x\n| where x == 1\n| sort by c\n| render piechart"),
        ("T | where a has '| take 5'", "T | where a has '| take 5'\n| where x == 1"),
        ("T | join (U | take 5) on a", "T | join (U | take 5) on a\n| where x == 1"),
        ("let n = 5;\nT | take n;\n", "let n = 5;\nT\n| where x == 1\n| take n;\n"),
        ("T // | take 5\n| take 3", "T // | take 5\n| where x == 1\n| take 3"),
        ("T | take 5 // all", "T\n| where x == 1\n| take 5 // all"),
        ("T\n| where x == 1\n| take 5", "T\n| where x == 1\n| take 5"),
        ('T | where p == @"C:\\" | take 5', 'T | where p == @"C:\\"\n| where x == 1\n| take 5'),
    ],
)  # fmt: skip
def test_a_condition_stands_before_what_orders_limits_and_draws(
    page: Page, suite: Suite, query: str, expected: str
) -> None:
    assert call(page, suite, "withFilter", query, "x == 1") == expected


@pytest.mark.parametrize(
    ("column", "value", "negated", "expected"),
    [
        ({"name": "a", "type": "string"}, 'say "it"\\now', False, 'a == "say \\"it\\"\\\\now"'),
        ({"name": "a", "type": "string"}, "", False, "isempty(a)"),
        ({"name": "a", "type": "string"}, "", True, "isnotempty(a)"),
        ({"name": "a b", "type": "string"}, "x", True, "['a b'] != \"x\""),
        ({"name": "n", "type": "long"}, 5, False, "n == 5"),
        ({"name": "n", "type": "long"}, None, False, "isnull(n)"),
        ({"name": "b", "type": "bool"}, False, True, "b != false"),
        ({"name": "t", "type": "datetime"}, "2026-01-01T00:00:00Z", False, "t == datetime(2026-01-01T00:00:00Z)"),
        ({"name": "g", "type": "guid"}, "0-1", False, "g == guid(0-1)"),
        ({"name": "d", "type": "dynamic"}, '["x"]', False, 'tostring(d) == "[\\"x\\"]"'),
    ],
)  # fmt: skip
def test_a_condition_says_the_value_as_the_language_writes_it(
    page: Page, suite: Suite, column: dict[str, str], value: Any, negated: bool, expected: str
) -> None:
    assert call(page, suite, "condition", column, value, negated) == expected


def test_a_layout_changes_nothing_but_white_space(page: Page, suite: Suite) -> None:
    query = "let f = (n:long) { T | take n };\n// why | not\nf(3) | where a == '|;' | join kind=inner (U | where b[0] == 1) on a // end"
    laid = call(page, suite, "laidOut", query)
    assert "".join(laid.split()) == "".join(query.split())
    assert (
        "\n// why | not\nf(3)\n| where a == '|;'\n| join kind=inner (U\n    | where b[0] == 1) on a // end"
        in laid
    )
    assert call(page, suite, "laidOut", laid) == laid


@pytest.mark.parametrize(
    ("query", "table"),
    [
        ("Syslog | take 5", "Syslog"),
        ("let a = 1; Syslog // x\n| take 5", "Syslog"),
        ("union A, B", ""),
        ("T(1)", ""),
    ],
)
def test_the_table_that_a_query_starts_from_is_found(
    page: Page, suite: Suite, query: str, table: str
) -> None:
    assert call(page, suite, "sourceTable", query) == table
