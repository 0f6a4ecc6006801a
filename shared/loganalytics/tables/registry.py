"""Which tables a workspace has and what their columns are: the one place that ingestion, queries and management ask."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

from shared.kernel.clock import Clock
from shared.kql.types import Column
from shared.loganalytics.tables.model import (
    LogTable,
    Retention,
    TableExists,
    TableNotFound,
    TableOrigin,
    TablePlan,
    TableProtected,
    check_custom_name,
    custom_table,
)
from shared.loganalytics.tables.standard import standard_names, standard_table
from shared.loganalytics.tables.store import TableRecord, TableStore

MAX_STALE_SECONDS: Final = 3.0
"""How old an answer may be. What another instance added is seen after this long, or at once by whoever misses it."""

_MISS_SECONDS: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """One workspace's own tables and additions, as read at `at` (monotonic seconds)."""

    records: Mapping[str, TableRecord]
    at: float
    built: dict[str, LogTable] = field(default_factory=dict[str, LogTable])

    def table(self, record: TableRecord) -> LogTable:
        found = self.built.get(record.name)
        if found is None:
            found = self.built[record.name] = _table(record)
        return found


@dataclass
class TableRegistry:
    """Tables per workspace. Safe for threads; columns only ever come, so an old answer is never wrong, only short."""

    store: TableStore
    clock: Clock
    _known: dict[str, _Known] = field(default_factory=dict[str, _Known])
    _lock: Lock = field(default_factory=Lock)

    def schema(self, workspace: str, table: str) -> LogTable | None:
        """The table, or None if the workspace has no such table. Names are case-sensitive, as in Kusto."""
        known = self._read(workspace, MAX_STALE_SECONDS)
        record = known.records.get(table)
        if record is None and standard_table(table) is None:
            # Another instance may have made it just now; ask again, but not once for each of many wrong names.
            known = self._read(workspace, _MISS_SECONDS)
            record = known.records.get(table)
        if record is None or record.deleted:
            return standard_table(table)
        return known.table(record)

    def require(self, workspace: str, table: str) -> LogTable:
        """TableNotFound."""
        found = self.schema(workspace, table)
        if found is None:
            raise TableNotFound(f"the workspace has no table {table[:120]}", target=table[:120])
        return found

    def find(self, workspace: str, name: str) -> LogTable | None:
        """The table of that name in any case, as the management API names resources."""
        exact = self.schema(workspace, name)
        if exact is not None:
            return exact
        folded = name.lower()
        for known in self.names(workspace):
            if known.lower() == folded:
                return self.schema(workspace, known)
        return None

    def names(self, workspace: str) -> Sequence[str]:
        """All tables of the workspace, by name: the standard ones, and those it made."""
        own = (
            record.name
            for record in self._read(workspace, MAX_STALE_SECONDS).records.values()
            if not record.deleted and record.origin is not TableOrigin.STANDARD
        )
        return sorted({*standard_names(), *own})

    def tables(self, workspace: str) -> Sequence[LogTable]:
        return [self.require(workspace, name) for name in self.names(workspace)]

    def extend(
        self,
        workspace: str,
        table: str,
        columns: Iterable[Column],
        *,
        origin: TableOrigin = TableOrigin.CLASSIC,
    ) -> LogTable:
        """The table with at least these columns, durable on return. A custom table that is not there comes into being.

        May be called by many at once for the same column. ColumnTypeConflict, ColumnNameInvalid, TooManyColumns,
        TableNameInvalid.
        """
        wanted = tuple(columns)
        known = self.schema(workspace, table)
        if known is not None and known.with_columns(wanted) is known:
            return known

        def change(old: TableRecord | None) -> TableRecord:
            return _extended(table, old, wanted, origin)

        return self._changed(workspace, self.store.change(workspace, table, change))

    def create(
        self,
        workspace: str,
        name: str,
        columns: Iterable[Column],
        *,
        plan: TablePlan = TablePlan.ANALYTICS,
        retention: Retention | None = None,
        description: str = "",
    ) -> LogTable:
        """Make a custom table. TableExists, TableProtected, RetentionInvalid, and as `extend`.

        A name that was deleted may be made again; columns it had keep their types.
        """
        wanted = tuple(columns)
        if standard_table(name) is not None:
            raise TableProtected(f"{name} is a standard table", target=name)
        check_custom_name(name)
        keep = (retention or Retention()).checked()

        def change(old: TableRecord | None) -> TableRecord:
            if old is not None and not old.deleted:
                raise TableExists(f"the workspace has a table {name} already", target=name)
            extended = _extended(name, old, wanted, TableOrigin.DECLARED)
            return replace(
                extended,
                origin=TableOrigin.DECLARED,
                plan=plan,
                retention=keep,
                description=description,
            )

        return self._changed(workspace, self.store.change(workspace, name, change))

    def update(
        self,
        workspace: str,
        name: str,
        *,
        columns: Iterable[Column] = (),
        plan: TablePlan | None = None,
        retention: Retention | None = None,
        description: str | None = None,
    ) -> LogTable:
        """Change what is named and keep the rest; columns are added, never taken away. TableNotFound, and as `create`."""
        wanted = tuple(columns)
        keep = None if retention is None else retention.checked()

        def change(old: TableRecord | None) -> TableRecord:
            if (old is None or old.deleted) and standard_table(name) is None:
                raise TableNotFound(f"the workspace has no table {name[:120]}", target=name[:120])
            extended = _extended(name, old, wanted, TableOrigin.DECLARED)
            return replace(
                extended,
                plan=plan or extended.plan,
                retention=keep or extended.retention,
                description=extended.description if description is None else description,
            )

        return self._changed(workspace, self.store.change(workspace, name, change))

    def delete(self, workspace: str, name: str) -> None:
        """The custom table is gone from the workspace. Its records are the log store's to remove. TableNotFound, TableProtected."""
        if standard_table(name) is not None:
            raise TableProtected(f"{name} is a standard table", target=name)

        def change(old: TableRecord | None) -> TableRecord:
            if old is None or old.deleted:
                raise TableNotFound(f"the workspace has no table {name[:120]}", target=name[:120])
            return replace(old, deleted=True)

        self._remember(workspace, self.store.change(workspace, name, change))

    def forget(self, workspace: str) -> None:
        """The workspace is purged: nothing of its tables stays. Harmless to repeat."""
        self.store.forget(workspace)
        with self._lock:
            self._known.pop(workspace, None)

    def _read(self, workspace: str, max_age: float) -> _Known:
        now = self.clock.monotonic()
        known = self._known.get(workspace)
        if known is not None and now - known.at <= max_age:
            return known
        records = {record.name: record for record in self.store.list(workspace)}
        known = _Known(records=records, at=now)
        with self._lock:
            self._known[workspace] = known
        return known

    def _changed(self, workspace: str, record: TableRecord) -> LogTable:
        self._remember(workspace, record)
        return _table(record)

    def _remember(self, workspace: str, record: TableRecord) -> None:
        with self._lock:
            known = self._known.get(workspace)
            if known is not None:
                self._known[workspace] = _Known(records={**known.records, record.name: record}, at=known.at)


def _table(record: TableRecord) -> LogTable:
    base = standard_table(record.name) or custom_table(record.name, origin=record.origin)
    extended = replace(
        base,
        columns=(*base.columns, *(column for column in record.columns if column.name not in base.types)),
    )
    return replace(extended, plan=record.plan, retention=record.retention, description=record.description)


def _extended(
    name: str, old: TableRecord | None, wanted: Sequence[Column], origin: TableOrigin
) -> TableRecord:
    standard = standard_table(name)
    base = standard or custom_table(name, origin=origin)
    record = old or TableRecord(name=name, origin=base.origin)
    full = replace(base, columns=(*base.columns, *record.columns)).with_columns(wanted)
    own = tuple(column for column in full.columns if column.name not in base.types)
    if record.deleted:
        # Made again: only the name and its columns' types outlive the deletion.
        record = TableRecord(name=name, origin=origin if standard is None else base.origin)
    return replace(record, columns=own)
