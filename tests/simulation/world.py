"""Deterministic simulation: synchronous code on threads that hand each other one baton at every storage call.

A `World` is a storage account in memory behind a gate. Code under test runs in *processes* (threads of which one at a
time runs); each storage call and each sleep is a point where the seed decides who goes next, whether the call
fails before or after it took effect, whether the process dies there, whether a message comes late, twice or again, and
how far the clock jumps. The same seed gives the same history, so a failing seed is a reproduction.

    world = World(7)
    world.spawn("worker-1", lambda: work(world.storage, world.clock()))
    world.run(settled=lambda: nothing_left(world.inner))
"""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.kernel.clock import Clock
from shared.storage.gates import Phase
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage, StorageUnavailable
from tests.simulation.queues import UnreliableStorage

START: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
JUMPS: Final = (0.5, 2.0, 20.0, 45.0, 130.0, 700.0)


class Crash(BaseException):
    """The process was killed. Nothing it does afterwards, `finally` included, reaches storage."""


class DidNotDrain(AssertionError):
    """The faults stopped, time went on, and there is still work left."""


class ProcessFailed(AssertionError):
    """A process ended by an exception that it should have handled."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Chances per storage call (`jump`: per turn). `none()` leaves only the interleaving to the seed."""

    fail: float = 0.03
    """StorageUnavailable, and nothing happened."""
    lost: float = 0.03
    """StorageUnavailable, though it took effect."""
    crash: float = 0.006
    """The process dies, before or after the effect."""
    twice: float = 0.05
    """A message is sent twice, or received by somebody else as well."""
    late: float = 0.1
    """A message becomes visible up to a minute later, so that others overtake it."""
    jump: float = 0.02
    """The clock leaps: leases and visibility lapse under whoever holds them."""
    unavailable: Callable[[str, str], bool] | None = None
    """Calls (operation, key) that always fail while faults are on, such as one service of storage being down."""

    @classmethod
    def none(cls) -> "Faults":
        return cls(fail=0, lost=0, crash=0, twice=0, late=0, jump=0)


@dataclass(slots=True, eq=False)
class Process:
    """One simulated operating system process; after a crash its body runs again from the start if `restarts`."""

    name: str
    body: Callable[[], None]
    restarts: bool
    go: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    wake: datetime | None = None
    """Asleep until then."""
    dead: bool = False
    done: bool = False
    incarnation: int = 0
    error: BaseException | None = None


@dataclass(slots=True)
class WorldClock:
    """The world's time as one process sees it; `skew` seconds off the storage service's own clock."""

    world: "World"
    skew: float = 0

    def now(self) -> datetime:
        return self.world.at + timedelta(seconds=self.skew)

    def monotonic(self) -> float:
        return self.world.at.timestamp()

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)


