"""A storage account in memory: the whole contract of `ports`, for tests and for deterministic simulation."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from threading import RLock

from shared.kernel.clock import Clock
from shared.storage import limits
from shared.storage.gates import Gate, Gated, Phase, open_gate
from shared.storage.memory_blobs import MemoryBlobs
from shared.storage.memory_queues import MemoryQueue
from shared.storage.memory_tables import MemoryTable


@dataclass(slots=True)
class MemoryStorage:
    """Safe for threads; nothing in it is random, so the same calls make the same ids and etags again.

    `gate` is called before and after every operation; swap it (`storage.gate = …`) between the phases of a simulation.
    """

    clock: Clock
    gate: Gate = open_gate
    _lock: RLock = field(default_factory=RLock, repr=False)
    _etags: Iterator[int] = field(default_factory=lambda: count(1), repr=False)
    _containers: dict[str, MemoryBlobs] = field(default_factory=dict[str, MemoryBlobs], repr=False)
    _tables: dict[str, MemoryTable] = field(default_factory=dict[str, MemoryTable], repr=False)
    _queues: dict[str, MemoryQueue] = field(default_factory=dict[str, MemoryQueue], repr=False)

    def blobs(self, container: str) -> MemoryBlobs:
        limits.check_container(container)
        with self._lock:
            if container not in self._containers:
                self._containers[container] = MemoryBlobs(
                    container=container,
                    clock=self.clock,
                    lock=self._lock,
                    gates=Gated(self._pass),
                    next_etag=self._next_etag,
                )
            return self._containers[container]

    def table(self, name: str) -> MemoryTable:
        limits.check_table(name)
        with self._lock:
            folded = name.lower()  # Azure's table names ignore case
            if folded not in self._tables:
                self._tables[folded] = MemoryTable(
                    name=name,
                    clock=self.clock,
                    lock=self._lock,
                    gates=Gated(self._pass),
                    next_etag=self._next_etag,
                )
            return self._tables[folded]

    def queue(self, name: str) -> MemoryQueue:
        limits.check_queue(name)
        with self._lock:
            if name not in self._queues:
                self._queues[name] = MemoryQueue(
                    name=name,
                    clock=self.clock,
                    lock=self._lock,
                    gates=Gated(self._pass),
                    next_etag=self._next_etag,
                )
            return self._queues[name]

    def tables(self) -> Mapping[str, MemoryTable]:
        """Every table there is, for tests and exports that look at all that is stored."""
        with self._lock:
            return dict(self._tables)

    def containers(self) -> Mapping[str, MemoryBlobs]:
        """Every container there is."""
        with self._lock:
            return dict(self._containers)

    def queues(self) -> Mapping[str, MemoryQueue]:
        """Every queue there is."""
        with self._lock:
            return dict(self._queues)

    def ping(self) -> None:
        self._pass("before", "storage.ping", "")
        self._pass("after", "storage.ping", "")

    def _pass(self, phase: Phase, operation: str, key: str) -> None:
        self.gate(phase, operation, key)

    def _next_etag(self) -> str:
        return f'"0x{next(self._etags):016X}"'
