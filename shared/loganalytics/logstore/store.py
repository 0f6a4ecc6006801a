"""The log store: records go in durably, are visible at once, and come out as relations over local files."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Self

from shared.kernel.clock import Clock
from shared.kernel.ids import NewId, random_id
from shared.kernel.ticks import TICKS_PER_SECOND, ticks_of
from shared.kql.translation import Needle, Scan
from shared.loganalytics.logstore.cache import BlobCache
from shared.loganalytics.logstore.catalogue import CLOCK_KEY, SEGMENTS, STAGED, TABLE, VERSION, Batch
from shared.loganalytics.logstore.commit import Committer
from shared.loganalytics.logstore.convert import Converter
from shared.loganalytics.logstore.errors import FrameRefused, SnapshotLost, TailLimitExceeded
from shared.loganalytics.logstore.manifest import Manifest, Segment, decode_manifest
from shared.loganalytics.logstore.model import Commit, Frame, Relation, StoreHealth, Usage, WorkspaceId
from shared.loganalytics.logstore.relation import Part, parts_of, relation_of, threshold, wanted_segments
from shared.loganalytics.logstore.snapshot import CatalogueReader, State
from shared.loganalytics.logstore.tail import Tail
from shared.loganalytics.logstore.terms import TermIndex, terms_name
from shared.loganalytics.logstore.usage import read_usage
from shared.storage.ports import BlobNotFound, Blobs, Storage, Table

_MANIFESTS: Final = 512
_PRESSURE_SECONDS: Final = 5.0
_ATTEMPTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What a workspace held at one moment. All scans of a query read the same one."""

    workspace: WorkspaceId
    state: State
    manifests: Mapping[str, Manifest]


@dataclass(slots=True)
class _Pressure:
    """The tail of a workspace: as last read from the catalogue, and what this process added since."""

    bytes: int = 0
    oldest_ticks: int | None = None
    read: float = float("-inf")


