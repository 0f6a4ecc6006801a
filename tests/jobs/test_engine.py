"""What the engine promises to who starts, runs, watches and cancels jobs."""

from datetime import timedelta
from itertools import pairwise

import pytest

from shared.jobs.admission import per_scope_and_caller
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE, Delivery, JobEngine
from shared.jobs.kinds import (
    Fail,
    JobKindUnknown,
    Next,
    RetryPolicy,
    StepOutcome,
    Stop,
    Succeed,
    SucceedPartly,
    Wait,
)
from shared.jobs.lifecycle import IllegalJobTransition
from shared.jobs.model import Job, JobId, JobStatus, Progress, Scope
from shared.jobs.store import JobNotFound
from shared.jobs.sweep import health, retire, sweep
from shared.kernel.clock import ManualClock
from shared.kernel.errors import Category, OmsError
from shared.storage.memory import MemoryStorage
from tests.jobs.conftest import SCOPE, Bench


class Refused(OmsError):
    category = Category.FORBIDDEN
    code = "Refused"


def three_steps(context: StepContext) -> StepOutcome:
    number = context.state.get("n", 0) + 1
    context.say(f"step {number}")
    if number == 3:
        return Succeed(result={"steps": number})
    return Next(state={"n": number}, progress=Progress(phase="counting", done=number, total=3))


def test_a_job_runs_step_by_step_to_its_result(bench: Bench):
    bench.kind(three_steps)
    job = bench.start()
    bench.serve()
    done = bench.now(job)
    assert (done.status, done.result) == (JobStatus.SUCCEEDED, {"steps": 3})
    assert bench.deliveries == [Delivery.STEPPED, Delivery.STEPPED, Delivery.ENDED]
    assert [entry.event for entry in done.history] == ["created", "picked up", "succeeded"]
    assert [line.text for line in bench.engine.output(SCOPE, job.id).read().lines] == [
        "step 1",
        "step 2",
        "step 3",
    ]
    assert done.progress == Progress(phase="counting", done=2, total=3)


def test_a_message_delivered_twice_changes_nothing(bench: Bench, storage: MemoryStorage):
    ran: list[int] = []

    def once(context: StepContext) -> StepOutcome:
        ran.append(context.fence)
        return Succeed()

    bench.kind(once)
    bench.start()
    message = storage.queue(QUEUE).peek()[0]
    storage.queue(QUEUE).send(message.body)
    bench.serve()
    assert bench.deliveries == [Delivery.ENDED, Delivery.OVER]
    assert len(ran) == 1


def test_a_late_copy_of_an_earlier_turn_is_dropped(bench: Bench, storage: MemoryStorage):
    bench.kind(lambda _: Wait(until=bench.clock.now() + timedelta(hours=1), reason="resting"))
    bench.start()
    body = storage.queue(QUEUE).peek()[0].body
    bench.serve()
    assert bench.engine.handle(body) is Delivery.SUPERSEDED


def test_starting_again_with_the_same_id_gives_back_the_same_job(bench: Bench):
    bench.kind(three_steps)
    job_id = JobId("chosen by the client")
    first = bench.engine.start("test", SCOPE, job_id=job_id)
    bench.serve()
    again = bench.engine.start("test", SCOPE, job_id=job_id)
    assert again.status is JobStatus.SUCCEEDED
    assert first.id == again.id
    assert len(bench.engine.list(SCOPE).jobs) == 1


def test_a_job_of_an_unknown_kind_is_refused_at_the_start(bench: Bench):
    with pytest.raises(JobKindUnknown, match="kind nothing"):
        bench.engine.start("nothing", SCOPE)


def test_a_job_whose_kind_only_another_release_knows_goes_back(
    bench: Bench, storage: MemoryStorage, clock: ManualClock
):
    bench.kind(three_steps)
    job = bench.start()
    older = JobEngine(storage, clock, type(bench.engine.kinds)())
    message = storage.queue(QUEUE).receive()[0]
    assert older.handle(message.body) is Delivery.UNKNOWN_KIND
    assert bench.now(job).status is JobStatus.QUEUED
    bench.serve_until(lambda: bench.now(job).status is JobStatus.SUCCEEDED)


def test_a_delayed_start_waits_for_its_time(bench: Bench, clock: ManualClock):
    bench.kind(three_steps)
    job = bench.engine.start("test", SCOPE, delay=90)
    bench.serve()
    assert bench.now(job).status is JobStatus.QUEUED
    clock.advance(91)
    bench.serve()
    assert bench.now(job).status is JobStatus.SUCCEEDED


