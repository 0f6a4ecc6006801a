"""What reaches the store: columns, time bounds, needles, and how many of the newest rows."""

import pytest

from shared.kernel.ticks import parse_iso_ticks
from shared.kql import KqlSemanticError
from shared.kql.catalog import StoredFunction
from shared.kql.translation import Needle, NeedleKind, Scan
from tests.kql.core_harness import NOW, Tables, answer, plan

HOUR = 36_000_000_000
TABLES = Tables(
    {
        "Logs": {
            "TimeGenerated": "datetime",
            "Message": "string",
            "Level": "string",
            "Count": "long",
            "Body": "dynamic",
        },
        "Perf": {"TimeGenerated": "datetime", "Computer": "string", "Value": "real"},
    },
    functions={
        "Errors": StoredFunction(
            name="Errors",
            parameters="(since: timespan = 1h)",
            body="Logs | where TimeGenerated > ago(since) and Level == 'error'",
        )
    },
    workspaces={"other": "ws-2"},
)


def scan(query: str, **options: object) -> Scan:
    found = plan(query, TABLES, **options).scans
    assert len(found) == 1
    return found[0]


def names(found: Scan) -> list[str]:
    return [column.name for column in found.columns]


def test_only_the_columns_that_are_read_are_asked_for():
    assert names(scan("Logs | where Level == 'x' | summarize sum(Count) by bin(TimeGenerated, 1h)")) == [
        "TimeGenerated",
        "Level",
        "Count",
    ]
    assert names(scan("Logs | extend a = Message | project Count")) == ["Count"]
    assert names(scan("Logs | sort by Level | project Count")) == ["Level", "Count"]
    assert len(scan("Logs | count").columns) == 1


def test_time_bounds_come_from_the_conditions():
    found = scan("Logs | where TimeGenerated > ago(2h) and TimeGenerated <= ago(1h)")
    assert (found.min_ticks, found.max_ticks) == (NOW - 2 * HOUR + 1, NOW - HOUR)
    found = scan("Logs | where TimeGenerated between (datetime(2024-01-01) .. 1d)")
    assert found.min_ticks == parse_iso_ticks("2024-01-01")
    assert found.max_ticks == parse_iso_ticks("2024-01-02")


def test_time_bounds_pass_through_lets_renames_unions_and_inner_joins():
    found = scan("let T = Logs | project-rename t = TimeGenerated | extend x = 1; T | where t >= ago(1h)")
    assert found.min_ticks == NOW - HOUR
    both = plan("union Logs, Perf | where TimeGenerated >= ago(1h)", TABLES).scans
    assert [each.min_ticks for each in both] == [NOW - HOUR, NOW - HOUR]
    left, right = plan(
        "Logs | join kind=inner Perf on TimeGenerated | where TimeGenerated >= ago(1h)", TABLES
    ).scans
    assert (left.min_ticks, right.min_ticks) == (NOW - HOUR, None)


def test_the_default_range_and_the_conditions_meet():
    found = scan("Logs | where TimeGenerated > ago(1h)", default_range=(NOW - 5 * HOUR, NOW))
    assert (found.min_ticks, found.max_ticks) == (NOW - HOUR + 1, NOW)


def test_terms_and_values_become_needles():
    found = scan("Logs | where Message has 'disk full' and Level == 'Error'")
    assert set(found.needles) == {
        Needle(kind=NeedleKind.TERM, column="Message", text="disk"),
        Needle(kind=NeedleKind.TERM, column="Message", text="full"),
        Needle(kind=NeedleKind.VALUE, column="Level", text="Error"),
    }


@pytest.mark.parametrize(
    "query",
    [
        "Logs | where Message has 'a' or Level == 'b'",
        "Logs | where not(Message has 'a')",
        "Logs | where Message contains 'a'",
        "Logs | extend Message = strcat(Message, 'x') | where Message has 'a'",
        "Logs | summarize count() by Level | where Level == 'a'",
        "Logs | take 5 | where Level == 'a'",
        "Logs | where Count == 5",
        "let T = materialize(Logs); union T, (T | where Level == 'a')",
        "Logs | as X | where Level == 'a' | union X",
    ],
)
def test_no_needle_where_other_rows_may_matter(query: str):
    assert all(not each.needles for each in plan(query, TABLES).scans)


def test_a_search_looks_in_any_column():
    assert scan("Logs | search 'disk'").needles == (Needle(kind=NeedleKind.TERM, column=None, text="disk"),)


@pytest.mark.parametrize(
    ("query", "newest"),
    [
        ("Logs | top 10 by TimeGenerated", 10),
        ("Logs | sort by TimeGenerated desc | take 5", 5),
        ("Logs | take 7", 7),
        ("Logs | extend x = 1 | top 3 by TimeGenerated desc", 3),
        ("Logs | where Level == 'a' | top 10 by TimeGenerated", None),
        ("Logs | top 10 by TimeGenerated asc", None),
        ("Logs | top 10 by Count", None),
        ("Logs | summarize by TimeGenerated | take 5", None),
    ],
)
def test_only_the_newest_rows_are_asked_for_where_no_others_can_reach_the_answer(
    query: str, newest: int | None
):
    assert scan(query).newest == newest


def test_filters_stand_directly_over_the_relation():
    sql = (
        plan("Logs | where TimeGenerated > ago(1h) | where Level == 'x' | project Count", TABLES)
        .results[0]
        .sql
    )
    assert "coalesce" not in sql.lower()
    assert 'FROM scan_1 WHERE ("TimeGenerated" > ' in sql


def test_sql_grows_with_the_query_and_not_faster():
    steps = "".join(
        f" | extend x{n} = x{n - 1} + x{n - 1}, y{n} = strcat(y{n - 1}, y{n - 1})" for n in range(1, 40)
    )
    query = f"print x0 = 1, y0 = 'a'{steps} | project x39"
    assert len(plan(query).results[0].sql) < 20 * len(query)


def test_nested_functions_do_not_multiply_their_arguments():
    lets = "let f0 = (x: long) { x * x + x }; " + "".join(
        f"let f{n} = (x: long) {{ f{n - 1}(x + {n}) + f{n - 1}(x) }}; " for n in range(1, 6)
    )
    query = f"{lets} range i from 1 to 3 step 1 | extend y = f5(i * i + 1)"
    assert len(plan(query).results[0].sql) < 100_000


def test_a_stored_function_is_called_with_its_defaults():
    found = scan("Errors | count")
    assert found.min_ticks == NOW - HOUR + 1
    assert scan("Errors(2h)").min_ticks == NOW - 2 * HOUR + 1


def test_tables_of_other_workspaces_are_scanned_there():
    assert scan("workspace('other').Logs").workspace == "ws-2"
    with pytest.raises(KqlSemanticError, match="in workspace"):
        plan("workspace('unknown').Logs", TABLES)


def test_ingestion_time_is_asked_of_the_store():
    assert scan("Logs | extend t = ingestion_time() | project t").ingestion_time


def test_render_is_metadata():
    found = plan("Perf | render timechart with (title='CPU', ycolumns=Value)", TABLES)
    assert found.render == {"visualization": "timechart", "title": "CPU", "ycolumns": "Value"}


def test_an_empty_table_answers():
    assert answer("Logs | summarize count(), max(Count)", TABLES) == (["count_", "max_Count"], [(0, None)])
