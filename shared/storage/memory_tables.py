"""A table in memory, with Azure's key order, etags and entity-group transactions."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from threading import RLock

from shared.kernel.clock import Clock
from shared.storage import continuations, limits
from shared.storage.gates import Gated
from shared.storage.ports import (
    Delete,
    Insert,
    Operation,
    Page,
    Replace,
    Row,
    RowChanged,
    RowExists,
    RowNotFound,
    Upsert,
    Value,
)

_Partition = dict[str, Row]


@dataclass(slots=True, kw_only=True)
class MemoryTable:
    name: str
    clock: Clock
    lock: RLock
    gates: Gated
    next_etag: Callable[[], str]
    partitions: dict[str, _Partition] = field(default_factory=dict[str, _Partition])

    def insert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(partition, key, values)
        with self.gates.passing("table.insert", self._key(partition, key)), self.lock:
            found = self._rows(partition).get(key)
            if found is not None and limits.same_values(found.values, kept):
                return found
            return self._apply(partition, self._rows(partition), Insert(key=key, values=kept))

    def get(self, partition: str, key: str) -> Row:
        limits.check_key(partition)
        limits.check_key(key)
        with self.gates.passing("table.get", self._key(partition, key)), self.lock:
            return self._there(partition, self._rows(partition), key)

    def replace(self, row: Row, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(row.partition, row.key, values)
        with self.gates.passing("table.replace", self._key(row.partition, row.key)), self.lock:
            change = Replace(key=row.key, values=kept, etag=row.etag)
            return self._apply(row.partition, self._rows(row.partition), change)

    def upsert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(partition, key, values)
        with self.gates.passing("table.upsert", self._key(partition, key)), self.lock:
            return self._apply(partition, self._rows(partition), Upsert(key=key, values=kept))

    def delete(self, partition: str, key: str, *, etag: str | None = None) -> None:
        limits.check_key(partition)
        limits.check_key(key)
        with self.gates.passing("table.delete", self._key(partition, key)), self.lock:
            rows = self._rows(partition)
            if etag is None and key not in rows:
                return
            self._remove(partition, rows, Delete(key=key, etag=etag))

    def query(
        self,
        partition: str | None = None,
        *,
        start: str | None = None,
        before: str | None = None,
        where: Mapping[str, Value] | None = None,
        select: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        limits.check_query(partition, where, select)
        with self.gates.passing("table.query", self._key(partition or "", start or "")), self.lock:
            found = [
                row for row in self._between(partition, start, before) if limits.matches(row.values, where)
            ]
        return iter(found if select is None else [_selected(row, select) for row in found])

    def page(
        self,
        partition: str | None = None,
        *,
        start: str | None = None,
        before: str | None = None,
        size: int,
        after: str | None = None,
    ) -> Page:
        limits.check_query(partition, None, None)
        limits.check_page(size)
        begin = None if after is None else _order(*continuations.decode(after))
        with self.gates.passing("table.page", self._key(partition or "", start or "")), self.lock:
            remaining = (
                row
                for row in self._between(partition, start, before)
                if begin is None or _order(row.partition, row.key) >= begin
            )
            rows = list(islice(remaining, size + 1))
        following = continuations.encode(rows[size].partition, rows[size].key) if len(rows) > size else None
        return Page(rows=rows[:size], next=following)

    def transact(self, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        limits.check_batch(partition, operations)
        with self.gates.passing("table.transact", self._key(partition, operations[0].key)), self.lock:
            rows = self._rows(partition)
            changed = dict(rows)
            try:
                for operation in operations:
                    if isinstance(operation, Delete):
                        self._remove(partition, changed, operation)
                    else:
                        self._apply(partition, changed, operation)
            except (RowExists, RowNotFound):
                if all(_in_force(rows, partition, operation) for operation in operations):
                    return [rows[each.key].etag if each.key in rows else "" for each in operations]
                raise
            self.partitions[partition] = changed
            return [changed[each.key].etag if each.key in changed else "" for each in operations]

    def _apply(self, partition: str, rows: _Partition, change: Insert | Replace | Upsert) -> Row:
        if isinstance(change, Insert) and change.key in rows:
            raise RowExists(f"row {self._key(partition, change.key)} exists", target=change.key)
        if isinstance(change, Replace):
            self._unchanged(partition, self._there(partition, rows, change.key), change.etag)
        rows[change.key] = row = Row(
            partition=partition,
            key=change.key,
            values=limits.present(partition, change.key, change.values),
            etag=self.next_etag(),
            modified=self.clock.now(),
        )
        return row

    def _remove(self, partition: str, rows: _Partition, change: Delete) -> None:
        self._unchanged(partition, self._there(partition, rows, change.key), change.etag)
        del rows[change.key]

    def _there(self, partition: str, rows: _Partition, key: str) -> Row:
        row = rows.get(key)
        if row is None:
            raise RowNotFound(f"there is no row {self._key(partition, key)}", target=key)
        return row

    def _unchanged(self, partition: str, row: Row, etag: str | None) -> None:
        if etag is not None and row.etag != etag:
            raise RowChanged(f"row {self._key(partition, row.key)} changed since it was read", target=row.key)

    def _rows(self, partition: str) -> _Partition:
        return self.partitions.setdefault(partition, {})

    def _between(self, partition: str | None, start: str | None, before: str | None) -> Iterator[Row]:
        first = None if start is None else limits.ordinal(start)
        last = None if before is None else limits.ordinal(before)
        names = [partition] if partition is not None else sorted(self.partitions, key=limits.ordinal)
        for name in names:
            rows = self.partitions.get(name, {})
            for key in sorted(rows, key=limits.ordinal):
                place = limits.ordinal(key)
                if (first is None or place >= first) and (last is None or place < last):
                    yield rows[key]

    def _key(self, partition: str, key: str) -> str:
        return f"{self.name}/{partition}/{key}"


def _order(partition: str, key: str) -> tuple[bytes, bytes]:
    return limits.ordinal(partition), limits.ordinal(key)


def _selected(row: Row, columns: Sequence[str]) -> Row:
    return replace(row, values={name: row.values[name] for name in columns if name in row.values})


def _in_force(rows: _Partition, partition: str, operation: Operation) -> bool:
    row = rows.get(operation.key)
    if isinstance(operation, Delete):
        return row is None
    if row is None or limits.needs_etag(operation):
        return False
    return limits.same_values(row.values, limits.present(partition, operation.key, operation.values))
