"""A plain reader of frames, as their contract says, and a log that remembers what it was given."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.kernel.errors import OmsError
from shared.kernel.ticks import format_ticks, parse_iso_ticks
from shared.kql.types import KqlType
from shared.loganalytics.logstore.model import Commit, Frame, FrameColumn, JsonKind, LaneId, WorkspaceId

Row = dict[str, Any]
KINDS: dict[type, JsonKind] = {
    str: JsonKind.STRING,
    bool: JsonKind.BOOL,
    int: JsonKind.NUMBER,
    float: JsonKind.NUMBER,
    dict: JsonKind.CONTAINER,
    list: JsonKind.CONTAINER,
}


def rows_of(frame: Frame) -> list[Row]:
    """The frame's records as a query would show them: every column of the frame, nulls and empty texts left out."""
    records = orjson.loads(frame.body)
    assert len(records) == frame.rows
    names = [column.name.lower() for column in frame.columns] + [name.lower() for name in frame.constants]
    assert len(names) == len(set(names)), "the store refuses columns that differ only in case"
    found: list[Row] = []
    for record in records:
        row: Row = {"TimeGenerated": _time(frame, record), **frame.constants}
        for column in frame.columns:
            value = _convert(record.get(column.source), column)
            if value is not None and value != "":
                row[column.name] = value
        found.append(row)
    return found


def _time(frame: Frame, record: Row) -> str:
    given = record.get(frame.time_source) if frame.time_source else None
    ticks = parse_iso_ticks(given) if isinstance(given, str) else None
    if ticks is None or (frame.time_bounds and not frame.time_bounds[0] <= ticks <= frame.time_bounds[1]):
        ticks = frame.received_ticks
    return format_ticks(ticks)


def _convert(value: Any, column: FrameColumn) -> Any:
    if value is None or (column.kinds and KINDS[type(value)] not in column.kinds):
        return None
    assert column.pattern is None
    match column.type:
        case KqlType.STRING:
            return value if isinstance(value, str) else orjson.dumps(value).decode()
        case KqlType.BOOL:
            return {"true": True, "false": False}.get(str(value).lower())
        case KqlType.REAL | KqlType.LONG | KqlType.INT:
            text = str(value)
            if isinstance(value, bool) or not re.fullmatch(r"[+-]?\d+(\.\d*)?([eE][+-]?\d+)?", text):
                return None
            return float(text) if column.type is KqlType.REAL else int(float(text))
        case KqlType.DATETIME:
            ticks = parse_iso_ticks(value) if isinstance(value, str) else None
            return None if ticks is None else format_ticks(ticks)
        case _:
            return value


@dataclass
class RememberedLog:
    """Appends in memory, once per request id. `refuses` is raised instead while it is set."""

    frames: list[tuple[WorkspaceId, Frame]] = field(default_factory=list[tuple[WorkspaceId, Frame]])
    seen: set[tuple[WorkspaceId, bytes]] = field(default_factory=set[tuple[WorkspaceId, bytes]])
    refuses: OmsError | None = None

    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        if self.refuses is not None:
            raise self.refuses
        fresh = [f for f in frames if f.request_id is None or (workspace, f.request_id) not in self.seen]
        self.frames.extend((workspace, frame) for frame in fresh)
        self.seen.update((workspace, f.request_id) for f in fresh if f.request_id is not None)
        return Commit(
            lane=LaneId("test"),
            sequence=len(self.frames),
            ticks=fresh[0].received_ticks if fresh else 0,
            repeated=not fresh,
        )

    def rows(self, table: str, workspace: str | None = None) -> list[Row]:
        return [
            row
            for where, frame in self.frames
            if frame.table == table and workspace in (None, where)
            for row in rows_of(frame)
        ]
