"""The daily cap: how much a workspace takes in a day, and when its next day begins."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Final

from shared.kernel.clock import Clock
from shared.kernel.ticks import ticks_of
from shared.loganalytics.ingestion.errors import QuotaExceeded
from shared.loganalytics.ingestion.ports import IngestionWorkspace, VolumeLedger
from shared.loganalytics.logstore.model import Commit, Frame, WorkspaceId

LONGEST_WAIT: Final = 600.0
RECOUNT_SECONDS: Final = 30.0
"""How long this process trusts its own count: what other instances took is seen after this long."""


@dataclass(slots=True, kw_only=True)
class _Count:
    since: datetime
    bytes: int
    at: float


@dataclass
class DailyCap:
    """Holds back billable records once a workspace took its cap. Others (Heartbeat, Usage, …) always pass."""

    ledger: VolumeLedger
    clock: Clock
    _counts: dict[WorkspaceId, _Count] = field(default_factory=dict[WorkspaceId, _Count])
    _lock: Lock = field(default_factory=Lock)

    def check(self, workspace: IngestionWorkspace) -> None:
        """QuotaExceeded if the workspace is over its cap."""
        if workspace.daily_cap is None or self.used(workspace) < workspace.daily_cap:
            return
        now = self.clock.now()
        resumes = day_of(now, workspace.reset_hour) + timedelta(days=1)
        raise QuotaExceeded(
            "Data collection stopped due to daily limit. Ingestion status = OverQuota. "
            f"It resumes at {resumes:%Y-%m-%dT%H:%M:%SZ}.",
            # Azure's clients sleep for as long as they are told; a cap may be raised long before the day is over.
            retry_after=min((resumes - now).total_seconds(), LONGEST_WAIT),
        )

    def add(self, workspace: IngestionWorkspace, frame: Frame, commit: Commit) -> None:
        """Count a frame that was just committed."""
        with self._lock:
            count = self._counts.get(workspace.id)
            if count is not None and frame.billable and not commit.repeated:
                count.bytes += len(frame.body)

    def used(self, workspace: IngestionWorkspace) -> int:
        """Billable bytes since the workspace's day began."""
        now, at = self.clock.now(), self.clock.monotonic()
        since = day_of(now, workspace.reset_hour)
        with self._lock:
            count = self._counts.get(workspace.id)
            if count is not None and count.since == since and at - count.at < RECOUNT_SECONDS:
                return count.bytes
        used = sum(usage.billable for usage in self.ledger.usage(workspace.id, since=ticks_of(since)))
        with self._lock:
            self._counts[workspace.id] = _Count(since=since, bytes=used, at=at)
        return used


def day_of(now: datetime, reset_hour: int) -> datetime:
    """When the day that `now` is in began, for a workspace whose days begin at `reset_hour` UTC."""
    begin = now.astimezone(UTC).replace(hour=reset_hour, minute=0, second=0, microsecond=0)
    return begin if begin <= now else begin - timedelta(days=1)
