"""Writes of one partition that arrive while another is under way ride together in one transaction, which costs a third."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import Final

from shared.storage.ports import (
    Replace,
    Row,
    RowChanged,
    RowNotFound,
    StorageLimitExceeded,
    StorageUnavailable,
    Table,
    Value,
)

_TOGETHER: Final = 50

Values = Mapping[str, Value | None]


@dataclass(slots=True, eq=False)
class _Write:
    row: Row
    values: Values
    turn: Event = field(default_factory=Event)
    """Set when it is written or refused, or has to lead the next transaction."""
    saved: Row | None = None
    error: Exception | None = None

    def result(self) -> Row:
        if self.saved is not None:
            return self.saved
        raise self.error or StorageUnavailable("the thread that wrote for others ended", target=self.row.key)


@dataclass(slots=True)
class _Lane:
    busy: bool = False
    waiting: list[_Write] = field(default_factory=list[_Write])


@dataclass(slots=True)
class GroupedWrites:
    """`replace` as a table does it, for many threads. A lone writer never waits; there is no timer and no thread."""

    table: Table
    _lanes: dict[str, _Lane] = field(default_factory=dict[str, _Lane])
    _lock: Lock = field(default_factory=Lock)

    def replace(self, row: Row, values: Values) -> Row:
        """RowChanged, RowNotFound; StorageUnavailable as for one write."""
        mine = _Write(row, values)
        with self._lock:
            lane = self._lanes.setdefault(row.partition, _Lane())
            lane.waiting.append(mine)
            leads, lane.busy = not lane.busy, True
        if not leads:
            mine.turn.wait()
        if mine.saved is None and mine.error is None:
            self._lead(row.partition, lane)
        return mine.result()

    def _lead(self, partition: str, lane: _Lane) -> None:
        with self._lock:
            batch = _of_different_rows(lane.waiting)
            lane.waiting = [write for write in lane.waiting if write not in batch]
        try:
            self._commit(partition, batch)
        finally:
            with self._lock:
                successor = lane.waiting[0] if lane.waiting else None
                lane.busy = successor is not None
                if successor is None:
                    self._lanes.pop(partition, None)
            for write in batch:
                if write.saved is None and write.error is None:
                    write.error = StorageUnavailable("the thread that wrote for others ended")
                write.turn.set()
            if successor is not None:
                successor.turn.set()

    def _commit(self, partition: str, batch: Sequence[_Write]) -> None:
        if len(batch) > 1:
            operations = [
                Replace(key=write.row.key, values=write.values, etag=write.row.etag) for write in batch
            ]
            try:
                etags = self.table.transact(partition, operations)
            except StorageUnavailable as error:
                # Whether it took effect is unknown, for all of them alike.
                for write in batch:
                    write.error = error
                return
            except (RowChanged, RowNotFound, StorageLimitExceeded):
                # One of them is refused, or they are too much at once: each by itself.
                etags = ()
            for write, etag in zip(batch, etags, strict=False):
                write.saved = written(write.row, write.values, etag)
        for write in batch:
            if write.saved is None:
                try:
                    write.saved = self.table.replace(write.row, write.values)
                except Exception as error:  # the thread it belongs to raises it
                    write.error = error


def written(row: Row, values: Values, etag: str) -> Row:
    """The row as a transaction has written it."""
    kept = {name: value for name, value in values.items() if value is not None}
    return Row(partition=row.partition, key=row.key, values=kept, etag=etag, modified=row.modified)


def _of_different_rows(waiting: Sequence[_Write]) -> list[_Write]:
    """The first that fit a transaction, which takes no row twice."""
    found: dict[str, _Write] = {}
    for write in waiting:
        if len(found) < _TOGETHER:
            found.setdefault(write.row.key, write)
    return [*found.values()]
