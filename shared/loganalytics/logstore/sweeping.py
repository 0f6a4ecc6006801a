"""What follows compaction: the floor that says which batches nobody needs, and the deletions, late enough for every query."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.kernel.ticks import TICKS_PER_SECOND, ticks_of
from shared.kernel.versions import check_version
from shared.loganalytics.logstore.catalogue import (
    FLOOR_KEY,
    VERSION,
    Batch,
    Floor,
    Vector,
    batch_key,
    batch_of,
    floor_values,
    furthest,
    head_of,
    lane_key,
    whole,
)
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.manifest import decode_manifest
from shared.loganalytics.logstore.model import LaneId, WorkspaceId
from shared.loganalytics.logstore.requests import REMEMBERED_TICKS
from shared.loganalytics.logstore.snapshot import State
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.usage import batch_usage, summed, usage_key, usage_of, usage_upsert
from shared.storage.ports import (
    BlobNotFound,
    Insert,
    Operation,
    Replace,
    RowChanged,
    RowExists,
    RowNotFound,
    prefix_end,
)

log = logging.getLogger(__name__)

GRACE_SECONDS: Final = 1_200.0  # a query runs for at most ten minutes
_LEDGER_ROWS: Final = 90  # a transaction holds 100
_FLOOR_BATCHES: Final = 2_000
_LANE_IDLE_TICKS: Final = 24 * 3_600 * TICKS_PER_SECOND
_NOBODY: Final = WorkspaceId("-")
_ORPHAN_AGE: Final = timedelta(days=1)
_GARBAGE_BLOBS: Final = 8


@dataclass(slots=True, kw_only=True)
class Sweeper:
    """Idempotent, and safe beside itself: each deletion is of something that nothing names any more."""

    store: LogStore
    grace_seconds: float = GRACE_SECONDS

    def advance_floor(self, workspace: WorkspaceId) -> int:
        """Raise the floor over the batches that every table holds, and move their usage to the ledger; how many they were."""
        floor = self.store.catalogue.floor(workspace)
        state = self.store.catalogue.read(workspace)
        passed = list(_passed(state, floor))
        if not passed:
            return 0
        through = furthest([floor.through, *({batch.lane: batch.number} for batch in passed)])
        now = self._now(workspace)
        # What was doomed first is deleted first; the next vector waits until that is done.
        doomed, doomed_ticks = (floor.doomed, floor.doomed_ticks) if floor.doomed else (through, now)
        values = floor_values(through, doomed, doomed_ticks)
        head: Operation = (
            Insert(key=FLOOR_KEY, values=values)
            if floor.row is None
            else Replace(key=FLOOR_KEY, values=values, etag=floor.row.etag)
        )
        ledger: list[Operation] = []
        for added in batch_usage(passed):
            try:
                before = usage_of(self.store.table.get(workspace, usage_key(added.hour, added.table)))
            except RowNotFound:
                ledger.append(usage_upsert(added))
            else:
                ledger.extend(usage_upsert(one) for one in summed([before, added]))
        try:
            self.store.table.transact(workspace, [head, *ledger])
        except (RowChanged, RowExists, RowNotFound):
            return 0  # somebody else raised it; the figures read above may be stale, so nothing was written
        return len(passed)

    def sweep(self, workspace: WorkspaceId) -> int:
        """Delete what no query can need any more: batches below the floor, unnamed segments, old request ids; how many blobs."""
        deleted = self._sweep_batches(workspace) + self._sweep_segments(workspace)
        self._sweep_requests(workspace)
        self._retire_lanes(workspace)
        return deleted

    def _sweep_batches(self, workspace: WorkspaceId) -> int:
        floor = self.store.catalogue.floor(workspace)
        if floor.row is None or not floor.doomed or not self._ripe(floor.doomed_ticks, self._now(workspace)):
            return 0
        count = 0
        for lane, last in floor.doomed.items():
            rows = self.store.table.query(
                workspace, start=batch_key(lane, 0), before=batch_key(lane, last + 1)
            )
            for row in list(rows):
                batch = batch_of(row)
                if not batch.void:
                    self.store.staged.delete(batch.blob)
                    count += 1
                self.store.table.delete(workspace, row.key)
        now = self._now(workspace)
        doomed: Vector = {} if floor.through == floor.doomed else floor.through
        try:
            self.store.table.replace(floor.row, floor_values(floor.through, doomed, now))
        except (RowChanged, RowNotFound):
            log.info("another sweep of the batches was faster", extra={"workspace": workspace})
        return count

    def _sweep_segments(self, workspace: WorkspaceId) -> int:
        count = 0
        now = self._now(workspace)
        for row in list(self.store.table.query(workspace, start="h|", before=prefix_end("h|"))):
            head = head_of(row)
            try:
                manifest = decode_manifest(self.store.segments.get(head.manifest))
            except BlobNotFound:
                continue  # replaced meanwhile
            ripe = [one for one in manifest.garbage if self._ripe(one.ticks, now)]
            # Each new manifest makes one more blob of garbage: a few of them wait for the next change.
            if len(ripe) < _GARBAGE_BLOBS and not any(".parquet" in one.name for one in ripe):
                continue
            for one in ripe:
                self.store.segments.delete(one.name)
                count += 1
            kept = [one for one in manifest.garbage if one not in ripe]
            Compactor(store=self.store, new_id=self.store.new_id).swap(
                workspace, head, replace(manifest, garbage=kept), through=head.through
            )
        return count

    def _sweep_requests(self, workspace: WorkspaceId) -> None:
        """Forget old request ids, but never the log's last row: the next number follows from it."""
        rows = list(
            self.store.table.query(workspace, start="r|", before=prefix_end("r|"), select=["v", "ticks"])
        )
        for row in rows:
            check_version("request row", row.values.get("v"), current=VERSION)
        oldest = self._now(workspace) - 2 * REMEMBERED_TICKS
        for row in rows[:-1]:
            if whole(row, "ticks") < oldest:
                self.store.table.delete(workspace, row.key)

    def _retire_lanes(self, workspace: WorkspaceId) -> None:
        """Remove the row of a lane that is silent for a day and whose batches are all deleted."""
        state = self.store.catalogue.read(workspace)
        oldest = self._now(workspace) - _LANE_IDLE_TICKS
        for lane, row in state.lanes.items():
            last = whole(row, "last")
            if ticks_of(row.modified) < oldest and state.floor.through.get(lane, 0) >= last:
                rows = self.store.table.query(
                    workspace, start=batch_key(lane, 0), before=batch_key(lane, last + 1)
                )
                if next(iter(rows), None) is None:
                    try:
                        self.store.table.delete(workspace, lane_key(lane), etag=row.etag)
                    except RowChanged:
                        log.info("a lane came back to life", extra={"workspace": workspace, "lane": lane})

    def sweep_orphans(self) -> int:
        """Delete staged blobs and segments that no row and no manifest ever came to name; how many. Lists everything: once a day."""
        before = self.store.storage_time(_NOBODY) - _ORPHAN_AGE
        count = 0
        for blob in self.store.staged.list():
            if blob.modified < before and not self._is_committed(blob.name):
                self.store.staged.delete(blob.name)
                count += 1
        named: dict[tuple[str, str], set[str]] = {}
        for blob in self.store.segments.list():
            if blob.modified >= before:
                continue
            _, workspace, table, _ = blob.name.split("/", 3)
            key = (workspace, table)
            if key not in named:
                named[key] = self._named(WorkspaceId(workspace), table)
            if blob.name not in named[key]:
                self.store.segments.delete(blob.name)
                count += 1
        return count

    def _is_committed(self, name: str) -> bool:
        _, workspace, lane, rest = name.split("/", 3)
        try:
            row = self.store.table.get(workspace, batch_key(LaneId(lane), int(rest.split("-")[0])))
        except RowNotFound:
            return False
        return batch_of(row).blob == name

    def _named(self, workspace: WorkspaceId, table: str) -> set[str]:
        state = self.store.catalogue.read(workspace)
        manifest = self.store.manifest(state, table)
        head = state.heads.get(table)
        names = {name for s in manifest.segments for name in (s.name, f"{s.name}.terms")}
        return names | {g.name for g in manifest.garbage} | ({head.manifest} if head is not None else set())

    def _now(self, workspace: WorkspaceId) -> int:
        return ticks_of(self.store.storage_time(workspace))

    def _ripe(self, ticks: int, now: int) -> bool:
        return now - ticks > self.grace_seconds * TICKS_PER_SECOND


