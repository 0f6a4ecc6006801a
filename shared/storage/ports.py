"""What the suite asks of storage: blobs, tables and queues, as interfaces with named errors.

`memory.py` and the `azure_*` modules implement them and answer to one contract suite. Blob containers, tables and
queues create themselves on first use. Limits that Azurite does not enforce are enforced here, for every implementation.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.kernel.errors import Category, OmsError

Value = str | int | float | bool | datetime | bytes
"""What a table column holds. `int` is stored as Int64; `datetime` is aware UTC; a column that is None is left out."""


class BlobNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "BlobNotFound"


class BlobExists(OmsError):
    """A put with `if_absent` met a blob of that name."""

    category = Category.CONFLICT
    code = "BlobAlreadyExists"


class BlobChanged(OmsError):
    """A write with an etag met another one, or none."""

    category = Category.PRECONDITION
    code = "ConditionNotMet"


class LeaseHeld(OmsError):
    """Somebody else holds the lease."""

    category = Category.CONFLICT
    code = "LeaseAlreadyPresent"


class LeaseLost(OmsError):
    """The lease named is not, or no longer, the one in force."""

    category = Category.PRECONDITION
    code = "LeaseLost"


class RowNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "EntityNotFound"


class RowExists(OmsError):
    category = Category.CONFLICT
    code = "EntityAlreadyExists"


class RowChanged(OmsError):
    """A write with an etag met another one."""

    category = Category.PRECONDITION
    code = "UpdateConditionNotSatisfied"


class MessageNotFound(OmsError):
    """The message is gone, or somebody received it since (the pop receipt is stale)."""

    category = Category.NOT_FOUND
    code = "MessageNotFound"


class StorageKeyInvalid(OmsError):
    """A container, table, queue, blob or row key that Azure Storage would refuse."""

    code = "StorageKeyInvalid"


class StorageLimitExceeded(OmsError):
    """More than Azure Storage takes: an entity over 1 MiB, a column over 64 KiB, a batch over 100 rows or 4 MiB, a message over 64 KiB."""

    category = Category.TOO_LARGE
    code = "StorageLimitExceeded"


class StorageUnavailable(OmsError):
    """Storage did not answer, or said it is busy, after the retries. Whether the operation took effect is unknown."""

    category = Category.UNAVAILABLE
    code = "ServerBusy"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobInfo:
    """What is known of a blob without reading it. `size` is in bytes."""

    name: str
    size: int
    etag: str
    modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict[str, str])


class Blobs(Protocol):
    """One container of blobs."""

    def put(
        self,
        name: str,
        data: bytes,
        *,
        if_absent: bool = False,
        etag: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> BlobInfo:
        """Write the whole blob, durable on return. `if_absent` raises BlobExists, `etag` raises BlobChanged.

        A retry inside the client may meet its own earlier write: with `if_absent` that is success if the bytes are equal.
        """
        ...

    def get(self, name: str, *, start: int = 0, length: int | None = None) -> bytes:
        """The bytes, or a range of them (short at the end of the blob). BlobNotFound."""
        ...

    def read(self, name: str) -> tuple[bytes, BlobInfo]:
        """The bytes with the etag they belong to. BlobNotFound."""
        ...

    def info(self, name: str) -> BlobInfo:
        """BlobNotFound."""
        ...

    def append(self, name: str, data: bytes, *, at: int | None = None) -> int:
        """Append to an append blob, made when absent; the new size. With `at`, BlobChanged unless the blob was that long."""
        ...

    def delete(self, name: str) -> None:
        """Gone afterwards, whether it was there or not."""
        ...

    def list(self, prefix: str = "") -> Iterator[BlobInfo]:
        """Blobs whose name begins with `prefix`, by name. Slow on Azurite: keep manifests instead."""
        ...

    def acquire_lease(self, name: str, *, seconds: int, lease_id: str | None = None) -> str:
        """Lease the blob (made empty when absent) for 15 to 60 s; the lease id. LeaseHeld."""
        ...

    def renew_lease(self, name: str, lease_id: str) -> None:
        """LeaseLost."""
        ...

    def release_lease(self, name: str, lease_id: str) -> None:
        """Harmless where it is no longer held."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """An entity: its two keys, its columns, and the etag it was read with."""

    partition: str
    key: str
    values: Mapping[str, Value]
    etag: str
    modified: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert:
    key: str
    values: Mapping[str, Value | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replace:
    """Write over a row that is there. `etag` None writes whatever its state."""

    key: str
    values: Mapping[str, Value | None]
    etag: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    key: str
    values: Mapping[str, Value | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    key: str
    etag: str | None = None


Operation = Insert | Replace | Upsert | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some rows, and where the next page begins (None: this is the last)."""

    rows: Sequence[Row]
    next: str | None


