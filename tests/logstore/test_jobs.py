"""The store's background work through the job engine."""

from collections.abc import Iterator
from pathlib import Path

from shared.jobs.engine import QUEUE, JobEngine
from shared.jobs.kinds import JobKinds
from shared.jobs.model import JobStatus, Scope
from shared.kernel.clock import ManualClock
from shared.loganalytics.logstore.catalogue import STAGED
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.jobs import Maintenance
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.logstore.sweeping import Sweeper
from shared.storage.memory import MemoryStorage
from tests.logstore.samples import OTHER, WORKSPACE, ask, frame, numbered, store_on


def thirty_days(workspace: WorkspaceId, table: str) -> int:
    return 30


def test_jobs_compact_what_is_due_and_sweep_what_is_past(
    storage: MemoryStorage, clock: ManualClock, tmp_path: Path
):
    store = store_on(storage, tmp_path, clock)
    maintenance = Maintenance(
        store=store,
        compactor=Compactor(store=store),
        sweeper=Sweeper(store=store),
        retention=thirty_days,
    )
    kinds = JobKinds()
    for kind in maintenance.kinds():
        kinds.register(kind)
    jobs = JobEngine(storage, clock, kinds)

    def workspaces() -> Iterator[WorkspaceId]:
        yield WORKSPACE
        yield OTHER

    def run() -> None:
        for _ in range(50):
            clock.advance(1)
            for message in storage.queue(QUEUE).receive(limit=32):
                jobs.handle(message.body)
                storage.queue(QUEUE).delete(message)

    for first in range(5):
        store.append(WORKSPACE, [frame(list(numbered(4, clock, first=first * 4)), clock)])
    assert maintenance.start_due(jobs, workspaces(), at=clock.now()) == []
    clock.advance(300)
    (job,) = maintenance.start_due(jobs, workspaces(), at=clock.now())
    assert maintenance.start_due(jobs, workspaces(), at=clock.now())[0].id == job.id
    run()
    ended = jobs.get(Scope(WORKSPACE), job.id)
    assert (ended.status, ended.result) == (JobStatus.SUCCEEDED, {"rows": 20, "bytes": ended.progress.bytes})
    assert ask(store, "N") == sorted([(n,) for n in range(20)], key=repr)
    clock.advance(7_200)
    maintenance.start_sweeps(jobs, workspaces(), at=clock.now())
    run()
    assert list(storage.blobs(STAGED).list()) == []
    assert ask(store, "N") == sorted([(n,) for n in range(20)], key=repr)
    clock.advance(40 * 86_400)
    maintenance.start_sweeps(jobs, workspaces(), at=clock.now())
    run()
    assert ask(store, "N") == []
