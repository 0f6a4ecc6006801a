"""Goal 11: 500 jobs that do nothing. Jobs a second and dispatch latency, beside a bare poller of the same Azurite, huey and Celery.

The engine and the bare poller share one loop with the Functions host's semantics (batches of 16, a new one at 8 in flight,
polling that backs off to 2 s), so their ratio is what the engine's rows, claims and records cost. All in one run, on one machine.
"""

import importlib.util
import logging
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from devhost.azurite import Azurite
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE, JobEngine
from shared.jobs.kinds import JobKind, JobKinds, StepOutcome, Succeed
from shared.jobs.model import Scope
from shared.kernel.clock import SystemClock
from shared.storage.azure import AzureStorage
from shared.storage.ports import Message, MessageNotFound, Queue

JOBS = 500
BATCH = 16
THRESHOLD = 8
LONGEST_POLL = 2.0
BUSY_RATE = 25.0
BUSY_JOBS = 100
IDLE_JOBS = 6
NUDGED_JOBS = 40


@dataclass(slots=True)
class Entered:
    """When each job's handler was entered."""

    at: dict[str, float] = field(default_factory=dict[str, float])
    lock: threading.Lock = field(default_factory=threading.Lock)
    more: threading.Condition = field(default_factory=threading.Condition)

    def enter(self, name: str) -> None:
        now = time.perf_counter()
        with self.more:
            self.at.setdefault(name, now)
            self.more.notify_all()

    def wait(self, count: int, seconds: float = 120) -> None:
        with self.more:
            if not self.more.wait_for(lambda: len(self.at) >= count, seconds):
                raise TimeoutError(f"{len(self.at)} of {count} jobs after {seconds} s")


@dataclass(slots=True)
class Poller:
    """The host's queue listener, bare: receive up to 16, handle on threads, delete; back off while there is nothing."""

    queue: Queue
    handle: Callable[[str], object]
    _stop: threading.Event = field(default_factory=threading.Event)
    _wake: threading.Event = field(default_factory=threading.Event)
    _flying: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def nudge(self, queue: str) -> None:
        del queue
        self._wake.set()

    def run(self) -> None:
        pause = 0.1
        with ThreadPoolExecutor(BATCH + THRESHOLD) as pool:
            while not self._stop.is_set():
                self._wake.clear()
                if self._flying > THRESHOLD:
                    self._wake.wait(1)
                    continue
                messages = self.queue.receive(limit=BATCH)
                for message in messages:
                    with self._lock:
                        self._flying += 1
                    pool.submit(self._one, message)
                if messages:
                    pause = 0.1
                    continue
                woken = self._wake.wait(pause)
                pause = 0.1 if woken else min(pause * 2, LONGEST_POLL)

    def _one(self, message: Message) -> None:
        try:
            self.handle(message.body)
            self.queue.delete(message)
        except MessageNotFound:
            pass
        finally:
            with self._lock:
                self._flying -= 1
            self._wake.set()

    @contextmanager
    def running(self) -> Iterator["Poller"]:
        thread = threading.Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._wake.set()
            thread.join(30)


@dataclass(slots=True, kw_only=True)
class Figures:
    """What one contender did: jobs a second, and seconds from enqueue to handler. Empty lists: not measured."""

    name: str
    rate: float
    busy: list[float] = field(default_factory=list[float])
    idle: list[float] = field(default_factory=list[float])
    nudged: list[float] = field(default_factory=list[float])
    start_rate: float = 0.0


def p50(seconds: list[float]) -> float:
    return statistics.median(seconds) * 1_000


def p95(seconds: list[float]) -> float:
    return sorted(seconds)[min(len(seconds) - 1, round(0.95 * (len(seconds) - 1)))] * 1_000


def paced(
    enqueue: Callable[[str], None], entered: Entered, *, jobs: int, rate: float, tag: str
) -> list[float]:
    """Latencies of jobs enqueued at a steady rate."""
    sent: dict[str, float] = {}
    before = len(entered.at)
    begun = time.perf_counter()
    for number in range(jobs):
        time.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        name = f"{tag}-{number}"
        sent[name] = time.perf_counter()
        enqueue(name)
    entered.wait(before + jobs)
    return [entered.at[name] - at for name, at in sent.items()]


def spaced(
    enqueue: Callable[[str], None], entered: Entered, *, jobs: int, gap: float, tag: str
) -> list[float]:
    """Latencies of jobs that each find the listener idle."""
    found: list[float] = []
    for number in range(jobs):
        time.sleep(gap * (0.8 + 0.4 * number / max(jobs - 1, 1)))
        found += paced(enqueue, entered, jobs=1, rate=1, tag=f"{tag}{number}")
    return found


def bare(storage: AzureStorage, name: str) -> Figures:
    queue = storage.queue(name)
    entered = Entered()
    begun = time.perf_counter()
    for number in range(JOBS):
        queue.send(f"drain-{number}")
    sending = time.perf_counter() - begun
    begun = time.perf_counter()
    poller = Poller(queue, entered.enter)
    with poller.running():
        entered.wait(JOBS)
        _until_empty(queue)
        rate = JOBS / (time.perf_counter() - begun)

        def enqueue(body: str) -> None:
            queue.send(body)

        busy = paced(enqueue, entered, jobs=BUSY_JOBS, rate=BUSY_RATE, tag="busy")
    return Figures(name="bare Azurite poller", rate=rate, busy=busy, start_rate=JOBS / sending)


