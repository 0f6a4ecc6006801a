"""No seeded history loses, doubles or miscounts a record; and each known bug, put in on purpose, is caught by some seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from shared.loganalytics.logstore.building import Build, Built
from shared.loganalytics.logstore.catalogue import STAGED, Head, Vector, furthest, whole
from shared.loganalytics.logstore.commit import Committer
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.manifest import Manifest, Segment
from shared.loganalytics.logstore.model import Commit, Frame, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.sweeping import Sweeper
from shared.storage.ports import (
    BlobInfo,
    Blobs,
    Operation,
    Queue,
    Replace,
    Row,
    Storage,
    StorageUnavailable,
    Table,
    Value,
)
from tests.logstore.histories import WORKSPACE, FiguresWrong, History, RecordLost, RecordTwice
from tests.simulation.world import ProcessFailed

SEEDS = 30


@pytest.mark.parametrize("seed", range(16))
def test_nothing_acknowledged_is_lost_and_nothing_happens_twice(seed: int, tmp_path: Path):
    History(seed, tmp_path).run()


@dataclass(frozen=True, slots=True)
class Around:
    """A storage account whose tables and staged blobs are replaced by others around them."""

    inner: Storage
    around_table: Callable[[Table], Table]
    around_staged: Callable[[Blobs], Blobs]

    def blobs(self, container: str) -> Blobs:
        inner = self.inner.blobs(container)
        return self.around_staged(inner) if container == STAGED else inner

    def table(self, name: str) -> Table:
        return self.around_table(self.inner.table(name))

    def queue(self, name: str) -> Queue:
        return self.inner.queue(name)

    def ping(self) -> None:
        self.inner.ping()


class Passing:
    """Everything goes to the inner one, unless a subclass says otherwise."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


class HeadsWithoutEtag(Passing):
    """The swap takes no notice of what others did to the head."""

    def replace(self, row: Row, values: Mapping[str, Value | None]) -> Row:
        if row.key.startswith("h|"):
            return self.inner.upsert(row.partition, row.key, values)
        return self.inner.replace(row, values)

    def insert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        if key.startswith("h|"):
            return self.inner.upsert(partition, key, values)
        return self.inner.insert(partition, key, values)


class FloorWithoutEtag(Passing):
    """Counters are written without looking whether somebody else counted meanwhile."""

    def transact(self, partition: str, operations: Sequence[Operation]) -> None:
        blind = [replace(one, etag=None) if isinstance(one, Replace) else one for one in operations]
        self.inner.transact(partition, blind)


class PutsInTheBackground(Passing):
    """Says yes to a put that storage refused: acknowledged before it is durable."""

    def put(self, name: str, data: bytes, **options: Any) -> BlobInfo | None:
        try:
            return self.inner.put(name, data, **options)
        except StorageUnavailable:
            return None


def storage_with(
    table: Callable[[Table], Any] = lambda table: table, staged: Callable[[Blobs], Any] = lambda blobs: blobs
) -> Callable[[Storage], Storage]:
    return lambda storage: Around(storage, table, staged)


@dataclass(slots=True, kw_only=True)
class DeletesStagedFirst(Compactor):
    def compact(self, workspace: WorkspaceId, table: str) -> Any:
        inner = self.builder

        def deleting(build: Build) -> Sequence[Built]:
            built = inner(build)
            for name, _ in build.staged:
                self.store.staged.delete(name)
            return built

        self.builder = deleting
        try:
            return Compactor.compact(self, workspace, table)
        finally:
            self.builder = inner


@dataclass(slots=True, kw_only=True)
class SkipsHoles(Compactor):
    """Says "compacted through" what the lanes have by now, not what was read when it began."""

    def swap(
        self,
        workspace: WorkspaceId,
        head: Head | None,
        manifest: Manifest,
        *,
        through: Vector,
        dropped: Sequence[Segment] = (),
    ) -> bool:
        lanes = self.store.catalogue.read(workspace).lanes
        further = furthest([through, {lane: whole(row, "last") for lane, row in lanes.items()}])
        return Compactor.swap(self, workspace, head, manifest, through=further, dropped=dropped)


@dataclass(slots=True, kw_only=True)
class NoGrace(Sweeper):
    grace_seconds: float = 0.0


@dataclass(slots=True)
class ForgetsRequests(Committer):
    """Looks only at what this process committed itself."""

    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        return Committer.append(self, workspace, [replace(frame, request_id=None) for frame in frames])


def store_with(**parts: Callable[..., Any]) -> Callable[..., LogStore]:
    def make(*arguments: Any, **options: Any) -> LogStore:
        store = LogStore.over(*arguments, **options)
        if "committer" in parts:
            store.committer = parts["committer"](store.staged, store.table, store.clock, store.new_id)
        return store

    return make


BUGS: Mapping[str, Mapping[str, Any]] = {
    "staged blobs are deleted before the head is swapped": {"compactor": DeletesStagedFirst},
    "the head is swapped without its etag": {"wrap": storage_with(table=HeadsWithoutEtag)},
    "a batch is acknowledged before its blob is durable": {"wrap": storage_with(staged=PutsInTheBackground)},
    "compacted-through skips a hole": {"compactor": SkipsHoles},
    "blobs are deleted while queries read them": {"sweeper": NoGrace},
    "request ids are not checked": {"store": store_with(committer=ForgetsRequests)},
    "usage is counted without an etag": {"wrap": storage_with(table=FloorWithoutEtag)},
}


@pytest.mark.parametrize("bug", BUGS)
def test_each_known_bug_is_caught_by_some_seed(bug: str, tmp_path: Path):
    for seed in range(SEEDS):
        history = History(seed, tmp_path / str(seed), **BUGS[bug])
        try:
            history.run()
        except (RecordLost, RecordTwice, FiguresWrong):
            return
        except ProcessFailed as failed:
            if isinstance(failed.__cause__, (RecordLost, RecordTwice, FiguresWrong)):
                return
            raise
    raise AssertionError(f"no seed below {SEEDS} notices that {bug}, in {WORKSPACE}")
