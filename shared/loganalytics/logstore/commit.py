"""Group commit: frames that arrive while one batch is being written share the next. A batch's row is the commit."""

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from shared.kernel.clock import Clock
from shared.kernel.ids import NewId
from shared.kernel.ticks import ticks_of
from shared.loganalytics.logstore.catalogue import (
    Batch,
    Share,
    batch_insert,
    batch_key,
    batch_of,
    lane_upsert,
    void_values,
)
from shared.loganalytics.logstore.errors import CommitUnresolved
from shared.loganalytics.logstore.frames import check_frame, encode
from shared.loganalytics.logstore.model import Commit, Frame, LaneId, WorkspaceId
from shared.loganalytics.logstore.requests import RequestLog
from shared.storage.ports import Blobs, Operation, RowExists, RowNotFound, StorageUnavailable, Table

BATCH_BYTES: Final = 4_000_000
BATCH_FRAMES: Final = 1_000
BATCH_TABLES: Final = 100  # their summary must fit one column of 64 KiB
# A lane's row is removed a day after its last commit; a writer that paused takes a new lane long before.
LANE_IDLE_SECONDS: Final = 1_800.0
_ATTEMPTS: Final = 8


@dataclass(slots=True, eq=False)
class _Arrival:
    """One call of `append` and its outcome. `leads` tells that its thread is to write the next batch."""

    frames: Sequence[Frame]
    woken: threading.Event = field(default_factory=threading.Event)
    leads: bool = False
    commit: Commit | None = None
    error: BaseException | None = None

    @property
    def size(self) -> int:
        return sum(len(frame.body) for frame in self.frames)

    @property
    def over(self) -> bool:
        return self.commit is not None or self.error is not None


@dataclass(slots=True, eq=False)
class _Writer:
    """This process's lane in one workspace. Its number grows by one with each batch, and none is left open.

    When storage does not say whether a batch was committed, a void row at its number settles it: either it goes in,
    then the batch never will, or the batch is there. Until that is known nothing else is written in the lane, so
    that "compacted up to N" never passes over a commit that is still on its way.
    """

    workspace: WorkspaceId
    staged: Blobs
    table: Table
    clock: Clock
    new_id: NewId
    lane: LaneId
    requests: RequestLog
    number: int = 0
    used: float = 0.0
    unresolved: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    waiting: list[_Arrival] = field(default_factory=list[_Arrival])
    busy: bool = False

    def append(self, frames: Sequence[Frame]) -> Commit:
        arrival = _Arrival(frames)
        with self.lock:
            self.waiting.append(arrival)
            arrival.leads = not self.busy
            self.busy = True
        if not arrival.leads:
            arrival.woken.wait()
        if not arrival.over:
            self._lead()
        if arrival.error is not None:
            raise arrival.error
        if arrival.commit is None:
            raise AssertionError("the leader's batch holds the leader's frames")
        return arrival.commit

    def _lead(self) -> None:
        """Write one batch, which holds the own frames (they are first), and wake whoever leads the next."""
        with self.lock:
            batch = self._take()
        try:
            self._write(batch)
        except BaseException as error:
            for arrival in batch:
                if not arrival.over:
                    arrival.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self.lock:
                if self.waiting:
                    self.waiting[0].leads = True
                    self.waiting[0].woken.set()
                else:
                    self.busy = False
            for arrival in batch:
                arrival.woken.set()

    def _take(self) -> list[_Arrival]:
        taken: list[_Arrival] = []
        size = count = 0
        tables: set[str] = set()
        for arrival in self.waiting:
            size += arrival.size
            count += len(arrival.frames)
            tables |= {frame.table for frame in arrival.frames}
            if taken and (size > BATCH_BYTES or count > BATCH_FRAMES or len(tables) > BATCH_TABLES):
                break
            taken.append(arrival)
        del self.waiting[: len(taken)]
        return taken

    def _write(self, batch: Sequence[_Arrival]) -> None:
        self._settle()
        if (
            any(frame.request_id for arrival in batch for frame in arrival.frames)
            and not self.requests.loaded
        ):
            self.requests.refresh()
        for _ in range(_ATTEMPTS):
            frames = self._new_frames(batch)
            if not frames or self._commit(frames, batch):
                return
            self.requests.refresh()
        raise CommitUnresolved("other instances keep committing requests of this workspace", retry_after=1)

    def _new_frames(self, batch: Sequence[_Arrival]) -> list[Frame]:
        """The frames that are not committed yet. Arrivals that bring none of those are answered here."""
        frames: list[Frame] = []
        ids: set[bytes] = set()
        for arrival in batch:
            if arrival.over:
                continue
            earlier = [self.requests.known.get(frame.request_id or b"") for frame in arrival.frames]
            if arrival.frames and None not in earlier:
                arrival.commit = earlier[0]
                continue
            fresh = [
                frame
                for frame, commit in zip(arrival.frames, earlier, strict=True)
                if commit is None and frame.request_id not in ids
            ]
            frames.extend(fresh)
            ids |= {frame.request_id for frame in fresh if frame.request_id is not None}
        return frames

    def _commit(self, frames: Sequence[Frame], batch: Sequence[_Arrival]) -> bool:
        """Whether the frames are committed now. False: somebody else committed requests meanwhile."""
        at = self.clock.monotonic()
        if at - self.used > LANE_IDLE_SECONDS:
            self.lane, self.number = new_lane(self.new_id), 0
        self.used = at
        ticks = ticks_of(self.clock.now())
        data = encode(frames, ticks=ticks)
        commit = Commit(lane=self.lane, sequence=self.number + 1, ticks=ticks)
        row = Batch(
            lane=self.lane,
            number=commit.sequence,
            blob=staged_name(self.workspace, self.lane, commit.sequence, self.new_id()),
            size=len(data),
            ticks=ticks,
            shares=shares_of(frames),
        )
        self.staged.put(row.blob, data, if_absent=True)
        operations: list[Operation] = [batch_insert(row), lane_upsert(self.lane, row.number, ticks)]
        ids = {frame.request_id: replace(commit, repeated=True) for frame in frames if frame.request_id}
        if ids:
            operations.append(self.requests.entry(list(ids), lane=self.lane, number=row.number, ticks=ticks))
        try:
            self.table.transact(self.workspace, operations)
        except RowExists:
            # Our own row, of a call whose answer was lost, or the next row of the request log by somebody else.
            if self._stored(row.number) != row.blob:
                with suppress(StorageUnavailable):
                    self.staged.delete(row.blob)
                return False
        except StorageUnavailable as error:
            self.unresolved = True
            try:
                stored = self._settle()
            except StorageUnavailable:
                stored = None
            if stored != row.blob:
                raise CommitUnresolved(
                    "storage did not answer; send the records again", retry_after=5
                ) from error
        else:
            self.number = row.number
        self.number = row.number
        if ids:
            self.requests.committed(ids, now_ticks=ticks)
        for arrival in batch:
            if not arrival.over:
                arrival.commit = commit
        return True

    def _settle(self) -> str | None:
        """Find out what became of the number after the last one known; its blob, '' if it is void now, None if all is known."""
        if not self.unresolved:
            return None
        number = self.number + 1
        try:
            values = void_values(ticks_of(self.clock.now()))
            self.table.insert(self.workspace, batch_key(self.lane, number), values)
            stored = ""
        except RowExists:
            stored = self._stored(number)
        self.number = number
        self.unresolved = False
        return stored

    def _stored(self, number: int) -> str | None:
        try:
            return batch_of(self.table.get(self.workspace, batch_key(self.lane, number))).blob
        except RowNotFound:
            return None


