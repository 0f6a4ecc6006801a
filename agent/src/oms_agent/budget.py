"""The agent's own CPU and memory, held to a budget and published as Perf rows."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

MOST: Final = 16.0


@dataclass(slots=True)
class Budget:
    """Stretches every interval by `factor` while the agent costs more than it may, and relaxes as it costs less."""

    cpu_percent: float
    memory_mb: float
    process: psutil.Process = field(default_factory=psutil.Process)
    clock: Callable[[], float] = time.monotonic
    factor: float = 1.0
    _spent: float | None = field(default=None, init=False)
    _at: float = field(default=0.0, init=False)
    cpu: float = field(default=0.0, init=False)
    resident_mb: float = field(default=0.0, init=False)

    def measure(self) -> None:
        """Look at the time since the measurement before, and adjust."""
        times = self.process.cpu_times()
        spent, now = times.user + times.system, self.clock()
        self.resident_mb = self.process.memory_info().rss / (1024 * 1024)
        if self._spent is not None and now > self._at:
            self.cpu = 100 * (spent - self._spent) / (now - self._at)
        self._spent, self._at = spent, now
        if self.cpu > self.cpu_percent or self.resident_mb > self.memory_mb:
            self.factor = min(self.factor * 2, MOST)
        elif self.cpu < self.cpu_percent / 2:
            self.factor = max(self.factor / 2, 1.0)

    def records(
        self, *, computer: str, at: str, spool_bytes: int, sent: int, dropped: int
    ) -> list[Mapping[str, Any]]:
        """The agent's own counters, of the object OMS Agent."""
        values = {
            "% Processor Time": round(self.cpu, 3),
            "% Processor Time Budget": self.cpu_percent,
            "Resident MBytes": round(self.resident_mb, 2),
            "Resident MBytes Budget": self.memory_mb,
            "Spool MBytes": round(spool_bytes / 1e6, 3),
            "Records Sent": float(sent),
            "Records Dropped": float(dropped),
            "Interval Factor": self.factor,
        }
        return [
            {
                "TimeGenerated": at,
                "Computer": computer,
                "ObjectName": "OMS Agent",
                "CounterName": name,
                "InstanceName": "oms-agent",
                "CounterValue": value,
                "CounterPath": f"\\\\{computer}\\OMS Agent(oms-agent)\\{name}",
            }
            for name, value in values.items()
        ]
