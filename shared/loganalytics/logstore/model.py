"""The log store's values: frames of records on their way in, and snapshots of a table on its way out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NewType

from shared.kql.types import KqlType

WorkspaceId = NewType("WorkspaceId", str)
"""A workspace's customer id, a lower-case dashed GUID."""

LaneId = NewType("LaneId", str)
"""One writer process's own sequence of batches."""


GUID_PATTERN: Final = r"\{?[0-9A-Fa-f]{8}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{4}-?[0-9A-Fa-f]{12}\}?"
DATETIME_PATTERN: Final = (
    r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}([.,]\d{1,9})?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)
"""Strings that fully match fill columns of the pattern "guid" or "datetime" (the latter only if they are an instant)."""


class JsonKind(StrEnum):
    """What a JSON value is. A column that reads only some kinds leaves the others to its sibling columns."""

    STRING = "string"
    NUMBER = "number"
    BOOL = "bool"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameColumn:
    """How one column of the table is read from a frame's records.

    `source` is the JSON key. A value that does not convert to `type` becomes null, except for string (anything has a text).
    `kinds` empty reads every value; otherwise only values of those kinds (`{"n": 1}` and `{"n": "x"}` in one frame
    fill `n_d` and `n_s`). `pattern` limits strings further: "datetime" or "guid" read those that look like one, "plain" the rest.
    """

    source: str
    name: str
    type: KqlType
    kinds: frozenset[JsonKind] = frozenset()
    pattern: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Records of one table that one request brought, as they came: the body is JSON, either an array or one object a line.

    The body has been parsed once, so it is valid; every record is an object. `columns` covers every key that is kept.
    `constants` are columns with one value for all records (TenantId, Type, SourceSystem, _ResourceId, …).
    `time_source` is the key that gives TimeGenerated; where it is absent, not a time, or out of `time_bounds` (ticks,
    inclusive), TimeGenerated is `received_ticks`.
    """

    table: str
    rows: int
    body: bytes
    columns: Sequence[FrameColumn]
    constants: Mapping[str, str] = field(default_factory=dict[str, str])
    time_source: str | None = None
    time_bounds: tuple[int, int] | None = None
    received_ticks: int
    request_id: bytes | None = None  # 32 bytes; a frame whose id was committed before is not written again
    billable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Proof that frames are durable. `repeated` tells that the request had been committed before and nothing was written."""

    lane: LaneId
    sequence: int
    ticks: int
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """What a scan reads: one SELECT over local files, with just the scan's columns, and the files it may open."""

    sql: str
    files: Sequence[str]
    rows: int  # an upper bound
    bytes: int
    skipped_segments: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one hour (`hour` is its first tick, of the commit's time) brought to a table. `billable` is of `bytes`."""

    table: str
    hour: int
    rows: int
    bytes: int
    billable: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreHealth:
    """How far compaction lags in a workspace, and what the cache holds."""

    oldest_seconds: float  # age of the oldest batch not compacted into every table, 0 if there is none
    tail_bytes: int
    tail_batches: int
    cache_bytes: int
    cache_hits: int
    cache_misses: int
