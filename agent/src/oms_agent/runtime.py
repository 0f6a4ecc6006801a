"""The running agent: collectors on their intervals, the spool, the sender, and the configuration as it changes."""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from oms_agent.budget import Budget
from oms_agent.collect.files import FileFollower
from oms_agent.collect.heartbeat import heartbeat
from oms_agent.collect.journal import JournalReader, is_available
from oms_agent.collect.listener import SyslogListener
from oms_agent.collect.perf import PerfCollector
from oms_agent.collect.syslog import takes
from oms_agent.collect.windows_events import EventLogReader
from oms_agent.config import Collection, ConfigurationInvalid, Connection
from oms_agent.identity import Machine, this_machine
from oms_agent.sender import Sender
from oms_agent.spool import Spool
from oms_agent.transport import NotReached, Refused, Transport
from oms_agent.versions import StateUnreadable

log = logging.getLogger(__name__)

CONFIGURATION_EVERY: Final = 60.0
CHANNELS: Final = ("System", "Application")


def now_text() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class Task:
    """Something done every so often. `stretches` tells whether the budget may delay it."""

    name: str
    every: float
    action: Callable[[], None]
    due: float = 0.0
    stretches: bool = True


@dataclass(slots=True)
class Agent:
    """`run` works until `stop` is set. One thread collects, one sends, the listener has its own."""

    connection: Connection
    version: str
    stop: threading.Event = field(default_factory=threading.Event)
    collection: Collection = field(default_factory=Collection, init=False)
    machine: Machine = field(init=False)
    spool: Spool = field(init=False)
    transport: Transport = field(init=False)
    sender: Sender = field(init=False)
    budget: Budget = field(init=False)
    _tasks: list[Task] = field(default_factory=list[Task], init=False)
    _listener: SyslogListener | None = field(default=None, init=False)
    _reported_drops: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.machine = this_machine(self.connection.state_dir)
        self.spool = Spool(self.connection.spool_dir, int(self.collection.spool_limit_mb * 1e6))
        self.transport = Transport(self.connection, self.version)
        self.sender = Sender(self.spool, self.transport, self.stop, self._rejected)
        self.budget = Budget(self.collection.cpu_budget, self.collection.memory_budget_mb)

    def run(self) -> None:
        """Heartbeats go out whether or not the configuration could be read: silence must mean trouble."""
        sending = threading.Thread(target=self.sender.run, name="sender", daemon=True)
        sending.start()
        self._arrange()
        try:
            while not self.stop.is_set():
                self._turn()
                soonest = min(task.due for task in self._tasks)
                self.stop.wait(max(0.05, min(soonest - time.monotonic(), 1.0)))
        finally:
            self._drain(sending)

    def _turn(self) -> None:
        now = time.monotonic()
        for task in [task for task in self._tasks if task.due <= now]:
            task.due = now + task.every * (self.budget.factor if task.stretches else 1.0)
            try:
                task.action()
            except Exception:  # one source that fails must not silence the others
                log.exception("collection failed", extra={"source": task.name})

    def _drain(self, sending: threading.Thread) -> None:
        if self._listener is not None:
            self._listener.stop()
        self.stop.set()
        sending.join(timeout=5)
        self.spool.close()
        # What the network takes at once goes now; the rest is on disk for the next run.
        deadline = time.monotonic() + 3
        while not sending.is_alive() and time.monotonic() < deadline and self.spool.size():
            if self.sender.step(0.1) is not None:
                break
        self.transport.close()

    def _arrange(self) -> None:
        """The tasks of the present configuration."""
        wanted, state, name = self.collection, self.connection.state_dir, self.machine.name
        due = {task.name: task.due for task in self._tasks}
        self.budget.cpu_percent, self.budget.memory_mb = wanted.cpu_budget, wanted.memory_budget_mb
        self.spool.limit_bytes = int(wanted.spool_limit_mb * 1e6)
        perf = PerfCollector(name, wanted.perf_objects)
        self._tasks = [
            Task("configuration", CONFIGURATION_EVERY, self._configure, stretches=False),
            Task("heartbeat", wanted.heartbeat_interval, self._heartbeat, stretches=False),
            Task("own", 60.0, self._own, stretches=False),
            Task(
                "perf",
                wanted.perf_interval,
                lambda: self.spool.put("Microsoft-Perf", perf.collect(at=now_text())),
            ),
        ]
        if wanted.journal and is_available():
            journal = JournalReader(name, state / "journal.json")
            self._tasks.append(Task("journal", 2.0, lambda: self._follow(journal, "Microsoft-Syslog")))
        if sys.platform == "win32":
            for channel in CHANNELS:
                events = EventLogReader(channel, name, state / f"events-{channel}.json")
                self._tasks.append(
                    Task(channel, 5.0, lambda source=events: self._follow(source, "Microsoft-Event"))
                )
        for number, source in enumerate(wanted.logs):
            try:
                follower = FileFollower(
                    source.table,
                    source.path,
                    source.form,
                    name,
                    state / f"log-{number}-{source.table}.json",
                    self._log_lines,
                )
            except StateUnreadable as unreadable:
                log.error("log not followed", extra={"log": source.path, "reason": str(unreadable)})  # noqa: TRY400 - the reason says it all
                continue
            self._tasks.append(Task(source.path, 1.0, lambda f=follower: self._poll(f)))
        for task in self._tasks:
            task.due = due.get(task.name, 0.0)
        self._listen(wanted.syslog_port)

    def _listen(self, port: int) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if port:
            self._listener = SyslogListener(port, self.machine.name, self._syslog)
            self._listener.start()

    def _follow(self, source: JournalReader | EventLogReader, stream: str) -> None:
        records = source.read()
        if stream == "Microsoft-Syslog":
            records = [record for record in records if takes(record, self.collection.syslog_minimum)]
        self.spool.put(stream, records)
        source.commit()

    def _poll(self, follower: FileFollower) -> None:
        follower.poll(at=now_text())

    def _log_lines(self, table: str, records: list[Mapping[str, Any]]) -> None:
        self.spool.put(f"Custom-{table}", records)

    def _syslog(self, records: list[Mapping[str, Any]]) -> None:
        minimum = self.collection.syslog_minimum
        self.spool.put("Microsoft-Syslog", [record for record in records if takes(record, minimum)])

    def _heartbeat(self) -> None:
        self.spool.put("Microsoft-Heartbeat", [heartbeat(self.machine, version=self.version, at=now_text())])

    def _own(self) -> None:
        self.budget.measure()
        self.spool.put(
            "Microsoft-Perf",
            self.budget.records(
                computer=self.machine.name,
                at=now_text(),
                spool_bytes=self.spool.size(),
                sent=self.sender.sent,
                dropped=self.spool.dropped,
            ),
        )
        if self.spool.dropped > self._reported_drops:
            lost = self.spool.dropped - self._reported_drops
            self._reported_drops = self.spool.dropped
            self._operation(
                "Warning", f"{lost} records were dropped: the spool is full and the bundle does not take them"
            )

    def _configure(self) -> None:
        """Pull what to collect. Without an answer the configuration in force stays."""
        try:
            found = Collection.parse(
                self.transport.get(f"/operations/agents/configuration?computer={self.machine.name}")
            )
        except (NotReached, Refused, ConfigurationInvalid) as failed:
            log.warning("configuration not read", extra={"reason": str(failed)})
            return
        if found != self.collection:
            log.info("configuration read", extra={"version": found.version})
            self.collection = found
            self._arrange()

    def _rejected(self, stream: str, count: int, reason: str) -> None:
        if stream != "Microsoft-Operation":
            self._operation("Error", f"{count} records for {stream} were rejected: {reason}")

    def _operation(self, status: str, detail: str) -> None:
        self.spool.put(
            "Microsoft-Operation",
            [
                {
                    "TimeGenerated": now_text(),
                    "Computer": self.machine.name,
                    "OperationCategory": "Agent",
                    "OperationStatus": status,
                    "Detail": detail,
                    "Solution": "LogManagement",
                    "SourceComputerId": self.machine.id,
                }
            ],
        )
