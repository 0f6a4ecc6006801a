"""Compaction: staged frames become segments, small segments become large ones, old ones leave. Each call is one bounded step.

A step reads the table's head, writes new blobs under names nobody else has, and replaces the head by its etag: that
is the whole swap. Whoever comes second finds the head changed and its own work unused; a crash leaves blobs that no
manifest names. Nothing that a running query may read is deleted here; see `sweeping`.
"""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from shared.kernel.ids import NewId, random_id
from shared.kernel.ticks import format_ticks, ticks_of
from shared.loganalytics.logstore.building import DAY, Build, Builder, Built, build_here
from shared.loganalytics.logstore.catalogue import (
    Batch,
    Head,
    Vector,
    furthest,
    head_key,
    head_values,
)
from shared.loganalytics.logstore.files import LocalFile
from shared.loganalytics.logstore.manifest import (
    Garbage,
    Manifest,
    Segment,
    encode_manifest,
    manifest_name,
    segment_name,
)
from shared.loganalytics.logstore.model import LaneId, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.terms import terms_name
from shared.storage.ports import RowChanged, RowExists, RowNotFound

log = logging.getLogger(__name__)

COMPACT_BYTES: Final = 64_000_000  # staged bytes per step
MERGE_BYTES: Final = 96_000_000  # Parquet bytes per step, and the size beyond which a segment is left alone
MERGE_FROM: Final = 4  # segments of one day and level


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a step did. `more` tells that another one would find work, `conflict` that somebody else was faster."""

    rows: int = 0
    segments: int = 0
    bytes: int = 0
    more: bool = False
    conflict: bool = False


@dataclass(slots=True, kw_only=True)
class Compactor:
    """The background work of a store. Any number may run at once, in any process."""

    store: LogStore
    builder: Builder = build_here
    new_id: NewId = random_id
    compact_bytes: int = COMPACT_BYTES
    merge_bytes: int = MERGE_BYTES

    def compact(self, workspace: WorkspaceId, table: str) -> Step:
        """Turn the oldest part of a table's tail into segments."""
        state = self.store.catalogue.read(workspace)
        tail = state.tail(table)
        batches = _oldest(tail, table, self.compact_bytes)
        if not batches:
            return Step()
        head = state.heads.get(table)
        manifest = self.store.manifest(state, table)
        with self._folder() as folder:
            local = [(b.blob, str(self.store.tail.local(workspace, b))) for b in batches]
            made = self._segments(
                Build(workspace=workspace, table=table, folder=folder, staged=local), level=0
            )
        reached: Vector = furthest(
            [head.through if head is not None else {}, *({b.lane: b.number} for b in batches)]
        )
        done = self.swap(
            workspace, head, replace(manifest, segments=[*manifest.segments, *made]), through=reached
        )
        return replace(_step(made), more=len(batches) < len(tail), conflict=not done)

    def merge(self, workspace: WorkspaceId, table: str) -> Step:
        """Make one segment of several small ones of the same day."""
        state = self.store.catalogue.read(workspace)
        head = state.heads.get(table)
        if head is None:
            return Step()
        manifest = self.store.manifest(state, table)
        group = self._mergeable(manifest)
        if not group:
            return Step()
        with self._folder() as folder:
            files = [_file(self.store.local(workspace, segment), segment) for segment in group]
            level = max(segment.level for segment in group) + 1
            made = self._segments(
                Build(workspace=workspace, table=table, folder=folder, merged=files), level=level
            )
        names = {segment.name for segment in group}
        kept = [segment for segment in manifest.segments if segment.name not in names]
        changed = replace(manifest, segments=[*kept, *made])
        done = self.swap(workspace, head, changed, through=head.through, dropped=group)
        return replace(_step(made), more=bool(self._mergeable(changed)), conflict=not done)

    def retain(self, workspace: WorkspaceId, table: str, *, oldest_ticks: int) -> Step:
        """Drop the segments whose records are all older. A segment holds one day, so at most a day stays too long."""
        return self._drop(workspace, table, oldest_ticks=oldest_ticks, tail=False)

    def delete(self, workspace: WorkspaceId, table: str) -> Step:
        """Drop all records of a table, those of the tail included. Later ones start it anew."""
        return self._drop(workspace, table, oldest_ticks=None, tail=True)

    def _drop(self, workspace: WorkspaceId, table: str, *, oldest_ticks: int | None, tail: bool) -> Step:
        state = self.store.catalogue.read(workspace)
        head = state.heads.get(table)
        manifest = self.store.manifest(state, table)
        dropped = [s for s in manifest.segments if oldest_ticks is None or s.max_ticks < oldest_ticks]
        reached: Vector = head.through if head is not None else {}
        if tail:
            reached = furthest([reached, *({b.lane: b.number} for b in state.tail(table))])
        if not dropped and reached == (head.through if head is not None else {}):
            return Step()
        names = {segment.name for segment in dropped}
        kept = [segment for segment in manifest.segments if segment.name not in names]
        done = self.swap(workspace, head, replace(manifest, segments=kept), through=reached, dropped=dropped)
        return replace(_step(dropped), conflict=not done)

    def _mergeable(self, manifest: Manifest) -> list[Segment]:
        """The first day's smallest segments of which there are enough, as many as one step takes."""
        days: dict[tuple[int, int], list[Segment]] = {}
        for segment in manifest.segments:
            if segment.bytes < self.merge_bytes // 2:
                days.setdefault((segment.day, segment.level), []).append(segment)
        for _, segments in sorted(days.items()):
            if len(segments) < MERGE_FROM:
                continue
            taken: list[Segment] = []
            size = 0
            for segment in sorted(segments, key=lambda s: (s.bytes, s.name)):
                size += segment.bytes
                if len(taken) > 1 and size > self.merge_bytes:
                    break
                taken.append(segment)
            return taken
        return []

    def _segments(self, build: Build, *, level: int) -> list[Segment]:
        return [self._upload(build, one, level=level) for one in self.builder(build)]

    def _upload(self, build: Build, built: Built, *, level: int) -> Segment:
        file = built.file
        day = file.min_ticks - file.min_ticks % DAY
        nonce = self.new_id().replace("-", "")
        name = segment_name(build.workspace, build.table, format_ticks(day)[:10], nonce)
        terms = b"" if built.terms is None else Path(built.terms).read_bytes()
        if terms:
            self.store.segments.put(terms_name(name), terms, if_absent=True)
        self.store.segments.put(name, Path(file.path).read_bytes(), if_absent=True)
        return Segment(
            name=name,
            bytes=file.bytes,
            rows=file.rows,
            day=day,
            min_ticks=file.min_ticks,
            max_ticks=file.max_ticks,
            min_ingested=file.min_ingested,
            max_ingested=file.max_ingested,
            columns=file.columns,
            groups=file.groups,
            ladder=built.ladder,
            terms=len(terms),
            level=level,
        )

    def swap(
        self,
        workspace: WorkspaceId,
        head: Head | None,
        manifest: Manifest,
        *,
        through: Vector,
        dropped: Sequence[Segment] = (),
    ) -> bool:
        """Make `manifest` the table's, unless somebody changed its head since it was read."""
        now = ticks_of(self.store.storage_time(workspace))
        names = [name for s in dropped for name in (s.name, *((terms_name(s.name),) if s.terms else ()))]
        if head is not None:
            names.append(head.manifest)
        garbage = [*manifest.garbage, *(Garbage(name=name, ticks=now) for name in names)]
        data = encode_manifest(replace(manifest, garbage=garbage))
        name = manifest_name(workspace, manifest.table, self.new_id())
        self.store.segments.put(name, data, if_absent=True)
        values = head_values(name, through)
        try:
            if head is None:
                self.store.table.insert(workspace, head_key(manifest.table), values)
            else:
                self.store.table.replace(head.row, values)
        except (RowChanged, RowExists, RowNotFound):
            # Perhaps by this very call, whose first answer was lost.
            try:
                stored = self.store.table.get(workspace, head_key(manifest.table))
            except RowNotFound:
                return False
            return stored.values["manifest"] == name
        return True

    def _folder(self) -> "tempfile.TemporaryDirectory[str]":
        self.store.converter.scratch.mkdir(parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(dir=self.store.converter.scratch)


def _oldest(batches: Sequence[Batch], table: str, limit: int) -> list[Batch]:
    """The oldest batches up to `limit` bytes (one at least). Of each lane a prefix, whatever its clock says."""
    lanes: dict[LaneId, list[Batch]] = {}
    for batch in sorted(batches, key=lambda b: b.number):
        lanes.setdefault(batch.lane, []).append(batch)
    taken: list[Batch] = []
    size = 0
    while lanes:
        lane = min(lanes, key=lambda one: (lanes[one][0].ticks, one))
        batch = lanes[lane].pop(0)
        size += batch.shares[table].bytes
        if taken and size > limit:
            break
        taken.append(batch)
        if not lanes[lane]:
            del lanes[lane]
    return taken


def _file(path: str, segment: Segment) -> LocalFile:
    return LocalFile(
        path=path,
        bytes=segment.bytes,
        rows=segment.rows,
        columns=segment.columns,
        groups=segment.groups,
        min_ingested=segment.min_ingested,
        max_ingested=segment.max_ingested,
    )


def _step(segments: Sequence[Segment]) -> Step:
    return Step(
        rows=sum(s.rows for s in segments), segments=len(segments), bytes=sum(s.bytes for s in segments)
    )