@dataclass(slots=True, kw_only=True)
class LogStore:
    """Safe for many threads, and for many processes on one storage account."""

    table: Table
    staged: Blobs
    segments: Blobs
    clock: Clock
    cache: BlobCache
    converter: Converter
    tail_limit: int  # bytes per workspace
    lag_limit_seconds: float = 3_600.0
    new_id: NewId = random_id
    catalogue: CatalogueReader = field(init=False)
    tail: Tail = field(init=False)
    committer: Committer = field(init=False)
    _manifests: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    _pressure: dict[WorkspaceId, _Pressure] = field(default_factory=dict[WorkspaceId, _Pressure])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.catalogue = CatalogueReader(self.table)
        self.tail = Tail(self.staged, self.cache, self.converter)
        self.committer = Committer(self.staged, self.table, self.clock, self.new_id)

    @classmethod
    def over(
        cls,
        storage: Storage,
        *,
        clock: Clock,
        folder: Path,
        cache_bytes: int = 4_096_000_000,
        tail_limit: int = 512_000_000,
        new_id: NewId = random_id,
    ) -> Self:
        """A store on a storage account, with its cache and scratch files below `folder`."""
        return cls(
            table=storage.table(TABLE),
            staged=storage.blobs(STAGED),
            segments=storage.blobs(SEGMENTS),
            clock=clock,
            cache=BlobCache(folder / "blobs", cache_bytes, clock),
            converter=Converter(folder / "scratch"),
            tail_limit=tail_limit,
            new_id=new_id,
        )

    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        """Make frames durable and visible, all or none; both hold when this returns.

        Frames whose request id was committed before (by any instance) are not written again; if that is true of
        all, the commit says `repeated`. Raises FrameRefused, TailLimitExceeded (nothing was written) and
        CommitUnresolved or StorageUnavailable (send them again).
        """
        frames = [frame for frame in frames if frame.rows]
        if not frames:
            raise FrameRefused("there is no record to commit")
        size = sum(len(frame.body) for frame in frames)
        self._check_pressure(workspace, size)
        return self.committer.append(workspace, frames)

    def snapshot(self, workspace: WorkspaceId, tables: Sequence[str]) -> Snapshot:
        """Everything acknowledged before this call, each record once, of `tables`."""
        for _ in range(_ATTEMPTS):
            state = self.catalogue.read(workspace)
            try:
                manifests = {table: self.manifest(state, table) for table in tables}
            except BlobNotFound:
                continue  # this reader paused for longer than the grace that deletions keep
            return Snapshot(workspace=workspace, state=state, manifests=manifests)
        raise SnapshotLost(f"manifests of workspace {workspace} are missing", target=workspace)

    def manifest(self, state: State, table: str) -> Manifest:
        """A table's manifest, from memory, the cache or storage."""
        head = state.heads.get(table)
        if head is None:
            return Manifest(table=table)
        with self._lock:
            known = self._manifests.get(head.manifest)
        if known is None:
            known = decode_manifest(self.segments.get(head.manifest))
            with self._lock:
                self._manifests[head.manifest] = known
                while len(self._manifests) > _MANIFESTS:
                    del self._manifests[next(iter(self._manifests))]
        return known

    def relation(self, snapshot: Snapshot, scan: Scan) -> Relation:
        """The scan's rows of a snapshot: a superset of those within its bounds that match its needles. Fetches the files."""
        manifest = snapshot.manifests[scan.table]
        batches = snapshot.state.tail(scan.table)
        tail = self.tail.files(snapshot.workspace, scan.table, batches)
        least = threshold(scan, manifest.segments, tail)
        wanted = wanted_segments(scan, manifest.segments, least)
        parts: list[Part] = []

        def matching(segment: Segment, needles: Sequence[Needle]) -> Sequence[bool]:
            return self._terms(snapshot.workspace, segment).matching(needles, segment.columns)

        read = 0
        for segment in wanted:
            found = parts_of(segment, "", scan.needles, matching)
            if found:
                read += 1
                path = self.local(snapshot.workspace, segment)
                parts.extend(
                    Part(path=path, bytes=p.bytes, rows=p.rows, columns=p.columns, between=p.between)
                    for p in found
                )
        parts.extend(
            Part(path=file.path, bytes=file.bytes, rows=file.rows, columns=file.columns)
            for file in tail
            if file.rows
            and (scan.max_ticks is None or file.min_ticks <= scan.max_ticks)
            and (scan.min_ticks is None or file.max_ticks >= scan.min_ticks)
            and (least is None or file.max_ticks >= least)
        )
        return relation_of(
            scan,
            parts,
            workspace=snapshot.workspace,
            least=least,
            skipped=len(manifest.segments) - read,
        )

    def local(self, workspace: WorkspaceId, segment: Segment) -> str:
        """The local copy of a segment."""
        path = self.cache.fetch(
            workspace,
            segment.name,
            suffix=".parquet",
            size=segment.bytes,
            load=lambda: self.segments.get(segment.name),
        )
        return str(path)

    def usage(self, workspace: WorkspaceId, *, since: int) -> Sequence[Usage]:
        """What each hour from the one of `since` (ticks of the commit) brought to each table. Each batch counts once."""
        return read_usage(self.table, self.catalogue, workspace, since=since)

    def storage_time(self, workspace: WorkspaceId) -> datetime:
        """What time it is by storage's own clock. Grace is measured by it alone: instances' clocks may differ by more."""
        return self.table.upsert(workspace, CLOCK_KEY, {"v": VERSION, "by": self.new_id()}).modified

    def close(self) -> None:
        """Give memory back. The store may be used again."""
        self.converter.close()

    def health(self, workspace: WorkspaceId) -> StoreHealth:
        """How far compaction lags behind in a workspace."""
        batches = uncompacted(self.catalogue.read(workspace))
        now = ticks_of(self.clock.now())
        oldest = min((batch.ticks for batch in batches), default=now)
        return StoreHealth(
            oldest_seconds=max(0, now - oldest) / TICKS_PER_SECOND,
            tail_bytes=sum(batch.size for batch in batches),
            tail_batches=len(batches),
            cache_bytes=self.cache.held,
            cache_hits=self.cache.hits,
            cache_misses=self.cache.misses,
        )

    def _terms(self, workspace: WorkspaceId, segment: Segment) -> TermIndex:
        name = terms_name(segment.name)
        path = self.cache.fetch(
            workspace, name, suffix=".terms", size=segment.terms, load=lambda: self.segments.get(name)
        )
        return TermIndex.read(path)

    def _check_pressure(self, workspace: WorkspaceId, size: int) -> None:
        with self._lock:
            pressure = self._pressure.setdefault(workspace, _Pressure())
            now = self.clock.monotonic()
            due = now - pressure.read > _PRESSURE_SECONDS
            if due:
                pressure.read = now
        if due:
            batches = uncompacted(self.catalogue.read(workspace))
            with self._lock:
                pressure.bytes = sum(batch.size for batch in batches)
                pressure.oldest_ticks = min((batch.ticks for batch in batches), default=None)
        with self._lock:
            over = pressure.bytes + size > self.tail_limit
            oldest = pressure.oldest_ticks
        lag = 0.0 if oldest is None else (ticks_of(self.clock.now()) - oldest) / TICKS_PER_SECOND
        if over or lag > self.lag_limit_seconds:
            reason = f"{pressure.bytes} bytes" if over else f"records of {lag:.0f} s ago"
            raise TailLimitExceeded(
                f"{reason} of workspace {workspace} wait for compaction; keep the records and send them later",
                target=workspace,
                retry_after=30,
            )
        with self._lock:
            pressure.bytes += size


def uncompacted(state: State) -> list[Batch]:
    """The batches of which some table does not hold its share yet."""
    through = {table: head.through for table, head in state.heads.items()}
    return [
        batch
        for batch in state.batches
        if any(batch.number > through.get(table, {}).get(batch.lane, 0) for table in batch.shares)
    ]
