"""The tables and stored functions of a workspace, as the binder asks for them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.kql.catalog import StoredFunction
from shared.kql.types import Column
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.tables.registry import TableRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceSchemas:
    """`stored` finds a saved search by its function alias."""

    registry: TableRegistry
    stored: Callable[[WorkspaceId, str], StoredFunction | None]

    def columns(self, workspace: WorkspaceId, table: str) -> Sequence[Column] | None:
        found = self.registry.schema(workspace, table)
        return None if found is None else found.columns

    def names(self, workspace: WorkspaceId) -> Sequence[str]:
        return self.registry.names(workspace)

    def function(self, workspace: WorkspaceId, name: str) -> StoredFunction | None:
        return self.stored(workspace, name)
