"""The tables that workspaces made, and what they added to the standard ones, in storage table `omstables`."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import orjson

from shared.kernel.versions import check_version
from shared.kql.types import Column, KqlType
from shared.loganalytics.tables.model import Retention, TableBusy, TableOrigin, TablePlan
from shared.storage.ports import Row, RowChanged, RowExists, RowNotFound, Table, Value

TABLE: Final = "omstables"
VERSION: Final = 1
ATTEMPTS: Final = 24

_CODE: Final[Mapping[KqlType, str]] = {
    KqlType.BOOL: "b",
    KqlType.INT: "i",
    KqlType.LONG: "l",
    KqlType.REAL: "r",
    KqlType.DECIMAL: "c",
    KqlType.STRING: "s",
    KqlType.DATETIME: "t",
    KqlType.TIMESPAN: "n",
    KqlType.GUID: "g",
    KqlType.DYNAMIC: "d",
}
_TYPE: Final[Mapping[str, KqlType]] = {code: type_ for type_, code in _CODE.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRecord:
    """What is stored of one table. `columns` are those beyond the standard ones (for a standard table: beyond its own).

    A deleted table stays as a record, so that the types of its columns hold when it is made again.
    """

    name: str
    origin: TableOrigin
    columns: tuple[Column, ...] = ()
    plan: TablePlan = TablePlan.ANALYTICS
    retention: Retention = field(default_factory=Retention)
    description: str = ""
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class TableStore:
    """Rows by (workspace id, table name), written only over the etag that was read."""

    table: Table

    def list(self, workspace: str) -> Iterator[TableRecord]:
        return (_from_row(row) for row in self.table.query(workspace))

    def change(
        self, workspace: str, name: str, change: Callable[[TableRecord | None], TableRecord]
    ) -> TableRecord:
        """Apply `change` to the stored record (None: there is none), on a fresh copy each time somebody wrote first."""
        for _ in range(ATTEMPTS):
            row = self._row(workspace, name)
            old = None if row is None else _from_row(row)
            new = change(old)
            if new == old:
                return new
            with suppress(RowChanged, RowExists, RowNotFound):
                if row is None:
                    self.table.insert(workspace, name, _to_values(new))
                else:
                    self.table.replace(row, _to_values(new))
                return new
        raise TableBusy(f"table {name} keeps changing", target=name, retry_after=1)

    def forget(self, workspace: str) -> None:
        """Remove all that is stored of a workspace's tables, tombstones too."""
        for row in list(self.table.query(workspace, select=[])):
            self.table.delete(workspace, row.key)

    def _row(self, workspace: str, name: str) -> Row | None:
        try:
            return self.table.get(workspace, name)
        except RowNotFound:
            return None


def _to_values(record: TableRecord) -> Mapping[str, Value | None]:
    return {
        "v": VERSION,
        "origin": record.origin.value,
        # Bytes: text would take twice the room, and 500 columns would not fit a property of 64 KiB.
        "columns": orjson.dumps({column.name: _CODE[column.type] for column in record.columns}),
        "plan": record.plan.value,
        "retention": record.retention.days,
        "total_retention": record.retention.total_days,
        "description": record.description or None,
        "deleted": record.deleted,
    }


def _from_row(row: Row) -> TableRecord:
    values = row.values
    check_version(f"table {row.key}", values.get("v"), current=VERSION)
    columns = values["columns"]
    days, total = values.get("retention"), values.get("total_retention")
    return TableRecord(
        name=row.key,
        origin=TableOrigin(str(values["origin"])),
        columns=tuple(
            Column(name=name, type=_TYPE[code])
            for name, code in orjson.loads(columns if isinstance(columns, bytes) else str(columns)).items()
        ),
        plan=TablePlan(str(values["plan"])),
        retention=Retention(
            days=days if isinstance(days, int) else None,
            total_days=total if isinstance(total, int) else None,
        ),
        description=str(values.get("description") or ""),
        deleted=bool(values.get("deleted")),
    )
