"""Rows for people and for programs: an aligned table, JSON, or CSV."""

import csv
import io
import json
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

FORMATS: Final = ("table", "json", "csv")
WIDEST: Final = 60


def render(table: Mapping[str, Any], form: str) -> str:
    """One table of a query's answer: `{"columns": [{"name", "type"}], "rows": [[…]]}`."""
    names = [column["name"] for column in table["columns"]]
    rows: Sequence[Sequence[Any]] = table["rows"]
    if form == "json":
        return "".join(
            json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False) + "\n" for row in rows
        )
    if form == "csv":
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([["" if value is None else value for value in row] for row in rows])
        return out.getvalue()
    return _aligned(names, [column["type"] for column in table["columns"]], rows)


def _aligned(names: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [max([_width(name), *(_width(row[index]) for row in cells)]) for index, name in enumerate(names)]
    right = [kind in ("int", "long", "real", "decimal") for kind in types]

    def line(values: Sequence[str]) -> str:
        padded = [
            (" " * (widths[index] - _width(value)) + value)
            if right[index]
            else value + " " * (widths[index] - _width(value))
            for index, value in enumerate(values)
        ]
        return "  ".join(padded).rstrip()

    body = [line(names), "  ".join("-" * width for width in widths), *(line(row) for row in cells)]
    body.append(f"({len(rows)} row{'' if len(rows) == 1 else 's'})")
    return "\n".join(body) + "\n"


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    text = "".join(" " if unicodedata.category(char) == "Cc" else char for char in text)
    return text if len(text) <= WIDEST else text[: WIDEST - 1] + "…"


def _width(text: str) -> int:
    return sum(
        2 if unicodedata.east_asian_width(char) in "WF" else 0 if unicodedata.combining(char) else 1
        for char in text
    )
