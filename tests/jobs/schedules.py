"""The job engine in a simulated world: firings start jobs, workers run them, a sweeper sweeps, and a judge watches every write."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from shared.jobs.admission import per_scope_and_caller
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE, JobEngine
from shared.jobs.kinds import JobKind, JobKinds, Next, RetryPolicy, StepOutcome, Stop, Succeed, Wait
from shared.jobs.lifecycle import TERMINAL, IllegalJobTransition
from shared.jobs.model import Job, JobId, JobStatus, Scope, derived_job_id
from shared.jobs.output import CONTAINER, OutputLog
from shared.jobs.rows import job_of
from shared.jobs.store import TABLE, JobNotFound, JobStore
from shared.jobs.sweep import sweep
from shared.kernel.clock import Clock
from shared.storage.ports import Storage, StorageUnavailable
from tests.simulation.listener import queue_listener
from tests.simulation.world import Faults, World

SCOPE: Final = Scope("contoso")
FIRED: Final = datetime(2026, 1, 5, 12, tzinfo=UTC)
LIMIT: Final = 2

MakeEngine = Callable[[Storage, Clock, JobKinds, World], JobEngine]


def sound_engine(storage: Storage, clock: Clock, kinds: JobKinds, world: World) -> JobEngine:
    return JobEngine(storage, clock, kinds, **seeded(world))


def seeded(world: World) -> dict[str, Any]:
    """What the seed decides for an engine."""
    return {
        "admission": per_scope_and_caller(scope=LIMIT, caller=LIMIT),
        "new_id": world.new_id,
        "jitter": world.random.random,
    }


def count_up(context: StepContext) -> StepOutcome:
    """One step of a job that counts: two lines, then the next number, with the fence that wrote it."""
    number = int(context.state.get("n", 0))
    for line in range(2):
        context.say(f"{number}.{line}")
        context.heartbeat()
    state = {"n": number + 1, "by": context.fence}
    if number + 1 == int(context.parameters["steps"]):
        return Succeed(result=state)
    if number % 2:
        return Wait(until=context.now(), reason="every other step rests", state=state)
    return Next(state=state)


def undo(context: StepContext) -> StepOutcome:
    return Stop(result=dict(context.state))


def counting_kinds() -> JobKinds:
    kinds = JobKinds()
    policy = RetryPolicy(attempts=1_000, base=1, ceiling=10, deaths=1_000)
    kinds.register(JobKind(name="count", run_step=count_up, on_cancel=undo, retry=policy, budget=30))
    return kinds


@dataclass(slots=True)
class Judge:
    """Sees the job rows after every write and remembers what should not have happened."""

    world: World
    violations: list[str] = field(default_factory=list[str])
    _etags: dict[str, str] = field(default_factory=dict[str, str])
    _last: dict[JobId, Job] = field(default_factory=dict[JobId, Job])
    _seen: int = 0

    def look(self) -> None:
        fresh, self._seen = self.world.trace[self._seen :], len(self.world.trace)
        if not any(operation.startswith("table.") for _, operation, _, _ in fresh):
            return
        for row in self.world.inner.table(TABLE).query(SCOPE, start="j!", before="k"):
            if self._etags.get(row.key) != row.etag:
                self._etags[row.key] = row.etag
                self._judge(job_of(row))
        running = [job for job in self._last.values() if job.slots]
        if len(running) > LIMIT:
            self.violations.append(f"{len(running)} jobs run where {LIMIT} may")

    def _judge(self, job: Job) -> None:
        before = self._last.get(job.id)
        self._last[job.id] = job
        if before is None:
            return
        if before.status in TERMINAL:
            self.violations.append(f"{job.id} was written after its end")
        if job.fence < before.fence or job.turn < before.turn:
            self.violations.append(f"{job.id} went back in time")
        counted, was = (_count(each) for each in (job, before))
        if counted not in {was, was + 1}:
            self.violations.append(f"{job.id} counted {was} then {counted}")
        by = (job.result or job.state).get("by")
        if counted == was + 1 and by != before.fence:
            self.violations.append(f"{job.id}: fence {by} wrote under {before.fence}")

    def jobs(self) -> list[Job]:
        return [*self._last.values()]


def _count(job: Job) -> int:
    return int((job.result or job.state).get("n", 0))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One schedule: which engine, which parts of the machinery, which faults."""

    make_engine: MakeEngine = sound_engine
    firings: int = 4
    workers: int = 3
    steps: int = 3
    sweeps: bool = True
    cancels: bool = False
    deletes_first: bool = False
    random_ids: bool = False
    skew: float = 0
    faults: Faults = field(default_factory=Faults)
    faulty_steps: int = 900
    max_steps: int = 15_000


