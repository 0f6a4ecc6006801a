"""Small queries that the portal's own pages ask, answered as rows by column name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.identity.model import Principal
from shared.kql.catalog import Catalog
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.scope import FindWorkspace
from shared.loganalytics.queries.service import LogQueries
from shared.loganalytics.queries.wire import Prefer, QueryBody


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQueries:
    """Asks as the signed-in person, of one workspace."""

    queries: LogQueries
    find: FindWorkspace
    workspace: WorkspaceId
    principal: Principal

    def answer(self, text: str, timespan: str | None, *, seconds: float, max_rows: int) -> Mapping[str, Any]:
        """The whole answer, with its chart and statistics. Whatever `LogQueries.query` raises."""
        return orjson.loads(
            self.queries.query(
                QueryBody(query=text, timespan=timespan, max_rows=max_rows),
                workspaces=[self.workspace],
                find=self.find,
                caller=self.principal.object_id,
                prefer=Prefer(wait=seconds, statistics=True, render=True),
            )
        )

    def catalog(self) -> Catalog:
        """The names that a query of this page may use."""
        return self.queries.catalog([self.workspace], self.find)

    def rows(self, text: str, timespan: str | None = None) -> Sequence[Mapping[str, Any]]:
        """The rows of the first table. Whatever `LogQueries.query` raises."""
        body = QueryBody(query=text, timespan=timespan)
        answer = orjson.loads(
            self.queries.query(
                body, workspaces=[self.workspace], find=self.find, caller=self.principal.object_id
            )
        )
        table = answer["tables"][0]
        names = [column["name"] for column in table["columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["rows"]]
