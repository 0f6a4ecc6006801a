"""Frames, stores and answers for the log store's tests."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb

from shared.kernel.clock import Clock
from shared.kernel.ticks import ticks_of
from shared.kql.translation import Needle, Scan
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.model import Frame, FrameColumn, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.storage.ports import Storage

WORKSPACE = WorkspaceId("7c8e0a6e-3f1b-4b0c-9a43-5c0a9be0f001")
OTHER = WorkspaceId("7c8e0a6e-3f1b-4b0c-9a43-5c0a9be0f002")
SCHEMA: Mapping[str, KqlType] = {"Computer": KqlType.STRING, "N": KqlType.LONG, "Text": KqlType.STRING}


def store_on(storage: Storage, folder: Path, clock: Clock, **options: Any) -> LogStore:
    return LogStore.over(storage, clock=clock, folder=folder, **options)


def column(name: str, kind: KqlType, **options: Any) -> FrameColumn:
    return FrameColumn(source=name, name=name, type=kind, **options)


def frame(
    records: Sequence[Mapping[str, Any]] | bytes,
    clock: Clock,
    *,
    table: str = "App_CL",
    schema: Mapping[str, KqlType] = SCHEMA,
    lines: bool = False,
    rows: int | None = None,
    **options: Any,
) -> Frame:
    """A frame of records with the columns of `schema`, TimeGenerated from the key of that name."""
    if isinstance(records, bytes):
        body, count = records, rows or 0
    elif lines:
        body, count = "\n".join(json.dumps(one) for one in records).encode(), len(records)
    else:
        body, count = json.dumps(records).encode(), len(records)
    options.setdefault("columns", [column(name, kind) for name, kind in schema.items()])
    options.setdefault("time_source", "TimeGenerated")
    options.setdefault("received_ticks", ticks_of(clock.now()))
    return Frame(table=table, rows=count, body=body, **options)


def ask(
    store: LogStore,
    *names: str,
    table: str = "App_CL",
    schema: Mapping[str, KqlType] = SCHEMA,
    workspace: WorkspaceId = WORKSPACE,
    needles: Sequence[Needle] = (),
    **bounds: Any,
) -> list[tuple[Any, ...]]:
    """The rows of a scan of some columns, sorted by their text."""
    known = {"TimeGenerated": KqlType.DATETIME, "_BilledSize": KqlType.REAL, **schema}
    columns = [Column(name=name, type=known.get(name, KqlType.STRING)) for name in names or tuple(schema)]
    scan = Scan(relation="t", workspace=workspace, table=table, columns=columns, needles=needles, **bounds)
    snapshot = store.snapshot(workspace, [table])
    relation = store.relation(snapshot, scan)
    with duckdb.connect() as connection:
        rows = connection.execute(f"SELECT * FROM ({relation.sql})").fetchall()
    assert len(rows) <= relation.rows
    return sorted(rows, key=repr)


def numbered(count: int, clock: Clock, *, first: int = 0) -> Iterator[Mapping[str, Any]]:
    for n in range(first, first + count):
        yield {
            "TimeGenerated": clock.now().isoformat(),
            "Computer": f"host-{n % 7}",
            "N": n,
            "Text": f"line {n}",
        }
