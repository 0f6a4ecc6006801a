"""Queries, from text to the bytes of the answer: scope, translation, relations, a child process."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import orjson

from shared import kql
from shared.kernel.clock import Clock
from shared.kernel.ticks import ticks_of
from shared.kql.catalog import Catalog
from shared.kql.translation import Scan, Translation
from shared.loganalytics.logstore.model import Relation, WorkspaceId
from shared.loganalytics.queries.model import DEFAULT_SECONDS, MAX_ROWS, Execution, Outcome, Statement
from shared.loganalytics.queries.processes import QueryProcesses
from shared.loganalytics.queries.scope import FindWorkspace, Schemas, ScopeCatalog
from shared.loganalytics.queries.timespan import bounds_of
from shared.loganalytics.queries.wire import Prefer, QueryBody, answer, statistics_of

log = logging.getLogger(__name__)


class Records(Protocol):
    def relations(self, scans: Sequence[Scan], *, resource: str | None = None) -> Mapping[str, Relation]: ...


Elsewhere = Callable[[WorkspaceId, QueryBody, Prefer], bytes | None]
"""Answers for a workspace whose records another backend holds (Azure Monitor); None where they are ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogQueries:
    """The one way to ask: the Logs Query API, the portal, alerts and the CLI all come through here."""

    schemas: Schemas
    records: Records
    processes: QueryProcesses
    clock: Clock
    memory_mb: int
    elsewhere: Elsewhere | None = None

    def catalog(self, workspaces: Sequence[WorkspaceId], find: FindWorkspace) -> ScopeCatalog:
        return ScopeCatalog(workspaces=workspaces, schemas=self.schemas, find=find)

    def translate(
        self, body: QueryBody, catalog: Catalog, *, caller: str, resource: str | None = None
    ) -> Translation:
        """The query in SQL. Where its columns depend on its data (pivot, bag_unpack), a small query asks for them first."""
        now = ticks_of(self.clock.now())

        def probe(asked: Translation) -> Sequence[tuple[str, str]]:
            outcome = self.execute(
                asked, self.records.relations(asked.scans, resource=resource), caller=caller
            )
            rows: list[list[str]] = orjson.loads(outcome.tables)[0]["rows"]
            return [(name, kind) for name, kind in rows]

        return kql.translate(
            body.query,
            catalog=catalog,
            now_ticks=now,
            default_range=bounds_of(body.timespan, now_ticks=now),
            probe=probe,
        )

    def query(
        self,
        body: QueryBody,
        *,
        workspaces: Sequence[WorkspaceId],
        find: FindWorkspace,
        caller: str,
        prefer: Prefer | None = None,
        resource: str | None = None,
    ) -> bytes:
        """The body of the answer (JSON). `workspaces` are those of the URL; the body may name more, found by `find`.

        Raises the translator's errors for what the query says, InvalidTimespan, and the errors of `QueryProcesses`.
        """
        wishes = prefer or Prefer()
        scope = list(dict.fromkeys([*workspaces, *(find(name) for name in body.workspaces or ())]))
        if (
            self.elsewhere is not None
            and len(scope) == 1
            and (given := self.elsewhere(scope[0], body, wishes)) is not None
        ):
            return given
        translation = self.translate(body, self.catalog(scope, find), caller=caller, resource=resource)
        relations = self.records.relations(translation.scans, resource=resource)
        outcome = self.execute(
            translation, relations, caller=caller, seconds=wishes.wait, max_rows=body.max_rows
        )
        statistics = None
        if wishes.statistics:
            files = sum(len(relation.files) for relation in relations.values())
            skipped = sum(relation.skipped_segments for relation in relations.values())
            rows = sum(relation.rows for relation in relations.values())
            statistics = statistics_of(outcome, segments=files + skipped, scanned=files, rows=rows)
        render = translation.render if wishes.render else None
        return answer(outcome, render=render, statistics=statistics)

    def execute(
        self,
        translation: Translation,
        relations: Mapping[str, Relation],
        *,
        caller: str,
        seconds: float | None = None,
        max_rows: int | None = None,
    ) -> Outcome:
        execution = Execution(
            relations={name: relation.sql for name, relation in relations.items()},
            files=sorted({name for relation in relations.values() for name in relation.files}),
            prelude=translation.prelude,
            functions=translation.functions,
            statements=[
                Statement(
                    name=result.name,
                    sql=result.sql,
                    columns=[column.name for column in result.columns],
                    types=[column.type.value for column in result.columns],
                )
                for result in translation.results
            ],
            max_rows=min(max_rows or MAX_ROWS, MAX_ROWS),
            memory_mb=self.memory_mb,
        )
        return self.processes.run(execution, caller=caller, seconds=seconds or DEFAULT_SECONDS)