def test_a_waiting_job_says_why_and_goes_on_when_woken(bench: Bench):
    def waits(context: StepContext) -> StepOutcome:
        if context.state.get("waited"):
            return Succeed()
        until = context.now() + timedelta(days=30)
        return Wait(
            until=until, reason="waiting for worker w1", next="the worker reports", state={"waited": True}
        )

    bench.kind(waits)
    job = bench.start()
    bench.serve()
    waiting = bench.now(job)
    assert (waiting.status, waiting.reason, waiting.next) == (
        JobStatus.WAITING,
        "waiting for worker w1",
        "the worker reports",
    )
    bench.engine.wake(SCOPE, job.id)
    bench.serve()
    assert bench.now(job).status is JobStatus.SUCCEEDED


def test_a_wake_during_the_step_is_not_lost(bench: Bench):
    def waits(context: StepContext) -> StepOutcome:
        if context.state.get("waited"):
            return Succeed()
        bench.engine.wake(SCOPE, context.job.id)
        return Wait(until=context.now() + timedelta(days=30), reason="long", state={"waited": True})

    bench.kind(waits)
    job = bench.start()
    bench.serve()
    assert bench.now(job).status is JobStatus.SUCCEEDED


def test_a_failing_step_is_tried_again_with_growing_pauses(bench: Bench):
    tries: list[float] = []

    def flaky(context: StepContext) -> StepOutcome:
        tries.append(context.clock.monotonic())
        if len(tries) < 4:
            raise OSError("secret text")
        return Succeed()

    bench.kind(flaky, retry=RetryPolicy(attempts=5, base=10, ceiling=1_000))
    job = bench.start()
    bench.serve()
    waiting = bench.now(job)
    assert waiting.reason == "attempt 1 of 5 failed: JobStepFailed: OSError: see the log"
    bench.serve_until(lambda: bench.now(job).status is JobStatus.SUCCEEDED)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 2 * pauses[0]


def test_a_step_that_keeps_failing_fails_the_job_with_its_code(bench: Bench):
    def never(_: StepContext) -> StepOutcome:
        raise OSError

    bench.kind(never, retry=RetryPolicy(attempts=3, base=1))
    job = bench.start()
    bench.serve_until(lambda: bench.now(job).status is JobStatus.FAILED)
    failed = bench.now(job)
    assert failed.error is not None
    assert (failed.error.code, failed.attempt) == ("JobStepFailed", 3)


def test_what_the_caller_did_wrong_is_not_tried_again(bench: Bench):
    def refuses(_: StepContext) -> StepOutcome:
        raise Refused("not yours")

    bench.kind(refuses)
    job = bench.start()
    bench.serve()
    failed = bench.now(job)
    assert failed.error is not None
    assert (failed.status, failed.error.code) == (JobStatus.FAILED, "Refused")


def test_partial_success_and_failure_are_ends_of_their_own(bench: Bench):
    bench.kind(
        lambda _: SucceedPartly(code="SomeDisksLeft", message="1 of 2 disks", result={"disks": 1}),
        name="partly",
    )
    bench.kind(lambda _: Fail(code="DiskGone", message="there is no disk"), name="fails")
    partly, failed = bench.start(name="partly"), bench.start(name="fails")
    bench.serve()
    assert bench.now(partly).status is JobStatus.PARTIALLY_SUCCEEDED
    assert bench.now(partly).result == {"disks": 1}
    assert bench.now(failed).status is JobStatus.FAILED


@pytest.mark.parametrize("state", [{"big": "x" * 40_000}, {"no json": object()}])
def test_a_state_that_cannot_be_stored_fails_the_job_rather_than_loop(bench: Bench, state: dict[str, object]):
    bench.kind(lambda _: Next(state=state), retry=RetryPolicy(attempts=2, base=1))
    job = bench.start()
    bench.serve_until(lambda: bench.now(job).status is JobStatus.FAILED)
    assert bench.now(job).error is not None


def test_a_job_that_takes_too_long_fails_as_timed_out(bench: Bench):
    bench.kind(lambda _: Next(delay=10), timeout=35)
    job = bench.start()
    bench.serve_until(lambda: bench.now(job).status is JobStatus.FAILED)
    failed = bench.now(job)
    assert failed.error is not None
    assert failed.error.code == "JobTimedOut"
    assert failed.history[-1].event == "timed out"


def test_a_queued_job_is_cancelled_at_once(bench: Bench):
    bench.kind(three_steps)
    job = bench.start()
    assert bench.engine.cancel(SCOPE, job.id).status is JobStatus.CANCELLED
    assert bench.engine.cancel(SCOPE, job.id).status is JobStatus.CANCELLED
    bench.serve()
    assert bench.deliveries == [Delivery.OVER]


