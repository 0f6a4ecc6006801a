"""How many jobs may run at once, by caller and account: slots that change in one transaction with the job that takes them."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from shared.jobs.model import Job, JobId
from shared.jobs.rows import ROW_VERSION
from shared.jobs.store import escape
from shared.kernel.versions import check_version
from shared.storage.ports import Insert, Operation, Replace, Row, RowNotFound, Table

_MAX_WAITING: Final = 200
"""Waiters that are called when a slot falls free; who comes later asks again by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """At most `limit` running jobs of `group`, which `label` names for people: "jobs of workspace contoso"."""

    group: str
    limit: int
    label: str


Admission = Callable[[Job], Sequence[Limit]]
"""The limits that a job is under."""


def unlimited(job: Job) -> Sequence[Limit]:
    del job
    return ()


def per_scope_and_caller(*, scope: int, caller: int) -> Admission:
    """At most so many running jobs of one scope, and of one caller in it."""

    def limits(job: Job) -> Sequence[Limit]:
        found = [Limit(group="scope", limit=scope, label=f"jobs of {job.scope}")]
        if job.caller:
            found.append(
                Limit(group=f"caller:{job.caller}", limit=caller, label=f"jobs of caller {job.caller}")
            )
        return found

    return limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """One admission group of a scope as it was read. `row` None: nobody was ever admitted."""

    key: str
    holders: tuple[JobId, ...]
    waiting: tuple[JobId, ...]
    row: Row | None

    def operation(self) -> Operation:
        """The write that makes it so, refused if somebody else was admitted meanwhile."""
        values = {
            "v": ROW_VERSION,
            "holders": json.dumps(self.holders),
            "waiting": json.dumps(self.waiting),
        }
        if self.row is None:
            return Insert(key=self.key, values=values)
        return Replace(key=self.key, values=values, etag=self.row.etag)


@dataclass(frozen=True, slots=True)
class SlotStore:
    table: Table

    def read(self, job: Job, group: str) -> Slots:
        key = f"s!{escape(group)}"
        try:
            row = self.table.get(escape(job.scope), key)
        except RowNotFound:
            return Slots(key=key, holders=(), waiting=(), row=None)
        check_version("job slots", row.values.get("v"), current=ROW_VERSION)
        return Slots(key=key, holders=_ids(row, "holders"), waiting=_ids(row, "waiting"), row=row)

    def enter(self, job: Job, limits: Sequence[Limit]) -> tuple[Sequence[Operation], str]:
        """The writes that give `job` its slots, or (with the reason) those that put it in line."""
        read = [(limit, self.read(job, limit.group)) for limit in limits]
        for limit, slots in read:
            if job.id not in slots.holders and len(slots.holders) >= limit.limit:
                reason = f"{len(slots.holders)} of {limit.limit} {limit.label} are running"
                if job.id in slots.waiting or len(slots.waiting) >= _MAX_WAITING:
                    return (), reason
                return (replace(slots, waiting=(*slots.waiting, job.id)).operation(),), reason
        return [
            replace(
                slots,
                holders=(*_without(slots.holders, job.id), job.id),
                waiting=_without(slots.waiting, job.id),
            ).operation()
            for _, slots in read
        ], ""

    def leave(self, job: Job) -> tuple[Sequence[Operation], Sequence[JobId]]:
        """The writes that free the slots of `job`, and who is next in line."""
        operations: list[Operation] = []
        called: list[JobId] = []
        for group in job.slots:
            slots = self.read(job, group)
            waiting = _without(slots.waiting, job.id)
            called += waiting[:1]
            # Whoever is called leaves the line: it enters again if it comes too late.
            operations.append(
                replace(slots, holders=_without(slots.holders, job.id), waiting=waiting[1:]).operation()
            )
        return operations, called


def _ids(row: Row, column: str) -> tuple[JobId, ...]:
    found: Any = json.loads(str(row.values[column]))
    return tuple(JobId(job) for job in cast("list[str]", found))


def _without(ids: tuple[JobId, ...], one: JobId) -> tuple[JobId, ...]:
    return tuple(job for job in ids if job != one)
