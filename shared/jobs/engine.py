"""The job engine: starts jobs, runs them one step a delivery, and lets operators look at them and cancel them.

Whatever happens between two writes, the job's row decides: a step counts once it is recorded under the fencing number it
was claimed with. Messages only say "look at this job"; one too many is harmless, and the sweeper sends one that is missing.
"""

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.jobs import leases, lifecycle
from shared.jobs.admission import Admission, SlotStore, unlimited
from shared.jobs.context import StepContext
from shared.jobs.kinds import (
    Fail,
    JobKind,
    JobKinds,
    JobKindUnknown,
    Next,
    RunStep,
    StepOutcome,
    Stop,
    Wait,
)
from shared.jobs.lifecycle import TERMINAL, JobEvent
from shared.jobs.messages import JobMessage
from shared.jobs.model import Job, JobId, JobStatus, JsonObject, Scope, new_job_id
from shared.jobs.outcomes import after_step
from shared.jobs.output import CONTAINER, OutputLog, OutputPage, OutputWriter
from shared.jobs.rows import JobTooLarge
from shared.jobs.store import TABLE, JobNotFound, JobPage, JobStore, Stored
from shared.kernel import correlation
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id
from shared.storage.ports import (
    LeaseHeld,
    Operation,
    RowChanged,
    RowExists,
    RowNotFound,
    Storage,
    StorageUnavailable,
)

log = logging.getLogger(__name__)

QUEUE: Final = "oms-jobs"
GRACE: Final = 30.0
"""Seconds after which a job whose next step is due and unclaimed counts as left half-way."""
LEASE_MARGIN: Final = 30.0
"""Seconds a claim outlives its step's budget."""
_HELD_PAUSE: Final = 15.0
_UNKNOWN_PAUSE: Final = 60.0
_ATTEMPTS: Final = 8
_CLAIMS: Final = 3
_OUT_OF_DATE: Final = (RowChanged, RowExists, RowNotFound)
_MAX_DELAY: Final = 6 * 86_400.0


class JobBusy(OmsError):
    """The job's row changed under every attempt to write it."""

    category = Category.CONFLICT
    code = "JobBusy"


class Delivery(StrEnum):
    """What became of a delivered message."""

    STEPPED = "a step was recorded"
    ENDED = "the job is over now"
    OVER = "the job was over already"
    GONE = "there is no such job"
    SUPERSEDED = "the job has moved on"
    EARLY = "the next step is not due yet"
    LEASED = "another runner has the job"
    HELD = "no slot is free"
    REFUSED = "the claim was lost before the step was recorded"
    UNKNOWN_KIND = "no service here runs that kind"


def no_nudge(queue: str) -> None:
    del queue


