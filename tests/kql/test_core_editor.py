"""What editors ask for: completions at a cursor, and diagnostics."""

import pytest

from shared.kql import complete, diagnose
from shared.kql.completion import CompletionKind
from tests.kql.core_harness import Tables

TABLES = Tables(
    {
        "Heartbeat": {"TimeGenerated": "datetime", "Computer": "string", "Version": "string"},
        "Perf": {"TimeGenerated": "datetime", "Computer": "string", "CounterValue": "real"},
    }
)


def labels(text: str, kind: CompletionKind | None = None) -> list[str]:
    at = text.index("^") if "^" in text else len(text)
    found = complete(text.replace("^", ""), at, TABLES)
    return [each.label for each in found if kind is None or each.kind is kind]


def columns(text: str) -> list[str]:
    return labels(text, CompletionKind.COLUMN)


def test_a_query_begins_with_a_table():
    assert labels("He")[0] == "Heartbeat"
    assert "print" in labels("")


def test_operators_follow_a_pipe():
    assert labels("Heartbeat | su")[0] == "summarize"
    assert set(labels("Heartbeat | ")) >= {"where", "mv-expand", "join"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Heartbeat | where Co", ["Computer"]),
        ("Heartbeat | summarize count() by ^", ["TimeGenerated", "Computer", "Version"]),
        ("Heartbeat | project n = strlen(Computer), Version | where ", ["n", "Version"]),
        ("Heartbeat | summarize total = count() by Computer | sort by ", ["Computer", "total"]),
        ("Heartbeat | join kind=inner (Perf | where Cou^) on Computer", ["CounterValue"]),
        (
            "Heartbeat | join kind=inner (Perf | project CounterValue, Computer) on Computer | where Cou",
            ["CounterValue"],
        ),
        ("Heartbeat | join Perf on Coun", ["CounterValue"]),
        ("let T = Perf | project v = CounterValue; T | where ", ["v"]),
        ("Heartbeat | where Computer == 'x' and strlen(Ver", ["Version"]),
    ],
)
def test_columns_are_those_of_the_pipe_at_the_cursor(text: str, found: list[str]):
    assert columns(text) == found


def test_aggregates_are_proposed_where_they_may_stand():
    assert "dcount" in labels("Heartbeat | summarize dc", CompletionKind.FUNCTION)
    assert "dcount" not in labels("Heartbeat | where dc", CompletionKind.FUNCTION)


def test_functions_come_with_signature_and_summary():
    found = next(each for each in complete("print strle", 11, TABLES) if each.label == "strlen")
    assert found.detail.startswith("strlen(")
    assert found.documentation
    assert (found.start, found.insert) == (6, "strlen(")


def test_names_of_lets_are_proposed():
    assert "limit_" in labels("let limit_ = 5; Heartbeat | where 1 > lim")


def test_names_that_need_brackets_are_inserted_with_them():
    tables = Tables({"T": {"my col": "string"}})
    assert [
        each.insert for each in complete("T | project my", 14, tables) if each.kind is CompletionKind.COLUMN
    ] == ["['my col']"]


def test_a_good_query_has_no_diagnostics():
    assert diagnose("Heartbeat | where Computer has 'x' | evaluate pivot(Version)", TABLES) == []
    assert diagnose("  ", TABLES) == []


def test_a_bad_name_is_underlined_with_a_suggestion():
    (found,) = diagnose("Heartbeat\n| where Computr == 'x'", TABLES)
    assert (found.line, found.column, found.token, found.suggestion) == (2, 9, "Computr", "Computer")
    assert found.code == "SemanticError"


@pytest.mark.parametrize(
    "text",
    ["Heartbeat | where (", 'Heartbeat | extend x = "open', "|", "let", ")))", "Heartbeat | join (Perf | "],
)
def test_a_query_that_is_being_typed_never_crashes_the_editor(text: str):
    assert diagnose(text, TABLES)
    for at in range(len(text) + 1):
        assert isinstance(complete(text, at, TABLES), list)
