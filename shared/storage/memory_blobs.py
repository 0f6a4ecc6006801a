"""A container of blobs in memory, with Azure's etags, leases and append blobs."""

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock

from shared.kernel.clock import Clock
from shared.storage import limits
from shared.storage.gates import Gated
from shared.storage.ports import BlobChanged, BlobExists, BlobInfo, BlobNotFound, LeaseHeld, LeaseLost


@dataclass(slots=True, kw_only=True)
class _Lease:
    id: str
    seconds: int
    until: datetime


@dataclass(slots=True, kw_only=True)
class _Blob:
    data: bytes | bytearray
    info: BlobInfo
    appendable: bool = False
    lease: _Lease | None = None


@dataclass(slots=True, kw_only=True)
class MemoryBlobs:
    container: str
    clock: Clock
    lock: RLock
    gates: Gated
    next_etag: Callable[[], str]
    blobs: dict[str, _Blob] = field(default_factory=dict[str, _Blob])

    def put(
        self,
        name: str,
        data: bytes,
        *,
        if_absent: bool = False,
        etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> BlobInfo:
        limits.check_blob_name(name)
        limits.check_metadata(metadata or {})
        limits.check_conditions(name, etag, if_absent=if_absent)
        with self.gates.passing("blobs.put", self._key(name)), self.lock:
            blob = self.blobs.get(name)
            if blob is not None and if_absent:
                if blob.data == data:
                    return blob.info
                raise BlobExists(f"blob {self._key(name)} exists with other content", target=name)
            if etag is not None and (blob is None or blob.info.etag != etag):
                raise BlobChanged(f"blob {self._key(name)} is not at {etag}", target=name)
            self._refuse_leased(name, blob)
            fresh = _Blob(data=bytes(data), info=self._info(name, len(data), dict(metadata or {})))
            self.blobs[name] = fresh
            return fresh.info

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        limits.check_range(start, length)
        with self.gates.passing("blobs.get", self._key(name)), self.lock:
            data = self._blob(name).data
            return bytes(data[start:] if length is None else data[start : start + length])

    def read(self, name: str) -> tuple[bytes, BlobInfo]:
        with self.gates.passing("blobs.read", self._key(name)), self.lock:
            blob = self._blob(name)
            return bytes(blob.data), blob.info

    def info(self, name: str) -> BlobInfo:
        with self.gates.passing("blobs.info", self._key(name)), self.lock:
            return self._blob(name).info

    def append(self, name: str, data: bytes, *, at: int | None = None) -> int:
        limits.check_blob_name(name)
        limits.check_append(name, data)
        with self.gates.passing("blobs.append", self._key(name)), self.lock:
            blob = self.blobs.get(name)
            if blob is not None and not blob.appendable:
                raise BlobExists(f"blob {self._key(name)} is not an append blob", target=name)
            size = blob.info.size if blob else 0
            if data or blob is None:  # nothing to append asks nothing of the service
                self._refuse_leased(name, blob)
            if at is not None and at != size:
                raise BlobChanged(f"blob {self._key(name)} has {size} bytes, not {at}", target=name)
            if blob is None:
                blob = _Blob(data=bytearray(), info=self._info(name, 0, {}), appendable=True)
                self.blobs[name] = blob
            if data:
                blob.data = bytearray(blob.data) if isinstance(blob.data, bytes) else blob.data
                blob.data += data
                blob.info = self._info(name, len(blob.data), blob.info.metadata)
            return len(blob.data)

    def delete(self, name: str) -> None:
        limits.check_blob_name(name)
        with self.gates.passing("blobs.delete", self._key(name)), self.lock:
            self._refuse_leased(name, self.blobs.get(name))
            self.blobs.pop(name, None)

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        with self.gates.passing("blobs.list", self._key(prefix)), self.lock:
            found = [blob.info for name, blob in self.blobs.items() if name.startswith(prefix)]
        return iter(sorted(found, key=lambda info: limits.ordinal(info.name)))

    def acquire_lease(self, name: str, *, seconds: int, lease_id: str | None = None) -> str:
        limits.check_blob_name(name)
        limits.check_lease(seconds, lease_id)
        with self.gates.passing("blobs.acquire_lease", self._key(name)), self.lock:
            wanted = lease_id or str(uuid.uuid5(uuid.NAMESPACE_OID, self.next_etag()))
            blob = self.blobs.get(name)
            if blob is None:
                blob = self.blobs[name] = _Blob(data=b"", info=self._info(name, 0, {}))
            if (lease := self._active(blob)) is not None and lease.id != wanted:
                raise LeaseHeld(f"blob {self._key(name)} is leased", target=name)
            blob.lease = _Lease(id=wanted, seconds=seconds, until=self._in(seconds))
            return wanted

    def renew_lease(self, name: str, lease_id: str) -> None:
        limits.check_lease_id(lease_id)
        with self.gates.passing("blobs.renew_lease", self._key(name)), self.lock:
            blob = self.blobs.get(name)
            # An expired lease is renewed all the same where nobody took or wrote the blob since; writing drops it.
            if blob is None or blob.lease is None or blob.lease.id != lease_id:
                raise LeaseLost(f"lease {lease_id} of blob {self._key(name)} is not in force", target=name)
            blob.lease.until = self._in(blob.lease.seconds)

    def release_lease(self, name: str, lease_id: str) -> None:
        limits.check_lease_id(lease_id)
        with self.gates.passing("blobs.release_lease", self._key(name)), self.lock:
            blob = self.blobs.get(name)
            if blob is not None and blob.lease is not None and blob.lease.id == lease_id:
                blob.lease = None

    def _blob(self, name: str) -> _Blob:
        limits.check_blob_name(name)
        blob = self.blobs.get(name)
        if blob is None:
            raise BlobNotFound(f"there is no blob {self._key(name)}", target=name)
        return blob

    def _refuse_leased(self, name: str, blob: _Blob | None) -> None:
        if blob is None:
            return
        if self._active(blob) is not None:
            raise LeaseHeld(f"blob {self._key(name)} is leased", target=name)
        blob.lease = None

    def _active(self, blob: _Blob) -> _Lease | None:
        return blob.lease if blob.lease is not None and blob.lease.until > self.clock.now() else None

    def _in(self, seconds: int) -> datetime:
        return self.clock.now() + timedelta(seconds=seconds)

    def _info(self, name: str, size: int, metadata: Mapping[str, str]) -> BlobInfo:
        return BlobInfo(
            name=name, size=size, etag=self.next_etag(), modified=self.clock.now(), metadata=metadata
        )

    def _key(self, name: str) -> str:
        return f"{self.container}/{name}"
