"""Engines with one classic bug each, which the simulation has to catch."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from shared.jobs.admission import Limit, SlotStore
from shared.jobs.engine import JobEngine
from shared.jobs.kinds import JobKinds
from shared.jobs.model import Job, JobId
from shared.kernel.clock import Clock
from shared.storage.ports import Operation, Replace, Storage, StorageUnavailable
from tests.jobs.schedules import seeded
from tests.simulation.world import World


class RecordsWithoutFence(JobEngine):
    """Trusts that whoever ran the step still owns the job."""

    def _check_fence(self, found: Job, held: Job) -> None:
        del found, held


class EnqueuesBeforeRow(JobEngine):
    """Sends the message, then writes what it names."""

    def _add(self, job: Job) -> Job:
        self._send(job)
        with suppress(StorageUnavailable):
            self.store.add(job)
            return job
        return super()._add(job)


class AcknowledgesBeforeDurable(JobEngine):
    """Says yes whatever became of the write."""

    def _add(self, job: Job) -> Job:
        with suppress(StorageUnavailable):
            return super()._add(job)
        return job


class CountsWithoutEtag(SlotStore):
    """Reads who runs, adds one, and writes over whatever is there by then."""

    def enter(self, job: Job, limits: Sequence[Limit]) -> tuple[Sequence[Operation], str]:
        operations, reason = super().enter(job, limits)
        return [_blind(operation) for operation in operations], reason

    def leave(self, job: Job) -> tuple[Sequence[Operation], Sequence[JobId]]:
        operations, called = super().leave(job)
        return [_blind(operation) for operation in operations], called


def _blind(operation: Operation) -> Operation:
    return replace(operation, etag=None) if isinstance(operation, Replace) else operation


@dataclass(frozen=True, slots=True)
class WithBug:
    """Makes engines of a buggy class."""

    engine: type[JobEngine] = JobEngine
    slots: type[SlotStore] = SlotStore

    def __call__(self, storage: Storage, clock: Clock, kinds: JobKinds, world: World) -> JobEngine:
        engine = self.engine(storage, clock, kinds, **seeded(world))
        engine.slots = self.slots(engine.slots.table)
        return engine
