"""Records whose columns are declared: of a standard table, of a stream of a data collection rule, or our own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.kernel.ticks import ticks_of
from shared.kql.types import KqlType
from shared.loganalytics.ingestion import bodies
from shared.loganalytics.ingestion.shapes import keys_of
from shared.loganalytics.logstore.model import Frame, FrameColumn
from shared.loganalytics.tables.model import LogTable

TIME: Final = "TimeGenerated"
# Columns that the service sets, whatever a record says. `_ResourceId` and SourceSystem are the sender's to tell.
SET_BY_US: Final = frozenset({TIME, "TenantId", "Type", "_BilledSize", "_IsBillable", "_SubscriptionId"})


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredLog:
    """A batch on its way to one table. `declared` None takes every column that the table has."""

    table: LogTable
    records: Sequence[dict[str, Any]]
    declared: Mapping[str, KqlType] | None = None
    constants: Mapping[str, str]
    received: datetime
    request_id: bytes | None = None


def declared_frame(log: DeclaredLog) -> Frame:
    """The frame: what the table has no column for, or the stream does not declare, is dropped; the rest is coerced."""
    types = log.table.types
    columns = [
        FrameColumn(source=key, name=key, type=types[key])
        for key in keys_of(log.records)
        if key in types and key not in SET_BY_US and (log.declared is None or key in log.declared)
    ]
    read = {column.name for column in columns}
    return Frame(
        table=log.table.name,
        rows=len(log.records),
        body=bodies.write(log.records),
        columns=columns,
        constants={name: value for name, value in log.constants.items() if name not in read},
        time_source=TIME,
        received_ticks=ticks_of(log.received),
        request_id=log.request_id,
        billable=log.table.billable,
    )


def standard_constants(workspace: str, table: str, *, source: str = "", resource: str = "") -> dict[str, str]:
    """The columns that are the same for all records of a request."""
    constants = {"TenantId": workspace, "Type": table}
    if source:
        constants["SourceSystem"] = source
    if resource:
        constants["_ResourceId"] = resource.lower()
        parts = resource.strip("/").split("/")
        if len(parts) > 1 and parts[0].lower() == "subscriptions":
            constants["_SubscriptionId"] = parts[1].lower()
    return constants