def _passed(state: State, floor: Floor) -> Iterator[Batch]:
    """Per lane the batches beyond the floor up to the first that some table does not hold, within one transaction's bounds."""
    stopped: set[LaneId] = set()
    figures: set[tuple[int, str]] = set()
    count = 0
    for batch in sorted(state.batches, key=lambda b: (b.lane, b.number)):
        if batch.lane in stopped or batch.number <= floor.through.get(batch.lane, 0):
            continue
        heads = [state.heads.get(table) for table in batch.shares]
        held = all(head is not None and head.through.get(batch.lane, 0) >= batch.number for head in heads)
        more = figures | {(usage.hour, usage.table) for usage in batch_usage([batch])}
        if not held or len(more) > _LEDGER_ROWS or count >= _FLOOR_BATCHES:
            stopped.add(batch.lane)
            continue
        figures = more
        count += 1
        yield batch


def due_tables(store: LogStore, workspace: WorkspaceId) -> dict[str, int]:
    """The tables with records to compact, and the bytes that wait."""
    state = store.catalogue.read(workspace)
    waiting: dict[str, int] = {}
    for table in sorted({table for batch in state.batches for table in batch.shares}):
        size = sum(batch.shares[table].bytes for batch in state.tail(table))
        if size:
            waiting[table] = size
    return waiting
