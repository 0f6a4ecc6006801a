"""The Logs Query API's requests and answers, as the real clients send and read them (docs/protocols.md)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import orjson
from pydantic import Field

from shared.arm.wire import Wire
from shared.kernel.errors import OmsError
from shared.loganalytics.queries.model import MAX_BYTES, MAX_ROWS, MAX_SECONDS, Outcome, Truncation


class QueryBody(Wire):
    """What is asked. `workspaces` are more of them, by name, id or resource id."""

    query: str
    timespan: str | None = None
    workspaces: list[str] | None = None
    max_rows: int | None = Field(default=None, ge=1)


class BatchItem(Wire):
    id: str
    workspace: str
    body: QueryBody
    path: str = "/query"
    method: str = "POST"
    headers: dict[str, str] = Field(default_factory=dict[str, str])


class BatchBody(Wire):
    requests: list[BatchItem]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefer:
    """The `Prefer` header: `wait=30,include-statistics=true,include-render=true`. What is not known is ignored."""

    wait: float | None = None
    statistics: bool = False
    render: bool = False

    @classmethod
    def parse(cls, header: str) -> Self:
        wait, flags = None, dict[str, bool]()
        for part in header.replace(";", ",").split(","):
            name, _, value = part.strip().partition("=")
            if name.lower() == "wait" and value.replace(".", "", 1).isdigit():
                wait = min(float(value), MAX_SECONDS)
            else:
                flags[name.lower()] = value.strip().lower() == "true"
        return cls(
            wait=wait,
            statistics=flags.get("include-statistics", False),
            render=flags.get("include-render", False),
        )


# The engine's own number for "the result set is too large", as clients have seen it from Log Analytics.
TOO_LARGE: Final = "-2133196797"


def partial_error(truncated: Truncation) -> Mapping[str, Any]:
    limit = f"{MAX_ROWS} records" if truncated is Truncation.ROWS else f"{MAX_BYTES} bytes"
    return {
        "code": "PartialError",
        "message": "There were some errors when processing your query.",
        "details": [
            {
                "code": "EngineError",
                "message": "Something went wrong processing your query on the server.",
                "innererror": {
                    "code": TOO_LARGE,
                    "message": f"The results of this query exceed the set limit of {limit}, so not all records were "
                    "returned (E_QUERY_RESULT_SET_TOO_LARGE).",
                    "severity": 2,
                    "severityName": "Error",
                },
            }
        ],
    }


def answer(
    outcome: Outcome, *, render: Mapping[str, object] | None, statistics: Mapping[str, object] | None
) -> bytes:
    """The body of a 200: the tables as the child wrote them, and what was asked for besides."""
    rest: dict[str, Any] = {}
    if statistics is not None:
        rest["statistics"] = statistics
    if render is not None:
        rest["render"] = render
    if outcome.truncated is not None:
        rest["error"] = partial_error(outcome.truncated)
    return b'{"tables":' + outcome.tables + (b"," + orjson.dumps(rest)[1:] if rest else b"}")


def statistics_of(outcome: Outcome, *, segments: int, scanned: int, rows: int) -> Mapping[str, object]:
    """Statistics in Log Analytics' shape. `segments` and `scanned` count extents; times are as spent by the child."""
    total = outcome.cpu_user + outcome.cpu_system
    return {
        "query": {
            "executionTime": round(outcome.seconds, 7),
            "resourceUsage": {
                "cache": {"memory": {"hits": 0, "misses": 0, "total": 0}},
                "cpu": {
                    "user": _span(outcome.cpu_user),
                    "kernel": _span(outcome.cpu_system),
                    "total cpu": _span(total),
                },
                "memory": {"peak_per_node": outcome.peak_memory},
            },
            "inputDatasetStatistics": {
                "extents": {"total": segments, "scanned": scanned},
                "rows": {"total": rows, "scanned": rows},
            },
            "datasetStatistics": [{"table_row_count": outcome.rows, "table_size": len(outcome.tables)}],
        }
    }


def _span(seconds: float) -> str:
    whole = int(seconds)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02}.{round((seconds - whole) * 1e7):07}"


def bad_argument(error: OmsError, *, correlation_id: str) -> Mapping[str, Any]:
    """A query that does not parse or bind, in Microsoft's nested form: the innermost error has line, pos and token."""
    inner: dict[str, Any] = {
        "code": "SYN0002" if error.code == "SyntaxError" else "SEM0100",
        "message": error.message,
        **error.details,
    }
    if (suggestion := getattr(error, "suggestion", None)) is not None:
        inner["suggestion"] = suggestion
    return {
        "error": {
            "message": "The request had some invalid properties",
            "code": "BadArgumentError",
            "correlationId": correlation_id,
            "innererror": {
                "code": error.code,
                "message": "A recognition error occurred in the query."
                if error.code == "SyntaxError"
                else "A semantic error occurred.",
                "innererror": inner,
            },
        }
    }
