"""What the binder asks of the world: tables and stored functions, per workspace, and whether the caller may read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.kql.types import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSchema:
    """A table as queries see it. `workspace` is the id that the scan is answered from."""

    name: str
    columns: Sequence[Column]
    workspace: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFunction:
    """A saved search with a function alias. `parameters` is KQL's own declaration list, e.g. `(T:(*), n:long = 5)`, or ''."""

    name: str
    parameters: str
    body: str


class Catalog(Protocol):
    """The names a query may use. Lookups are case-sensitive as in Kusto."""

    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        """The table, of the query's own scope or of a named workspace (name, id or resource id). None: no such table.

        Raises an OmsError where the workspace is unknown or the caller may not read it.
        """
        ...

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        """All tables of the scope, for wildcards, `search`, `find` and suggestions."""
        ...

    def function(self, name: str) -> StoredFunction | None: ...
