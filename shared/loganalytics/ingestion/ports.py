"""What ingestion asks of the rest of the suite: workspaces and their keys, rules, the log store, and what was used."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.identity.model import Principal
from shared.identity.shared_keys import KeyPair
from shared.kql.types import KqlType
from shared.loganalytics.logstore.model import Commit, Frame, Usage, WorkspaceId


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestionWorkspace:
    """A workspace as ingestion sees it. `daily_cap` is in bytes of billable records; None takes any volume."""

    id: WorkspaceId
    resource_id: str
    is_active: bool = True
    daily_cap: int | None = None
    reset_hour: int = 0  # of the day in UTC at which the daily cap begins anew


class WorkspaceDirectory(Protocol):
    def by_customer_id(self, customer_id: str) -> IngestionWorkspace | None:
        """The workspace of a customer id (lower case, dashed). A closed workspace is found too, and not active."""
        ...

    def by_resource_id(self, resource_id: str) -> IngestionWorkspace | None:
        """The workspace of a resource id, in any case."""
        ...

    def check(self, customer_id: str, check: Callable[[KeyPair], None]) -> None:
        """Let `check` judge a signature by the shared keys of a workspace that is there; what it raises comes through."""
        ...

    def all(self) -> Sequence[IngestionWorkspace]:
        """The active workspaces."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleDocument:
    """A data collection rule as it is stored: the resource's `properties` as they came.

    `default_for` is the customer id of the workspace whose default rule it is: that rule takes a stream per table.
    """

    immutable_id: str
    resource_id: str
    properties: Mapping[str, Any]
    default_for: str | None = None


class RuleDirectory(Protocol):
    def by_immutable_id(self, immutable_id: str) -> RuleDocument | None:
        """The rule of a `dcr-…` id."""
        ...


class LogAppender(Protocol):
    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        """Durable on return. A frame whose request id was committed before is not written again."""
        ...


class AccessPolicy(Protocol):
    def allows(self, principal: Principal, action: str, scope: str) -> bool: ...


class TransformRunner(Protocol):
    def run(
        self,
        transform: str,
        *,
        columns: Mapping[str, KqlType],
        records: Sequence[dict[str, Any]],
        received: datetime,
        workspace: WorkspaceId,
    ) -> list[dict[str, Any]]:
        """What KQL over `source` makes of a stream's records."""
        ...


class VolumeLedger(Protocol):
    def usage(self, workspace: WorkspaceId, *, since: int) -> Sequence[Usage]:
        """What each hour from the one of `since` (ticks) on brought to each table."""
        ...