class World:
    """Seeded storage, time and processes. Not for reuse: one world, one history."""

    def __init__(self, seed: int, *, faults: Faults | None = None) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.faults = faults or Faults()
        self.faulty = True
        self.at = START
        self.inner = MemoryStorage(WorldClock(self), gate=self._gate)
        """The storage itself, for the test's own thread to judge by: calls from there never fail."""
        self.storage: Storage = UnreliableStorage(self.inner, self, self.faults.twice, self.faults.late)
        """What the code under test is given."""
        self.trace: list[tuple[str, str, str, str]] = []
        self.steps = 0
        self._processes: list[Process] = []
        self._local = threading.local()
        self._turn = threading.Semaphore(0)
        self._ending = False

    def clock(self, *, skew: float = 0) -> Clock:
        return WorldClock(self, skew)

    def new_id(self) -> str:
        """A random id that the seed decides."""
        return f"{self.random.getrandbits(128):032x}"

    def alive(self) -> bool:
        """Whether any process has not come to its end."""
        return any(not process.done for process in self._processes)

    def spawn(self, name: str, body: Callable[[], None], *, restarts: bool = True) -> None:
        process = Process(name=name, body=body, restarts=restarts)
        self._processes.append(process)
        self._start(process)

    def run(
        self,
        *,
        settled: Callable[[], bool],
        faulty_steps: int = 600,
        max_steps: int = 60_000,
        check: Callable[[], None] | None = None,
    ) -> None:
        """Let the seed play until everybody is done or `settled()` holds with the faults switched off.

        Faults stop after `faulty_steps`; what is not settled `max_steps` later raises DidNotDrain. `check` is asked
        between turns, for what must hold at every moment.
        """
        try:
            while True:
                if self.steps == faulty_steps:
                    self.faulty = False
                if check is not None:
                    check()
                if not self.faulty and self.steps % 16 == 0 and settled():
                    return
                if not self._take_a_turn():
                    if settled():
                        return
                    raise DidNotDrain(f"seed {self.seed}: everybody stopped and work is left")
                if self.steps > faulty_steps + max_steps:
                    raise DidNotDrain(
                        f"seed {self.seed}: work is left {max_steps} steps after the faults stopped"
                    )
        finally:
            self._end()

    def _gate(self, phase: Phase, operation: str, key: str) -> None:
        """Before and after each storage call of a process: let others run, and do what the seed wants."""
        process: Process | None = getattr(self._local, "process", None)
        if process is None:
            return
        if process.dead or self._ending:
            raise Crash(process.name)
        if phase == "before":
            self._yield(process)
        chance = self.random.random() if self.faulty else 1.0
        faults = self.faults
        fails = faults.fail if phase == "before" else faults.lost
        if self.faulty and faults.unavailable is not None and faults.unavailable(operation, key):
            fails = 1.0
        if chance < faults.crash / 2:
            self._die(process, operation, key, f"killed {phase}")
        if chance < faults.crash / 2 + fails:
            self._note(process, operation, key, "failed" if phase == "before" else "answer lost")
            raise StorageUnavailable(f"{operation} {key}: the simulation says no")
        self._note(process, operation, key, phase)

    def happens(self, chance: float) -> bool:
        """Whether something of that chance happens now; never once the faults have stopped, nor outside a process."""
        if not self.faulty or getattr(self._local, "process", None) is None:
            return False
        return self.random.random() < chance

    def between(self, low: float, high: float) -> float:
        return self.random.uniform(low, high)

    def sleep(self, seconds: float) -> None:
        """Sleep as the process that calls; from outside any process, move the clock."""
        process: Process | None = getattr(self._local, "process", None)
        if process is None:
            self.at += timedelta(seconds=seconds)
            return
        process.wake = self.at + timedelta(seconds=seconds)
        self._yield(process)

    def crash_now(self) -> None:
        """Kill the process that calls, at this very point."""
        process: Process = self._local.process
        self._die(process, "process", process.name, "killed here")

    # Who runs

    def _take_a_turn(self) -> bool:
        """Let one process run to its next scheduling point; False when none is left."""
        alive = [process for process in self._processes if not process.done]
        if not alive:
            return False
        self.steps += 1
        self.at += timedelta(milliseconds=self.random.randrange(1, 20))
        if self.faulty and self.random.random() < self.faults.jump:
            self.at += timedelta(seconds=self.random.choice(JUMPS))
        ready = [process for process in alive if process.wake is None or process.wake <= self.at]
        if not ready:
            self.at = min(process.wake for process in alive if process.wake is not None)
            ready = [process for process in alive if process.wake is None or process.wake <= self.at]
        process = self.random.choice(ready)
        process.wake = None
        self._resume(process)
        if process.error is not None:
            raise ProcessFailed(f"seed {self.seed}: {process.name} failed") from process.error
        if process.dead and process.done and process.restarts:
            process.dead = process.done = False
            process.incarnation += 1
            self._start(process)
        return True

    def _start(self, process: Process) -> None:
        threading.Thread(target=self._live, args=(process,), name=process.name, daemon=True).start()

    def _live(self, process: Process) -> None:
        process.go.acquire()
        self._local.process = process
        try:
            if not self._ending:
                process.body()
        except Crash:
            pass
        except Exception as error:
            process.error = error
        finally:
            process.done = True
            self._turn.release()

    def _resume(self, process: Process) -> None:
        process.go.release()
        self._turn.acquire()

    def _yield(self, process: Process) -> None:
        if process.dead or self._ending:
            raise Crash(process.name)
        self._turn.release()
        process.go.acquire()
        if self._ending:
            process.dead = True
            raise Crash(process.name)

    def _die(self, process: Process, operation: str, key: str, how: str) -> None:
        self._note(process, operation, key, how)
        process.dead = True
        raise Crash(process.name)

    def _note(self, process: Process, operation: str, key: str, what: str) -> None:
        self.trace.append((f"{process.name}.{process.incarnation}", operation, key, what))

    def _end(self) -> None:
        self._ending = True
        for process in self._processes:
            if not process.done:
                self._resume(process)
