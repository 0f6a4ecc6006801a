"""The job's states as a table: which event may happen when, and what it makes of the job."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.jobs.model import HistoryEntry, Job, JobStatus
from shared.kernel.errors import Category, OmsError


class IllegalJobTransition(OmsError):
    category = Category.CONFLICT
    code = "JobStateConflict"


class JobEvent(StrEnum):
    PICKED_UP = "picked up"
    TAKEN_OVER = "taken over"
    HELD = "held back"
    STEPPED = "stepped"
    PAUSED = "paused"
    RETRIED = "retried"
    WOKEN = "woken"
    SUCCEEDED = "succeeded"
    PARTLY_SUCCEEDED = "partly succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    CANCEL_ASKED = "asked to cancel"
    STOPPED = "stopped"


S, E = JobStatus, JobEvent

TRANSITIONS: Final[Mapping[JobStatus, Mapping[JobEvent, JobStatus]]] = {
    S.QUEUED: {
        E.PICKED_UP: S.RUNNING,
        E.HELD: S.WAITING,
        E.WOKEN: S.QUEUED,
        E.FAILED: S.FAILED,
        E.TIMED_OUT: S.FAILED,
        # Nothing has run, so there is nothing to undo.
        E.CANCEL_ASKED: S.CANCELLED,
    },
    S.RUNNING: {
        # Between steps a job stays Running; each delivery picks it up for one more.
        E.PICKED_UP: S.RUNNING,
        # Its runner fell silent: whoever holds the next lease takes it over, from its last recorded step.
        E.TAKEN_OVER: S.RUNNING,
        E.STEPPED: S.RUNNING,
        E.PAUSED: S.WAITING,
        E.RETRIED: S.WAITING,
        E.WOKEN: S.RUNNING,
        E.SUCCEEDED: S.SUCCEEDED,
        E.PARTLY_SUCCEEDED: S.PARTIALLY_SUCCEEDED,
        E.FAILED: S.FAILED,
        E.TIMED_OUT: S.FAILED,
        E.CANCEL_ASKED: S.CANCELLING,
    },
    S.WAITING: {
        E.PICKED_UP: S.RUNNING,
        E.HELD: S.WAITING,
        E.WOKEN: S.WAITING,
        E.FAILED: S.FAILED,
        E.TIMED_OUT: S.FAILED,
        # Steps have run: its kind may have something to undo first.
        E.CANCEL_ASKED: S.CANCELLING,
    },
    S.CANCELLING: {
        E.PICKED_UP: S.CANCELLING,
        E.TAKEN_OVER: S.CANCELLING,
        E.STEPPED: S.CANCELLING,
        E.PAUSED: S.CANCELLING,
        E.RETRIED: S.CANCELLING,
        E.WOKEN: S.CANCELLING,
        E.CANCEL_ASKED: S.CANCELLING,
        E.STOPPED: S.CANCELLED,
        # A step may end the job before it hears of the cancel; how it ended is what happened.
        E.SUCCEEDED: S.SUCCEEDED,
        E.PARTLY_SUCCEEDED: S.PARTIALLY_SUCCEEDED,
        E.FAILED: S.FAILED,
        E.TIMED_OUT: S.FAILED,
    },
    S.SUCCEEDED: {},
    S.PARTIALLY_SUCCEEDED: {},
    S.FAILED: {},
    S.CANCELLED: {},
}

TERMINAL: Final = frozenset(status for status, moves in TRANSITIONS.items() if not moves)

_TOLD: Final = frozenset({E.TAKEN_OVER, E.HELD, E.RETRIED, E.CANCEL_ASKED})
"""Events worth a line in the history though the status stays."""
_HISTORY_HEAD: Final = 20
_HISTORY_TAIL: Final = 80


def advance(job: Job, event: JobEvent, *, at: datetime, reason: str = "") -> Job:
    """The job after `event`, with its line of history, or IllegalJobTransition if it may not happen now."""
    try:
        status = TRANSITIONS[job.status][event]
    except KeyError:
        raise IllegalJobTransition(
            f"a job that is {job.status} cannot be {event.value}", target=str(job.id)
        ) from None
    history = job.history
    if status is not job.status or event in _TOLD:
        history = _told(history, HistoryEntry(at=at, status=status, event=event.value, reason=reason))
    return replace(
        job,
        status=status,
        changed=at,
        reason=reason,
        history=history,
        started=at if job.started is None and event is E.PICKED_UP else job.started,
        ended=at if status in TERMINAL else None,
    )


def _told(history: tuple[HistoryEntry, ...], entry: HistoryEntry) -> tuple[HistoryEntry, ...]:
    """With `entry`; a job held back for the same reason again only renews the line, and a long story loses its middle."""
    last = history[-1] if history else None
    if last and (last.status, last.event, last.reason) == (entry.status, entry.event, entry.reason):
        return history
    if len(history) >= _HISTORY_HEAD + _HISTORY_TAIL:
        return (*history[:_HISTORY_HEAD], *history[_HISTORY_HEAD + 1 :], entry)
    return (*history, entry)
