"""A table's manifest: the list of its segments, with what is needed to skip one without opening it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

import orjson

from shared.kernel.versions import check_version
from shared.kql.types import KqlType
from shared.loganalytics.logstore.model import WorkspaceId

VERSION: Final = 1
LADDER: Final = (128, 1_024, 8_192)
"""Of each segment we know the ticks of its 128th, 1,024th and 8,192nd newest record: enough to read only the newest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowGroup:
    """A run of rows of a segment; segments are sorted by TimeGenerated, so groups follow each other in time."""

    rows: int
    min_ticks: int
    max_ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """An immutable Parquet file of one table and one day of TimeGenerated, sorted by it.

    `columns` maps names to types. `level` counts how often its records were merged. `terms` is the size of the term
    index that lies beside it (`name` + ".terms"), 0 where there is none.
    """

    name: str
    bytes: int
    rows: int
    day: int  # ticks at the day's start
    min_ticks: int
    max_ticks: int
    min_ingested: int
    max_ingested: int
    columns: Mapping[str, KqlType]
    groups: Sequence[RowGroup]
    ladder: Sequence[int] = ()
    terms: int = 0
    level: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """A blob that no later manifest names; it may be deleted once queries that began before `ticks` are over."""

    name: str
    ticks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    table: str
    segments: Sequence[Segment] = ()
    garbage: Sequence[Garbage] = field(default_factory=list[Garbage])

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.segments)

    @property
    def bytes(self) -> int:
        return sum(segment.bytes + segment.terms for segment in self.segments)


def encode_manifest(manifest: Manifest) -> bytes:
    return orjson.dumps(
        {
            "v": VERSION,
            "table": manifest.table,
            "segments": [
                {
                    "name": s.name,
                    "bytes": s.bytes,
                    "rows": s.rows,
                    "day": s.day,
                    "ticks": [s.min_ticks, s.max_ticks],
                    "ingested": [s.min_ingested, s.max_ingested],
                    "columns": {name: kind.value for name, kind in s.columns.items()},
                    "groups": [[g.rows, g.min_ticks, g.max_ticks] for g in s.groups],
                    "ladder": list(s.ladder),
                    "terms": s.terms,
                    "level": s.level,
                }
                for s in manifest.segments
            ],
            "garbage": [[g.name, g.ticks] for g in manifest.garbage],
        }
    )


def decode_manifest(data: bytes) -> Manifest:
    stored: dict[str, Any] = orjson.loads(data)
    check_version("manifest", stored.get("v"), current=VERSION)
    return Manifest(
        table=stored["table"],
        segments=[
            Segment(
                name=s["name"],
                bytes=s["bytes"],
                rows=s["rows"],
                day=s["day"],
                min_ticks=s["ticks"][0],
                max_ticks=s["ticks"][1],
                min_ingested=s["ingested"][0],
                max_ingested=s["ingested"][1],
                columns={name: KqlType(kind) for name, kind in s["columns"].items()},
                groups=[RowGroup(rows=g[0], min_ticks=g[1], max_ticks=g[2]) for g in s["groups"]],
                ladder=tuple(s["ladder"]),
                terms=s["terms"],
                level=s["level"],
            )
            for s in stored["segments"]
        ],
        garbage=[Garbage(name=name, ticks=ticks) for name, ticks in stored["garbage"]],
    )


def manifest_name(workspace: WorkspaceId, table: str, nonce: str) -> str:
    """A name that no other attempt has: no blob is ever written over, so a late write by a dead process harms nobody."""
    return f"{_spread(workspace, table)}/{workspace}/{table}/manifest-{nonce}.json"


def segment_name(workspace: WorkspaceId, table: str, day: str, nonce: str) -> str:
    return f"{_spread(workspace, table)}/{workspace}/{table}/{day}-{nonce}.parquet"


def _spread(workspace: WorkspaceId, table: str) -> str:
    return sha256(f"{workspace}|{table}".encode()).hexdigest()[:3]
