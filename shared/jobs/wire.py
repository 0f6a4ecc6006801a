"""Jobs, their output and poison messages on the wire of `/operations`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from shared.jobs.desk import JobQuery
from shared.jobs.model import Job, JobStatus, Scope
from shared.jobs.output import OutputPage
from shared.jobs.poison import PoisonMessage, PoisonQueue


class JobWire(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, from_attributes=True)


class JobListQuery(JobWire):
    """The query string of a list of jobs."""

    scope: str | None = None
    kind: str | None = None
    status: JobStatus | None = None
    top: int = 100
    after: str | None = None

    def query(self) -> JobQuery:
        return JobQuery(
            scope=None if self.scope is None else Scope(self.scope),
            kind=self.kind,
            status=self.status,
            size=self.top,
            after=self.after,
        )


class JobNamed(JobWire):
    """The query string of one job: its scope, which makes finding it cheap."""

    scope: str | None = None

    @property
    def where(self) -> Scope | None:
        return None if self.scope is None else Scope(self.scope)


class OutputQuery(JobNamed):
    """The query string of a job's output; `wait` is in seconds, `search` finds lines instead of following them."""

    after: str = ""
    wait: float = 0.0
    top: int = 1_000
    search: str | None = None


class PoisonReplay(JobWire):
    """The body of a replay: one message of the queue, or without `id` all."""

    queue: str
    id: str | None = None


class ProgressResource(JobWire):
    phase: str
    done: int
    total: int | None = None
    bytes: int
    rate: float


class HistoryResource(JobWire):
    at: datetime
    status: str
    event: str
    reason: str


class ErrorResource(JobWire):
    code: str
    message: str


class JobResource(JobWire):
    id: str
    scope: str
    kind: str
    subject: str
    caller: str
    parent: str | None = None
    correlation_id: str
    status: str
    reason: str
    next: str
    progress: ProgressResource
    attempt: int
    turn: int
    due: datetime
    created: datetime
    changed: datetime
    started: datetime | None = None
    ended: datetime | None = None
    deadline: datetime | None = None
    cancel_requested: bool
    output_lines: int
    result: dict[str, Any] | None = None
    error: ErrorResource | None = None
    history: list[HistoryResource]

    @classmethod
    def of(cls, job: Job) -> Self:
        """Without its parameters and state, which are its service's own and may name what is not everybody's to read."""
        return cls(
            id=job.id,
            scope=job.scope,
            kind=job.kind,
            subject=job.subject,
            caller=job.caller,
            parent=job.parent,
            correlation_id=job.correlation_id,
            status=job.status.value,
            reason=job.reason,
            next=job.next,
            progress=ProgressResource.model_validate(job.progress),
            attempt=job.attempt,
            turn=job.turn,
            due=job.due,
            created=job.created,
            changed=job.changed,
            started=job.started,
            ended=job.ended,
            deadline=job.deadline,
            cancel_requested=job.cancel_requested,
            output_lines=job.output.lines,
            result=None if job.result is None else dict(job.result),
            error=None if job.error is None else ErrorResource.model_validate(job.error),
            history=[HistoryResource.model_validate(entry) for entry in job.history],
        )


class JobList(JobWire):
    value: list[JobResource]
    next: str | None = None

    @classmethod
    def of(cls, jobs: Sequence[Job], following: str | None) -> Self:
        return cls(value=[JobResource.of(job) for job in jobs], next=following)


class LineResource(JobWire):
    number: int
    at: datetime
    stream: str
    text: str


class OutputResource(JobWire):
    """Lines, the cursor for `after` next time, and how the job stands."""

    lines: list[LineResource]
    cursor: str
    status: str
    over: bool

    @classmethod
    def of(cls, page: OutputPage, job: Job) -> Self:
        return cls(
            lines=[LineResource.model_validate(line) for line in page.lines],
            cursor=page.cursor,
            status=job.status.value,
            over=job.ended is not None,
        )


class PoisonQueueResource(JobWire):
    queue: str
    count: int
    oldest: datetime | None = None


class PoisonQueueList(JobWire):
    value: list[PoisonQueueResource]

    @classmethod
    def of(cls, queues: Sequence[PoisonQueue]) -> Self:
        return cls(value=[PoisonQueueResource.model_validate(queue) for queue in queues])


class PoisonMessageResource(JobWire):
    queue: str
    id: str
    inserted: datetime
    size: int
    names: str
    reason: str


class PoisonMessageList(JobWire):
    value: list[PoisonMessageResource]

    @classmethod
    def of(cls, messages: Sequence[PoisonMessage]) -> Self:
        return cls(value=[PoisonMessageResource.model_validate(message) for message in messages])


class Replayed(JobWire):
    replayed: int
