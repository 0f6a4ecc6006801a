"""The activity log: what was done to which resource by whom, kept until it is in the workspace."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import count
from typing import Final, Protocol

from shared.kernel.clock import Clock
from shared.kernel.ids import NewId, random_id
from shared.kernel.versions import check_version
from shared.storage.ports import Row, Storage, Table

log = logging.getLogger(__name__)

TABLE: Final = "omsactivity"
VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One row of AzureActivity. `id` is the event's own: writing it twice makes one record."""

    id: str
    at: datetime
    operation: str  # Microsoft.OperationalInsights/workspaces/write
    status: str  # Start, Success, Failure
    substatus: str = ""
    caller: str
    caller_ip: str = ""
    correlation_id: str
    resource_id: str
    subscription: str
    group: str = ""
    level: str = "Informational"
    properties: Mapping[str, str] | None = None

    def record(self) -> dict[str, object]:
        """The columns that AzureActivity has in Log Analytics."""
        provider = self.operation.partition("/")[0]
        return {
            "TimeGenerated": self.at,
            "EventDataId": self.id,
            "OperationNameValue": self.operation.upper(),
            "OperationName": self.operation,
            "ActivityStatusValue": self.status,
            "ActivityStatus": {"Start": "Started", "Success": "Succeeded", "Failure": "Failed"}[self.status],
            "ActivitySubstatusValue": self.substatus,
            "Caller": self.caller,
            "CallerIpAddress": self.caller_ip,
            "CategoryValue": "Administrative",
            "Category": "Administrative",
            "CorrelationId": self.correlation_id,
            "OperationId": self.correlation_id,
            "ResourceProviderValue": provider.upper(),
            "ResourceProvider": provider,
            "ResourceId": self.resource_id,
            "_ResourceId": self.resource_id.lower(),
            "Resource": self.resource_id.rsplit("/", 1)[-1],
            "ResourceGroup": self.group,
            "SubscriptionId": self.subscription,
            "Level": self.level,
            "EventSubmissionTimestamp": self.at,
            "Properties": json.dumps(dict(self.properties or {})),
        }


class ActivityLog(Protocol):
    def write(self, activity: Activity) -> None:
        """Durable on return."""
        ...


Sink = Callable[[Sequence[Activity]], None]
"""Takes activities into the workspace, durable on return. It may see one twice, and knows it by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityOutbox:
    """Keeps activities in storage until `drain` has handed them on: a stopped ingestion loses none."""

    storage: Storage
    clock: Clock
    new_id: NewId = random_id
    _sequence: Iterator[int] = field(default_factory=count)

    def write(self, activity: Activity) -> None:
        # The count keeps two of one instant in order, the id keeps two processes apart.
        key = f"{activity.at:%Y%m%dT%H%M%S%f}-{next(self._sequence):09}-{activity.id}"
        values = asdict(activity) | {"v": VERSION, "properties": json.dumps(dict(activity.properties or {}))}
        self._table.upsert(activity.subscription.lower() or "tenant", key, values)

    def drain(self, sink: Sink, *, batch: int = 500) -> int:
        """Hand on what is there, oldest first in each subscription; how many. Safe to run in several processes."""
        done, rows = 0, list[Row]()
        for row in self._table.query():
            rows.append(row)
            if len(rows) == batch:
                done += self._hand_on(sink, rows)
                rows.clear()
        return done + self._hand_on(sink, rows)

    def _hand_on(self, sink: Sink, rows: Sequence[Row]) -> int:
        if rows:
            sink([_activity(row) for row in rows])
        for row in rows:
            self._table.delete(row.partition, row.key)
        return len(rows)

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)


def _activity(row: Row) -> Activity:
    check_version("an activity", row.values.get("v"), current=VERSION)
    text = {name: str(value) for name, value in row.values.items()}
    at = row.values["at"]
    return Activity(
        id=text["id"],
        at=at if isinstance(at, datetime) else row.modified,
        operation=text["operation"],
        status=text["status"],
        substatus=text.get("substatus", ""),
        caller=text["caller"],
        caller_ip=text.get("caller_ip", ""),
        correlation_id=text["correlation_id"],
        resource_id=text["resource_id"],
        subscription=text["subscription"],
        group=text.get("group", ""),
        level=text.get("level", "Informational"),
        properties=json.loads(text.get("properties", "{}")),
    )