def test_a_running_step_hears_of_the_cancel_and_the_kind_undoes(bench: Bench, clock: ManualClock):
    heard: list[bool] = []

    def runs(context: StepContext) -> StepOutcome:
        bench.engine.cancel(SCOPE, context.job.id, reason="asked by ann")
        clock.advance(3)
        heard.append(context.should_stop())
        return Next(state={"half": "made"})

    def undo(context: StepContext) -> StepOutcome:
        heard.append(context.cancelling)
        return Stop(result={"undone": context.state["half"]})

    bench.kind(runs, on_cancel=undo)
    job = bench.start()
    bench.serve()
    cancelled = bench.now(job)
    assert heard == [True, True]
    assert (cancelled.status, cancelled.result) == (JobStatus.CANCELLED, {"undone": "made"})
    assert [entry.event for entry in cancelled.history] == [
        "created",
        "picked up",
        "asked to cancel",
        "stopped",
    ]


def test_a_waiting_job_need_not_wait_to_be_cancelled(bench: Bench):
    bench.kind(lambda context: Wait(until=context.now() + timedelta(days=3), reason="resting"))
    job = bench.start()
    bench.serve()
    assert bench.engine.cancel(SCOPE, job.id).status is JobStatus.CANCELLING
    bench.serve()
    assert bench.now(job).status is JobStatus.CANCELLED


def test_a_finished_job_cannot_be_cancelled(bench: Bench):
    bench.kind(lambda _: Succeed())
    job = bench.start()
    bench.serve()
    with pytest.raises(IllegalJobTransition, match="Succeeded"):
        bench.engine.cancel(SCOPE, job.id)


def test_a_delivery_that_meets_a_live_claim_goes_back(bench: Bench, storage: MemoryStorage):
    met: list[Delivery] = []

    def runs(context: StepContext) -> StepOutcome:
        met.append(bench.engine.advance(SCOPE, context.job.id, turn=context.job.turn))
        return Succeed()

    bench.kind(runs)
    job = bench.start()
    bench.serve()
    assert met == [Delivery.LEASED]
    assert bench.now(job).status is JobStatus.SUCCEEDED
    assert storage.queue(QUEUE).info().count == 1


def test_of_two_runners_the_one_whose_claim_lapsed_is_refused(bench: Bench, clock: ManualClock):
    results: list[Delivery] = []

    def runs(context: StepContext) -> StepOutcome:
        if not results:
            clock.advance(1_000)
            results.append(Delivery.LEASED)
            results.append(bench.engine.advance(SCOPE, context.job.id))
        return (
            Next(state={"by": context.fence}) if context.fence == 2 else Succeed(result={"by": context.fence})
        )

    bench.kind(runs)
    job = bench.start()
    first = bench.engine.advance(SCOPE, job.id)
    assert (first, results[1]) == (Delivery.REFUSED, Delivery.STEPPED)
    assert bench.now(job).state == {"by": 2}
    assert "taken over" in [entry.event for entry in bench.now(job).history]


def test_heartbeats_keep_the_claim_of_a_long_step(bench: Bench, clock: ManualClock):
    met: list[Delivery] = []

    def runs(context: StepContext) -> StepOutcome:
        for part in range(20):
            clock.advance(10)
            context.report(phase="copying", done=part + 1, total=20, size=1_000 * (part + 1))
        met.append(bench.engine.advance(SCOPE, context.job.id))
        return Succeed()

    bench.kind(runs, budget=30)
    job = bench.start()
    bench.serve()
    assert met == [Delivery.LEASED]
    assert bench.now(job).progress.done == 20
    assert bench.now(job).progress.rate > 0


def test_a_step_that_kills_its_runners_fails_in_the_end(bench: Bench, clock: ManualClock):
    class Killed(BaseException):
        pass

    def kills(_: StepContext) -> StepOutcome:
        raise Killed

    bench.kind(kills, retry=RetryPolicy(deaths=3))
    job = bench.start()
    for _ in range(3):
        with pytest.raises(Killed):
            bench.engine.advance(SCOPE, job.id)
        clock.advance(200)
    assert bench.engine.advance(SCOPE, job.id) is Delivery.ENDED
    failed = bench.now(job)
    assert failed.error is not None
    assert failed.error.code == "JobRunnersLost"


def test_a_job_beyond_the_limit_says_who_runs_and_starts_when_one_ends(bench: Bench):
    bench.engine.admission = per_scope_and_caller(scope=2, caller=9)
    bench.kind(lambda context: Succeed() if context.state else Next(state={"n": 1}, delay=5))
    jobs = [bench.start() for _ in range(3)]
    bench.serve()
    held = bench.now(jobs[2])
    assert held.status is JobStatus.WAITING
    assert held.reason == f"2 of 2 jobs of {SCOPE} are running"
    assert held.next == "starts as soon as one of them ends"
    bench.serve_until(lambda: all(bench.now(job).status is JobStatus.SUCCEEDED for job in jobs))
    assert bench.engine.slots.read(jobs[0], "scope").holders == ()


