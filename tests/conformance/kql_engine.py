"""Our engine as the conformance checker wants it: text in, columns, types and rows out, in an in-memory DuckDB."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb

from shared.kernel.ticks import format_ticks, format_timespan_ticks, ticks_of
from shared.kql import KqlSemanticError, translate
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.translation import Scan, Translation
from shared.kql.types import SQL_TYPE, Column, KqlType

NOW = ticks_of(datetime(2026, 1, 15, 12, 0, tzinfo=UTC))
_STANDARD = (
    Column(name="TimeGenerated", type=KqlType.DATETIME),
    Column(name="Type", type=KqlType.STRING),
)


_NAMED: dict[str, KqlType] = dict.fromkeys(
    ("timestamp", "start", "end", "starttime", "endtime"), KqlType.DATETIME
)
# How the Data Collector API marks a column's type.
_SUFFIXES = {
    "_s": KqlType.STRING,
    "_d": KqlType.REAL,
    "_b": KqlType.BOOL,
    "_t": KqlType.DATETIME,
    "_g": KqlType.GUID,
}


@dataclass(slots=True)
class EmptyCatalog:
    """No table, no function."""

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        del name, workspace
        return None

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        del workspace
        return ()

    def function(self, name: str) -> StoredFunction | None:
        del name
        return None


@dataclass(slots=True)
class LenientCatalog(EmptyCatalog):
    """Every table that was learnt, with the columns that were learnt."""

    names: set[str] = field(default_factory=set[str])
    columns: dict[str, KqlType] = field(default_factory=dict[str, KqlType])
    kept: set[str] = field(default_factory=set[str])  # columns that are not in any bag
    standard: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        del workspace
        known = self.standard.get(name)
        if known is None and name not in self.names:
            return None
        learnt = {each.lower() for each in self.columns}
        columns = (
            [Column(name=each, type=KqlType(kind)) for each, kind in known.items()]
            if known
            # Classic tables spell these in their own way.
            else [column for column in _STANDARD if column.name.lower() not in learnt]
        )
        # DuckDB's names do not know case.
        taken = {column.name.lower() for column in columns}
        for each, kind in self.columns.items():
            if each.lower() not in taken:
                taken.add(each.lower())
                columns.append(Column(name=each, type=kind))
        return TableSchema(name=name, columns=columns)

    def invented(self) -> list[list[str]]:
        """The columns that a plugin would find in the data: those the query goes on to name."""
        return [[name, "DYNAMIC"] for name in self.columns if name not in self.kept]

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        del workspace
        return sorted(self.names)


def _value(value: Any, kind: KqlType) -> Any:
    if value is None:
        return "" if kind is KqlType.STRING else None
    match kind:
        case KqlType.DATETIME:
            return format_ticks(value, digits=7)
        case KqlType.TIMESPAN:
            return format_timespan_ticks(value)
        case KqlType.DYNAMIC:
            return json.loads(value)
        case KqlType.GUID:
            return str(value)
        case _:
            return value


@cache
def _schemas() -> dict[str, dict[str, str]]:
    """The standard tables' columns, where that knowledge is at hand."""
    shared = os.environ.get("OMS_SHARED", "../shared")
    path = Path(shared) / "loganalytics" / "table_schemas.json"
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass(frozen=True, slots=True)
class Database:
    """One DuckDB for all queries of a process: making one takes longer than most queries."""

    connection: duckdb.DuckDBPyConnection
    registered: set[str] = field(default_factory=set[str])


@cache
def _database() -> Database:
    return Database(duckdb.connect())


def execute(
    database: Database, translation: Translation
) -> list[tuple[list[str], list[str], list[list[Any]]]]:
    """Run every result of a translation over empty tables."""
    connection = database.connection
    for statement in translation.prelude:
        connection.execute(statement)
    missing = [name for name in translation.functions if name not in database.registered]
    if missing:
        from shared.kql.native import register

        register(connection, missing)
        database.registered.update(missing)
    for scan in translation.scans:
        connection.execute(_empty(scan))
    answers = list[tuple[list[str], list[str], list[list[Any]]]]()
    for table in translation.results:
        rows = connection.execute(table.sql).fetchall()
        kinds = [column.type for column in table.columns]
        answers.append(
            (
                [column.name for column in table.columns],
                [kind.value for kind in kinds],
                [[_value(cell, kind) for cell, kind in zip(row, kinds, strict=True)] for row in rows]
                if kinds
                else [[] for _ in rows],
            )
        )
    return answers


def _empty(scan: Scan) -> str:
    columns = [f'"{column.name}" {SQL_TYPE[column.type]}' for column in scan.columns]
    if scan.ingestion_time:
        columns.append('"$ingestion_time" BIGINT')
    return f"CREATE OR REPLACE TEMP TABLE {scan.relation} ({', '.join(columns) or 'none INTEGER'})"


class Engine:
    """What `kqlcheck.py` drives."""

    def run(self, query: str) -> tuple[list[str], list[str] | None, list[list[Any]]]:
        database = _database()

        def probe(asked: Translation) -> list[list[Any]]:
            return execute(database, asked)[0][2]

        translation = translate(query, catalog=EmptyCatalog(), now_ticks=NOW, probe=probe)
        return execute(database, translation)[0]

    def check(self, query: str) -> None:
        """Parse, bind, translate and run on empty tables; tables and columns that are unknown are created."""
        catalog = LenientCatalog(standard=_schemas())
        for _ in range(500):
            try:
                translation = translate(
                    query, catalog=catalog, now_ticks=NOW, probe=lambda _asked: catalog.invented()
                )
                break
            except KqlSemanticError as error:
                if not self._learn(catalog, error):
                    raise
        else:
            raise RuntimeError("the query keeps asking for names")
        execute(_database(), translation)

    def _learn(self, catalog: LenientCatalog, error: KqlSemanticError) -> bool:
        """Create what the error asks for; False if it asks for nothing, or for what is there already."""
        said = error.bare
        name = [*said.split("'"), ""][1]
        if said.startswith(("No table matches", "There is no table")) and not catalog.names:
            catalog.names.add("Heartbeat")
            return True
        if said.startswith("Failed to resolve table") and name not in catalog.names:
            catalog.names.add(name)
            return True
        if said.startswith("bag_unpack(): the column") and name not in catalog.kept:
            catalog.kept.add(name)
            return True
        if " has no column '" in said:
            name = said.rsplit("'", 2)[1]
        elif not said.startswith(("Failed to resolve scalar", "Failed to resolve column")) and (
            "is a table; an expression" not in said
        ):
            return False
        if name in catalog.columns:
            # A union sets columns of different types apart: perhaps this one, or all, are of the other usual type.
            dynamic = [each for each, kind in catalog.columns.items() if kind is KqlType.DYNAMIC]
            catalog.columns |= dict.fromkeys([name] if name in dynamic else dynamic, KqlType.STRING)
            return bool(dynamic)
        catalog.columns[name] = _NAMED.get(name.lower()) or _SUFFIXES.get(name[-2:], KqlType.DYNAMIC)
        return True
