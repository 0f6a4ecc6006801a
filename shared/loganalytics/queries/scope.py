"""Which workspaces a query may read: resolved by name, id or resource id, with an access check on each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.kernel.errors import Category, OmsError
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.types import Column
from shared.loganalytics.logstore.model import WorkspaceId

_JOIN = ","


class PathNotFound(OmsError):
    """No such workspace, or none that the caller may know of."""

    category = Category.NOT_FOUND
    code = "PathNotFoundError"


class ScopeRefused(OmsError):
    """A workspace or resource named inside a query that is unknown or not the caller's to read."""

    category = Category.FORBIDDEN
    code = "InsufficientAccessError"


class Schemas(Protocol):
    """The tables of a workspace, standard and custom, and its stored functions."""

    def columns(self, workspace: WorkspaceId, table: str) -> Sequence[Column] | None: ...

    def names(self, workspace: WorkspaceId) -> Sequence[str]: ...

    def function(self, workspace: WorkspaceId, name: str) -> StoredFunction | None: ...


FindWorkspace = Callable[[str], WorkspaceId]
"""A workspace by name, customer id or resource id, if the caller may query it. ScopeRefused or PathNotFound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCatalog:
    """The names a query sees. A table of several workspaces is one relation that reads them all."""

    workspaces: Sequence[WorkspaceId]
    schemas: Schemas
    find: FindWorkspace

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        scope = self.workspaces if workspace is None else (self.find(workspace),)
        columns: dict[str, Column] = {}
        found: list[WorkspaceId] = []
        for identity in scope:
            schema = self.schemas.columns(identity, name)
            if schema is None:
                continue
            found.append(identity)
            for column in schema:
                columns.setdefault(column.name, column)
        if not found:
            return None
        return TableSchema(name=name, columns=tuple(columns.values()), workspace=_JOIN.join(found))

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        scope = self.workspaces if workspace is None else (self.find(workspace),)
        return sorted({name for identity in scope for name in self.schemas.names(identity)})

    def function(self, name: str) -> StoredFunction | None:
        for identity in self.workspaces:
            if (function := self.schemas.function(identity, name)) is not None:
                return function
        return None


def workspaces_of(scan_workspace: str) -> Sequence[WorkspaceId]:
    """The workspaces that a `TableSchema.workspace` of this catalog stands for."""
    return [WorkspaceId(part) for part in scan_workspace.split(_JOIN)]
