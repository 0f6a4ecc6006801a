"""What a workspace took in, told in the workspace itself: Usage by the hour, and Operation where the daily cap held back."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from shared.kernel.clock import Clock
from shared.kernel.errors import OmsError
from shared.kernel.ticks import duration_ticks, instant_of, ticks_of
from shared.kernel.versions import check_version
from shared.loganalytics.ingestion.ports import IngestionWorkspace, VolumeLedger, WorkspaceDirectory
from shared.loganalytics.ingestion.quota import day_of
from shared.loganalytics.ingestion.records import RecordWriter
from shared.loganalytics.logstore.model import Usage
from shared.loganalytics.tables.registry import TableRegistry
from shared.storage.ports import RowNotFound, Table

log = logging.getLogger(__name__)

TABLE: Final = "omsaccounting"
VERSION: Final = 1
FURTHEST_BACK: Final = timedelta(days=7)
_HOUR: Final = timedelta(hours=1)
_USAGE: Final = "usage"
_REACHED: Final = "quota reached"
_RESET: Final = "quota reset"


@dataclass(frozen=True, kw_only=True)
class Accounting:
    """Run it every few minutes. Each record is derived from what it tells of, so that again writes nothing."""

    workspaces: WorkspaceDirectory
    tables: TableRegistry
    ledger: VolumeLedger
    records: RecordWriter
    table: Table
    clock: Clock

    def tick(self) -> int:
        """How many records were written. A workspace that fails does not hold up the others."""
        written = 0
        for workspace in self.workspaces.all():
            try:
                written += self._usage(workspace) + self._quota(workspace)
            except OmsError as failed:
                log.warning("accounting failed", extra={"workspace": workspace.id, "code": failed.code})
        return written

    def _usage(self, workspace: IngestionWorkspace) -> int:
        """Usage records for every hour that ended since the last one told of."""
        now = self.clock.now()
        end = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        since = max(self._told(workspace, _USAGE) or end - _HOUR, end - FURTHEST_BACK)
        if since >= end:
            return 0
        hours = [
            usage
            for usage in self.ledger.usage(workspace.id, since=ticks_of(since))
            if ticks_of(since) <= usage.hour < ticks_of(end)
        ]
        written = 0
        for start, group in _by_hour(hours):
            records = [self._record(workspace, usage) for usage in group]
            commit = self.records.write(workspace.id, "Usage", records, cause=f"usage {start}")
            written += len(records) if commit is not None and not commit.repeated else 0
        self._remember(workspace, _USAGE, end)
        return written

    def _told(self, workspace: IngestionWorkspace, what: str) -> datetime | None:
        """Up to when `what` was told. The log store knows repeats by their id as well, but for less than an hour."""
        try:
            row = self.table.get(workspace.id, what)
        except RowNotFound:
            return None
        check_version("accounting row", row.values.get("v"), current=VERSION)
        through = row.values["through"]
        return through if isinstance(through, datetime) else None

    def _remember(self, workspace: IngestionWorkspace, what: str, through: datetime) -> None:
        self.table.upsert(workspace.id, what, {"v": VERSION, "through": through})

    def _record(self, workspace: IngestionWorkspace, usage: Usage) -> dict[str, Any]:
        start = instant_of(usage.hour)
        table = self.tables.schema(workspace.id, usage.table)
        return {
            "TimeGenerated": start + _HOUR,
            "StartTime": start,
            "EndTime": start + _HOUR,
            "DataType": usage.table,
            "Solution": "LogManagement" if table is None else table.solution,
            "Quantity": usage.bytes / 1e6,
            "QuantityUnit": "MBytes",
            "IsBillable": usage.billable > 0,
            "ResourceUri": workspace.resource_id.lower(),
        }

    def _quota(self, workspace: IngestionWorkspace) -> int:
        """Operation records for the day's cap being reached, and for the day after it."""
        if workspace.daily_cap is None:
            return 0
        today = day_of(self.clock.now(), workspace.reset_hour)
        yesterday = today - timedelta(days=1)
        usage = self.ledger.usage(workspace.id, since=ticks_of(yesterday))
        begin = ticks_of(today)
        day = duration_ticks(timedelta(days=1))
        told = 0
        if _billable(usage, begin, begin + day) >= workspace.daily_cap:
            told += self._tell(
                workspace,
                _REACHED,
                today,
                "Warning",
                "Data collection stopped due to daily limit of data reached. Ingestion status = OverQuota",
            )
        if _billable(usage, begin - day, begin) >= workspace.daily_cap:
            told += self._tell(
                workspace,
                _RESET,
                today,
                "Information",
                "Data collection resumed: a new day of the daily limit began. Ingestion status = UnderQuota",
            )
        return told

    def _tell(self, workspace: IngestionWorkspace, what: str, day: datetime, status: str, detail: str) -> int:
        if self._told(workspace, what) == day:
            return 0
        commit = self.records.write(
            workspace.id,
            "Operation",
            [
                {
                    "OperationStatus": status,
                    "OperationCategory": "Data Collection Status",
                    "OperationKey": "Data Collection",
                    "Solution": "LogManagement",
                    "Detail": detail,
                    "_ResourceId": workspace.resource_id.lower(),
                }
            ],
            cause=f"{what} {day.isoformat()}",
        )
        self._remember(workspace, what, day)
        return 0 if commit is None or commit.repeated else 1


def _billable(usage: Iterable[Usage], start: int, end: int) -> int:
    return sum(each.billable for each in usage if start <= each.hour < end)


def _by_hour(usage: Sequence[Usage]) -> Iterator[tuple[str, list[Usage]]]:
    for hour in sorted({each.hour for each in usage}):
        yield instant_of(hour).isoformat(), [each for each in usage if each.hour == hour]
