"""The tail: records that are committed and not yet in a segment, as local Parquet files that queries read.

Each frame is converted once per machine, when a query first wants it, by the code that compaction uses.
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from shared.kql.types import KqlType
from shared.loganalytics.logstore.cache import BlobCache
from shared.loganalytics.logstore.catalogue import Batch
from shared.loganalytics.logstore.convert import Converter, columns_of
from shared.loganalytics.logstore.files import LocalFile, measure, merge
from shared.loganalytics.logstore.frames import StagedFrame, decode
from shared.loganalytics.logstore.model import LaneId, WorkspaceId
from shared.storage.ports import Blobs

# Beyond this many files of a table's tail the smaller ones become one.
_FILES: Final = 8
_FILE_BYTES: Final = 64_000_000
_FETCHERS: Final = 8

BatchId = tuple[LaneId, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Some batches' records of one table in one file."""

    batches: frozenset[BatchId]
    file: LocalFile
    bytes: int


@dataclass(slots=True)
class Tail:
    staged: Blobs
    cache: BlobCache
    converter: Converter
    _chunks: dict[tuple[WorkspaceId, str], list[_Chunk]] = field(
        default_factory=dict[tuple[WorkspaceId, str], list[_Chunk]]
    )
    _locks: dict[tuple[WorkspaceId, str], threading.Lock] = field(
        default_factory=dict[tuple[WorkspaceId, str], threading.Lock]
    )
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def files(self, workspace: WorkspaceId, table: str, batches: Sequence[Batch]) -> list[LocalFile]:
        """The records of `table` in `batches`, each once."""
        key = (workspace, table)
        with self._guard:
            lock = self._locks.setdefault(key, threading.Lock())
        wanted = {(batch.lane, batch.number) for batch in batches}
        with lock:
            chunks = [
                chunk
                for chunk in self._chunks.get(key, [])
                if chunk.batches <= wanted and self.cache.touch(Path(chunk.file.path))
            ]
            there = {one for chunk in chunks for one in chunk.batches}
            missing = [batch for batch in batches if (batch.lane, batch.number) not in there]
            chunks.extend(self._convert(workspace, table, group) for group in _groups(missing, table))
            if len(chunks) > _FILES:
                chunks = self._fewer(workspace, table, chunks)
            self._chunks[key] = chunks
        return [chunk.file for chunk in chunks]

    def frames(self, workspace: WorkspaceId, table: str, batches: Sequence[Batch]) -> list[StagedFrame]:
        """The frames of `table` in `batches`, from the cache or storage."""

        def load(batch: Batch) -> list[StagedFrame]:
            path = self.local(workspace, batch)
            return decode(path.read_bytes(), name=batch.blob, tables=frozenset([table]))

        if len(batches) <= 1:
            return [frame for batch in batches for frame in load(batch)]
        with ThreadPoolExecutor(max_workers=min(_FETCHERS, len(batches))) as pool:
            return [frame for frames in pool.map(load, batches) for frame in frames]

    def local(self, workspace: WorkspaceId, batch: Batch) -> Path:
        """The local copy of a batch's staged blob."""
        return self.cache.fetch(
            workspace,
            batch.blob,
            suffix=".staged",
            size=batch.size,
            load=lambda: self.staged.get(batch.blob),
        )

    def _convert(self, workspace: WorkspaceId, table: str, batches: Sequence[Batch]) -> _Chunk:
        ids = frozenset((batch.lane, batch.number) for batch in batches)
        columns: dict[str, KqlType] = {}
        frames = self.frames(workspace, table, batches)

        def fill(path: Path) -> None:
            columns.update(
                self.converter.to_parquet(frames, path, workspace=workspace, table=table, form="tail")
            )

        path = self.cache.make(workspace, f"{table}|{_name(ids)}|frames", suffix=".parquet", fill=fill)
        if not columns:
            columns.update(columns_of((one.frame for one in frames), workspace=workspace, table=table))
        return self._chunk(ids, path, columns, sum(batch.shares[table].bytes for batch in batches))

    def _fewer(self, workspace: WorkspaceId, table: str, chunks: Sequence[_Chunk]) -> list[_Chunk]:
        """The same records in half as many files: the smallest become one."""
        by_size = sorted(chunks, key=lambda chunk: chunk.bytes)
        small = by_size[: len(chunks) - _FILES // 2]
        ids = frozenset(one for chunk in small for one in chunk.batches)
        columns: dict[str, KqlType] = {}

        def fill(path: Path) -> None:
            columns.update(merge(self.converter, [chunk.file for chunk in small], path, form="tail"))

        path = self.cache.make(workspace, f"{table}|{_name(ids)}|merged", suffix=".parquet", fill=fill)
        if not columns:
            return list(chunks)
        merged = self._chunk(ids, path, columns, sum(chunk.bytes for chunk in small))
        return [*by_size[len(small) :], merged]

    def _chunk(
        self, ids: frozenset[BatchId], path: Path, columns: Mapping[str, KqlType], size: int
    ) -> _Chunk:
        return _Chunk(batches=ids, file=measure(self.converter, path, columns), bytes=size)


def _groups(batches: Sequence[Batch], table: str) -> Iterable[list[Batch]]:
    group: list[Batch] = []
    size = 0
    for batch in batches:
        size += batch.shares[table].bytes
        if group and size > _FILE_BYTES:
            yield group
            group, size = [], batch.shares[table].bytes
        group.append(batch)
    if group:
        yield group


def _name(ids: frozenset[BatchId]) -> str:
    return sha256("|".join(f"{lane}:{number}" for lane, number in sorted(ids)).encode()).hexdigest()
