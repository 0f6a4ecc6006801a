"""What a job is: a run of something that takes time, with its place, its progress, its reason and its end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NewType

from shared.kernel.ids import NewId, derived_id

JobId = NewType("JobId", str)
Scope = NewType("Scope", str)
"""Whose job it is: a workspace, an account, a vault. One table partition each; nothing reads across scopes but the sweeper."""

JsonObject = Mapping[str, Any]

_TIMED_ID: Final = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


class JobStatus(StrEnum):
    QUEUED = "Queued"
    RUNNING = "Running"
    WAITING = "Waiting"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    PARTIALLY_SUCCEEDED = "PartiallySucceeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is. `total` None: not known yet. `rate` is in bytes a second where bytes count, else in items."""

    phase: str = ""
    done: int = 0
    total: int | None = None
    bytes: int = 0
    rate: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class JobError:
    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryEntry:
    """One change, and why."""

    at: datetime
    status: JobStatus
    event: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputMark:
    """How much output the recorded steps have written: where the next step's output begins."""

    segment: int = 1
    size: int = 0
    lines: int = 0
    blocks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run. `turn` counts recorded steps and waits; `fence` counts claims, and whoever holds an older one may not write."""

    id: JobId
    scope: Scope
    kind: str
    subject: str = ""
    """What it works on, for people and for finding it again: a table, a runbook, a protected item."""
    caller: str = ""
    parent: JobId | None = None
    correlation_id: str = ""
    parameters: JsonObject = field(default_factory=dict[str, Any])
    state: JsonObject = field(default_factory=dict[str, Any])
    """What the steps so far have left for the next one."""
    status: JobStatus = JobStatus.QUEUED
    reason: str = ""
    """Why it waits, or how it ended."""
    next: str = ""
    """What comes next."""
    progress: Progress = Progress()
    turn: int = 0
    due: datetime
    """When its next step may run."""
    fence: int = 0
    owner: str = ""
    """The claim in force; empty between steps."""
    until: datetime | None = None
    """When that claim lapses."""
    attempt: int = 0
    """Failures of the step at hand."""
    deaths: int = 0
    """Runners of the step at hand that fell silent."""
    cancel_requested: bool = False
    woken: bool = False
    """Somebody asked it not to wait, while it was running."""
    held: bool = False
    """It waits for a slot."""
    slots: tuple[str, ...] = ()
    """The admission groups in which it counts now."""
    output: OutputMark = OutputMark()
    result: JsonObject | None = None
    error: JobError | None = None
    created: datetime
    changed: datetime
    started: datetime | None = None
    ended: datetime | None = None
    deadline: datetime | None = None
    history: tuple[HistoryEntry, ...] = ()


def timed_id(at: datetime, tail: str) -> JobId:
    """A UUID of version 7: the milliseconds of `at`, then the bits of the UUID `tail`. Such ids sort by time."""
    head = f"{_milliseconds(at):012x}"
    return JobId(f"{head[:8]}-{head[8:]}-7{tail[15:]}")


def new_job_id(at: datetime, new_id: NewId) -> JobId:
    return timed_id(at, new_id())


def derived_job_id(at: datetime, *cause: str) -> JobId:
    """The same id each time for the same cause and its time, such as a schedule's firing: starting it again is harmless."""
    return timed_id(at, derived_id(at.isoformat(), *cause))


def sort_key(job_id: JobId, created: datetime) -> str:
    """Newest first. An id that carries its own time is found by it; another needs `created` (see the store's pointers)."""
    match = _TIMED_ID.fullmatch(job_id)
    milliseconds = int(match[1] + match[2], 16) if match else _milliseconds(created)
    return f"{0xFFFF_FFFF_FFFF - milliseconds:012x}.{job_id}"


def carries_time(job_id: JobId) -> bool:
    return _TIMED_ID.fullmatch(job_id) is not None


def _milliseconds(at: datetime) -> int:
    return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1000)
