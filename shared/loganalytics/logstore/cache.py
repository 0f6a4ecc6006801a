"""The local cache of immutable blobs: whole files, keyed by workspace, the least recently used leave first."""

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from shared.kernel.clock import Clock
from shared.loganalytics.logstore.errors import StagedBlobUnreadable
from shared.loganalytics.logstore.model import WorkspaceId

# A query runs for at most ten minutes and may open its files at any time of it.
KEPT_SECONDS: Final = 900.0


@dataclass(slots=True)
class BlobCache:
    """Files under `folder/<workspace>/`. A file is there whole or not at all; what is there never changes.

    Several processes may share the folder. Deleting it at any time while no query runs is harmless.
    """

    folder: Path
    limit: int
    clock: Clock
    hits: int = 0
    misses: int = 0
    _sizes: dict[Path, int] = field(default_factory=dict[Path, int])  # least recently used first
    _used: dict[Path, float] = field(default_factory=dict[Path, float])
    _total: int = 0
    _scanned: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: dict[Path, threading.Lock] = field(default_factory=dict[Path, threading.Lock])

    @property
    def held(self) -> int:
        """Bytes on disk."""
        self._scan()
        return self._total

    def path(self, workspace: WorkspaceId, name: str, suffix: str) -> Path:
        """Where a blob lies if it is here. Names are hashed, so that none can leave its workspace's folder."""
        return self.folder / workspace / f"{sha256(name.encode()).hexdigest()[:40]}{suffix}"

    def fetch(
        self, workspace: WorkspaceId, name: str, *, suffix: str, size: int | None, load: Callable[[], bytes]
    ) -> Path:
        """The local copy of a blob, loaded if need be and checked to be `size` bytes long."""

        def fill(path: Path) -> None:
            data = load()
            if size is not None and len(data) != size:
                raise StagedBlobUnreadable(f"{name} has {len(data)} bytes instead of {size}", target=name)
            path.write_bytes(data)

        return self.make(workspace, name, suffix=suffix, size=size, fill=fill)

    def make(
        self,
        workspace: WorkspaceId,
        name: str,
        *,
        suffix: str,
        fill: Callable[[Path], None],
        size: int | None = None,
    ) -> Path:
        """The file of that name; if it is not here (or is not `size` bytes long), `fill` writes it to a path it is given."""
        path = self.path(workspace, name, suffix)
        self._scan()
        if self._touch(path, size):
            return path
        with self._lock:
            making = self._making.setdefault(path, threading.Lock())
        with making:
            if self._touch(path, size):
                return path
            self.misses += 1
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
            try:
                fill(part)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
                with self._lock:
                    self._making.pop(path, None)
            self._added(path)
        return path

    def touch(self, path: Path) -> bool:
        """Whether a file of the cache is still there; if so it stays while a query runs."""
        return self._touch(path, None)

    def _touch(self, path: Path, size: int | None) -> bool:
        try:
            found = path.stat().st_size
        except FileNotFoundError:
            return False
        if size is not None and found != size:
            return False
        with self._lock:
            self._total += found - self._sizes.pop(path, 0)
            self._sizes[path] = found
            self._used[path] = self.clock.monotonic()
        self.hits += 1
        return True

    def _added(self, path: Path) -> None:
        size = path.stat().st_size
        now = self.clock.monotonic()
        with self._lock:
            self._total += size - self._sizes.pop(path, 0)
            self._sizes[path] = size
            self._used[path] = now
            leaving: list[Path] = []
            for oldest, held in self._sizes.items():
                if self._total <= self.limit or now - self._used.get(oldest, 0.0) < KEPT_SECONDS:
                    break
                leaving.append(oldest)
                self._total -= held
            for oldest in leaving:
                del self._sizes[oldest]
                self._used.pop(oldest, None)
        for oldest in leaving:
            oldest.unlink(missing_ok=True)

    def _scan(self) -> None:
        """What an earlier process left here counts, and leaves first. Half-written files of dead processes go."""
        with self._lock:
            if self._scanned:
                return
            self._scanned = True
            found: list[tuple[float, Path, int]] = []
            for path in self.folder.glob("*/*"):
                try:
                    stat = path.stat()
                except FileNotFoundError:
                    continue
                if path.name.startswith("."):
                    if self.clock.now().timestamp() - stat.st_mtime > KEPT_SECONDS:
                        path.unlink(missing_ok=True)
                    continue
                found.append((stat.st_mtime, path, stat.st_size))
            for _, path, size in sorted(found):
                self._sizes[path] = size
                self._used[path] = self.clock.monotonic() - KEPT_SECONDS
                self._total += size
