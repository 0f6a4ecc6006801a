"""Queries from text to bytes, over a real log store and real child processes."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.kernel.clock import ManualClock
from shared.kernel.errors import OmsError
from shared.kernel.ticks import ticks_of
from shared.kql.catalog import StoredFunction
from shared.kql.errors import KqlSemanticError, KqlSyntaxError
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.model import Frame, FrameColumn, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.queries.model import QueryMemoryExceeded, QueryTimeout
from shared.loganalytics.queries.processes import QueryProcesses
from shared.loganalytics.queries.records import StoredRecords
from shared.loganalytics.queries.scope import PathNotFound
from shared.loganalytics.queries.service import LogQueries
from shared.loganalytics.queries.wire import Prefer, QueryBody
from shared.storage.memory import MemoryStorage

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
FIRST = WorkspaceId("11111111-1111-1111-1111-111111111111")
SECOND = WorkspaceId("22222222-2222-2222-2222-222222222222")
COLUMNS = (
    Column(name="TimeGenerated", type=KqlType.DATETIME),
    Column(name="Type", type=KqlType.STRING),
    Column(name="_ResourceId", type=KqlType.STRING),
    Column(name="Computer", type=KqlType.STRING),
    Column(name="n", type=KqlType.LONG),
    Column(name="more", type=KqlType.DYNAMIC),
)


class Schemas:
    def columns(self, workspace: WorkspaceId, table: str) -> Sequence[Column] | None:
        return COLUMNS if workspace in (FIRST, SECOND) and table == "App_CL" else None

    def names(self, workspace: WorkspaceId) -> Sequence[str]:
        return ["App_CL"]

    def function(self, workspace: WorkspaceId, name: str) -> StoredFunction | None:
        return None


def find(name: str) -> WorkspaceId:
    if name == "second":
        return SECOND
    raise PathNotFound(f"no workspace is known as {name}")


def frame(records: list[dict[str, Any]], *, resource: str = "") -> Frame:
    return Frame(
        table="App_CL",
        rows=len(records),
        body=orjson.dumps(records),
        columns=[
            FrameColumn(source=name, name=name, type=kind)
            for name, kind in (("Computer", KqlType.STRING), ("n", KqlType.LONG), ("more", KqlType.DYNAMIC))
        ],
        constants={"Type": "App_CL", "_ResourceId": resource},
        time_source="TimeGenerated",
        received_ticks=ticks_of(NOW),
    )


@pytest.fixture(scope="module")
def processes() -> Iterator[QueryProcesses]:
    made = QueryProcesses(size=1, memory_mb=768)
    yield made
    made.close()


@pytest.fixture
def store(tmp_path: Path) -> LogStore:
    clock = ManualClock(NOW)
    return LogStore.over(MemoryStorage(clock), clock=clock, folder=tmp_path)


@pytest.fixture
def queries(store: LogStore, processes: QueryProcesses) -> LogQueries:
    return LogQueries(
        schemas=Schemas(),
        records=StoredRecords(store=store),
        processes=processes,
        clock=ManualClock(NOW),
        memory_mb=768,
    )


def ask(queries: LogQueries, text: str, **more: Any) -> dict[str, Any]:
    body = QueryBody(query=text, timespan=more.pop("timespan", None), workspaces=more.pop("workspaces", None))
    return orjson.loads(queries.query(body, workspaces=[FIRST], find=find, caller="me", **more))


def rows(queries: LogQueries, text: str, **more: Any) -> list[list[Any]]:
    return ask(queries, text, **more)["tables"][0]["rows"]


def test_a_record_is_found_at_once_with_all_seven_digits_of_its_time(
    store: LogStore, queries: LogQueries
) -> None:
    store.append(
        FIRST,
        [
            frame(
                [
                    {
                        "TimeGenerated": "2026-11-22T11:59:00.1234567Z",
                        "Computer": "web1",
                        "n": 7,
                        "more": {"a": [1]},
                    }
                ]
            )
        ],
    )
    answer = ask(queries, "App_CL | project TimeGenerated, Computer, n, more, more.a[0]")
    assert answer["tables"][0]["name"] == "PrimaryResult"
    assert answer["tables"][0]["columns"][0] == {"name": "TimeGenerated", "type": "datetime"}
    assert answer["tables"][0]["rows"] == [["2026-11-22T11:59:00.1234567Z", "web1", 7, '{"a":[1]}', "1"]]


def test_an_empty_table_answers_with_its_columns_and_no_rows(queries: LogQueries) -> None:
    table = ask(queries, "App_CL | summarize count() by Computer")["tables"][0]
    assert [column["name"] for column in table["columns"]] == ["Computer", "count_"]
    assert table["rows"] == []


def test_the_timespan_bounds_time_generated(store: LogStore, queries: LogQueries) -> None:
    times = ["2026-11-22T09:00:00Z", "2026-11-22T11:30:00Z", "2026-11-22T11:59:59Z"]
    store.append(FIRST, [frame([{"TimeGenerated": time, "n": n} for n, time in enumerate(times)])])
    assert rows(queries, "App_CL | project n | sort by n asc", timespan="PT3600.0S") == [[1], [2]]
    assert rows(queries, "App_CL | project n", timespan="2026-11-22T08:00:00Z/2026-11-22T10:00:00Z") == [[0]]
    assert rows(queries, "App_CL | count") == [[3]]


def test_one_workspace_never_reads_anothers_records(store: LogStore, queries: LogQueries) -> None:
    store.append(FIRST, [frame([{"Computer": "mine"}])])
    store.append(SECOND, [frame([{"Computer": "theirs"}])])
    assert rows(queries, "App_CL | project Computer") == [["mine"]]
    with pytest.raises(PathNotFound):
        ask(queries, "workspace('other').App_CL | count")


def test_more_workspaces_answer_together_when_the_caller_may_read_them(
    store: LogStore, queries: LogQueries
) -> None:
    store.append(FIRST, [frame([{"Computer": "a"}])])
    store.append(SECOND, [frame([{"Computer": "b"}])])
    assert rows(queries, "App_CL | project Computer | sort by Computer asc", workspaces=["second"]) == [
        ["a"],
        ["b"],
    ]
    assert rows(queries, "workspace('second').App_CL | project Computer") == [["b"]]


def test_a_resource_sees_only_what_it_and_its_parts_sent(store: LogStore, queries: LogQueries) -> None:
    machine = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/vm1"
    for resource, name in ((machine, "vm"), (machine + "/extensions/e", "part"), (machine + "0", "other")):
        store.append(FIRST, [frame([{"Computer": name}], resource=resource)])
    found = rows(queries, "App_CL | project Computer | sort by Computer asc", resource=machine.upper())
    assert found == [["part"], ["vm"]]


def test_a_syntax_error_tells_line_position_and_token(queries: LogQueries) -> None:
    with pytest.raises(KqlSyntaxError) as refused:
        ask(queries, "App_CL\n| where n ==")
    assert refused.value.details["line"] == 2


def test_a_misspelled_column_is_named_with_what_was_meant(queries: LogQueries) -> None:
    with pytest.raises(KqlSemanticError) as refused:
        ask(queries, "App_CL | where Computr == 'a'")
    assert refused.value.token == "Computr"
    assert refused.value.suggestion == "Computer"


def test_statistics_and_render_come_when_preferred(store: LogStore, queries: LogQueries) -> None:
    store.append(FIRST, [frame([{"Computer": "a"}])])
    answer = ask(
        queries,
        "App_CL | summarize count() by bin(TimeGenerated, 1h) | render timechart",
        prefer=Prefer.parse("wait=30,include-statistics=true,include-render=true"),
    )
    assert answer["statistics"]["query"]["datasetStatistics"][0]["table_row_count"] == 1
    assert answer["render"]["visualization"] == "timechart"
    assert "render" not in ask(queries, "App_CL | render timechart")


def test_too_many_rows_come_as_a_partial_answer_with_the_named_error(queries: LogQueries) -> None:
    answer = ask(queries, "range i from 1 to 500001 step 1")
    assert len(answer["tables"][0]["rows"]) == 500_000
    assert answer["error"]["code"] == "PartialError"
    assert "500000 records" in answer["error"]["details"][0]["innererror"]["message"]


def test_too_many_bytes_come_as_a_partial_answer_with_the_named_error(queries: LogQueries) -> None:
    answer = ask(queries, "range i from 1 to 200000 step 1 | project s = strcat(i, strrep('x', 999))")
    assert answer["error"]["code"] == "PartialError"
    assert "100000000 bytes" in answer["error"]["details"][0]["innererror"]["message"]
    assert 90_000 < len(answer["tables"][0]["rows"]) < 100_001


def test_a_query_that_does_not_end_is_stopped_and_the_next_one_answers(queries: LogQueries) -> None:
    endless = "range i from 1 to 10000000 step 1 | extend k = 1 | join kind=inner (range j from 1 to 10000000 step 1 | extend k = 1) on k | summarize sum(i * j % 7)"
    with pytest.raises(QueryTimeout):
        ask(queries, endless, prefer=Prefer(wait=1.0))
    assert rows(queries, "print 1") == [[1]]


def test_a_query_beyond_its_memory_is_refused_by_name_and_the_next_one_answers(queries: LogQueries) -> None:
    with pytest.raises(QueryMemoryExceeded):
        ask(
            queries,
            "range i from 1 to 100000000 step 1 | extend s = strcat('some longer text ', i) | sort by s asc | take 1000000 | summarize count()",
        )
    assert rows(queries, "print 1") == [[1]]


def test_not_a_number_and_the_infinities_are_spelled_out(queries: LogQueries) -> None:
    assert rows(queries, "print 0.0/0.0, 1.0/0.0, -1.0/0.0, 1.5") == [["NaN", "Infinity", "-Infinity", 1.5]]


def test_every_type_has_its_wire_form(queries: LogQueries) -> None:
    text = "print datetime(2026-01-02), time(1.02:03:04.5), -1s, guid(74be27de-1e4e-49d9-b579-fe0b331d3642), dynamic({'a':1}), decimal(1.10), true, int(null), ''"
    assert rows(queries, text) == [
        [
            "2026-01-02T00:00:00Z",
            "1.02:03:04.5000000",
            "-00:00:01",
            "74be27de-1e4e-49d9-b579-fe0b331d3642",
            '{"a":1}',
            "1.1",
            True,
            None,
            "",
        ]
    ]


def test_an_unknown_table_is_a_semantic_error(queries: LogQueries) -> None:
    with pytest.raises(OmsError) as refused:
        ask(queries, "Nope | take 1")
    assert refused.value.code == "SemanticError"
    assert "Nope" in refused.value.message


def test_pivot_and_bag_unpack_take_their_columns_from_the_data(store: LogStore, queries: LogQueries) -> None:
    store.append(
        FIRST,
        [
            frame(
                [{"Computer": "a", "n": 1, "more": {"x": 1, "y": "z"}}, {"Computer": "b", "n": 2, "more": {}}]
            )
        ],
    )
    table = ask(queries, "App_CL | project Computer, n | evaluate pivot(Computer, sum(n))")["tables"][0]
    assert [column["name"] for column in table["columns"]] == ["a", "b"]
    assert table["rows"] == [[1, 2]]
    table = ask(queries, "App_CL | where Computer == 'a' | project more | evaluate bag_unpack(more)")[
        "tables"
    ][0]
    assert [(column["name"], column["type"]) for column in table["columns"]] == [
        ("x", "long"),
        ("y", "string"),
    ]
