"""Finds jobs that were left half-way and sends the message that is missing; any number of sweepers may run at once."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from shared.jobs import leases
from shared.jobs.engine import GRACE, QUEUE, JobEngine
from shared.jobs.messages import JobMessage
from shared.jobs.model import Job, JobStatus, Scope
from shared.kernel.versions import StoredVersionUnsupported

log = logging.getLogger(__name__)

_ONE_TICK: Final = 2_000
"""Messages a tick sends; more would only lengthen a queue that is not keeping up."""
_STUCK: Final = 600.0
"""Seconds overdue after which an operator should look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What a sweep saw, and how many jobs it sent a message for."""

    live: int
    sent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JobHealth:
    """How the jobs do. `oldest_queued` is in seconds; `stuck` are due for ten minutes and nobody runs them."""

    queued: int
    running: int
    waiting: int
    stuck: int
    oldest_queued: float | None
    messages: int
    poison: int


def is_left_halfway(job: Job, at: datetime) -> bool:
    """Whether its next step should have begun a while ago: its message, or its runner, is gone."""
    if job.owner and job.until is not None:
        return at >= job.until
    return at >= job.due + timedelta(seconds=GRACE)


def sweep(engine: JobEngine) -> Sweep:
    """Send a message for every job that was left half-way. A job that only has to wait for its turn gets one too many,
    which tells its number and is dropped."""
    live = sent = 0
    now = engine.clock.now()
    queue = engine.storage.queue(QUEUE)
    for scope in engine.store.scopes():
        try:
            for job in engine.store.survey(scope, at=now):
                live += 1
                if is_left_halfway(job, now) and sent < _ONE_TICK:
                    queue.send(JobMessage(scope=job.scope, job_id=job.id, turn=job.turn).encode())
                    sent += 1
        except StoredVersionUnsupported:
            # A newer release, running beside this one, sweeps what it wrote.
            log.exception("scope not swept", extra={"scope": scope})
    if sent:
        engine.nudge(QUEUE)
    return Sweep(live=live, sent=sent)


def retire(engine: JobEngine) -> int:
    """Forget jobs that were over longer than their kind keeps them, output first; how many."""
    now = engine.clock.now()
    kinds = engine.kinds.all()
    shortest = min((kind.keep_days for kind in kinds.values()), default=30.0)
    retired = 0
    for scope in engine.store.scopes():
        for job in engine.store.finished_before(scope, now - timedelta(days=shortest)):
            keep = kinds[job.kind].keep_days if job.kind in kinds else 30.0
            if job.ended is not None and job.ended < now - timedelta(days=keep):
                engine.output(scope, job.id).delete()
                engine.store.remove(job)
                retired += 1
    return retired


def health(engine: JobEngine, scope: Scope | None = None) -> JobHealth:
    """How the jobs of one scope, or of all, do now."""
    now = engine.clock.now()
    scopes = [*engine.store.scopes()] if scope is None else [scope]
    live = [job for each in scopes for job in engine.store.live(each)]
    queued = [job for job in live if job.status is JobStatus.QUEUED]
    due = [(now - job.due).total_seconds() for job in queued if job.due <= now]
    return JobHealth(
        queued=len(queued),
        running=sum(leases.is_leased(job, now) for job in live),
        waiting=sum(job.status is JobStatus.WAITING for job in live),
        stuck=sum(
            not leases.is_leased(job, now) and now >= job.due + timedelta(seconds=_STUCK) for job in live
        ),
        oldest_queued=max(due, default=None),
        messages=engine.storage.queue(QUEUE).info().count,
        poison=engine.storage.queue(f"{QUEUE}-poison").info().count,
    )
