"""A workspace's tables in the management API, over the registry that ingestion and queries use."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol, cast

from pydantic import Field

from shared.arm.declarations import Call, Draft, Operation, ResourceType, Statuses
from shared.arm.requests import ArmResponse
from shared.arm.resource_ids import ResourceId
from shared.arm.resources import Resource, ResourceNotFound
from shared.arm.wire import Wire
from shared.kernel.errors import OmsError
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.tables.model import (
    STANDARD_COLUMNS,
    LogTable,
    Retention,
    TableOrigin,
    TablePlan,
)
from shared.loganalytics.tables.standard import standard_table
from shared.loganalytics.workspaces.model import NAMESPACE, TYPES, Workspace
from shared.loganalytics.workspaces.service import Workspaces

_SHOWN: Final[Mapping[KqlType, str]] = {
    KqlType.BOOL: "boolean",
    KqlType.DATETIME: "dateTime",
    KqlType.TIMESPAN: "timeSpan",
}
_READ: Final[Mapping[str, KqlType]] = {
    **{kind.value: kind for kind in KqlType},
    "boolean": KqlType.BOOL,
    "double": KqlType.REAL,
}


class ColumnTypeUnknown(OmsError):
    code = "InvalidColumnType"


class ColumnRemovalNotSupported(OmsError):
    """Columns only ever come: records that have them stay readable."""

    code = "ColumnRemovalNotSupported"


class TableOperationNotSupported(OmsError):
    code = "OperationNotSupported"


class Tables(Protocol):
    """What the management API asks of the table registry."""

    def find(self, workspace: str, name: str) -> LogTable | None: ...

    def tables(self, workspace: str) -> Sequence[LogTable]: ...

    def create(
        self,
        workspace: str,
        name: str,
        columns: Iterable[Column],
        *,
        plan: TablePlan = TablePlan.ANALYTICS,
        retention: Retention | None = None,
        description: str = "",
    ) -> LogTable: ...

    def update(
        self,
        workspace: str,
        name: str,
        *,
        columns: Iterable[Column] = (),
        plan: TablePlan | None = None,
        retention: Retention | None = None,
        description: str | None = None,
    ) -> LogTable: ...

    def delete(self, workspace: str, name: str) -> None: ...


class ColumnWire(Wire):
    name: str = Field(min_length=1)
    type: str


class SchemaWire(Wire):
    name: str | None = None
    description: str | None = None
    columns: list[ColumnWire] | None = None


class TableWire(Wire):
    """Days of -1 follow the workspace."""

    plan: TablePlan | None = None
    retention_in_days: int | None = None
    total_retention_in_days: int | None = None
    table_schema: SchemaWire | None = Field(default=None, alias="schema")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableResources:
    """The backing of `workspaces/tables`."""

    workspaces: Workspaces
    registry: Tables
    erase: Callable[[WorkspaceId, str], None]

    def type(self) -> ResourceType:
        def refuse(name: str) -> Operation:
            def handle(call: Call) -> ArmResponse:
                raise TableOperationNotSupported(f"{name} is not supported", target=str(call.id))

            return Operation(method="POST", template=name, action=f"{name}/action", handle=handle)

        return ResourceType(
            namespace=NAMESPACE,
            types=(*TYPES, "tables"),
            statuses=Statuses(created=200),
            properties=TableWire,
            backing=self,
            operations=(refuse("migrate"), refuse("cancelSearch")),
        )

    def get(self, resource_id: ResourceId) -> Resource:
        workspace = self._workspace(resource_id)
        found = self.registry.find(workspace.customer_id, resource_id.name)
        if found is None:
            raise ResourceNotFound.of(resource_id)
        return _resource(workspace, resource_id, found)

    def list(self, parent: ResourceId) -> Iterable[Resource]:
        workspace = self._workspace(parent)
        return (
            _resource(workspace, parent.child("tables", table.name), table)
            for table in self.registry.tables(workspace.customer_id)
        )

    def put(self, draft: Draft) -> Resource:
        resource_id = draft.resource.id
        workspace = self._workspace(resource_id)
        asked = TableWire.model_validate(draft.resource.properties)
        schema = asked.table_schema or SchemaWire()
        columns = [Column(name=each.name, type=_type(each)) for each in schema.columns or ()]
        known = self.registry.find(workspace.customer_id, resource_id.name)
        retention = _retention(asked, None if known is None else known.retention)
        if known is None:
            made = self.registry.create(
                workspace.customer_id,
                resource_id.name,
                _own(columns),
                plan=asked.plan or TablePlan.ANALYTICS,
                retention=retention,
                description=schema.description or "",
            )
        else:
            if schema.columns is not None:
                _check_none_removed(known, columns)
            made = self.registry.update(
                workspace.customer_id,
                known.name,
                columns=[each for each in _own(columns) if each.name not in known.types],
                plan=asked.plan,
                retention=retention,
                description=schema.description,
            )
        return _resource(workspace, resource_id, made)

    def delete(self, resource: Resource) -> None:
        """The records first: a crash in between leaves an empty table that can be deleted again."""
        workspace = self._workspace(resource.id)
        name = resource.id.name
        found = self.registry.find(workspace.customer_id, name)
        if found is not None and found.is_custom:
            self.erase(workspace.customer_id, found.name)
        self.registry.delete(workspace.customer_id, name if found is None else found.name)

    def _workspace(self, resource_id: ResourceId) -> Workspace:
        at = replace(resource_id, types=TYPES, names=resource_id.names[:1])
        return self.workspaces.by_resource_id(str(at))


def _own(columns: Sequence[Column]) -> list[Column]:
    """Without the columns that every table has: templates list TimeGenerated as Azure wants them to."""
    return [each for each in columns if each.name not in STANDARD_COLUMNS]


def _check_none_removed(known: LogTable, columns: Sequence[Column]) -> None:
    standard = _standard(known)
    wanted = {each.name for each in columns}
    missing = [each.name for each in known.columns if each.name not in standard and each.name not in wanted]
    if missing:
        raise ColumnRemovalNotSupported(
            f"a table keeps its columns, and the schema leaves out {', '.join(missing[:10])}",
            target=known.name,
        )
    for each in columns:
        if each.name in known.types and known.types[each.name] is not each.type:
            known.with_columns([each])  # raises ColumnTypeConflict, in its own words


def _standard(table: LogTable) -> Mapping[str, KqlType]:
    """The columns that the workspace did not add."""
    base = standard_table(table.name) if table.origin is TableOrigin.STANDARD else None
    return STANDARD_COLUMNS if base is None else base.types


def _retention(asked: TableWire, known: Retention | None) -> Retention | None:
    """What is not named stays as it is; None changes nothing."""
    if asked.retention_in_days is None and asked.total_retention_in_days is None:
        return None
    before = known or Retention()

    def days(value: int | None, old: int | None) -> int | None:
        return old if value is None else (None if value == -1 else value)

    return Retention(
        days=days(asked.retention_in_days, before.days),
        total_days=days(asked.total_retention_in_days, before.total_days),
    )


def _type(column: ColumnWire) -> KqlType:
    found = _READ.get(column.type.lower())
    if found is None:
        raise ColumnTypeUnknown(f"'{column.type}' is no column type", target=column.name)
    return found


def _resource(workspace: Workspace, resource_id: ResourceId, table: LogTable) -> Resource:
    standard = _standard(table)
    days = table.retention.days or workspace.retention_days
    total = max(table.retention.total_days or days, days)
    columns, standard_columns = (
        [_column(each) for each in table.columns if (each.name in standard) is wanted]
        for wanted in (False, True)
    )
    properties: dict[str, Any] = {
        "retentionInDays": days,
        "totalRetentionInDays": total,
        "archiveRetentionInDays": total - days,
        "retentionInDaysAsDefault": table.retention.days is None,
        "totalRetentionInDaysAsDefault": table.retention.total_days is None,
        "plan": table.plan.value,
        "provisioningState": "Succeeded",
        "schema": {
            "name": table.name,
            "displayName": table.name,
            "description": table.description,
            "tableType": "CustomLog" if table.is_custom else "Microsoft",
            "tableSubType": table.origin.value if table.is_custom else "Any",
            "solutions": [table.solution],
            "columns": columns,
            "standardColumns": standard_columns,
        },
    }
    return Resource(
        id=replace(resource_id, names=(*resource_id.names[:-1], table.name)),
        properties=cast("Mapping[str, Any]", properties),
    )


def _column(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "type": _SHOWN.get(column.type, column.type.value),
        "isDefaultDisplay": False,
        "isHidden": False,
    }