@dataclass(slots=True)
class JobEngine:
    """Safe to share between threads; any number of instances may run on one storage account."""

    storage: Storage
    clock: Clock
    kinds: JobKinds
    admission: Admission = unlimited
    nudge: Callable[[str], None] = no_nudge
    """Wakes whoever listens to a queue on this machine; best effort."""
    new_id: NewId = random_id
    jitter: Callable[[], float] = random.random
    store: JobStore = field(init=False)
    slots: SlotStore = field(init=False)

    def __post_init__(self) -> None:
        self.store = JobStore(self.storage.table(TABLE))
        self.slots = SlotStore(self.storage.table(TABLE))

    # Callers

    def start(
        self,
        kind: str,
        scope: Scope,
        parameters: JsonObject | None = None,
        *,
        job_id: JobId | None = None,
        subject: str = "",
        caller: str = "",
        parent: JobId | None = None,
        correlation_id: str = "",
        delay: float = 0,
    ) -> Job:
        """A job, durable on return, whose first step runs soon, or in `delay` seconds.

        With a `job_id` derived from the cause, starting again gives back the job that is there. JobKindUnknown,
        JobTooLarge.
        """
        known = self.kinds.get(kind)
        now = self.clock.now()
        job_id = job_id or new_job_id(now, self.new_id)
        job = Job(
            id=job_id,
            scope=scope,
            kind=kind,
            subject=subject,
            caller=caller,
            parent=parent,
            correlation_id=correlation_id or correlation.correlation_id() or job_id,
            parameters=parameters or {},
            due=now + timedelta(seconds=delay),
            deadline=None if known.timeout is None else now + timedelta(seconds=delay + known.timeout),
            created=now,
            changed=now,
            reason="" if delay <= 0 else "starts later",
            history=(lifecycle.HistoryEntry(at=now, status=JobStatus.QUEUED, event="created"),),
        )
        return self._add(job)

    def _add(self, job: Job) -> Job:
        """The row first, for it is what counts; then the message that the sweeper would send as well."""
        try:
            self.store.add(job)
        except RowExists:
            job = self.store.get(job.scope, job.id).job
            if job.status is not JobStatus.QUEUED:
                return job
        try:
            self._send(job)
        except StorageUnavailable:
            log.warning("job accepted without a message; the sweeper will send it", extra={"job": job.id})
        return job

    def get(self, scope: Scope, job_id: JobId) -> Job:
        """JobNotFound."""
        return self.store.get(scope, job_id).job

    def list(
        self,
        scope: Scope,
        *,
        size: int = 100,
        after: str | None = None,
        kind: str | None = None,
        status: JobStatus | None = None,
        subject: str | None = None,
        parent: JobId | None = None,
    ) -> JobPage:
        """A scope's jobs, newest first."""
        return self.store.list(
            scope, size=size, after=after, kind=kind, status=status, subject=subject, parent=parent
        )

    def output(self, scope: Scope, job_id: JobId) -> OutputLog:
        """What the job says, to read, follow and search. JobNotFound."""
        self.store.get(scope, job_id)
        return self._output(scope, job_id)

    def follow(
        self, scope: Scope, job_id: JobId, *, after: str = "", wait: float = 0, limit: int = 1000
    ) -> tuple[OutputPage, Job]:
        """Output lines after a cursor, waited for up to `wait` seconds while the job lives, and the job."""
        found = [self.get(scope, job_id)]

        def is_over() -> bool:
            found[0] = self.get(scope, job_id)
            return found[0].status in TERMINAL

        page = self._output(scope, job_id).follow(after, wait=wait, limit=limit, is_over=is_over)
        return page, found[0]

    def cancel(self, scope: Scope, job_id: JobId, *, reason: str = "") -> Job:
        """Ask the job to stop: at once if nothing ran yet, else at the end of its step. Asking again is harmless.

        JobNotFound; IllegalJobTransition for a job that is over otherwise than cancelled.
        """
        now = self.clock.now()

        def ask(job: Job) -> Job:
            if job.status is JobStatus.CANCELLED or job.cancel_requested:
                return job
            asked = lifecycle.advance(job, JobEvent.CANCEL_ASKED, at=now, reason=reason or "cancel asked for")
            asked = replace(asked, cancel_requested=True, next="the running step comes to an end")
            if leases.is_leased(job, now) or asked.status in TERMINAL:
                return asked
            return replace(asked, due=now, turn=job.turn + 1, next="what must be undone is undone")

        job = self._change(scope, job_id, ask)
        if job.status not in TERMINAL and not leases.is_leased(job, now):
            self._send(job)
        return job

    def wake(self, scope: Scope, job_id: JobId) -> Job:
        """Have a waiting job run its next step now. What it waits for is told elsewhere; harmless at any time."""
        now = self.clock.now()

        def stir(job: Job) -> Job:
            if job.status in TERMINAL:
                return job
            if leases.is_leased(job, now):
                return replace(job, woken=True)
            return replace(job, due=min(job.due, now), turn=job.turn + 1)

        job = self._change(scope, job_id, stir)
        if job.status not in TERMINAL and not leases.is_leased(job, now):
            self._send(job)
        return job

    # Deliveries

    def handle(self, body: str) -> Delivery:
        """Serve one message of the job queue. Raising has it delivered again."""
        message = JobMessage.decode(body)
        return self.advance(message.scope, message.job_id, turn=message.turn)

    def advance(self, scope: Scope, job_id: JobId, *, turn: int | None = None) -> Delivery:
        """Run the job's next step. Safe to deliver twice, early, late and out of order.

        A step fits a time budget and is recorded only while its fencing number still holds, so of two runners that
        both believe they own the job, one is refused when it writes.
        """
        recalled = None if turn is None else self.store.recall(scope, job_id, turn)
        if recalled is not None:
            try:
                return self._advance(recalled, turn)
            except _OUT_OF_DATE:
                log.debug("the job was written elsewhere", extra={"job": job_id})
        for _ in range(_CLAIMS):
            try:
                stored = self.store.get(scope, job_id)
            except JobNotFound:
                # Purged, or never accepted: the row comes before the message.
                log.warning("message for a job that is not there", extra={"job": job_id})
                return Delivery.GONE
            try:
                return self._advance(stored, turn)
            except _OUT_OF_DATE:
                continue
        # Others keep being faster; this message waits until it is clear whether they came through.
        self._post(JobMessage(scope=scope, job_id=job_id, turn=turn), delay=1 + self.jitter() * 4)
        return Delivery.LEASED

    def _advance(self, stored: Stored, turn: int | None) -> Delivery:
        """`_OUT_OF_DATE`: the job as given, or a group it would enter, has changed since, and nothing was done."""
        now = self.clock.now()
        job = stored.job
        if job.status in TERMINAL:
            return Delivery.OVER
        if turn is not None and turn < job.turn and now < job.due + timedelta(seconds=GRACE):
            return Delivery.SUPERSEDED
        if now < job.due and not job.held:
            self._send(job, delay=(job.due - now).total_seconds())
            return Delivery.EARLY
        try:
            kind = self.kinds.get(job.kind)
        except JobKindUnknown:
            # During a deploy the release that knows it runs beside this one.
            log.warning("job of a kind unknown here", extra={"job": job.id, "kind": job.kind})
            self._send(job, delay=_UNKNOWN_PAUSE)
            return Delivery.UNKNOWN_KIND
        try:
            claimed = self._claim(stored, kind, now)
        except LeaseHeld:
            held_for = (job.until - now).total_seconds() if job.until else 0.0
            self._send(job, delay=held_for + 1 + self.jitter() * 4)
            return Delivery.LEASED
        if claimed is None:
            return Delivery.HELD
        return self._run(claimed, kind)

    def _claim(self, stored: Stored, kind: JobKind, now: datetime) -> Stored | None:
        """The job with its claim and its slots, or None when there is no slot. LeaseHeld, RowChanged."""
        job = stored.job
        claimed = leases.claim(job, self.new_id(), at=now, seconds=kind.budget + LEASE_MARGIN)
        if job.slots or job.status is JobStatus.CANCELLING:
            return self.store.save(stored, claimed)
        limits = self.admission(job)
        operations, reason = self.slots.enter(job, limits) if limits else ((), "")
        if not reason:
            claimed = replace(claimed, slots=tuple(limit.group for limit in limits))
            return self.store.save(stored, claimed, *operations)
        held = replace(
            lifecycle.advance(job, JobEvent.HELD, at=now, reason=reason),
            held=True,
            due=now + timedelta(seconds=_HELD_PAUSE * (1 + self.jitter())),
            turn=job.turn + 1,
            next="starts as soon as one of them ends",
        )
        self.store.save(stored, held, *operations)
        self._send(held, delay=(held.due - now).total_seconds())
        return None

    def _run(self, claimed: Stored, kind: JobKind) -> Delivery:
        job = claimed.job
        context = StepContext(
            job=job,
            clock=self.clock,
            output=OutputWriter(self.storage.blobs(CONTAINER), job, self.clock),
            budget=kind.budget,
            touch=self._touch,
            cancelling=job.status is JobStatus.CANCELLING,
        )
        try:
            outcome = self._step(context, kind)
            context.output.flush()
        except leases.FenceBroken:
            log.warning("step abandoned: the job has a new runner", extra={"job": job.id, "fence": job.fence})
            return Delivery.REFUSED
        except Exception as error:
            if not isinstance(error, OmsError):
                log.exception("step failed", extra={"job": job.id, "kind": job.kind})
            outcome = error
        try:
            recorded = self._record(claimed, context, kind, outcome)
        except leases.FenceBroken:
            log.warning("step refused: the job has a new runner", extra={"job": job.id, "fence": job.fence})
            return Delivery.REFUSED
        if recorded.status in TERMINAL:
            return Delivery.ENDED
        self._send(recorded, delay=(recorded.due - self.clock.now()).total_seconds())
        return Delivery.STEPPED

    def _step(self, context: StepContext, kind: JobKind) -> StepOutcome:
        """What the step makes of it, or what is plain without running it."""
        job = context.job
        if job.deadline is not None and self.clock.now() >= job.deadline and not context.cancelling:
            return Fail(code="JobTimedOut", message=f"the job took longer than {kind.timeout} s")
        if job.deaths >= kind.retry.deaths:
            return Fail(code="JobRunnersLost", message=f"{job.deaths} runners fell silent over the same step")
        if not context.cancelling:
            return kind.run_step(context)
        undo: RunStep | None = kind.on_cancel
        return Stop() if undo is None else undo(context)

    def _record(
        self, claimed: Stored, context: StepContext, kind: JobKind, outcome: StepOutcome | Exception
    ) -> Job:
        """The job with the outcome of its step, written only under the claim it was run with. FenceBroken."""
        held = claimed.job
        stored: Stored | None = claimed
        for _ in range(_ATTEMPTS):
            try:
                if stored is None:
                    stored = self.store.get(held.scope, held.id)
                    if _is_recorded(stored.job, held):
                        return stored.job
                    self._check_fence(stored.job, held)
                job, operations, called = self._settle(stored.job, context, kind, outcome)
                self.store.save(stored, job, *operations)
            except (RowChanged, RowExists, RowNotFound, StorageUnavailable):
                # A cancel came in, a slot's group changed, or the answer was lost: the stored row tells.
                stored = None
                continue
            except (JobTooLarge, TypeError) as unfit:
                # What the step wants remembered does not fit a row, or is no JSON: that is the step's failure.
                outcome = unfit
                continue
            for waiting in called:
                with suppress(StorageUnavailable):
                    self._post(JobMessage(scope=job.scope, job_id=waiting), delay=0)
            return job
        raise JobBusy(f"job {held.id} keeps changing", target=held.id)

    def _check_fence(self, found: Job, held: Job) -> None:
        leases.check_fence(found, held)

    def _settle(
        self, job: Job, context: StepContext, kind: JobKind, outcome: StepOutcome | Exception
    ) -> tuple[Job, Sequence[Operation], Sequence[JobId]]:
        """The job after the outcome, the writes that free its slots, and who may take them."""
        now = self.clock.now()
        after = replace(
            leases.release(after_step(job, kind, outcome, at=now, jitter=self.jitter())),
            turn=job.turn + 1,
            # A step that failed is run again and says again what it said: those lines are there already.
            output=job.output if isinstance(outcome, Exception) else context.output.mark,
            woken=False,
        )
        if not isinstance(outcome, Next | Wait) or outcome.progress is None:
            after = replace(after, progress=context.job.progress)
        if after.status not in TERMINAL and (job.woken or (job.cancel_requested and not context.cancelling)):
            after = replace(after, due=now)
        operations: Sequence[Operation] = ()
        called: Sequence[JobId] = ()
        if job.slots and after.status not in {JobStatus.RUNNING, JobStatus.CANCELLING}:
            operations, called = self.slots.leave(job)
            after = replace(after, slots=())
        return after, operations, called

    def _touch(self, held: Job) -> Job:
        """Renew the claim and store the progress. FenceBroken."""
        kind = self.kinds.get(held.kind)
        for _ in range(_ATTEMPTS):
            stored = self.store.get(held.scope, held.id)
            self._check_fence(stored.job, held)
            renewed = leases.renew(stored.job, at=self.clock.now(), seconds=kind.budget + LEASE_MARGIN)
            with suppress(RowChanged):
                self.store.save(stored, replace(renewed, progress=held.progress))
                return renewed
        raise JobBusy(f"job {held.id} keeps changing", target=held.id)

    def _change(self, scope: Scope, job_id: JobId, change: Callable[[Job], Job]) -> Job:
        """Apply `change` to the stored job, on a fresh copy each time somebody wrote first."""
        for _ in range(_ATTEMPTS):
            stored = self.store.get(scope, job_id)
            job = change(stored.job)
            if job == stored.job:
                return job
            operations: Sequence[Operation] = ()
            if job.status in TERMINAL and stored.job.slots:
                operations, _called = self.slots.leave(stored.job)
                job = replace(job, slots=())
            with suppress(RowChanged):
                self.store.save(stored, job, *operations)
                return job
        raise JobBusy(f"job {job_id} keeps changing", target=job_id)

    def _send(self, job: Job, *, delay: float | None = None) -> None:
        if delay is None:
            delay = (job.due - self.clock.now()).total_seconds()
        self._post(JobMessage(scope=job.scope, job_id=job.id, turn=job.turn), delay=delay)

    def _post(self, message: JobMessage, *, delay: float) -> None:
        # A message may be hidden for a week; a job that waits longer meets an early delivery and waits on.
        self.storage.queue(QUEUE).send(message.encode(), delay=min(max(delay, 0.0), _MAX_DELAY))
        if delay <= 0:
            self.nudge(QUEUE)

    def _output(self, scope: Scope, job_id: JobId) -> OutputLog:
        return OutputLog(self.storage.blobs(CONTAINER), self.clock, scope, job_id)


def _is_recorded(found: Job, held: Job) -> bool:
    """Whether the stored job already has the outcome of this claim: a write whose answer was lost."""
    return found.fence == held.fence and found.turn == held.turn + 1 and found.owner == ""
