"""What the Logs page shows before any script runs: the form, the answer as a table, the place of an error in the query."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.http.portal.queries import PageQueries
from shared.kernel.errors import OmsError
from shared.kernel.ticks import TICKS_PER_SECOND
from shared.kql.errors import KqlError
from shared.loganalytics.logstore.model import Usage

ROWS: Final = 500
SECONDS: Final = 15.0
SCHEMA_DAYS: Final = 30

SPANS: Final[Sequence[tuple[str, str]]] = (
    ("", "Set in query"),
    ("PT5M", "Last 5 minutes"),
    ("PT30M", "Last 30 minutes"),
    ("PT1H", "Last hour"),
    ("PT4H", "Last 4 hours"),
    ("PT12H", "Last 12 hours"),
    ("P1D", "Last 24 hours"),
    ("P3D", "Last 3 days"),
    ("P7D", "Last 7 days"),
    ("P30D", "Last 30 days"),
)
DEFAULT_SPAN: Final = "PT1H"

EXAMPLES: Final[Sequence[tuple[str, str, str]]] = (
    (
        "Processor by machine",
        "PT1H",
        (
            "Perf\n"
            '| where ObjectName == "Processor" and InstanceName == "_Total" and CounterName == "% Processor Time"\n'
            "| summarize avg(CounterValue) by bin(TimeGenerated, 1m), Computer\n"
            "| render timechart"
        ),
    ),
    (
        "Last heartbeat of each machine",
        "P1D",
        "Heartbeat\n| summarize arg_max(TimeGenerated, OSName, Version, ComputerIP) by Computer",
    ),
    ("Last syslog messages", "PT1H", "Syslog\n| top 100 by TimeGenerated"),
    (
        "Syslog by severity",
        "P1D",
        "Syslog\n| summarize Messages = count() by SeverityLevel\n| sort by Messages\n| render columnchart",
    ),
    (
        "Free space by disk",
        "PT1H",
        (
            'Perf\n| where CounterName == "% Free Space" or CounterName == "% Used Space"\n'
            "| summarize arg_max(TimeGenerated, CounterValue) by Computer, InstanceName, CounterName"
        ),
    ),
    (
        "Which counters arrive",
        "PT1H",
        "Perf\n| summarize Records = count(), Last = max(TimeGenerated) by ObjectName, CounterName\n| sort by Records",
    ),
    (
        "What everything costs",
        "P1D",
        (
            "union withsource = Table *\n| summarize MB = round(sum(_BilledSize) / 1e6, 3) by Table\n"
            "| sort by MB\n| render piechart"
        ),
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a query was not answered. `place` shows its line with a caret under the token, '' where no place is known."""

    code: str
    message: str
    place: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """An answer, or why there is none. `answer` is the Logs Query API's, at most `ROWS` rows of it."""

    answer: Mapping[str, Any] | None = None
    problem: Problem | None = None
    cut: bool = False

    @property
    def columns(self) -> Sequence[Mapping[str, str]]:
        return self.answer["tables"][0]["columns"] if self.answer and self.answer["tables"] else ()

    @property
    def rows(self) -> Sequence[Sequence[Any]]:
        return self.answer["tables"][0]["rows"] if self.answer and self.answer["tables"] else ()

    @property
    def seconds(self) -> float:
        return 0.0 if self.answer is None else float(self.answer["statistics"]["query"]["executionTime"])

    @property
    def complete(self) -> Mapping[str, Any] | None:
        """The answer for the page's script to take over; None where it must ask for the rest itself."""
        return None if self.cut else self.answer


def run(queries: PageQueries, query: str, span: str) -> Shown:
    """Ask what the form says."""
    try:
        answer = queries.answer(query, span or None, seconds=SECONDS, max_rows=ROWS)
    except KqlError as refused:
        return Shown(problem=Problem(code=refused.code, message=refused.message, place=caret(refused)))
    except OmsError as error:
        return Shown(problem=Problem(code=error.code, message=error.message))
    return Shown(answer=answer, cut="error" in answer)


def caret(error: KqlError) -> str:
    """The line of the error, and under it carets where its token stands."""
    if not error.text:
        return ""
    line = error.text.splitlines()[error.line - 1] if error.text.splitlines() else ""
    # Tabs stay tabs, so that the caret stands under its token whatever their width.
    lead = "".join("\t" if char == "\t" else " " for char in line[: error.column - 1])
    length = max(1, min(error.end - error.pos, len(line) - error.column + 1))
    return f"{line}\n{lead}{'^' * length}"


def cell(value: object) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def filled(usage: Iterable[Usage]) -> Mapping[str, int]:
    """How many records each table took in."""
    found: dict[str, int] = {}
    for each in usage:
        found[each.table] = found.get(each.table, 0) + each.rows
    return found


def schema(
    names: Iterable[str], rows: Mapping[str, int], columns: Mapping[str, Sequence[tuple[str, str]]]
) -> Mapping[str, Any]:
    """The tree of tables: those that hold data first. Columns are told for the tables in `columns`."""
    ordered = sorted({*names, *rows}, key=lambda name: (name not in rows, name.lower()))
    return {
        "tables": [
            {"name": name, "rows": rows.get(name, 0), "columns": columns.get(name)} for name in ordered
        ]
    }


def schema_since(now_ticks: int) -> int:
    """From when on records count as there, for the tree."""
    return now_ticks - SCHEMA_DAYS * 86_400 * TICKS_PER_SECOND
