"""Jobs in the table `omsjobs`: one partition a scope, newest first, with a marker beside every job that is not over.

Keys of a scope's partition: `j!<time, inverted>.<id>` the job; `a!…` the same suffix, a marker that comes before the job
and that the sweeper takes away some time after its end; `i!<id>` where an id without a time of its own leads; `s!<group>`
the slots of an admission group. The sweeper reads markers, so it never looks through what is long over.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import batched, islice
from threading import Lock
from typing import Final
from urllib.parse import quote, unquote

from shared.jobs.lifecycle import TERMINAL
from shared.jobs.model import Job, JobId, JobStatus, Scope, carries_time, sort_key
from shared.jobs.rows import ROW_VERSION, job_of, values_of
from shared.jobs.writes import GroupedWrites, written
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import (
    Delete,
    Insert,
    Operation,
    Replace,
    Row,
    RowExists,
    RowNotFound,
    Table,
    Value,
    prefix_end,
)

TABLE: Final = "omsjobs"
_SCOPES: Final = "!scopes"
_FEW: Final = 20
_BATCH: Final = 100
_RECENT: Final = 2_000
_ALONE: Final = timedelta(days=1)
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
    writes: GroupedWrites = field(init=False)
    _known: set[Scope] = field(default_factory=set[Scope])
    _recent: dict[tuple[Scope, JobId], Stored] = field(default_factory=dict[tuple[Scope, JobId], Stored])
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.writes = GroupedWrites(self.table)

    def add(self, job: Job) -> None:
        """RowExists if a job of that id was ever added to the scope and not purged since."""
        self._announce_scope(job.scope)
        partition, suffix = escape(job.scope), _suffix(job.id, job.created)
        if carries_time(job.id):
            # Two single writes cost less than a transaction of two, and tell the etag.
            self.table.insert(partition, f"a!{suffix}", {"v": ROW_VERSION})
            self._remember(Stored(job=job, row=self.table.insert(partition, f"j!{suffix}", values_of(job))))
            return
        pointer = {"v": ROW_VERSION, "suffix": suffix}
        self.table.transact(
            partition,
            [
                Insert(key=f"i!{escape(job.id)}", values=pointer),
                Insert(key=f"a!{suffix}", values={"v": ROW_VERSION}),
                Insert(key=f"j!{suffix}", values=values_of(job)),
            ],
        )

    def get(self, scope: Scope, job_id: JobId) -> Stored:
        """JobNotFound."""
        try:
            row = self.table.get(escape(scope), self._key(scope, job_id))
        except RowNotFound:
            raise JobNotFound(f"there is no job {job_id}", target=job_id) from None
        return Stored(job=job_of(row), row=row)

    def recall(self, scope: Scope, job_id: JobId, turn: int) -> Stored | None:
        """The job at that turn as this process last wrote it, once. It may be out of date: a write with it is refused then."""
        with self._lock:
            stored = self._recent.pop((scope, job_id), None)
        return stored if stored is not None and stored.job.turn == turn else None

    def save(self, stored: Stored, job: Job, *others: Operation) -> Stored:
        """Write `job` over what was read, with `others` of its partition; all or nothing. RowChanged, RowNotFound."""
        values = values_of(job)
        if others:
            change = Replace(key=stored.row.key, values=values, etag=stored.row.etag)
            etag = self.table.transact(stored.row.partition, [change, *others])[0]
            row = written(stored.row, values, etag)
        else:
            row = self.writes.replace(stored.row, values)
        saved = Stored(job=job, row=row)
        if job.owner == "" and job.status not in TERMINAL:
            self._remember(saved)
        return saved

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

    def live(self, scope: Scope) -> Sequence[Job]:
        """The jobs that are not over, newest first."""
        return [job for _, job in self._marked(scope) if job is not None and job.status not in TERMINAL]

    def survey(self, scope: Scope, *, at: datetime) -> Sequence[Job]:
        """The jobs that are not over; the markers of those that are, are taken away. Any number may survey at once."""
        found = self._marked(scope)
        self._unmark(
            scope,
            [
                marker.key
                for marker, job in found
                # A marker comes just before its job: one that is alone for a day was left by a start that died.
                if (job is None and marker.modified < at - _ALONE)
                or (job is not None and job.status in TERMINAL)
            ],
        )
        return [job for _, job in found if job is not None and job.status not in TERMINAL]

    def _marked(self, scope: Scope) -> Sequence[tuple[Row, Job | None]]:
        """Every marker with its job, None where there is none (yet)."""
        partition = escape(scope)
        markers = [*self.table.query(partition, start="a!", before=prefix_end("a!"))]
        for marker in markers:
            check_version("job marker", marker.values.get("v"), current=ROW_VERSION)
        if not markers:
            return ()
        if len(markers) <= _FEW:
            return [(marker, self._at(partition, marker.key[2:])) for marker in markers]
        rows = self.table.query(
            partition, start=f"j!{markers[0].key[2:]}", before=f"j!{markers[-1].key[2:]}~"
        )
        jobs = {row.key[2:]: job_of(row) for row in rows}
        return [(marker, jobs.get(marker.key[2:])) for marker in markers]

    def _at(self, partition: str, suffix: str) -> Job | None:
        try:
            return job_of(self.table.get(partition, f"j!{suffix}"))
        except RowNotFound:
            return None

    def _unmark(self, scope: Scope, keys: Sequence[str]) -> None:
        for batch in batched(keys, _BATCH, strict=False):
            try:
                self.table.transact(escape(scope), [Delete(key=key) for key in batch])
            except RowNotFound:
                # Another sweeper took some of them.
                for key in batch:
                    self.table.delete(escape(scope), key)

    def finished_before(self, scope: Scope, cutoff: datetime) -> Iterator[Job]:
        """Jobs that were over by then, newest first."""
        start = _suffix(JobId(""), cutoff)
        for row in self.table.query(
            escape(scope), start=f"j!{start}", before=prefix_end("j!"), where={"live": False}
        ):
            job = job_of(row)
            if job.ended is not None and job.ended < cutoff:
                yield job

    def remove(self, job: Job) -> None:
        """Forget a job that is over."""
        suffix = _suffix(job.id, job.created)
        self.table.delete(escape(job.scope), f"j!{suffix}")
        if not carries_time(job.id):
            self.table.delete(escape(job.scope), f"i!{escape(job.id)}")

    def scopes(self) -> Iterator[Scope]:
        """Every scope that ever had a job."""
        for row in self.table.query(_SCOPES):
            check_version("job scope", row.values.get("v"), current=ROW_VERSION)
            yield Scope(unescape(row.key))

    def _key(self, scope: Scope, job_id: JobId) -> str:
        if carries_time(job_id):
            return f"j!{_suffix(job_id, _UNUSED)}"
        pointer = self.table.get(escape(scope), f"i!{escape(job_id)}")
        check_version("job pointer", pointer.values.get("v"), current=ROW_VERSION)
        return f"j!{pointer.values['suffix']}"

    def _remember(self, stored: Stored) -> None:
        """So that its next step, if it runs in this process, need not read it."""
        with self._lock:
            self._recent[stored.job.scope, stored.job.id] = stored
            while len(self._recent) > _RECENT:
                self._recent.pop(next(iter(self._recent)))

    def _announce_scope(self, scope: Scope) -> None:
        """Before the scope's first job, so that the sweeper knows where to look."""
        if scope not in self._known:
            with suppress(RowExists):  # what a newer release wrote there stays
                self.table.insert(_SCOPES, escape(scope), {"v": ROW_VERSION})
            self._known.add(scope)


def _suffix(job_id: JobId, created: datetime) -> str:
    return sort_key(JobId(escape(job_id)), created)


def escape(text: str) -> str:
    """As a table key; `!` marks what was escaped."""
    return quote(text, safe=" ").replace("%", "!")


def unescape(key: str) -> str:
    return unquote(key.replace("!", "%"))
