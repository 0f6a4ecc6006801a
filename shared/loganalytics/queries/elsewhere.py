"""Workspaces whose queries Azure Monitor answers, so that who outgrows the bundle's store keeps its API and portal."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from shared.kernel.clock import Clock
from shared.kernel.ticks import MAX_TICKS, instant_of, ticks_of
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.scope import ScopeRefused
from shared.loganalytics.queries.timespan import bounds_of
from shared.loganalytics.queries.wire import Prefer, QueryBody
from shared.loganalytics.workspaces.model import Backend, Workspace

# Also inside strings and comments: refusing too much is harmless, and no spelling gets past.
_OTHER_SCOPE: Final = re.compile(
    r"\b(workspaces?|apps?|cluster|database|resource|adx|arg|externaldata)\s*\(", re.IGNORECASE
)


class AzureMonitor(Protocol):
    def query(
        self,
        workspace: str,
        text: str,
        *,
        span: tuple[datetime, datetime] | None,
        more: list[str],
        wait: float | None,
        statistics: bool,
        render: bool,
    ) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ElsewhereAnswered:
    """Asks Azure Monitor for workspaces with that backend, and no other. The access check on ours came before."""

    workspace: Callable[[str], Workspace]
    monitor: Callable[[], AzureMonitor]
    clock: Clock

    def __call__(self, workspace: WorkspaceId, body: QueryBody, prefer: Prefer) -> bytes | None:
        found = self.workspace(workspace)
        if found.backend is not Backend.AZURE_MONITOR or found.azure_monitor_workspace is None:
            return None
        refuse_other_scopes(body)
        return self.monitor().query(
            found.azure_monitor_workspace,
            body.query,
            span=self._span(body.timespan),
            more=[],
            wait=prefer.wait,
            statistics=prefer.statistics,
            render=prefer.render,
        )

    def _span(self, timespan: str | None) -> tuple[datetime, datetime] | None:
        start, end = bounds_of(timespan, now_ticks=ticks_of(self.clock.now()))
        if start is None and end is None:
            return None
        return instant_of(start or 0), instant_of(MAX_TICKS if end is None else end)


def refuse_other_scopes(body: QueryBody) -> None:
    """The app's identity may read more there than the caller may: the query keeps to the one workspace. ScopeRefused."""
    if body.workspaces:
        raise ScopeRefused(
            "a workspace that Azure Monitor answers is queried alone", target=body.workspaces[0]
        )
    if (other := _OTHER_SCOPE.search(body.query)) is not None:
        raise ScopeRefused(
            f"{other[1]}() is refused in a workspace that Azure Monitor answers: the query keeps to its own records",
            target=other[1],
        )
