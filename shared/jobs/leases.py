"""Who may write a job: a claim with a fencing number that only grows, kept in the job's own row."""

from dataclasses import replace
from datetime import datetime, timedelta

from shared.jobs.lifecycle import JobEvent, advance
from shared.jobs.model import Job, JobStatus
from shared.kernel.errors import Category, OmsError
from shared.storage.ports import LeaseHeld


class FenceBroken(OmsError):
    """A runner found that its job was claimed by another since: what it did must not be recorded."""

    category = Category.CONFLICT
    code = "JobFenceBroken"


def is_leased(job: Job, at: datetime) -> bool:
    """Whether somebody's claim is in force."""
    return job.owner != "" and job.until is not None and at < job.until


def was_abandoned(job: Job, at: datetime) -> bool:
    """Whether somebody claimed it, recorded nothing, and fell silent."""
    return job.owner != "" and not is_leased(job, at)


def claim(job: Job, owner: str, *, at: datetime, seconds: float) -> Job:
    """The job claimed by `owner` with the next fencing number. LeaseHeld while another claim is in force."""
    if is_leased(job, at):
        raise LeaseHeld(f"job {job.id} is being run", target=job.id)
    abandoned = was_abandoned(job, at)
    taken_over = abandoned and job.status in {JobStatus.RUNNING, JobStatus.CANCELLING}
    event = JobEvent.TAKEN_OVER if taken_over else JobEvent.PICKED_UP
    reason = f"runner {job.owner[:8]} fell silent" if taken_over else ""
    return replace(
        advance(job, event, at=at, reason=reason),
        fence=job.fence + 1,
        owner=owner,
        until=at + timedelta(seconds=seconds),
        deaths=job.deaths + abandoned,
        held=False,
        next="",
    )


def renew(job: Job, *, at: datetime, seconds: float) -> Job:
    return replace(job, until=at + timedelta(seconds=seconds), changed=at)


def release(job: Job) -> Job:
    return replace(job, owner="", until=None)


def check_fence(found: Job, held: Job) -> None:
    """FenceBroken unless the job as stored is still under the claim that `held` has, and at the same turn."""
    if (found.fence, found.owner, found.turn) != (held.fence, held.owner, held.turn):
        raise FenceBroken(
            f"job {held.id} was claimed again: fence {held.fence} is over, {found.fence} holds",
            target=held.id,
        )
