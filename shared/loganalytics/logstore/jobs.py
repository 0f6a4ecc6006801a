"""The store's background work as jobs: one step of compaction, merging or sweeping at a time, per workspace."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.jobs.context import StepContext
from shared.jobs.engine import JobEngine
from shared.jobs.kinds import JobKind, Next, StepOutcome, Succeed
from shared.jobs.model import Job, Progress, Scope, derived_job_id
from shared.kernel.ticks import TICKS_PER_SECOND, ticks_of
from shared.loganalytics.logstore.compaction import Compactor, Step
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.logstore.sweeping import Sweeper

COMPACT: Final = "logstore-compaction"
SWEEP: Final = "logstore-sweep"
ORPHANS: Final = "logstore-orphans"
STORE: Final = Scope("logstore")
DUE_BYTES: Final = 8_000_000
DUE_SECONDS: Final = 120.0

RetentionDays = Callable[[WorkspaceId, str], int | None]
"""For how many days a table of a workspace keeps its records; None: for ever."""


@dataclass(slots=True, kw_only=True)
class Maintenance:
    """Decides what is due. Running it beside itself wastes work and harms nothing."""

    store: LogStore
    compactor: Compactor
    sweeper: Sweeper
    retention: RetentionDays
    due_bytes: int = DUE_BYTES
    due_seconds: float = DUE_SECONDS

    def kinds(self) -> Iterator[JobKind]:
        """The kinds of job to register with the engine."""
        yield JobKind(name=COMPACT, run_step=self._compact_step, budget=600, keep_days=1)
        yield JobKind(name=SWEEP, run_step=self._sweep_step, budget=600, keep_days=1)
        yield JobKind(name=ORPHANS, run_step=self._orphans_step, budget=600, keep_days=7)

    def start_due(self, jobs: JobEngine, workspaces: Iterator[WorkspaceId], *, at: datetime) -> list[Job]:
        """Start a compaction job for each workspace with enough or old enough records, once a minute at most."""
        minute = at.replace(second=0, microsecond=0)
        return [
            jobs.start(COMPACT, Scope(one), job_id=derived_job_id(minute, COMPACT, one), subject=one)
            for one in workspaces
            if self._due(one)
        ]

    def start_sweeps(self, jobs: JobEngine, workspaces: Iterator[WorkspaceId], *, at: datetime) -> list[Job]:
        """Start the hourly sweep of each workspace, and the daily one of the whole store."""
        hour = at.replace(minute=0, second=0, microsecond=0)
        day = hour.replace(hour=0)
        started = [
            jobs.start(SWEEP, Scope(one), job_id=derived_job_id(hour, SWEEP, one), subject=one)
            for one in workspaces
        ]
        started.append(jobs.start(ORPHANS, STORE, job_id=derived_job_id(day, ORPHANS), subject="store"))
        return started

    def advance(self, workspace: WorkspaceId) -> Step | None:
        """Do the most urgent thing in a workspace that fits a step; None if nothing is due."""
        due = self._due(workspace)
        if due:
            return self.compactor.compact(workspace, due[0])
        passed = self.sweeper.advance_floor(workspace)
        if passed:
            return Step(segments=0, rows=0)
        for table in sorted(self.store.catalogue.read(workspace).heads):
            merged = self.compactor.merge(workspace, table)
            if merged.segments or merged.conflict:
                return merged
        return None

    def sweep(self, workspace: WorkspaceId, *, now: datetime) -> int:
        """Drop what retention no longer keeps, and delete what nothing names any more; how many segments and blobs."""
        dropped = 0
        for table in sorted(self.store.catalogue.read(workspace).heads):
            days = self.retention(workspace, table)
            if days is not None:
                oldest = ticks_of(now - timedelta(days=days))
                dropped += self.compactor.retain(workspace, table, oldest_ticks=oldest).segments
        return dropped + self.sweeper.sweep(workspace)

    def _due(self, workspace: WorkspaceId) -> list[str]:
        """The tables to compact, those with most to do first."""
        state = self.store.catalogue.read(workspace)
        now = ticks_of(self.store.clock.now())
        found: list[tuple[int, str]] = []
        for table in {table for batch in state.batches for table in batch.shares}:
            tail = state.tail(table)
            size = sum(batch.shares[table].bytes for batch in tail)
            age = (now - min((batch.ticks for batch in tail), default=now)) / TICKS_PER_SECOND
            if size >= self.due_bytes or age >= self.due_seconds:
                found.append((size, table))
        return [table for _, table in sorted(found, reverse=True)]

    def _compact_step(self, context: StepContext) -> StepOutcome:
        step = self.advance(WorkspaceId(context.job.scope))
        before = context.job.progress
        if step is None:
            return Succeed(result={"rows": before.done, "bytes": before.bytes})
        progress = Progress(phase="compacting", done=before.done + step.rows, bytes=before.bytes + step.bytes)
        return Next(progress=progress, delay=5 if step.conflict else 0)

    def _sweep_step(self, context: StepContext) -> StepOutcome:
        return Succeed(result={"deleted": self.sweep(WorkspaceId(context.job.scope), now=context.now())})

    def _orphans_step(self, context: StepContext) -> StepOutcome:
        del context
        return Succeed(result={"deleted": self.sweeper.sweep_orphans()})
