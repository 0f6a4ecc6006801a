"""Log Analytics' own tables, read on first use from the data file that `scripts/standard_tables.py` writes."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from shared.kernel.versions import check_version
from shared.kql.types import Column, KqlType
from shared.loganalytics.tables.model import LogTable, TableOrigin

_DATA: Final = Path(__file__).parent / "standard_tables.json"


def standard_table(name: str) -> LogTable | None:
    """The standard table as it is in a workspace that added nothing to it."""
    listed = _listing().get(name)
    return None if listed is None else _build(name)


def standard_names() -> list[str]:
    return list(_listing())


@cache
def _listing() -> Mapping[str, Mapping[str, Any]]:
    data = orjson.loads(_DATA.read_bytes())
    check_version("standard_tables.json", data["v"], current=1)
    return data["tables"]


@cache
def _build(name: str) -> LogTable:
    listed = _listing()[name]
    return LogTable(
        name=name,
        columns=tuple(
            Column(name=column, type=KqlType(type_)) for column, type_ in listed["columns"].items()
        ),
        origin=TableOrigin.STANDARD,
        solution=listed["solution"],
        billable=listed["billable"],
    )
