"""A table of a workspace: its columns, what kind it is, how long its records stay, and the limits it keeps."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

from shared.kernel.errors import Category, OmsError
from shared.kql.types import Column, KqlType

# learn.microsoft.com/azure/azure-monitor/service-limits#log-analytics-workspaces
MAX_COLUMNS: Final = 500
MAX_COLUMN_NAME: Final = 45
MAX_LOG_TYPE: Final = 100
MIN_RETENTION_DAYS: Final = 4
MAX_RETENTION_DAYS: Final = 730
MAX_TOTAL_RETENTION_DAYS: Final = 4383

STANDARD_COLUMNS: Final[Mapping[str, KqlType]] = {
    "TimeGenerated": KqlType.DATETIME,
    "TenantId": KqlType.STRING,
    "Type": KqlType.STRING,
    "SourceSystem": KqlType.STRING,
    "_ResourceId": KqlType.STRING,
    "_SubscriptionId": KqlType.STRING,
    "_BilledSize": KqlType.REAL,
    "_IsBillable": KqlType.STRING,
}
"""Columns of every table. They are set by the service, not by the sender, and do not count towards the limit."""

_STANDARD_FOLDED: Final = frozenset(name.lower() for name in STANDARD_COLUMNS)
_CUSTOM_TABLE: Final = re.compile(rf"[A-Za-z0-9_]{{1,{MAX_LOG_TYPE}}}_CL")
_COLUMN: Final = re.compile(r"[A-Za-z0-9_]+")
# A column may be a property of 45 characters with its type's suffix.
_LONGEST_COLUMN: Final = MAX_COLUMN_NAME + 2


class TableNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "TableNotFound"


class TableExists(OmsError):
    category = Category.CONFLICT
    code = "TableAlreadyExists"


class TableNameInvalid(OmsError):
    """A custom table's name is letters, digits and underscores, and ends in _CL."""

    code = "InvalidTableName"


class TableProtected(OmsError):
    """A standard table cannot be made or deleted."""

    code = "StandardTableOperationNotAllowed"


class TableBusy(OmsError):
    """Others kept changing the table while this change was tried."""

    category = Category.CONFLICT
    code = "TableBusy"


class ColumnNameInvalid(OmsError):
    code = "InvalidColumnName"


class ColumnTypeConflict(OmsError):
    """A column's type never changes, not even when its table is deleted and made again."""

    category = Category.CONFLICT
    code = "ColumnTypeConflict"


class TooManyColumns(OmsError):
    code = "TooManyColumns"


class RetentionInvalid(OmsError):
    code = "InvalidRetention"


class TablePlan(StrEnum):
    ANALYTICS = "Analytics"
    BASIC = "Basic"
    AUXILIARY = "Auxiliary"


class TableOrigin(StrEnum):
    """Where a table comes from, in the words of the management API's `schema.tableType` and `tableSubType`."""

    STANDARD = "Microsoft"
    CLASSIC = "Classic"
    DECLARED = "DataCollectionRuleBased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Days that records stay queryable, and stay at all. None follows the workspace."""

    days: int | None = None
    total_days: int | None = None

    def checked(self) -> "Retention":
        """Itself, if within Log Analytics' limits. RetentionInvalid."""
        if self.days is not None and not MIN_RETENTION_DAYS <= self.days <= MAX_RETENTION_DAYS:
            raise RetentionInvalid(
                f"retentionInDays is {self.days}; it is {MIN_RETENTION_DAYS} to {MAX_RETENTION_DAYS}",
                target="retentionInDays",
            )
        if self.total_days is not None and not (
            max(self.days or 0, MIN_RETENTION_DAYS) <= self.total_days <= MAX_TOTAL_RETENTION_DAYS
        ):
            raise RetentionInvalid(
                f"totalRetentionInDays is {self.total_days}; it is at least retentionInDays and at most {MAX_TOTAL_RETENTION_DAYS}",
                target="totalRetentionInDays",
            )
        return self


@dataclass(frozen=True, kw_only=True)
class LogTable:
    """A table as one workspace has it. `columns` are all of them, standard columns first."""

    name: str
    columns: Sequence[Column]
    origin: TableOrigin
    solution: str = "LogManagement"
    billable: bool = True
    plan: TablePlan = TablePlan.ANALYTICS
    retention: Retention = field(default_factory=Retention)
    description: str = ""

    @cached_property
    def types(self) -> Mapping[str, KqlType]:
        """Column name to type."""
        return {column.name: column.type for column in self.columns}

    @cached_property
    def folded(self) -> Mapping[str, Column]:
        """Columns by their name in lower case: two that differ only in case would meet in the store."""
        return {column.name.lower(): column for column in self.columns}

    @property
    def is_custom(self) -> bool:
        return self.origin is not TableOrigin.STANDARD

    def with_columns(self, wanted: Iterable[Column]) -> "LogTable":
        """The table with those of the columns that it lacks (in any case of letters), or itself if it lacks none.

        ColumnTypeConflict, ColumnNameInvalid, TooManyColumns.
        """
        known = dict(self.folded)
        added: list[Column] = []
        for column in wanted:
            other = known.setdefault(column.name.lower(), column)
            if other is column:
                check_column_name(column.name)
                added.append(column)
            elif other.type is not column.type:
                raise ColumnTypeConflict(
                    f"column {other.name} of {self.name} is {other.type}, and cannot become {column.type}",
                    target=column.name,
                )
        if not added:
            return self
        check_column_count(self.name, sum(name not in _STANDARD_FOLDED for name in known))
        return replace(self, columns=(*self.columns, *added))


def custom_table(
    name: str, columns: Iterable[Column] = (), *, origin: TableOrigin = TableOrigin.DECLARED
) -> LogTable:
    """A new custom table. TableNameInvalid, and as `with_columns`."""
    check_custom_name(name)
    bare = LogTable(
        name=name,
        columns=tuple(Column(name=column, type=type_) for column, type_ in STANDARD_COLUMNS.items()),
        origin=origin,
        solution="LogManagement",
    )
    return bare.with_columns(columns)


def check_custom_name(name: str) -> None:
    if _CUSTOM_TABLE.fullmatch(name) is None:
        raise TableNameInvalid(
            f"{name[:120]!r} is no name for a custom table: up to {MAX_LOG_TYPE} letters, digits and underscores, then _CL",
            target="name",
        )


def check_column_name(name: str) -> None:
    if len(name) > _LONGEST_COLUMN or _COLUMN.fullmatch(name) is None:
        raise ColumnNameInvalid(
            f"{name[:80]!r} is no name for a column: up to {MAX_COLUMN_NAME} letters, digits and underscores",
            target=name[:80],
        )


def check_column_count(table: str, count: int) -> None:
    if count > MAX_COLUMNS:
        raise TooManyColumns(f"{table} would have {count} columns; the limit is {MAX_COLUMNS}", target=table)