@dataclass(slots=True)
class Committer:
    """The writers of this process, one per workspace."""

    staged: Blobs
    table: Table
    clock: Clock
    new_id: NewId
    _writers: dict[WorkspaceId, _Writer] = field(default_factory=dict[WorkspaceId, _Writer])
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        """Make frames durable; see `LogStore.append`."""
        for frame in frames:
            check_frame(frame)
        with self._lock:
            writer = self._writers.get(workspace)
            if writer is None:
                writer = self._writers[workspace] = _Writer(
                    workspace=workspace,
                    staged=self.staged,
                    table=self.table,
                    clock=self.clock,
                    new_id=self.new_id,
                    lane=new_lane(self.new_id),
                    requests=RequestLog(self.table, workspace),
                    used=self.clock.monotonic(),
                )
        return writer.append(frames)


def new_lane(new_id: NewId) -> LaneId:
    return LaneId(new_id().replace("-", "")[:16])


def staged_name(workspace: WorkspaceId, lane: LaneId, number: int, nonce: str) -> str:
    """Spread over storage's partitions by a hash, and naming its row, so that the sweeper can look whether it is committed."""
    spread = sha256(f"{workspace}|{lane}|{number}".encode()).hexdigest()[:3]
    return f"{spread}/{workspace}/{lane}/{number:012d}-{nonce.replace('-', '')[:8]}"


def shares_of(frames: Sequence[Frame]) -> dict[str, Share]:
    shares: dict[str, Share] = {}
    for frame in frames:
        before = shares.get(frame.table, Share(rows=0, bytes=0, billable=0))
        shares[frame.table] = Share(
            rows=before.rows + frame.rows,
            bytes=before.bytes + len(frame.body),
            billable=before.billable + (len(frame.body) if frame.billable else 0),
        )
    return shares
