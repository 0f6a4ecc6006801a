"""A migration is a job: it comes to its end whatever crashes, does nothing twice, and says how far it is."""

import json

import pytest

from shared.jobs.context import StepContext
from shared.jobs.engine import JobEngine
from shared.jobs.kinds import JobKinds
from shared.jobs.migration import MIGRATE, SCOPE, Migrated, Migration, Migrations, MigrationUnknown
from shared.jobs.model import JobStatus, JsonObject
from shared.jobs.sweep import sweep
from shared.kernel.clock import ManualClock
from shared.kernel.versions import check_version
from shared.storage.gates import Phase, open_gate
from shared.storage.memory import MemoryStorage
from tests.jobs.conftest import Bench

ROWS = 7
TABLE = "omsexample"


class Crash(BaseException):
    """The process is gone: nothing of ours may catch it."""


def old_rows(storage: MemoryStorage) -> None:
    """What release N left: a name in one column."""
    for number in range(ROWS):
        storage.table(TABLE).insert("p", f"{number:03}", {"v": 1, "name": f"first{number} last{number}"})


def split_names(storage: MemoryStorage) -> Migration:
    """Two rows a step: version 2 keeps the name in two columns."""
    table = storage.table(TABLE)

    def step(context: StepContext, cursor: JsonObject) -> Migrated:
        page = table.page("p", start=str(cursor.get("after", "")), size=2, after=cursor.get("next"))
        done = 0
        for row in page.rows:
            if check_version("example", row.values.get("v"), current=2) == 1:
                first, last = str(row.values["name"]).split()
                table.replace(row, {"v": 2, "first": first, "last": last})
            done += 1
        context.heartbeat()
        return Migrated(
            cursor=None if page.next is None else {"next": page.next}, done=done, total=ROWS, bytes=done * 10
        )

    return Migration(name="split-names", from_version=1, step=step)


def migrating(storage: MemoryStorage, clock: ManualClock) -> tuple[Bench, Migrations]:
    migrations = Migrations()
    migrations.register(split_names(storage))
    kinds = JobKinds()
    kinds.register(migrations.kind())
    return Bench(JobEngine(storage, clock, kinds, jitter=lambda: 0.5), storage, clock), migrations


def is_migrated(storage: MemoryStorage) -> bool:
    rows = list(storage.table(TABLE).query("p"))
    return [row.values for row in rows] == [
        {"v": 2, "first": f"first{number}", "last": f"last{number}"} for number in range(ROWS)
    ]


def test_a_migration_runs_in_steps_and_tells_how_far_it_is(storage: MemoryStorage, clock: ManualClock):
    old_rows(storage)
    bench, migrations = migrating(storage, clock)
    job = migrations.start(bench.engine, "split-names", caller="operator")
    bench.serve(most=1_000)
    job = bench.now(job)
    assert (job.status, job.kind, job.scope, job.subject) == (
        JobStatus.SUCCEEDED,
        MIGRATE,
        SCOPE,
        "split-names",
    )
    assert job.result == {"migrated": ROWS, "bytes": ROWS * 10}
    assert (job.progress.phase, job.progress.done, job.progress.total) == ("split-names", ROWS, ROWS)
    assert is_migrated(storage)
    said = [line.text for line in bench.engine.output(job.scope, job.id).read().lines]
    assert said == [f"{done} migrated of {ROWS}" for done in (2, 4, 6, 7)]


def test_starting_a_migration_in_every_instance_of_a_deploy_starts_one_job(
    storage: MemoryStorage, clock: ManualClock
):
    old_rows(storage)
    bench, migrations = migrating(storage, clock)
    other, others = migrating(storage, clock)
    first, second = migrations.start(bench.engine, "split-names"), others.start(other.engine, "split-names")
    assert first.id == second.id
    bench.serve_until(lambda: bench.now(first).status is JobStatus.SUCCEEDED)
    clock.advance(86_400)
    assert others.start(other.engine, "split-names").status is JobStatus.SUCCEEDED
    assert len(bench.engine.list(SCOPE).jobs) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_at_any_operation_is_gone_on_from(clock: ManualClock, moment: Phase):
    crashed_at = 0
    while True:
        crashed_at += 1
        storage = MemoryStorage(clock)
        old_rows(storage)
        bench, migrations = migrating(storage, clock)
        job = migrations.start(bench.engine, "split-names")
        seen = 0

        def crash(phase: Phase, operation: str, key: str, at: int = crashed_at) -> None:
            nonlocal seen
            del operation, key
            if phase == moment:
                seen += 1
                if seen == at:
                    raise Crash

        storage.gate = crash
        try:
            bench.serve()
        except Crash:
            storage.gate = open_gate
        else:
            break
        after, _ = migrating(storage, clock)  # the process that comes next knows what is stored, and no more
        for _ in range(60):
            after.serve()
            if after.now(job).status is JobStatus.SUCCEEDED:
                break
            clock.advance(60)
            sweep(after.engine)
        ended = after.now(job)
        assert ended.status is JobStatus.SUCCEEDED, (crashed_at, ended)
        assert ended.result == {"migrated": ROWS, "bytes": ROWS * 10}, crashed_at
        assert is_migrated(storage), crashed_at
    storage.gate = open_gate
    assert crashed_at > 20
    assert is_migrated(storage)


def test_a_release_without_the_migration_leaves_the_job_to_the_one_that_has_it(
    storage: MemoryStorage, clock: ManualClock
):
    old_rows(storage)
    newer, migrations = migrating(storage, clock)
    kinds = JobKinds()
    kinds.register(Migrations().kind())
    older = Bench(JobEngine(storage, clock, kinds, jitter=lambda: 0.5), storage, clock)
    job = migrations.start(newer.engine, "split-names")
    older.serve()
    waiting = older.now(job)
    assert waiting.status is JobStatus.WAITING
    assert "split-names" in waiting.reason
    newer.serve_until(lambda: newer.now(job).status is JobStatus.SUCCEEDED)
    assert is_migrated(storage)


def test_a_cursor_of_a_newer_release_is_left_to_that_release(storage: MemoryStorage, clock: ManualClock):
    old_rows(storage)
    bench, migrations = migrating(storage, clock)
    job = migrations.start(bench.engine, "split-names")
    message = storage.queue("oms-jobs").receive()[0]
    bench.engine.handle(message.body)  # the first step
    [row] = storage.table("omsjobs").query("migrations", where={"kind": MIGRATE})
    state = {**json.loads(str(row.values["state"])), "v": 2}
    storage.table("omsjobs").replace(row, {**row.values, "state": json.dumps(state)})
    after, _ = migrating(storage, clock)
    after.engine.advance(job.scope, job.id)
    waiting = after.now(job)
    assert waiting.status is JobStatus.WAITING
    assert "migration cursor has version 2" in waiting.reason
    assert json.loads(json.dumps(waiting.state)) == state


def test_an_unknown_migration_is_refused_by_name(storage: MemoryStorage, clock: ManualClock):
    bench, migrations = migrating(storage, clock)
    with pytest.raises(MigrationUnknown, match="no-such"):
        migrations.start(bench.engine, "no-such")