def test_a_cancelled_job_leaves_its_place_to_others(bench: Bench):
    bench.engine.admission = per_scope_and_caller(scope=1, caller=9)
    bench.kind(lambda context: Next(delay=5) if context.job.subject == "first" else Succeed())
    first, second = bench.start(subject="first"), bench.start(subject="second")
    bench.serve()
    bench.engine.cancel(SCOPE, first.id)
    bench.serve_until(lambda: bench.now(second).status is JobStatus.SUCCEEDED)
    assert bench.now(first).status is JobStatus.CANCELLED


def test_jobs_list_newest_first_in_pages_by_kind_status_and_subject(bench: Bench, clock: ManualClock):
    bench.kind(lambda _: Succeed())
    bench.kind(lambda _: Succeed(), name="other")
    jobs: list[Job] = []
    for number in range(7):
        clock.advance(1)
        jobs.append(bench.start(name="other" if number == 3 else "test", subject=f"t{number % 2}"))
    bench.engine.start("test", Scope("another"))
    pages: list[list[JobId]] = []
    after: str | None = None
    while True:
        page = bench.engine.list(SCOPE, size=3, after=after)
        pages.append([job.id for job in page.jobs])
        after = page.next
        if after is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [job_id for page in pages for job_id in page] == [job.id for job in reversed(jobs)]
    assert [job.id for job in bench.engine.list(SCOPE, kind="other").jobs] == [jobs[3].id]
    assert len(bench.engine.list(SCOPE, subject="t1").jobs) == 3
    assert len(bench.engine.list(SCOPE, status=JobStatus.QUEUED).jobs) == 7


def test_one_scope_never_sees_another_scopes_job(bench: Bench):
    bench.kind(lambda _: Succeed())
    job = bench.start()
    with pytest.raises(JobNotFound):
        bench.engine.get(Scope("another"), job.id)
    assert bench.engine.list(Scope("another")).jobs == []


def test_the_sweeper_sends_what_a_lost_message_left_behind(
    bench: Bench, storage: MemoryStorage, clock: ManualClock
):
    bench.kind(three_steps)
    job = bench.start()
    storage.queue(QUEUE).clear()
    assert sweep(bench.engine).sent == 0
    clock.advance(31)
    assert (sweep(bench.engine).sent, sweep(bench.engine).sent) == (1, 1)
    bench.serve()
    assert bench.now(job).status is JobStatus.SUCCEEDED
    assert sweep(bench.engine).live == 0


def test_the_sweeper_leaves_waiting_jobs_alone_until_they_are_due(
    bench: Bench, storage: MemoryStorage, clock: ManualClock
):
    bench.kind(lambda context: Wait(until=context.now() + timedelta(hours=1), reason="resting"))
    bench.start()
    bench.serve()
    storage.queue(QUEUE).clear()
    clock.advance(3_000)
    assert sweep(bench.engine).sent == 0
    clock.advance(700)
    assert sweep(bench.engine).sent == 1


def test_the_sweeper_finds_many_jobs(bench: Bench, storage: MemoryStorage, clock: ManualClock):
    bench.kind(lambda _: Succeed())
    jobs = [bench.start() for _ in range(60)]
    bench.engine.cancel(SCOPE, jobs[30].id)
    storage.queue(QUEUE).clear()
    clock.advance(60)
    assert sweep(bench.engine).sent == 59


def test_old_jobs_are_forgotten_with_their_output(bench: Bench, storage: MemoryStorage, clock: ManualClock):
    bench.kind(three_steps)
    old = bench.engine.start("test", SCOPE, job_id=JobId("by name"))
    bench.serve()
    clock.advance(20 * 86_400)
    young = bench.start()
    bench.serve()
    clock.advance(15 * 86_400)
    assert retire(bench.engine) == 1
    assert [job.id for job in bench.engine.list(SCOPE).jobs] == [young.id]
    with pytest.raises(JobNotFound):
        bench.now(old)
    assert len([*storage.blobs("job-output").list()]) == 1
    assert bench.engine.start("test", SCOPE, job_id=JobId("by name")).status is JobStatus.QUEUED


def test_health_tells_the_oldest_queued_the_stuck_and_the_poison(
    bench: Bench, storage: MemoryStorage, clock: ManualClock
):
    bench.kind(lambda _: Succeed())
    bench.start()
    storage.queue(QUEUE).clear()
    storage.queue(f"{QUEUE}-poison").send("x")
    clock.advance(700)
    found = health(bench.engine)
    assert (found.queued, found.stuck, found.oldest_queued, found.poison) == (1, 1, 700.0, 1)


def test_the_local_listener_is_woken_for_what_is_due_now(
    storage: MemoryStorage, clock: ManualClock, bench: Bench
):
    woken: list[str] = []
    bench.engine.nudge = woken.append
    bench.kind(lambda _: Succeed())
    bench.start()
    bench.engine.start("test", SCOPE, delay=60)
    assert woken == [QUEUE]
