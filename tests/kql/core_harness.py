"""Runs queries as the query service does: over relations in an in-memory DuckDB that a catalogue describes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import duckdb

from shared.kernel.ticks import format_ticks, format_timespan_ticks, parse_iso_ticks
from shared.kql import translate
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.native import register
from shared.kql.translation import Translation
from shared.kql.types import SQL_TYPE, Column, KqlType

NOW = parse_iso_ticks("2024-06-15T12:00:00Z") or 0


@dataclass(frozen=True, slots=True)
class Tables:
    """A catalogue over given columns, with rows as Python values (datetimes as ISO text)."""

    columns: Mapping[str, Mapping[str, str]]
    rows: Mapping[str, Sequence[Sequence[Any]]] = field(default_factory=dict[str, Sequence[Sequence[Any]]])
    functions: Mapping[str, StoredFunction] = field(default_factory=dict[str, StoredFunction])
    workspaces: Mapping[str, str] = field(default_factory=dict[str, str])

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        found = self.columns.get(name)
        if found is None or (workspace is not None and workspace not in self.workspaces):
            return None
        columns = [Column(name=each, type=KqlType(kind)) for each, kind in found.items()]
        return TableSchema(name=name, columns=columns, workspace=self.workspaces.get(workspace or "", "own"))

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        del workspace
        return list(self.columns)

    def function(self, name: str) -> StoredFunction | None:
        return self.functions.get(name)


NOTHING = Tables({})


def plan(query: str, tables: Tables = NOTHING, **options: Any) -> Translation:
    return translate(query, catalog=tables, now_ticks=NOW, **options)


def answer(query: str, tables: Tables = NOTHING, **options: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    """The first result's column names and rows, in Kusto's spelling."""
    with duckdb.connect() as connection:

        def probe(asked: Translation) -> Sequence[Sequence[Any]]:
            return _run(connection, asked, tables)

        translation = plan(query, tables, probe=probe, **options)
        rows = _run(connection, translation, tables)
    columns = translation.results[0].columns
    shown = [
        tuple(_shown(cell, column.type) for cell, column in zip(row, columns, strict=True)) for row in rows
    ]
    return [column.name for column in columns], shown


def _run(connection: duckdb.DuckDBPyConnection, translation: Translation, tables: Tables) -> list[Any]:
    for statement in translation.prelude:
        connection.execute(statement)
    register(connection, translation.functions)
    for scan in translation.scans:
        names = list(tables.columns[scan.table])
        columns = ", ".join(f'"{column.name}" {SQL_TYPE[column.type]}' for column in scan.columns)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {scan.relation} ({columns})")
        for row in tables.rows.get(scan.table, ()):
            cells = [_stored(row[names.index(column.name)], column.type) for column in scan.columns]
            marks = ", ".join("?" for _ in cells)
            connection.execute(f"INSERT INTO {scan.relation} VALUES ({marks})", cells)
    return connection.execute(translation.results[0].sql).fetchall()


def _stored(value: Any, kind: KqlType) -> Any:
    if kind is KqlType.DATETIME and isinstance(value, str):
        return parse_iso_ticks(value)
    return json.dumps(value) if kind is KqlType.DYNAMIC and value is not None else value


def _shown(value: Any, kind: KqlType) -> Any:
    if value is None:
        return None
    match kind:
        case KqlType.DATETIME:
            return format_ticks(value)
        case KqlType.TIMESPAN:
            return format_timespan_ticks(value)
        case KqlType.DYNAMIC:
            return json.loads(value)
        case KqlType.GUID:
            return str(value)
        case _:
            return value
