"""What the bundle measures of itself each minute, for the system workspace."""

from dataclasses import dataclass
from typing import Final

from shared.jobs.engine import JobEngine
from shared.jobs.poison import PoisonDesk
from shared.jobs.sweep import health as job_health
from shared.loganalytics.ingestion.system import SystemMetrics
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.queries.processes import QueryProcesses
from shared.loganalytics.workspaces.service import Workspaces

SYSTEM_WORKSPACE: Final = "oms-system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """The system workspace's own tail is left out: telling of it would be something to tell of."""

    metrics: SystemMetrics
    jobs: JobEngine
    poison: PoisonDesk
    store: LogStore
    workspaces: Workspaces
    processes: QueryProcesses
    system: WorkspaceId

    def write(self) -> int:
        """Measure and write; how many records."""
        count = self.metrics.count
        jobs = job_health(self.jobs)
        for name, value in (("queued", jobs.queued), ("running", jobs.running), ("stuck", jobs.stuck)):
            count(f"jobs.{name}", value)
        for queue in self.poison.list():
            count("poison.messages", queue.count, subject=queue.queue)
        for name, value in self.processes.state().items():
            count(f"queries.{name}", value)
        count("cache.bytes", self.store.cache.held)
        count("cache.hits", self.store.cache.hits)
        count("cache.misses", self.store.cache.misses)
        for workspace in self.workspaces.list():
            if workspace.customer_id != self.system:
                found = self.store.health(workspace.customer_id)
                count("store.tailBytes", found.tail_bytes, subject=workspace.customer_id)
                count("store.oldestUncompactedSeconds", found.oldest_seconds, subject=workspace.customer_id)
        return self.metrics.flush()
