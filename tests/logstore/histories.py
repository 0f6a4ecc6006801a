"""Simulated histories of a log store: clients, instances, compactions and queries under crash, loss, conflict and skew.

Segments are built by a stand-in that writes JSON instead of Parquet, so that a history takes a fraction of a second; the
commit, the swap, the floor and the deletions are the real ones.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.kernel.clock import Clock
from shared.kernel.errors import OmsError
from shared.kernel.ticks import ticks_of
from shared.loganalytics.logstore.building import DAY, Build, Built
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.files import LocalFile
from shared.loganalytics.logstore.frames import decode
from shared.loganalytics.logstore.manifest import RowGroup
from shared.loganalytics.logstore.model import Frame, WorkspaceId
from shared.loganalytics.logstore.store import LogStore, Snapshot
from shared.loganalytics.logstore.sweeping import Sweeper, due_tables
from shared.storage.ports import BlobNotFound, Storage
from tests.simulation.world import Faults, World

WORKSPACE = WorkspaceId("7c8e0a6e-3f1b-4b0c-9a43-5c0a9be0f001")
TABLES = ("A_CL", "B_CL")


class RecordLost(AssertionError):
    pass


class RecordTwice(AssertionError):
    pass


class FiguresWrong(AssertionError):
    pass


def build_json(build: Build) -> Sequence[Built]:
    """A segment as a JSON list of the records' numbers."""
    records: list[int] = []
    for name, path in build.staged:
        for staged in decode(Path(path).read_bytes(), name=name, tables=frozenset([build.table])):
            records += numbers(staged.frame.body)
    for file in build.merged:
        records += json.loads(Path(file.path).read_bytes())
    path = Path(build.folder) / "built.json"
    path.write_text(json.dumps(records))
    made = LocalFile(
        path=str(path),
        bytes=path.stat().st_size,
        rows=len(records),
        columns={},
        groups=[RowGroup(rows=len(records), min_ticks=DAY, max_ticks=DAY)],
        min_ingested=0,
        max_ingested=0,
    )
    return [Built(file=made, ladder=(), terms=None)]


def numbers(body: bytes) -> list[int]:
    return [record["n"] for record in json.loads(body)]


@dataclass(slots=True)
class Request:
    """What a client wants in, sent until it is acknowledged, to any instance."""

    number: int
    table: str
    records: Sequence[int]
    acknowledged: bool = False

    def frame(self, clock: Clock) -> Frame:
        return Frame(
            table=self.table,
            rows=len(self.records),
            body=json.dumps([{"n": n} for n in self.records]).encode(),
            columns=[],
            received_ticks=ticks_of(clock.now()),
            request_id=self.number.to_bytes(32, "big"),
        )


def unchanged(storage: Storage) -> Storage:
    return storage


