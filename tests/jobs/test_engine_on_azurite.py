"""The job engine on real storage: what memory cannot disprove about keys, etags, transactions and append blobs."""

import threading
from collections import Counter

import pytest

from shared.jobs.admission import per_scope_and_caller
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE
from shared.jobs.kinds import Fail, Next, StepOutcome, Succeed
from shared.jobs.model import Job, JobId, JobStatus, Scope
from shared.jobs.output import CONTAINER, OutputWriter
from shared.jobs.poison import PoisonDesk, explain_job
from shared.jobs.store import JobNotFound
from shared.jobs.sweep import health, sweep
from shared.kernel.clock import SystemClock
from shared.storage.azure import AzureStorage
from shared.storage.ports import MessageNotFound
from tests.jobs.conftest import SCOPE, Bench, bench_on


@pytest.fixture
def real(azurite_storage: AzureStorage) -> Bench:
    return bench_on(azurite_storage, SystemClock())


def talks(context: StepContext) -> StepOutcome:
    number = context.state.get("n", 0) + 1
    context.say(f"step {number}")
    return Succeed(result={"n": number}) if number == 3 else Next(state={"n": number})


@pytest.mark.parametrize("job_id", [None, JobId("Nightly/backup #7 ?")], ids=["timed id", "any id"])
def test_a_job_runs_to_its_end_and_is_found_again(real: Bench, job_id: JobId | None):
    real.kind(talks)
    job = real.engine.start("test", SCOPE, {"table": "Perf"}, job_id=job_id, subject="Perf")
    assert real.engine.start("test", SCOPE, {"table": "Perf"}, job_id=job.id).id == job.id
    real.serve_until(lambda: real.now(job).status is JobStatus.SUCCEEDED)
    assert real.now(job).parameters == {"table": "Perf"}
    page, followed = real.engine.follow(SCOPE, job.id, wait=1)
    assert [line.text for line in page.lines] == ["step 1", "step 2", "step 3"]
    assert followed.result == {"n": 3}
    assert [each.id for each in real.engine.list(SCOPE, status=JobStatus.SUCCEEDED).jobs] == [job.id]
    assert sweep(real.engine).live == 0
    assert [*real.storage.table("omsjobs").query(start="a!", before="b")] == []
    real.engine.store.remove(real.now(job))
    with pytest.raises(JobNotFound):
        real.now(job)


def test_pages_are_newest_first_without_gaps(real: Bench):
    real.kind(talks)
    jobs = [real.start() for _ in range(5)]
    first = real.engine.list(SCOPE, size=2)
    rest = real.engine.list(SCOPE, size=9, after=first.next)
    assert {job.id for job in [*first.jobs, *rest.jobs]} == {job.id for job in jobs}
    times = [job.created for job in [*first.jobs, *rest.jobs]]
    assert [round(at.timestamp(), 2) for at in times] == sorted(
        (round(at.timestamp(), 2) for at in times), reverse=True
    )


def test_many_threads_run_each_job_once_and_within_the_limit(real: Bench):
    ran: Counter[str] = Counter()
    inside: set[str] = set()
    most: list[int] = []
    lock = threading.Lock()

    def counted(context: StepContext) -> StepOutcome:
        with lock:
            ran[context.job.id] += 1
            inside.add(context.job.id)
            most.append(len(inside))
        context.clock.sleep(0.01)
        with lock:
            inside.discard(context.job.id)
        return Succeed()

    real.kind(counted)
    real.engine.admission = per_scope_and_caller(scope=3, caller=3)
    jobs = [real.start() for _ in range(12)]
    over = threading.Event()

    def work() -> None:
        queue = real.storage.queue(QUEUE)
        while not over.is_set():
            for message in queue.receive(limit=2):
                real.engine.handle(message.body)
                try:
                    queue.delete(message)
                except MessageNotFound:
                    continue

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(600):
            if all(real.now(job).status is JobStatus.SUCCEEDED for job in jobs):
                break
            real.clock.sleep(0.1)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert [real.now(job).status for job in jobs] == [JobStatus.SUCCEEDED] * 12
    assert set(ran.values()) == {1}
    assert max(most) <= 3
    assert real.engine.slots.read(jobs[0], "scope").holders == ()


def test_a_cancelled_job_and_a_failed_one_say_so(real: Bench):
    real.kind(lambda _: Fail(code="DiskGone", message="there is no disk"))
    cancelled, failed = real.start(), real.start()
    real.engine.cancel(SCOPE, cancelled.id, reason="asked by ann")
    real.serve_until(lambda: real.now(failed).status is JobStatus.FAILED)
    assert real.now(cancelled).history[-1].reason == "asked by ann"
    assert health(real.engine).queued == 0


def test_output_of_rival_writers_stays_in_order(azurite_storage: AzureStorage):
    clock = SystemClock()
    now = clock.now()
    blobs = azurite_storage.blobs(CONTAINER)
    mine = Job(id=JobId("j"), scope=Scope("s"), kind="k", fence=1, due=now, created=now, changed=now)
    first = OutputWriter(blobs, mine, clock)
    second = OutputWriter(blobs, mine, clock)
    for text in ("a", "b", "c"):
        for writer in (first, second):
            writer.write(text)
            writer.flush()
    assert (first.mark.lines, second.mark.lines) == (3, 3)


def test_poison_is_replayed(real: Bench):
    desk = PoisonDesk(real.storage, {QUEUE: explain_job(real.engine.store)}, lambda _: None)
    real.storage.queue(f"{QUEUE}-poison").send("rubbish")
    assert [message.reason for message in desk.peek(QUEUE)] == ["a job message is not JSON"]
    assert desk.replay(QUEUE) == 1
    assert real.storage.queue(QUEUE).info().count == 1
