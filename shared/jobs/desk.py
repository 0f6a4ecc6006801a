"""Jobs as operators see them: across scopes, by id alone, with their output."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from shared.jobs.engine import JobEngine
from shared.jobs.model import Job, JobId, JobStatus, Scope
from shared.jobs.output import OutputPage
from shared.jobs.store import JobNotFound
from shared.jobs.sweep import JobHealth, health
from shared.kernel.errors import OmsError

MAX_WAIT: Final = 25.0
"""Seconds a call for output waits at most: well under the 230 s after which the platform answers for us."""
MAX_PAGE: Final = 1_000
MAX_LINES: Final = 10_000


class InvalidJobQuery(OmsError):
    code = "InvalidJobQuery"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs, newest first. Without a scope: of all, first page only."""

    scope: Scope | None = None
    kind: str | None = None
    status: JobStatus | None = None
    size: int = 100
    after: str | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.size <= MAX_PAGE:
            raise InvalidJobQuery(f"a page has 1 to {MAX_PAGE} jobs, not {self.size}", target="top")
        if self.after is not None and self.scope is None:
            raise InvalidJobQuery("a next page needs the scope of the first", target="scope")


class OutputAsked(Protocol):
    """Which lines a caller wants; `search` None follows, a text finds."""

    @property
    def where(self) -> Scope | None: ...

    @property
    def after(self) -> str: ...

    @property
    def wait(self) -> float: ...

    @property
    def top(self) -> int: ...

    @property
    def search(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class JobDesk:
    engine: JobEngine

    def list(self, query: JobQuery) -> tuple[Sequence[Job], str | None]:
        """A page of jobs, and where the next begins."""
        if query.scope is not None:
            page = self.engine.list(
                query.scope, size=query.size, after=query.after, kind=query.kind, status=query.status
            )
            return page.jobs, page.next
        pages = (
            self.engine.list(scope, size=query.size, kind=query.kind, status=query.status).jobs
            for scope in self.engine.store.scopes()
        )
        newest = heapq.nlargest(
            query.size, (job for jobs in pages for job in jobs), key=lambda job: (job.created, job.id)
        )
        return newest, None

    def get(self, job_id: JobId, scope: Scope | None = None) -> Job:
        """JobNotFound. Without the scope, every scope is asked."""
        if scope is not None:
            return self.engine.get(scope, job_id)
        for each in self.engine.store.scopes():
            try:
                return self.engine.get(each, job_id)
            except JobNotFound:
                continue
        raise JobNotFound(f"there is no job {job_id}", target=job_id)

    def cancel(self, job_id: JobId, scope: Scope | None = None, *, asked_by: str = "") -> Job:
        """JobNotFound, JobStateConflict."""
        reason = f"cancel asked for by {asked_by}" if asked_by else ""
        return self.engine.cancel(self.get(job_id, scope).scope, job_id, reason=reason)

    def output(self, job_id: JobId, asked: OutputAsked) -> tuple[OutputPage, Job]:
        """Lines after a cursor, waited for while the job lives, or those that contain a text; and the job."""
        job = self.get(job_id, asked.where)
        limit = min(max(asked.top, 1), MAX_LINES)
        if asked.search:
            log = self.engine.output(job.scope, job_id)
            return log.search(asked.search, after=asked.after, limit=limit), job
        wait = min(max(asked.wait, 0.0), MAX_WAIT)
        return self.engine.follow(job.scope, job_id, after=asked.after, wait=wait, limit=limit)

    def health(self) -> JobHealth:
        return health(self.engine)
