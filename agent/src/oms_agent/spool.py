"""The durable, bounded spool between collectors and the network: what is in it survives a kill, and is sent in order.

A stream's records gather in an open file; a full or aged one is sealed under a name that is its request id, so that sending
it again after a lost answer writes nothing twice. When the spool is full the oldest sealed file goes, and is counted.
"""

import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

SEAL_BYTES: Final = 900_000
"""The Logs Ingestion API takes 1 MB a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A batch ready to send."""

    path: Path
    stream: str
    request_id: str
    size: int

    def body(self) -> tuple[int, bytes]:
        """How many records, and the JSON array of them. A line cut short by a crash was never acknowledged and is left out."""
        lines = [line for line in self.path.read_bytes().split(b"\n") if line and _is_json(line)]
        return len(lines), b"[" + b",".join(lines) + b"]"


@dataclass(slots=True)
class Open:
    file: Any
    path: Path
    bytes: int = 0
    since: float = 0.0


@dataclass(slots=True)
class Spool:
    """Safe for many writers and one sender. `dropped` counts records lost to the limit since the start."""

    folder: Path
    limit_bytes: int
    seal_after: float = 2.0  # seconds that a record waits for company
    clock: Callable[[], float] = time.monotonic
    dropped: int = 0
    _open: dict[str, Open] = field(default_factory=dict[str, Open], init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _ready: threading.Condition = field(init=False)
    _number: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._ready = threading.Condition(self._lock)
        self.folder.mkdir(parents=True, exist_ok=True)
        for left in sorted(self.folder.glob("*.open")):
            # An earlier run was killed while it wrote: what is whole in the file is sent.
            if left.stat().st_size:
                left.rename(self._sealed_path(left.name.split("~", 1)[1].removesuffix(".open")))
            else:
                left.unlink()

    def put(self, stream: str, records: Iterable[Mapping[str, Any]]) -> None:
        """On disk (fsync) on return."""
        lines = [orjson.dumps(record) for record in records]
        if not lines:
            return
        with self._lock:
            for line in lines:
                current = self._open.get(stream)
                if current is not None and current.bytes + len(line) + 2 > SEAL_BYTES:
                    self._seal(stream)
                    current = None
                if current is None:
                    current = self._start(stream)
                current.file.write(line + b"\n")
                current.bytes += len(line) + 1
            if (current := self._open.get(stream)) is not None:
                current.file.flush()
                os.fsync(current.file.fileno())
            self._bound()
            self._ready.notify_all()

    def next(self, wait: float) -> Sealed | None:
        """The oldest batch, sealing what has waited long enough; None if there is none within `wait` seconds."""
        deadline = self.clock() + wait
        with self._lock:
            while True:
                for stream in [name for name, current in self._open.items() if self._due(current)]:
                    self._seal(stream)
                sealed = self._list()
                if sealed:
                    return sealed[0]
                left = deadline - self.clock()
                if left <= 0:
                    return None
                soonest = min(
                    (self.seal_after - (self.clock() - o.since) for o in self._open.values()), default=left
                )
                self._ready.wait(timeout=max(0.01, min(left, soonest)))

    def done(self, batch: Sealed) -> None:
        """The batch was taken: forget it."""
        with self._lock:
            batch.path.unlink(missing_ok=True)

    def set_aside(self, batch: Sealed, reason: str) -> int:
        """The bundle will never take this batch: keep it for people to look at, out of the way; how many records it had."""
        count, _ = batch.body()
        rejected = self.folder / "rejected"
        rejected.mkdir(exist_ok=True)
        with self._lock:
            (rejected / f"{batch.path.stem}.reason").write_text(reason, encoding="utf-8")
            batch.path.rename(rejected / batch.path.name)
            for old in sorted(rejected.iterdir())[:-20]:
                old.unlink(missing_ok=True)
        return count

    def size(self) -> int:
        """Bytes that wait to be sent."""
        with self._lock:
            return sum(sealed.size for sealed in self._list()) + sum(
                current.bytes for current in self._open.values()
            )

    def close(self) -> None:
        with self._lock:
            for stream in list(self._open):
                self._seal(stream)

    def _due(self, current: Open) -> bool:
        return current.bytes > 0 and self.clock() - current.since >= self.seal_after

    def _start(self, stream: str) -> Open:
        self._number += 1
        path = self.folder / f"{time.time_ns():020d}-{self._number:06d}~{stream}.open"
        current = Open(file=path.open("ab"), path=path, since=self.clock())
        self._open[stream] = current
        return current

    def _seal(self, stream: str) -> None:
        current = self._open.pop(stream)
        current.file.flush()
        os.fsync(current.file.fileno())
        current.file.close()
        current.path.rename(self._sealed_path(stream))

    def _sealed_path(self, stream: str) -> Path:
        self._number += 1
        return self.folder / f"{time.time_ns():020d}-{self._number:06d}~{stream}~{uuid.uuid4()}.sealed"

    def _list(self) -> list[Sealed]:
        found: list[Sealed] = []
        for path in sorted(self.folder.glob("*.sealed")):
            _, stream, request_id = path.stem.split("~")
            found.append(Sealed(path=path, stream=stream, request_id=request_id, size=path.stat().st_size))
        return found

    def _bound(self) -> None:
        sealed = self._list()
        total = sum(batch.size for batch in sealed) + sum(current.bytes for current in self._open.values())
        for batch in sealed:
            if total <= self.limit_bytes:
                return
            count, _ = batch.body()
            batch.path.unlink(missing_ok=True)
            self.dropped += count
            total -= batch.size


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
