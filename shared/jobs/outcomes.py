"""What the outcome of a step, or its error, makes of the job; values in, values out."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.jobs import lifecycle
from shared.jobs.kinds import Fail, JobKind, Next, StepOutcome, Stop, Succeed, SucceedPartly, Wait
from shared.jobs.lifecycle import JobEvent
from shared.jobs.model import Job, JobError
from shared.kernel.errors import OmsError


def after_step(
    job: Job, kind: JobKind, outcome: StepOutcome | Exception, *, at: datetime, jitter: float
) -> Job:
    """The job after its step came out so."""
    fresh = replace(job, attempt=0, deaths=0, next="")
    match outcome:
        case Next():
            return replace(
                lifecycle.advance(fresh, JobEvent.STEPPED, at=at),
                state=job.state if outcome.state is None else outcome.state,
                progress=outcome.progress or job.progress,
                next=outcome.next,
                due=at + timedelta(seconds=outcome.delay),
            )
        case Wait():
            return replace(
                lifecycle.advance(fresh, JobEvent.PAUSED, at=at, reason=outcome.reason),
                state=job.state if outcome.state is None else outcome.state,
                progress=outcome.progress or job.progress,
                next=outcome.next,
                due=max(outcome.until, at),
            )
        case Succeed():
            return replace(
                lifecycle.advance(fresh, JobEvent.SUCCEEDED, at=at, reason=outcome.reason),
                result=outcome.result,
            )
        case SucceedPartly():
            return replace(
                lifecycle.advance(fresh, JobEvent.PARTLY_SUCCEEDED, at=at, reason=outcome.message),
                result=outcome.result,
                error=JobError(code=outcome.code, message=outcome.message),
            )
        case Fail():
            event = JobEvent.TIMED_OUT if outcome.code == "JobTimedOut" else JobEvent.FAILED
            return _failed(fresh, event, outcome.code, outcome.message, at, outcome.result)
        case Stop():
            if not job.cancel_requested:
                return _failed(fresh, JobEvent.FAILED, "JobStoppedUnasked", "the step stopped unasked", at)
            return replace(
                lifecycle.advance(fresh, JobEvent.STOPPED, at=at, reason="cancelled"), result=outcome.result
            )
        case Exception():
            return _after_error(job, kind, outcome, at=at, jitter=jitter)


def _failed(
    job: Job, event: JobEvent, code: str, message: str, at: datetime, result: Mapping[str, Any] | None = None
) -> Job:
    return replace(
        lifecycle.advance(job, event, at=at, reason=message),
        error=JobError(code=code, message=message),
        result=result,
    )


def _after_error(job: Job, kind: JobKind, error: Exception, *, at: datetime, jitter: float) -> Job:
    """Tried again after a pause, or failed once the policy is at its end."""
    failures = job.attempt + 1
    code = error.code if isinstance(error, OmsError) else "JobStepFailed"
    # An unexpected exception's text may hold anything, secrets included; the log has it, the job does not.
    said = str(error) if isinstance(error, OmsError) else f"{type(error).__name__}: see the log"
    if failures >= kind.retry.attempts or not kind.retry.retries(error):
        return _failed(replace(job, attempt=failures), JobEvent.FAILED, code, said, at)
    pause = kind.retry.delay(failures, jitter)
    return replace(
        lifecycle.advance(
            job,
            JobEvent.RETRIED,
            at=at,
            reason=f"attempt {failures} of {kind.retry.attempts} failed: {code}: {said}",
        ),
        attempt=failures,
        deaths=0,
        due=at + timedelta(seconds=pause),
        next=f"tried again in {pause:.0f} s",
    )
