"""A job engine on storage in memory or on Azurite, and the loop that serves its queue until nothing is left."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from shared.jobs.engine import QUEUE, Delivery, JobEngine
from shared.jobs.kinds import JobKind, JobKinds, RetryPolicy, RunStep
from shared.jobs.model import Job, JsonObject, Scope
from shared.kernel.clock import Clock, ManualClock
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage

SCOPE = Scope("/subscriptions/s1/resourceGroups/g1/workspaces/Contoso")


@dataclass(slots=True)
class Bench:
    """An engine and its queue. `serve` delivers what is visible; on a manual clock it may first wait for what is not."""

    engine: JobEngine
    storage: Storage
    clock: Clock
    deliveries: list[Delivery] = field(default_factory=list[Delivery])

    def kind(
        self,
        run_step: RunStep,
        *,
        name: str = "test",
        on_cancel: RunStep | None = None,
        retry: RetryPolicy | None = None,
        timeout: float | None = None,
        budget: float = 60,
    ) -> None:
        self.engine.kinds.register(
            JobKind(
                name=name,
                run_step=run_step,
                on_cancel=on_cancel,
                retry=retry or RetryPolicy(),
                timeout=timeout,
                budget=budget,
            )
        )

    def start(self, parameters: JsonObject | None = None, *, name: str = "test", subject: str = "") -> Job:
        return self.engine.start(name, SCOPE, parameters, subject=subject)

    def serve(self, *, most: int = 1_000) -> None:
        queue = self.storage.queue(QUEUE)
        for _ in range(most):
            messages = queue.receive(limit=1)
            if not messages:
                return
            self.deliveries.append(self.engine.handle(messages[0].body))
            queue.delete(messages[0])
        raise AssertionError(f"{most} messages did not do")

    def serve_until(self, over: Callable[[], bool]) -> None:
        """Serve, and let time pass while nothing is visible."""
        for _ in range(500):
            self.serve()
            if over():
                return
            self.clock.sleep(1 if isinstance(self.clock, ManualClock) else 0.05)
        raise AssertionError("it does not come to an end")

    def now(self, job: Job) -> Job:
        return self.engine.get(job.scope, job.id)


def bench_on(storage: Storage, clock: Clock) -> Bench:
    return Bench(JobEngine(storage, clock, JobKinds(), jitter=lambda: 0.5), storage, clock)


@pytest.fixture
def bench(storage: MemoryStorage, clock: ManualClock) -> Bench:
    return bench_on(storage, clock)
