"""Runs one function over bound values in DuckDB, as the executor would, and reads the answer back as KQL prints it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from shared.kernel.ticks import format_ticks, format_timespan_ticks, parse_iso_ticks
from shared.kql.functions import REGISTRY
from shared.kql.functions.build import literal
from shared.kql.functions.registry import Bound
from shared.kql.native import NATIVE
from shared.kql.types import SQL_TYPE, KqlType

NOON = parse_iso_ticks("2026-11-22T12:00:00Z") or 0


@dataclass(slots=True)
class Recorder:
    """An emission that keeps what was asked of it."""

    now_ticks: int = NOON
    macros: list[str] = field(default_factory=list[str])
    natives: list[str] = field(default_factory=list[str])
    stages: list[str] = field(default_factory=list[str])

    @property
    def ordering(self) -> str:
        return "ORDER BY n"

    @property
    def parts(self) -> tuple[str, ...]:
        return ()

    def earlier(self, expression: Bound) -> Bound:
        self.stages.append(expression.sql)
        name = f"stage_{len(self.stages)}"
        return Bound(sql=f'"{name}"', type=expression.type, columns=frozenset({name}))

    def macro(self, definition: str) -> None:
        if definition not in self.macros:
            self.macros.append(definition)

    def native(self, name: str) -> None:
        if name not in self.natives:
            self.natives.append(name)


def text(value: str | None) -> Bound:
    return literal(value, KqlType.STRING)


def long(value: int | None) -> Bound:
    return literal(value, KqlType.LONG)


def real(value: float | None) -> Bound:
    return literal(value, KqlType.REAL)


def boolean(*, value: bool | None) -> Bound:
    return literal(value, KqlType.BOOL)


def instant(iso: str | None) -> Bound:
    return literal(None if iso is None else parse_iso_ticks(iso), KqlType.DATETIME)


def span(ticks: int | None) -> Bound:
    return literal(ticks, KqlType.TIMESPAN)


def dynamic(value: Any) -> Bound:
    return literal(None if value is None else json.dumps(value), KqlType.DYNAMIC)


def _shown(value: Any, kind: KqlType) -> Any:
    if value is None:
        return None
    if kind is KqlType.DATETIME:
        return format_ticks(value, digits=7)
    if kind is KqlType.TIMESPAN:
        return format_timespan_ticks(value)
    if kind is KqlType.DYNAMIC:
        return json.loads(value)
    return str(value) if kind is KqlType.GUID else value


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """One for all tests: macros replace each other by name, native functions are registered once."""
    connection = duckdb.connect()
    for native in NATIVE.values():
        native.register(connection)
    return connection


def _connection(recorder: Recorder) -> duckdb.DuckDBPyConnection:
    assert set(recorder.natives) <= NATIVE.keys()
    for macro in recorder.macros:
        _database().execute(macro)
    return _database()


def as_column(arg: Bound, name: str) -> Bound:
    """The same value behind a column, so that nothing is folded."""
    return Bound(sql=f'"{name}"', type=arg.type, columns=frozenset({name}))


def call(function: str, *args: Bound, columns: bool = False) -> Any:
    """The answer of a scalar function; with `columns`, the arguments come from a row and are no constants."""
    entry = REGISTRY.by_name[function]
    recorder = Recorder()
    given: Sequence[Bound] = args
    if columns:
        given = [
            arg if _parameter_is_constant(function, index) else as_column(arg, f"c{index}")
            for index, arg in enumerate(args)
        ]
    bound = entry.emit(recorder, given)
    row = ", ".join(f'({arg.sql})::{SQL_TYPE[arg.type]} AS "c{index}"' for index, arg in enumerate(args))
    source = f" FROM (SELECT {row})" if row else ""
    found = _connection(recorder).execute(f"SELECT {bound.sql}{source}").fetchone()
    assert found is not None
    return _shown(found[0], bound.type)


def _parameter_is_constant(function: str, index: int) -> bool:
    parameters = REGISTRY.by_name[function].parameters
    return parameters[min(index, len(parameters) - 1)].constant


def aggregate(function: str, kind: KqlType, values: Sequence[Any], *rest: Bound) -> Any:
    """The answer of an aggregate over one column, `x`, of these values."""
    entry = REGISTRY.by_name[function]
    recorder = Recorder()
    bound = entry.emit(recorder, [Bound(sql='"x"', type=kind, columns=frozenset({"x"})), *rest])
    rows = ", ".join(f"({n}, {literal(value, kind).sql}::{SQL_TYPE[kind]})" for n, value in enumerate(values))
    source = (
        f"(VALUES {rows}) t(n, x)" if values else f"(SELECT 0 AS n, NULL::{SQL_TYPE[kind]} AS x WHERE false)"
    )
    found = _connection(recorder).execute(f"SELECT {bound.sql} FROM {source}").fetchone()
    assert found is not None
    return _shown(found[0], bound.type)


def window(function: str, kind: KqlType, values: Sequence[Any], *rest: Bound) -> list[Any]:
    """The answers of a window function over one column, `x`, of these values in their order."""
    recorder = Recorder()
    bound = REGISTRY.by_name[function].emit(
        recorder, [Bound(sql='"x"', type=kind, columns=frozenset({"x"})), *rest]
    )
    rows = ", ".join(f"({n}, {literal(value, kind).sql}::{SQL_TYPE[kind]})" for n, value in enumerate(values))
    source = f"(VALUES {rows}) t(n, x)"
    for at, stage in enumerate(recorder.stages, start=1):
        source = f'(SELECT *, {stage} AS "stage_{at}" FROM {source})'
    found = _connection(recorder).execute(f"SELECT {bound.sql} FROM {source} ORDER BY n").fetchall()
    return [_shown(row[0], bound.type) for row in found]
