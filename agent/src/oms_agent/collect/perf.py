"""Perf: counters of this machine by psutil, under the names that Log Analytics gives them on Linux."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import psutil

MEGABYTE: Final = 1024 * 1024
Sample = tuple[str, str, str, float]
"""Object, counter, instance, value."""


@dataclass(slots=True)
class PerfCollector:
    """Rates are over the time since the collection before; the first one has none."""

    computer: str
    objects: frozenset[str]
    clock: Callable[[], float] = time.monotonic
    _before: dict[tuple[str, str, str], float] = field(
        default_factory=dict[tuple[str, str, str], float], init=False
    )
    _at: float | None = field(default=None, init=False)

    def collect(self, *, at: str) -> list[Mapping[str, Any]]:
        """Records of the table Perf."""
        now = self.clock()
        elapsed = None if self._at is None else max(now - self._at, 1e-3)
        self._at = now
        sources = {
            "Processor": self._processor,
            "Memory": _memory,
            "Logical Disk": self._disk,
            "Network": _network,
            "System": _system,
        }
        return [
            {
                "TimeGenerated": at,
                "Computer": self.computer,
                "ObjectName": name,
                "CounterName": counter,
                "InstanceName": instance,
                "CounterValue": value,
                "CounterPath": f"\\\\{self.computer}\\{name}({instance})\\{counter}",
            }
            for key, source in sources.items()
            if key in self.objects
            for name, counter, instance, value in source(elapsed)
        ]

    def _processor(self, elapsed: float | None) -> Iterator[Sample]:
        everywhere = [
            ("_Total", psutil.cpu_times()),
            *((str(i), t) for i, t in enumerate(psutil.cpu_times(percpu=True))),
        ]
        for instance, times in everywhere:
            spent = times._asdict()
            shares = {name: self._rise("Processor", name, instance, value) for name, value in spent.items()}
            if elapsed is None or any(share is None for share in shares.values()):
                continue
            # guest time is in user time already: man 5 proc_stat
            known = {name: share or 0.0 for name, share in shares.items() if not name.startswith("guest")}
            total = sum(known.values()) or 1.0
            idle = known.get("idle", 0.0) + known.get("iowait", 0.0)
            yield "Processor", "% Processor Time", instance, round(100 * (total - idle) / total, 2)
            for counter, name in (
                ("% User Time", "user"), ("% Privileged Time", "system"), ("% Idle Time", "idle"),
                ("% IO Wait Time", "iowait"), ("% Nice Time", "nice"),
            ):  # fmt: skip
                yield "Processor", counter, instance, round(100 * known.get(name, 0.0) / total, 2)

    def _disk(self, elapsed: float | None) -> Iterator[Sample]:
        name = "Logical Disk"
        seen: set[str] = set()
        for partition in psutil.disk_partitions():
            if partition.device in seen:
                continue
            seen.add(partition.device)
            try:
                usage = psutil.disk_usage(partition.mountpoint)
            except OSError:
                continue
            yield name, "% Used Space", partition.mountpoint, usage.percent
            yield name, "% Free Space", partition.mountpoint, round(100 - usage.percent, 2)
            yield name, "Free Megabytes", partition.mountpoint, round(usage.free / MEGABYTE, 2)
        counters = psutil.disk_io_counters()
        if counters is not None:
            for counter, value in (
                ("Disk Reads/sec", counters.read_count), ("Disk Writes/sec", counters.write_count),
                ("Disk Read Bytes/sec", counters.read_bytes), ("Disk Write Bytes/sec", counters.write_bytes),
            ):  # fmt: skip
                rise = self._rise(name, counter, "_Total", value)
                if elapsed is not None and rise is not None:
                    yield name, counter, "_Total", round(rise / elapsed, 2)

    def _rise(self, name: str, counter: str, instance: str, value: float) -> float | None:
        """How much a running total grew; None the first time. A total that fell began anew."""
        key = (name, counter, instance)
        before = self._before.get(key)
        self._before[key] = value
        return None if before is None else max(value - before, 0.0)


def _memory(_: float | None) -> Iterator[Sample]:
    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    yield "Memory", "Available MBytes Memory", "Memory", round(memory.available / MEGABYTE, 2)
    yield "Memory", "Used Memory MBytes", "Memory", round((memory.total - memory.available) / MEGABYTE, 2)
    yield "Memory", "% Used Memory", "Memory", memory.percent
    yield "Memory", "% Available Memory", "Memory", round(100 - memory.percent, 2)
    yield "Memory", "Used MBytes Swap Space", "Memory", round(swap.used / MEGABYTE, 2)
    yield "Memory", "% Used Swap Space", "Memory", swap.percent


def _system(_: float | None) -> Iterator[Sample]:
    one, five, fifteen = psutil.getloadavg()
    yield "System", "Uptime", "System", round(time.time() - psutil.boot_time(), 0)
    yield "System", "Load1", "System", one
    yield "System", "Load5", "System", five
    yield "System", "Load15", "System", fifteen
    yield "System", "Processes", "System", float(len(psutil.pids()))


def _network(_: float | None) -> Iterator[Sample]:
    for interface, counters in psutil.net_io_counters(pernic=True).items():
        yield "Network", "Total Bytes Transmitted", interface, float(counters.bytes_sent)
        yield "Network", "Total Bytes Received", interface, float(counters.bytes_recv)
        yield "Network", "Total Bytes", interface, float(counters.bytes_sent + counters.bytes_recv)
        yield "Network", "Total Rx Errors", interface, float(counters.errin)
        yield "Network", "Total Tx Errors", interface, float(counters.errout)
