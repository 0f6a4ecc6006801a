"""Transformations of data collection rules: a stream's records through KQL before they reach their table.

The query sees one table, `source`, and runs where users' queries run: in a confined child process, with a deadline.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from shared.kernel.errors import OmsError
from shared.kernel.ticks import ticks_of
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion import bodies
from shared.loganalytics.logstore.frames import StagedFrame
from shared.loganalytics.logstore.model import Frame, FrameColumn, WorkspaceId
from shared.loganalytics.queries.model import Execution, Outcome, Statement

SOURCE: Final = "source"
SECONDS: Final = (
    20.0  # learn.microsoft.com/azure/azure-monitor/data-collection/data-collection-transformations
)
_TIME: Final = "TimeGenerated"


class InvalidTransform(OmsError):
    """The rule's transformKql is not a query over `source`, or not one that this bundle answers."""

    code = "InvalidTransformQuery"


class Processes(Protocol):
    def run(self, execution: Execution, *, caller: str, seconds: float) -> Outcome: ...


class ParquetWriter(Protocol):
    """The log store's one way from JSON to typed columns."""

    def __call__(self, frames: Sequence[StagedFrame], path: Path, workspace: WorkspaceId) -> object: ...


@dataclass(frozen=True, slots=True)
class _SourceOnly:
    """A catalog of one table."""

    columns: Sequence[Column]

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        return TableSchema(name=SOURCE, columns=self.columns) if name == SOURCE and not workspace else None

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        return () if workspace else (SOURCE,)

    def function(self, name: str) -> StoredFunction | None:  # noqa: ARG002 - the port's signature
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transforms:
    """Runs transformations. Files in `folder` live as long as one call."""

    processes: Processes
    write: ParquetWriter
    folder: Path
    memory_mb: int

    def run(
        self,
        transform: str,
        *,
        columns: Mapping[str, KqlType],
        records: Sequence[dict[str, Any]],
        received: datetime,
        workspace: WorkspaceId,
    ) -> list[dict[str, Any]]:
        """The records that the query makes of these. InvalidTransform, and the errors of running a query."""
        from shared import kql

        try:
            translation = kql.translate(
                transform,
                catalog=_SourceOnly([Column(name=name, type=type_) for name, type_ in columns.items()]),
                now_ticks=ticks_of(received),
            )
        except kql.KqlError as wrong:
            raise InvalidTransform(f"transformKql: {wrong.message}", target="transformKql") from None
        result = translation.results[0]
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            path = Path(folder) / "source.parquet"
            self.write([_staged(columns, records, received)], path, workspace)
            read = f"read_parquet('{str(path).replace("'", "''")}')"
            outcome = self.processes.run(
                Execution(
                    relations={
                        scan.relation: f"SELECT {_names(scan.columns)} FROM {read}"
                        for scan in translation.scans
                    },
                    files=[str(path)],
                    prelude=translation.prelude,
                    functions=translation.functions,
                    statements=[
                        Statement(
                            name=result.name,
                            sql=result.sql,
                            columns=[column.name for column in result.columns],
                            types=[column.type.value for column in result.columns],
                        )
                    ],
                    memory_mb=self.memory_mb,
                ),
                caller=f"transformations of {workspace}",
                seconds=SECONDS,
            )
        (table,) = orjson.loads(outcome.tables)
        names = [column["name"] for column in table["columns"]]
        dynamic = [column["name"] for column in table["columns"] if column["type"] == KqlType.DYNAMIC.value]
        made = [dict(zip(names, row, strict=True)) for row in table["rows"]]
        for record in made:
            for name in dynamic:
                if record[name] is not None:
                    record[name] = orjson.loads(record[name])
        return made


def _names(columns: Sequence[Column]) -> str:
    return ", ".join('"' + column.name.replace('"', '""') + '"' for column in columns) or "1 AS one"


def _staged(
    columns: Mapping[str, KqlType], records: Sequence[dict[str, Any]], received: datetime
) -> StagedFrame:
    ticks = ticks_of(received)
    frame = Frame(
        table=SOURCE,
        rows=len(records),
        body=bodies.write(records),
        columns=[
            FrameColumn(source=name, name=name, type=type_)
            for name, type_ in columns.items()
            if name != _TIME
        ],
        time_source=_TIME,
        received_ticks=ticks,
    )
    return StagedFrame(frame=frame, ticks=ticks)
