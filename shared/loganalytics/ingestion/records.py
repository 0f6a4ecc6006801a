"""The suite's own records: every service writes what it did into the same workspaces as customers' logs."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from shared.kernel.clock import Clock
from shared.kernel.ticks import format_ticks, ticks_of
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.declared_logs import (
    SET_BY_US,
    DeclaredLog,
    declared_frame,
    standard_constants,
)
from shared.loganalytics.ingestion.errors import UnknownColumn
from shared.loganalytics.ingestion.ports import LogAppender
from shared.loganalytics.ingestion.suffixes import TYPE, Suffix
from shared.loganalytics.logstore.model import Commit, WorkspaceId
from shared.loganalytics.tables.model import LogTable
from shared.loganalytics.tables.registry import TableRegistry

Record = Mapping[str, Any]
"""Column name to value: text, number, bool, aware datetime, or (for dynamic columns) lists and dicts of these."""

_GROWS: Final = "AzureDiagnostics"
"""The one standard table that takes any category's properties, as columns with a type's suffix."""


@dataclass(frozen=True, kw_only=True)
class RecordWriter:
    """Writes records of ours. They pass the daily cap, for they tell of it."""

    tables: TableRegistry
    log: LogAppender
    clock: Clock

    def write(
        self, workspace: WorkspaceId, table: str, records: Sequence[Record], *, cause: str | None = None
    ) -> Commit | None:
        """Durable on return; None if there was nothing to write. With a `cause` (the same text for the same doing),
        again changes nothing. TableNotFound, UnknownColumn.

        `TimeGenerated` is now where a record has none. In AzureDiagnostics a column that is new is made, if its
        name ends in a type's suffix (`RunbookName_s`).
        """
        if not records:
            return None
        schema = self._schema(workspace, table, records)
        now = self.clock.now()
        body = orjson.dumps(
            [dict(record) for record in records], default=_plain, option=orjson.OPT_PASSTHROUGH_DATETIME
        )
        frame = declared_frame(
            DeclaredLog(
                table=schema,
                records=orjson.loads(body),
                constants=standard_constants(workspace, table),
                received=now,
                request_id=None if cause is None else _request_id(workspace, table, cause),
            )
        )
        return self.log.append(workspace, [frame])

    def _schema(self, workspace: WorkspaceId, table: str, records: Sequence[Record]) -> LogTable:
        schema = self.tables.require(workspace, table)
        unknown = sorted({key for record in records for key in record} - schema.types.keys() - SET_BY_US)
        if not unknown:
            return schema
        suffixed = [Column(name=key, type=_type_of(key)) for key in unknown if key[-2:-1] == "_"]
        if table != _GROWS or len(suffixed) != len(unknown):
            raise UnknownColumn(f"{table} has no column {', '.join(unknown)}", target=unknown[0])
        return self.tables.extend(workspace, table, suffixed)


def _type_of(column: str) -> KqlType:
    try:
        return TYPE[Suffix(column[-1])]
    except ValueError:
        raise UnknownColumn(f"no column's type ends in {column[-2:]}", target=column) from None


def _request_id(workspace: str, table: str, cause: str) -> bytes:
    return hashlib.sha256(f"records\x1f{workspace}\x1f{table}\x1f{cause}".encode()).digest()


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return format_ticks(ticks_of(value))
    return str(value)
