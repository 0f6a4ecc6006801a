"""The relations a query reads, from the log store: one per scan, over every workspace of the scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from shared.kql.translation import Scan
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.model import Relation, WorkspaceId
from shared.loganalytics.queries.scope import workspaces_of


class Snapshot(Protocol):
    """Some tables of a workspace at one moment."""


class Store[S](Protocol):
    def snapshot(self, workspace: WorkspaceId, tables: Sequence[str]) -> S: ...

    def relation(self, snapshot: S, scan: Scan) -> Relation: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRecords[S]:
    """Answers scans from the store. All scans of one workspace read the same snapshot."""

    store: Store[S]

    def relations(self, scans: Sequence[Scan], *, resource: str | None = None) -> Mapping[str, Relation]:
        """By relation name. With `resource`, only records whose `_ResourceId` is it, or lies below it."""
        wanted: dict[WorkspaceId, set[str]] = {}
        for scan in scans:
            for workspace in workspaces_of(scan.workspace):
                wanted.setdefault(workspace, set()).add(scan.table)
        snapshots = {
            workspace: self.store.snapshot(workspace, sorted(tables)) for workspace, tables in wanted.items()
        }
        return {scan.relation: self._relation(scan, snapshots, resource) for scan in scans}

    def _relation(self, scan: Scan, snapshots: Mapping[WorkspaceId, S], resource: str | None) -> Relation:
        asked = scan if resource is None else _with_resource(scan)
        parts = [
            self.store.relation(snapshots[workspace], asked) for workspace in workspaces_of(scan.workspace)
        ]
        names = ", ".join(_quote(column.name) for column in asked.columns) or "*"
        sql = (
            parts[0].sql
            if len(parts) == 1
            else " UNION ALL ".join(f"SELECT {names} FROM ({part.sql})" for part in parts)
        )
        if resource is not None:
            kept = ", ".join(_quote(column.name) for column in scan.columns) or '"_ResourceId"'
            below = resource.lower().rstrip("/").replace("'", "''")
            sql = (
                f"SELECT {kept} FROM ({sql}) WHERE lower(\"_ResourceId\") = '{below}' "
                f"OR starts_with(lower(\"_ResourceId\"), '{below}/')"
            )
        return Relation(
            sql=sql,
            files=[name for part in parts for name in part.files],
            rows=sum(part.rows for part in parts),
            bytes=sum(part.bytes for part in parts),
            skipped_segments=sum(part.skipped_segments for part in parts),
        )


def _with_resource(scan: Scan) -> Scan:
    if any(column.name == "_ResourceId" for column in scan.columns):
        return replace(scan, newest=None)
    return replace(
        scan, newest=None, columns=(*scan.columns, Column(name="_ResourceId", type=KqlType.STRING))
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