def play(seed: int, plan: Plan) -> list[str]:
    """What went wrong in this schedule; nothing, it is to be hoped."""
    world = World(seed, faults=plan.faults)
    judge = Judge(world)
    kinds = counting_kinds()
    accepted: set[str] = set()

    def engine(number: int) -> JobEngine:
        skew = (-plan.skew, 0.0, plan.skew)[number % 3]
        return plan.make_engine(world.storage, world.clock(skew=skew), kinds, world)

    starter = engine(0)

    def fire(firing: str) -> None:
        """A firing is delivered at least once, like everything; its job is to run once."""
        job_id = derived_job_id(FIRED, firing)
        if plan.random_ids:
            job_id = derived_job_id(FIRED, world.new_id())
        starter.start("count", SCOPE, {"steps": plan.steps}, job_id=job_id, subject=firing, caller="ann")
        accepted.add(firing)

    for number in range(plan.firings):
        world.inner.queue("firings").send(f"f{number}")
    world.spawn("starter", queue_listener(world.storage, "firings", fire, world.clock(), max_dequeues=1_000))
    for number in range(plan.workers):
        runner = engine(number)

        def handle(body: str, runner: JobEngine = runner) -> None:
            runner.handle(body)

        world.spawn(
            f"worker-{number}",
            queue_listener(
                world.storage, QUEUE, handle, world.clock(), visibility=120, deletes_first=plan.deletes_first
            ),
        )
    if plan.sweeps:
        world.spawn("sweeper-1", _sweeper(world, engine(0)))
        world.spawn("sweeper-2", _sweeper(world, engine(1)))
    if plan.cancels:
        world.spawn("impatient", _canceller(world, engine(1)), restarts=False)

    def settled() -> bool:
        judge.look()
        return (
            len({job.subject for job in judge.jobs()}) == plan.firings
            and all(job.status in TERMINAL for job in judge.jobs())
            and world.inner.queue("firings").info().count == 0
        )

    try:
        world.run(settled=settled, faulty_steps=plan.faulty_steps, max_steps=plan.max_steps, check=judge.look)
    except AssertionError as stuck:
        return [*judge.violations, str(stuck)]
    return [*judge.violations, *_final(world, plan, accepted)]


def _final(world: World, plan: Plan, accepted: set[str]) -> list[str]:
    """What must hold once everything has come to rest."""
    wrong: list[str] = []
    jobs = [job_of(row) for row in world.inner.table(TABLE).query(SCOPE, start="j!", before="k")]
    if lost := accepted - {job.subject for job in jobs}:
        wrong.append(f"acknowledged and lost: {sorted(lost)}")
    if len(jobs) > plan.firings:
        wrong.append(f"{plan.firings} firings started {len(jobs)} jobs")
    for job in jobs:
        if job.status is not JobStatus.SUCCEEDED and not (plan.cancels and job.status is JobStatus.CANCELLED):
            wrong.append(f"{job.id} ended as {job.status}: {job.reason}")
        log = OutputLog(world.inner.blobs(CONTAINER), world.clock(), SCOPE, job.id)
        said = [line.text for line in log.read().lines]
        expected = [f"{step}.{line}" for step in range(plan.steps) for line in range(2)]
        if said != (expected[: len(said)] if job.status is JobStatus.CANCELLED else expected):
            wrong.append(f"{job.id} said {said}")
    if JobStore(world.inner.table(TABLE)).survey(SCOPE, at=world.at):
        wrong.append("a job is not over")
    if [*world.inner.table(TABLE).query(SCOPE, start="a!", before="b")]:
        wrong.append("a job that is over is still marked")
    wrong += [
        f"slots of {row.key} are still held"
        for row in world.inner.table(TABLE).query(SCOPE, start="s!", before="t")
        if row.values["holders"] != "[]"
    ]
    return wrong


def _sweeper(world: World, engine: JobEngine) -> Callable[[], None]:
    def run() -> None:
        while True:
            world.clock().sleep(60)
            try:
                sweep(engine)
            except StorageUnavailable:
                continue

    return run


def _canceller(world: World, engine: JobEngine) -> Callable[[], None]:
    def run() -> None:
        for number in range(0, 4, 2):
            world.clock().sleep(world.random.uniform(0.1, 8))
            try:
                engine.cancel(SCOPE, derived_job_id(FIRED, f"f{number}"))
            except (StorageUnavailable, JobNotFound, IllegalJobTransition):
                continue

    return run
