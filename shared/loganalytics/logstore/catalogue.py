"""The catalogue: what the rows of the table `omslogs` say about a workspace's batches, lanes and tables.

One partition per workspace. Keys:
  `b|lane|number`   a batch: the commit of some frames (or a void, which says that this number was never committed)
  `h|table`         the head of a table: its manifest's name and how far each lane is compacted into it
  `i|floor`         how far each lane is compacted into every table, and how far its rows await deletion
  `l|lane`          a lane's last number, written by each of its commits
  `r|number`        request ids committed, a dense log that makes each id unique
  `t|clock`         written to learn what time it is at storage
  `u|hour|table`    the usage ledger, written in the transaction that moves the floor
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from shared.kernel.versions import check_version
from shared.loganalytics.logstore.model import LaneId
from shared.storage.ports import Insert, Row, Upsert, Value

TABLE: Final = "omslogs"
STAGED: Final = "omsstaged"
SEGMENTS: Final = "omssegments"
VERSION: Final = 1
HEADS_FROM: Final = "h|"
HEADS_BEFORE: Final = "m"
FLOOR_KEY: Final = "i|floor"
CLOCK_KEY: Final = "t|clock"

Vector = Mapping[LaneId, int]
"""Per lane, the last number that something has reached. Lanes that are not in it stand at 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What a batch holds of one table."""

    rows: int
    bytes: int
    billable: int  # bytes that count towards the daily cap


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A committed batch. A void one has no blob: its number was given up."""

    lane: LaneId
    number: int
    blob: str
    size: int
    ticks: int
    shares: Mapping[str, Share]

    @property
    def void(self) -> bool:
        return not self.blob


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    table: str
    manifest: str
    through: Vector
    etag: str
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class Floor:
    """`through`: compacted into every table. `doomed`: what may be deleted once queries of `doomed_ticks` are over."""

    through: Vector
    doomed: Vector
    doomed_ticks: int
    row: Row | None


def batch_key(lane: LaneId, number: int) -> str:
    return f"b|{lane}|{number:012d}"


def lane_key(lane: LaneId) -> str:
    return f"l|{lane}"


def head_key(table: str) -> str:
    return f"h|{table}"


def request_key(number: int) -> str:
    return f"r|{number:016d}"


def batch_insert(batch: Batch) -> Insert:
    shares = {name: [s.rows, s.bytes, s.billable] for name, s in batch.shares.items()}
    return Insert(
        key=batch_key(batch.lane, batch.number),
        values={
            "v": VERSION,
            "blob": batch.blob,
            "size": batch.size,
            "ticks": batch.ticks,
            "tables": orjson.dumps(shares).decode(),
        },
    )


def void_values(ticks: int) -> Mapping[str, Value]:
    return {"v": VERSION, "blob": "", "size": 0, "ticks": ticks, "tables": "{}"}


def batch_of(row: Row) -> Batch:
    check_version("batch row", row.values.get("v"), current=VERSION)
    _, lane, number = row.key.split("|")
    shares = orjson.loads(str(row.values["tables"]))
    return Batch(
        lane=LaneId(lane),
        number=int(number),
        blob=str(row.values["blob"]),
        size=whole(row, "size"),
        ticks=whole(row, "ticks"),
        shares={name: Share(rows=s[0], bytes=s[1], billable=s[2]) for name, s in shares.items()},
    )


def lane_upsert(lane: LaneId, number: int, ticks: int) -> Upsert:
    return Upsert(key=lane_key(lane), values={"v": VERSION, "last": number, "ticks": ticks})


def head_of(row: Row) -> Head:
    check_version("head row", row.values.get("v"), current=VERSION)
    return Head(
        table=row.key.removeprefix("h|"),
        manifest=str(row.values["manifest"]),
        through=vector_of(row.values["through"]),
        etag=row.etag,
        row=row,
    )


def head_values(manifest: str, through: Vector) -> Mapping[str, Value]:
    return {"v": VERSION, "manifest": manifest, "through": vector_text(through)}


def floor_of(row: Row | None) -> Floor:
    if row is None:
        return Floor(through={}, doomed={}, doomed_ticks=0, row=None)
    check_version("floor row", row.values.get("v"), current=VERSION)
    return Floor(
        through=vector_of(row.values["through"]),
        doomed=vector_of(row.values["doomed"]),
        doomed_ticks=whole(row, "doomedTicks"),
        row=row,
    )


def floor_values(through: Vector, doomed: Vector, doomed_ticks: int) -> Mapping[str, Value]:
    return {
        "v": VERSION,
        "through": vector_text(through),
        "doomed": vector_text(doomed),
        "doomedTicks": doomed_ticks,
    }


def vector_of(stored: Value) -> Vector:
    return {LaneId(lane): int(number) for lane, number in orjson.loads(str(stored)).items()}


def vector_text(vector: Vector) -> str:
    return orjson.dumps(dict(vector), option=orjson.OPT_SORT_KEYS).decode()


def furthest(vectors: Sequence[Vector]) -> Vector:
    """The furthest of each lane."""
    lanes = {lane for vector in vectors for lane in vector}
    return {lane: max(vector.get(lane, 0) for vector in vectors) for lane in sorted(lanes)}


def whole(row: Row, column: str) -> int:
    value = row.values[column]
    if not isinstance(value, int):
        raise TypeError(f"{row.key}.{column} is {value!r} instead of a number")
    return value
