"""The checks behind `/health`: storage, jobs, poison messages, the log store, query processes."""

from collections.abc import Sequence
from typing import Final

from shared.jobs.engine import JobEngine
from shared.jobs.poison import PoisonDesk
from shared.jobs.sweep import health as job_health
from shared.kernel.health import Check, Finding, State
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.queries.processes import QueryProcesses
from shared.loganalytics.workspaces.service import Workspaces
from shared.storage.ports import Storage

LAG_SECONDS: Final = 900.0
OLDEST_JOB_SECONDS: Final = 600.0


def checks(
    *,
    storage: Storage,
    jobs: JobEngine,
    poison: PoisonDesk,
    store: LogStore,
    workspaces: Workspaces,
    processes: QueryProcesses,
) -> Sequence[Check]:
    """Each looks at one thing, by itself, and says what to do where something is wrong."""

    def look_at_storage() -> Finding:
        storage.ping()
        return Finding(facts={})

    def look_at_jobs() -> Finding:
        found = job_health(jobs)
        facts = {"queued": found.queued, "running": found.running, "stuck": found.stuck}
        if found.stuck:
            return Finding(
                state=State.DEGRADED,
                reason=f"{found.stuck} jobs are left half-way: the sweeper sends them on within a minute",
                facts=facts,
            )
        return Finding(facts=facts)

    def look_at_poison() -> Finding:
        count = sum(each.count for each in poison.list())
        reason = (
            f"{count} messages failed too often: look at them with `oms poison` and replay them"
            if count
            else None
        )
        return Finding(state=State.DEGRADED if count else State.OK, reason=reason, facts={"messages": count})

    def look_at_store() -> Finding:
        found = [store.health(workspace.customer_id) for workspace in workspaces.list()]
        oldest = max((each.oldest_seconds for each in found), default=0.0)
        facts = {
            "oldestUncompactedSeconds": round(oldest, 1),
            "tailBytes": sum(each.tail_bytes for each in found),
            "tailBatches": sum(each.tail_batches for each in found),
            "cacheBytes": store.cache.held,
        }
        if oldest > LAG_SECONDS:
            return Finding(
                state=State.DEGRADED,
                reason=f"records of {oldest:.0f} s ago wait for compaction: look at its job with `oms jobs`",
                facts=facts,
            )
        return Finding(facts=facts)

    def look_at_queries() -> Finding:
        return Finding(facts=dict(processes.state()))

    return (
        Check(name="storage", look=look_at_storage),
        Check(name="jobs", look=look_at_jobs),
        Check(name="poison", look=look_at_poison),
        Check(name="logStore", look=look_at_store),
        Check(name="queries", look=look_at_queries),
    )
