"""Jobs in the table `omsjobs`: one partition a scope, newest first, with a marker beside every job that is not over.

Keys of a scope's partition: `j!<time, inverted>.<id>` the job; `a!…` the same suffix, while it is live; `i!<id>` where an
id without a time of its own leads; `s!<group>` the slots of an admission group. A job and its marker change together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Final
from urllib.parse import quote, unquote

from shared.jobs.lifecycle import TERMINAL
from shared.jobs.model import Job, JobId, JobStatus, Scope, carries_time, sort_key
from shared.jobs.rows import ROW_VERSION, job_of, values_of
from shared.kernel.errors import Category, OmsError
from shared.storage.ports import (
    Delete,
    Insert,
    Operation,
    Replace,
    Row,
    RowNotFound,
    Table,
    Value,
    prefix_end,
)

TABLE: Final = "omsjobs"
_SCOPES: Final = "!scopes"
_FEW: Final = 20
_UNUSED: Final = datetime(1970, 1, 1, tzinfo=UTC)


class JobNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "JobNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A job as it was read, and the row whose etag says so."""

    job: Job
    row: Row


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPage:
    jobs: Sequence[Job]
    next: str | None


@dataclass(slots=True)
class JobStore:
    table: Table
    _known: set[Scope] = field(default_factory=set[Scope])

    def add(self, job: Job) -> None:
        """RowExists if a job of that id was ever added to the scope and not purged since."""
        self._announce_scope(job.scope)
        suffix = sort_key(job.id, job.created)
        operations: list[Operation] = [
            Insert(key=f"j!{suffix}", values=values_of(job)),
            Insert(key=f"a!{suffix}", values={"v": ROW_VERSION}),
        ]
        if not carries_time(job.id):
            operations.append(Insert(key=f"i!{escape(job.id)}", values={"v": ROW_VERSION, "suffix": suffix}))
        self.table.transact(escape(job.scope), operations)

    def get(self, scope: Scope, job_id: JobId) -> Stored:
        """JobNotFound."""
        try:
            row = self.table.get(escape(scope), self._key(scope, job_id))
        except RowNotFound:
            raise JobNotFound(f"there is no job {job_id}", target=job_id) from None
        return Stored(job=job_of(row), row=row)

    def save(self, stored: Stored, job: Job, *others: Operation) -> Stored | None:
        """Write `job` over what was read, with `others` of its partition; all or nothing. RowChanged, RowNotFound.

        None: it is written, and the next writer has to read it first, for a transaction tells no etags.
        """
        operations = [*others]
        if job.status in TERMINAL:
            operations.append(Delete(key="a" + stored.row.key[1:]))
        if not operations:
            return Stored(job=job, row=self.table.replace(stored.row, values_of(job)))
        change = Replace(key=stored.row.key, values=values_of(job), etag=stored.row.etag)
        self.table.transact(stored.row.partition, [change, *operations])
        return None

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
        """Newest first. `after` is the `next` of the page before."""
        where: dict[str, Value] = {}
        for column, wanted in (("kind", kind), ("status", status), ("subject", subject), ("parent", parent)):
            if wanted is not None:
                where[column] = str(wanted)
        rows = self.table.query(
            escape(scope),
            # "~" follows everything a job's key may continue with.
            start="j!" if after is None else f"j!{after}~",
            before=prefix_end("j!"),
            where=where or None,
        )
        found = list(islice(rows, size + 1))
        following = found[size - 1].key[2:] if len(found) > size else None
        return JobPage(jobs=[job_of(row) for row in found[:size]], next=following)

    def live(self, scope: Scope) -> Iterator[Job]:
        """The jobs that are not over, newest first."""
        partition = escape(scope)
        markers = [row.key[2:] for row in self.table.query(partition, start="a!", before=prefix_end("a!"))]
        if len(markers) <= _FEW:
            for suffix in markers:
                try:
                    yield job_of(self.table.get(partition, f"j!{suffix}"))
                except RowNotFound:
                    continue
            return
        for row in self.table.query(
            partition, start=f"j!{markers[0]}", before=f"j!{markers[-1]}~", where={"live": True}
        ):
            yield job_of(row)

    def finished_before(self, scope: Scope, cutoff: datetime) -> Iterator[Job]:
        """Jobs that were over by then, newest first."""
        start = sort_key(JobId(""), cutoff)
        for row in self.table.query(
            escape(scope), start=f"j!{start}", before=prefix_end("j!"), where={"live": False}
        ):
            job = job_of(row)
            if job.ended is not None and job.ended < cutoff:
                yield job

    def remove(self, job: Job) -> None:
        """Forget a job that is over."""
        suffix = sort_key(job.id, job.created)
        self.table.delete(escape(job.scope), f"j!{suffix}")
        if not carries_time(job.id):
            self.table.delete(escape(job.scope), f"i!{escape(job.id)}")

    def scopes(self) -> Iterator[Scope]:
        """Every scope that ever had a job."""
        for row in self.table.query(_SCOPES):
            yield Scope(unescape(row.key))

    def _key(self, scope: Scope, job_id: JobId) -> str:
        if carries_time(job_id):
            return f"j!{sort_key(job_id, _UNUSED)}"
        return f"j!{self.table.get(escape(scope), f'i!{escape(job_id)}').values['suffix']}"

    def _announce_scope(self, scope: Scope) -> None:
        """Before the scope's first job, so that the sweeper knows where to look."""
        if scope not in self._known:
            self.table.upsert(_SCOPES, escape(scope), {"v": ROW_VERSION})
            self._known.add(scope)


def escape(text: str) -> str:
    """As a table key; `!` marks what was escaped."""
    return quote(text, safe=" ").replace("%", "!")


def unescape(key: str) -> str:
    return unquote(key.replace("!", "%"))