def engine(storage: AzureStorage) -> Figures:
    entered = Entered()

    def nothing(context: StepContext) -> StepOutcome:
        entered.enter(context.job.subject)
        return Succeed()

    kinds = JobKinds()
    kinds.register(JobKind(name="nothing", run_step=nothing))
    jobs = JobEngine(storage, SystemClock(), kinds)
    scope = Scope("bench")

    def enqueue(name: str) -> None:
        jobs.start("nothing", scope, subject=name)

    begun = time.perf_counter()
    for number in range(JOBS):
        enqueue(f"drain-{number}")
    starting = time.perf_counter() - begun
    queue = storage.queue(QUEUE)
    begun = time.perf_counter()
    poller = Poller(queue, jobs.handle)
    with poller.running():
        entered.wait(JOBS)
        _until_empty(queue)
        rate = JOBS / (time.perf_counter() - begun)
        busy = paced(enqueue, entered, jobs=BUSY_JOBS, rate=BUSY_RATE, tag="busy")
        idle = spaced(enqueue, entered, jobs=IDLE_JOBS, gap=4, tag="idle")
        jobs.nudge = poller.nudge
        nudged = spaced(enqueue, entered, jobs=NUDGED_JOBS, gap=0.2, tag="nudged")
    return Figures(
        name="job engine", rate=rate, busy=busy, idle=idle, nudged=nudged, start_rate=JOBS / starting
    )


def _until_empty(queue: Queue) -> None:
    while queue.info().count:
        time.sleep(0.01)


def huey_memory_and_sqlite(folder: Path) -> list[Figures]:
    from huey import MemoryHuey, SqliteHuey

    found: list[Figures] = []
    for name, make in (
        ("huey, memory", lambda: MemoryHuey("bench", results=False)),
        ("huey, sqlite", lambda: SqliteHuey("bench", filename=str(folder / "huey.db"), results=False)),
    ):
        app: Any = make()
        entered = Entered()
        task: Any = app.task()(entered.enter)
        for number in range(JOBS):
            task(f"drain-{number}")
        consumer: Any = app.create_consumer(
            workers=2,
            periodic=False,
            initial_delay=0.01,
            backoff=1.15,
            max_delay=0.1,
            check_worker_health=False,
        )
        begun = time.perf_counter()
        consumer.start()
        entered.wait(JOBS)
        rate = JOBS / (time.perf_counter() - begun)
        busy = paced(task, entered, jobs=BUSY_JOBS, rate=BUSY_RATE, tag="busy")
        consumer.stop(graceful=False)
        found.append(Figures(name=name, rate=rate, busy=busy))
    return found


def celery_memory(folder: Path) -> Figures:
    """A real Celery worker on threads of this process; its broker is in memory, polled every 10 ms."""
    from celery import Celery
    from celery.contrib.testing.worker import start_worker

    del folder
    app: Any = Celery("bench", broker="memory://", set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        broker_transport_options={"polling_interval": 0.01},
        worker_hijack_root_logger=False,
        worker_enable_remote_control=False,
    )
    entered = Entered()

    def enter(name: str) -> None:
        entered.enter(name)

    task: Any = app.task(name="bench.enter")(enter)
    for number in range(JOBS):
        task.delay(f"drain-{number}")
    begun = time.perf_counter()
    with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False, loglevel="CRITICAL"):
        entered.wait(JOBS)
        rate = JOBS / (time.perf_counter() - begun)
        busy = paced(task.delay, entered, jobs=BUSY_JOBS, rate=BUSY_RATE, tag="busy")
    return Figures(name="Celery, memory", rate=rate, busy=busy)


def peers() -> list[Figures]:
    found: list[Figures] = []
    with tempfile.TemporaryDirectory() as name:
        for package, measure in (
            ("huey", huey_memory_and_sqlite),
            ("celery", lambda folder: [celery_memory(folder)]),
        ):
            if importlib.util.find_spec(package) is None:
                print(f"{package}: peer absent")
                continue
            found += measure(Path(name))
    return found


def main() -> None:
    logging.disable(logging.CRITICAL)
    print(f"Goal 11: {JOBS} jobs that do nothing")
    with (
        Azurite.start() as azurite,
        AzureStorage.from_connection_string(azurite.connection_string) as storage,
    ):
        # Before and after, for other work on the machine comes and goes.
        before = bare(storage, "bare-before")
        ours = engine(storage)
        after = bare(storage, "bare-after")
    plain = Figures(
        name="bare Azurite poller",
        rate=statistics.mean([before.rate, after.rate]),
        start_rate=statistics.mean([before.start_rate, after.start_rate]),
        busy=[*before.busy, *after.busy],
    )
    others = peers()
    print(
        f"{'':24}{'jobs/s':>9}{'start/s':>9}{'busy p50':>10}{'busy p95':>10}{'idle p95':>10}{'nudged p50':>12}   (ms)"
    )
    for each in (ours, plain, *others):
        columns = [
            f"{each.rate:9.0f}",
            f"{each.start_rate:9.0f}" if each.start_rate else " " * 9,
            f"{p50(each.busy):10.1f}",
            f"{p95(each.busy):10.1f}",
            f"{p95(each.idle):10.1f}" if each.idle else " " * 10,
            f"{p50(each.nudged):12.1f}" if each.nudged else "",
        ]
        print(f"{each.name:24}{''.join(columns)}")
    print(f"jobs/s, engine : bare poller         {ours.rate / plain.rate:6.2f}   goal ≥ 0.8")
    print(f"busy p50 of the engine               {p50(ours.busy):6.0f} ms   goal ≤ 150 ms")
    print(f"idle p95 of the engine               {p95(ours.idle):6.0f} ms   goal ≤ 2000 ms")
    celery = next((each for each in others if each.name.startswith("Celery")), None)
    if celery is None:
        print("nudged p50, engine : Celery          peer absent")
    else:
        print(f"nudged p50, engine : Celery          {p50(ours.nudged) / p50(celery.busy):6.2f}   goal ≤ 10")


if __name__ == "__main__":
    main()
