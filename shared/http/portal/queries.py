"""Small queries that the portal's own pages ask, answered as rows by column name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from shared.identity.model import Principal
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.scope import FindWorkspace
from shared.loganalytics.queries.service import LogQueries
from shared.loganalytics.queries.wire import QueryBody


@dataclass(frozen=True, slots=True, kw_only=True)
class PageQueries:
    """Asks as the signed-in person, of one workspace."""

    queries: LogQueries
    find: FindWorkspace
    workspace: WorkspaceId
    principal: Principal

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