@dataclass(slots=True)
class History:
    """One seed's history. `store`, `compactor` and `sweeper` make an instance's parts; a seeded bug makes a wrong one."""

    seed: int
    folder: Path
    requests: int = 14
    faults: Faults = field(default_factory=Faults)
    store: Callable[..., LogStore] = LogStore.over
    compactor: Callable[..., Compactor] = Compactor
    sweeper: Callable[..., Sweeper] = Sweeper
    wrap: Callable[[Storage], Storage] = unchanged
    world: World = field(init=False)
    wanted: list[Request] = field(init=False)

    def __post_init__(self) -> None:
        self.world = World(self.seed, faults=self.faults)
        self.wanted = [
            Request(number=n + 1, table=TABLES[n % 2], records=[n * 10, n * 10 + 1])
            for n in range(self.requests)
        ]

    def run(self) -> None:
        """Play it, then check that everything acknowledged is there once, in each table and in the ledger."""
        for name, skew in (("app-1", 0.0), ("app-2", 900.0)):
            self.world.spawn(name, lambda name=name, skew=skew: self._ingest(name, skew))
        for name, skew in (("compactor-1", -900.0), ("compactor-2", 600.0)):
            self.world.spawn(name, lambda name=name, skew=skew: self._maintain(name, skew))
        self.world.spawn("query", lambda: self._query("query"))
        self.world.run(settled=self._settled, faulty_steps=900)
        final = self._instance("judge", 0.0, self.world.inner)
        for table in TABLES:
            self._check(final, final.snapshot(WORKSPACE, TABLES), table, self._acknowledged(table), done=True)
        counted = Counter[str]()
        for usage in final.usage(WORKSPACE, since=0):
            counted[usage.table] += usage.rows
        expected = Counter({table: len(self._acknowledged(table)) for table in TABLES})
        if counted != expected:
            raise FiguresWrong(f"seed {self.seed}: {counted} instead of {expected}")

    def _instance(self, name: str, skew: float, storage: Storage | None = None) -> LogStore:
        return self.store(
            storage or self.wrap(self.world.storage),
            clock=self.world.clock(skew=skew),
            folder=self.folder / name,
            new_id=self.world.new_id,
        )

    def _ingest(self, name: str, skew: float) -> None:
        store = self._instance(name, skew)
        while open_ := [one for one in self.wanted if not one.acknowledged]:
            request = self.world.random.choice(open_)
            try:
                store.append(WORKSPACE, [request.frame(self.world.clock())])
            except OmsError:
                self.world.sleep(self.world.between(0.1, 5))
            else:
                request.acknowledged = True

    def _maintain(self, name: str, skew: float) -> None:
        store = self._instance(name, skew)

        def build(build: Build) -> Sequence[Built]:
            self.world.sleep(self.world.random.choice((0.0, 0.0, 1.0, 20.0)))
            return build_json(build)

        compactor = self.compactor(store=store, builder=build, new_id=self.world.new_id, compact_bytes=60)
        sweeper = self.sweeper(store=store)
        while True:
            try:
                for table in TABLES:
                    compactor.compact(WORKSPACE, table)
                sweeper.advance_floor(WORKSPACE)
                compactor.merge(WORKSPACE, self.world.random.choice(TABLES))
                sweeper.sweep(WORKSPACE)
                if self.world.random.random() < 0.1:
                    sweeper.sweep_orphans()
            except (OmsError, BlobNotFound):
                pass
            self.world.sleep(self.world.random.choice((0.05, 0.5, 5.0, 60.0, 400.0)))

    def _query(self, name: str) -> None:
        store = self._instance(name, 0.0)
        while True:
            acknowledged = {table: self._acknowledged(table) for table in TABLES}
            try:
                snapshot = store.snapshot(WORKSPACE, TABLES)
                began = self.world.at
                self.world.sleep(self.world.between(0, 300))
                # A query has ten minutes; the simulation's leaps may take more.
                if (self.world.at - began).total_seconds() < 600:
                    for table in TABLES:
                        self._check(store, snapshot, table, acknowledged[table], began=began)
            except OmsError:
                pass
            self.world.sleep(self.world.between(0, 30))

    def _check(
        self,
        store: LogStore,
        snapshot: Snapshot,
        table: str,
        acknowledged: set[int],
        *,
        done: bool = False,
        began: Any = None,
    ) -> None:
        try:
            found = read(store, snapshot, table)
        except BlobNotFound as missing:
            if began is not None and (self.world.at - began).total_seconds() >= 600:
                return
            raise RecordLost(f"seed {self.seed}: {missing}") from missing
        twice = [n for n, times in Counter(found).items() if times > 1]
        if twice:
            raise RecordTwice(f"seed {self.seed}: {table} has {twice} twice")
        lost = acknowledged - set(found)
        if lost or (done and set(found) != acknowledged):
            raise RecordLost(f"seed {self.seed}: {table} lacks {sorted(lost)} of {len(acknowledged)}")

    def _acknowledged(self, table: str) -> set[int]:
        return {n for one in self.wanted if one.acknowledged and one.table == table for n in one.records}

    def _settled(self) -> bool:
        if not all(one.acknowledged for one in self.wanted):
            return False
        store = self._instance("judge", 0.0, self.world.inner)
        return not due_tables(store, WORKSPACE) and not any(self.world.inner.blobs("omsstaged").list())


def read(store: LogStore, snapshot: Snapshot, table: str) -> list[int]:
    """The records that a snapshot of a table holds, straight from storage."""
    found: list[int] = []
    for segment in snapshot.manifests[table].segments:
        found += json.loads(store.segments.get(segment.name))
    for batch in snapshot.state.tail(table):
        data = store.staged.get(batch.blob)
        for staged in decode(data, name=batch.blob, tables=frozenset([table])):
            found += numbers(staged.frame.body)
    return found
