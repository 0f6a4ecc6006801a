"""A workspace as it stands at one moment: for each table a manifest, and the batches that are not in it yet."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from shared.kernel.versions import check_version
from shared.loganalytics.logstore.catalogue import (
    FLOOR_KEY,
    HEADS_BEFORE,
    HEADS_FROM,
    VERSION,
    Batch,
    Floor,
    Head,
    Vector,
    batch_key,
    batch_of,
    floor_of,
    head_of,
    whole,
)
from shared.loganalytics.logstore.model import LaneId, WorkspaceId
from shared.storage.ports import Row, RowNotFound, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """What the catalogue said. `batches` are those beyond the floor, in order of their lanes; void ones are left out."""

    workspace: WorkspaceId
    heads: Mapping[str, Head]
    floor: Floor
    lanes: Mapping[LaneId, Row]
    batches: Sequence[Batch]

    def tail(self, table: str) -> list[Batch]:
        """The batches with records of `table` that its manifest does not hold."""
        head = self.heads.get(table)
        through: Vector = head.through if head is not None else {}
        return [
            batch
            for batch in self.batches
            if table in batch.shares and batch.number > through.get(batch.lane, 0)
        ]


@dataclass(slots=True)
class CatalogueReader:
    """Reads the catalogue, and remembers batch rows (they never change) so that only new ones are asked for."""

    table: Table
    _seen: dict[tuple[WorkspaceId, LaneId], dict[int, Batch]] = field(
        default_factory=dict[tuple[WorkspaceId, LaneId], dict[int, Batch]]
    )
    _floors: dict[WorkspaceId, Floor] = field(default_factory=dict[WorkspaceId, Floor])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, workspace: WorkspaceId) -> State:
        """All that is committed when the call begins, once each.

        A floor read before the heads is safe however old it is: what lies below it is in every head read later, and
        rows above it are there. A floor read after them is not, hence the remembered one. A lane's last number
        bounds what is read of it: rows up to it were all there before the scan began, so none is passed over.
        """
        before = self._floors.get(workspace)
        if before is None:
            before = self.floor(workspace)
        heads: dict[str, Head] = {}
        lanes: dict[LaneId, Row] = {}
        for row in self.table.query(workspace, start=HEADS_FROM, before=HEADS_BEFORE):
            if row.key == FLOOR_KEY:
                with self._lock:
                    self._floors[workspace] = floor_of(row)
            elif row.key.startswith("h|"):
                head = head_of(row)
                heads[head.table] = head
            else:
                check_version("lane row", row.values.get("v"), current=VERSION)
                lanes[LaneId(row.key.removeprefix("l|"))] = row
        batches: list[Batch] = []
        for lane, row in lanes.items():
            batches.extend(
                self._batches(workspace, lane, after=before.through.get(lane, 0), last=whole(row, "last"))
            )
        return State(workspace=workspace, heads=heads, floor=before, lanes=lanes, batches=batches)

    def floor(self, workspace: WorkspaceId) -> Floor:
        """The floor as it is now."""
        try:
            floor = floor_of(self.table.get(workspace, FLOOR_KEY))
        except RowNotFound:
            floor = floor_of(None)
        with self._lock:
            self._floors[workspace] = floor
        return floor

    def _batches(self, workspace: WorkspaceId, lane: LaneId, *, after: int, last: int) -> list[Batch]:
        with self._lock:
            seen = self._seen.setdefault((workspace, lane), {})
            for number in [number for number in seen if number <= after]:
                del seen[number]
            known = max(seen, default=after)
        if last > known:
            rows = self.table.query(
                workspace, start=batch_key(lane, known + 1), before=batch_key(lane, last + 1)
            )
            found = [batch_of(row) for row in rows]
            with self._lock:
                seen.update((batch.number, batch) for batch in found)
        with self._lock:
            return [
                seen[number] for number in sorted(seen) if after < number <= last and not seen[number].void
            ]