class Table(Protocol):
    """One table. Keys are any text without / \\ # ? and control characters, up to 1,024 bytes in UTF-16 (StorageKeyInvalid)."""

    def insert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        """RowExists, unless the row there holds just these values (a retry that met its own write)."""
        ...

    def get(self, partition: str, key: str) -> Row:
        """RowNotFound."""
        ...

    def replace(self, row: Row, values: Mapping[str, Value | None]) -> Row:
        """All columns of `row` become `values`, if nobody wrote since it was read. RowChanged, RowNotFound."""
        ...

    def upsert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row: ...

    def delete(self, partition: str, key: str, *, etag: str | None = None) -> None:
        """Gone afterwards. With `etag`, RowChanged if somebody wrote since; absent is no error without one."""
        ...

    def query(
        self,
        partition: str | None = None,
        *,
        start: str | None = None,
        before: str | None = None,
        where: Mapping[str, Value] | None = None,
        select: Sequence[str] | None = None,
    ) -> Iterator[Row]:
        """Rows by (partition, key): of one partition or all, keys from `start` up to but not including `before`, columns equal to `where`."""
        ...

    def page(
        self,
        partition: str | None = None,
        *,
        start: str | None = None,
        before: str | None = None,
        size: int,
        after: str | None = None,
    ) -> Page:
        """Up to `size` (≤1,000) rows like `query`; `after` is the `next` of the page before."""
        ...

    def transact(self, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        """All or nothing in one partition, at most 100 operations and 4 MiB, no key twice. RowExists, RowChanged, RowNotFound.

        The etags of the rows as written, in order; empty for what was deleted.
        """
        ...


def prefix_end(prefix: str) -> str:
    """The first key after all that begin with `prefix`: `query(start=prefix, before=prefix_end(prefix))`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A received message. `receipt` is good until it becomes visible again; `dequeues` counts this time too."""

    id: str
    body: str
    receipt: str
    dequeues: int
    inserted: datetime
    expires: datetime | None
    next_visible: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueInfo:
    """`count` is approximate; `oldest` is when the message at the head was inserted, if one is visible."""

    count: int
    oldest: datetime | None


class Queue(Protocol):
    """One queue of text messages, at most 64 KiB of UTF-8 each (StorageLimitExceeded)."""

    def send(self, body: str, *, delay: float = 0, ttl: float | None = None) -> str:
        """The message's id. `delay` (≤7 days) and `ttl` are in seconds; without `ttl` it never expires."""
        ...

    def receive(self, *, limit: int = 1, visibility: float = 600) -> Sequence[Message]:
        """Up to `limit` (≤32) messages, hidden from others for `visibility` seconds."""
        ...

    def update(self, message: Message, *, visibility: float, body: str | None = None) -> Message:
        """Hide it for so long from now on; the message with its new receipt. MessageNotFound."""
        ...

    def delete(self, message: Message) -> None:
        """MessageNotFound where somebody received it since."""
        ...

    def peek(self, *, limit: int = 32) -> Sequence[Message]:
        """Visible messages, unchanged; their receipts are empty."""
        ...

    def info(self) -> QueueInfo: ...

    def clear(self) -> None: ...


class Storage(Protocol):
    """One storage account."""

    def blobs(self, container: str) -> Blobs: ...

    def table(self, name: str) -> Table: ...

    def queue(self, name: str) -> Queue: ...

    def ping(self) -> None:
        """Ask each of the three services for something small. StorageUnavailable."""
        ...
