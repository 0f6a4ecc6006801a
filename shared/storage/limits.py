"""Azure Storage's limits and naming rules, enforced before a request is sent: Azurite and memory do not know them all."""

import json
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from shared.storage.ports import (
    Delete,
    Operation,
    Replace,
    StorageKeyInvalid,
    StorageLimitExceeded,
    Value,
)

# learn.microsoft.com/rest/api/storageservices/understanding-the-table-service-data-model
MAX_ENTITY_BYTES: Final = 1024 * 1024
MAX_COLUMN_BYTES: Final = 64 * 1024
MAX_KEY_BYTES: Final = 1024
WRITE_ID: Final = "WriteId_"
"""A hidden column that tells a retry of a replacement from somebody else's write (see `azure_tables`)."""
MAX_COLUMNS: Final = 252 - 1  # the 252 of Azure, less WRITE_ID
# learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
MAX_BATCH_ROWS: Final = 100
MAX_BATCH_BYTES: Final = 4 * 1024 * 1024
MAX_PAGE: Final = 1000
MAX_MESSAGE_BYTES: Final = 64 * 1024
MAX_DELAY_SECONDS: Final = 7 * 24 * 3600
MAX_RECEIVE: Final = 32
MAX_BLOB_NAME: Final = 1024
MAX_BLOB_SEGMENTS: Final = 254
MAX_METADATA_BYTES: Final = 8 * 1024
MAX_APPEND_BYTES: Final = 4 * 1024 * 1024

_CONTAINER: Final = re.compile(r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*", re.ASCII)
_TABLE: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}", re.ASCII)
_COLUMN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,254}", re.ASCII)
_METADATA: Final = re.compile(r"[a-z_][a-z0-9_]{0,127}", re.ASCII)
_METADATA_VALUE: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?|")
_KEY_FORBIDDEN: Final = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_BLOB_FORBIDDEN: Final = re.compile(r"[\\\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# XML 1.0 carries no other control characters, and a parser turns \r into \n.
_XML_FORBIDDEN: Final = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_EARLIEST: Final = datetime(1601, 1, 1, tzinfo=UTC)
_OWN_COLUMNS: Final = frozenset({"PartitionKey", "RowKey", "Timestamp", WRITE_ID})


def ordinal(text: str) -> bytes:
    """What Azure Tables sorts keys by: UTF-16 code units."""
    return text.encode("utf-16-be", "surrogatepass")


def check_container(name: str) -> str:
    return _check_name("container", name)


def check_queue(name: str) -> str:
    return _check_name("queue", name)


def _check_name(kind: str, name: str) -> str:
    if not _CONTAINER.fullmatch(name):
        raise StorageKeyInvalid(
            f"{kind} name {name!r} is not 3 to 63 lower-case letters, digits and single hyphens", target=name
        )
    return name


def check_table(name: str) -> str:
    if not _TABLE.fullmatch(name) or name.lower() == "tables":
        raise StorageKeyInvalid(
            f"table name {name!r} is not a letter and 2 to 62 letters and digits", target=name
        )
    return name


def check_blob_name(name: str) -> str:
    if not name or len(name) > MAX_BLOB_NAME:
        raise StorageKeyInvalid(
            f"blob name has {len(name)} characters; 1 to {MAX_BLOB_NAME} are allowed", target=name[:64]
        )
    if bad := _BLOB_FORBIDDEN.search(name):
        raise StorageKeyInvalid(f"blob name {name!r} holds {bad.group()!r}", target=name)
    segments = name.split("/")
    if len(segments) > MAX_BLOB_SEGMENTS:
        raise StorageKeyInvalid(
            f"blob name has {len(segments)} path segments, more than {MAX_BLOB_SEGMENTS}", target=name[:64]
        )
    # HTTP clients resolve "." and "..", and Azure strips a dot or slash from the end: the blob would get another name.
    if any(segment in {"", ".", ".."} for segment in segments) or name.endswith("."):
        raise StorageKeyInvalid(
            f"blob name {name!r} has an empty or dot segment, or ends in a dot", target=name
        )
    return name


def check_metadata(metadata: Mapping[str, str]) -> None:
    size = 0
    for name, value in metadata.items():
        if not _METADATA.fullmatch(name):
            raise StorageKeyInvalid(f"metadata name {name!r} is not a lower-case identifier", target=name)
        if not _METADATA_VALUE.fullmatch(value):
            raise StorageKeyInvalid(
                f"metadata {name} is not printable ASCII without outer spaces", target=name
            )
        size += len(name) + len(value)
    if size > MAX_METADATA_BYTES:
        raise StorageLimitExceeded(f"metadata has {size} bytes, more than {MAX_METADATA_BYTES}")


def check_append(name: str, data: bytes) -> None:
    if len(data) > MAX_APPEND_BYTES:
        raise StorageLimitExceeded(
            f"one append has {len(data)} bytes, more than {MAX_APPEND_BYTES}", target=name
        )


def check_lease(seconds: int, lease_id: str | None) -> None:
    if not 15 <= seconds <= 60:
        raise StorageLimitExceeded(f"a lease lasts 15 to 60 s, not {seconds}")
    if lease_id is not None:
        check_lease_id(lease_id)


def check_lease_id(lease_id: str) -> None:
    try:
        valid = str(uuid.UUID(lease_id)) == lease_id
    except ValueError:
        valid = False
    if not valid:
        raise StorageKeyInvalid(f"lease id {lease_id!r} is not a lower-case UUID", target=lease_id)


def check_key(key: str) -> str:
    if bad := _KEY_FORBIDDEN.search(key):
        raise StorageKeyInvalid(f"key {key!r} holds {bad.group()!r}", target=key)
    size = len(ordinal(key))
    if size > MAX_KEY_BYTES:
        raise StorageKeyInvalid(
            f"key has {size} bytes in UTF-16, more than {MAX_KEY_BYTES}: {key[:32]!r}…", target=key[:64]
        )
    return key


def check_column(name: str) -> None:
    if not _COLUMN.fullmatch(name):
        raise StorageKeyInvalid(f"column name {name!r} is not an ASCII identifier of up to 255", target=name)
    if name in _OWN_COLUMNS:
        raise StorageKeyInvalid(f"column name {name!r} belongs to storage itself", target=name)


def present(partition: str, key: str, values: Mapping[str, Value | None]) -> dict[str, Value]:
    """The columns that are not None, as they are stored; StorageKeyInvalid or StorageLimitExceeded if Azure would refuse."""
    check_key(partition)
    check_key(key)
    kept: dict[str, Value] = {}
    # learn.microsoft.com/archive/blogs/avkashchauhan/how-the-size-of-an-entity-is-calculated-in-windows-azure-table-storage
    total = 4 + len(ordinal(partition)) + len(ordinal(key)) + 8 + 2 * len(WRITE_ID) + 4 + 2 * 32
    for name, value in values.items():
        check_column(name)
        if value is None:
            continue
        stored, size = _checked(name, value)
        if size > MAX_COLUMN_BYTES:
            raise StorageLimitExceeded(
                f"column {name} has {size} bytes, more than {MAX_COLUMN_BYTES} (text counts two bytes a UTF-16 unit)",
                target=name,
            )
        kept[name] = stored
        total += 8 + 2 * len(name) + size
    if len(kept) > MAX_COLUMNS:
        raise StorageLimitExceeded(f"row has {len(kept)} columns, more than {MAX_COLUMNS}", target=key)
    if total > MAX_ENTITY_BYTES:
        raise StorageLimitExceeded(f"row has {total} bytes, more than {MAX_ENTITY_BYTES}", target=key)
    return kept


def _checked(name: str, value: Value) -> tuple[Value, int]:
    if isinstance(value, bool):
        return value, 1
    if isinstance(value, int):
        if not -(2**63) <= value < 2**63:
            raise StorageLimitExceeded(f"column {name} is {value}, more than an Int64 holds", target=name)
        return int(value), 8
    if isinstance(value, float):
        return float(value), 8
    if isinstance(value, datetime):
        return _instant(name, value), 8
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise StorageKeyInvalid(f"column {name} holds a lone surrogate", target=name)
        return str(value), len(ordinal(value))
    if isinstance(value, bytes):  # pyright: ignore[reportUnnecessaryIsInstance]  what is not typed must not pass as text
        return value, len(value)
    raise TypeError(f"column {name} holds a {type(value).__name__}, which no table column can")


def _instant(name: str, value: datetime) -> datetime:
    if value.tzinfo is None:
        raise TypeError(f"column {name} holds a datetime without a timezone")
    instant = value.astimezone(UTC)
    if instant < _EARLIEST:
        raise StorageLimitExceeded(f"column {name} is {instant:%Y-%m-%d}, before 1601", target=name)
    return instant


def same_values(one: Mapping[str, Value], other: Mapping[str, Value]) -> bool:
    """Whether two rows hold the same: types count (1 is not True or 1.0), NaN equals NaN."""
    return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())


def _same(one: Value, other: Value) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one):
        return math.isnan(other)
    return one == other


def check_batch(partition: str, operations: Sequence[Operation]) -> None:
    check_key(partition)
    if not operations:
        raise StorageKeyInvalid("a transaction needs at least one operation", target=partition)
    if len(operations) > MAX_BATCH_ROWS:
        raise StorageLimitExceeded(
            f"transaction has {len(operations)} operations, more than {MAX_BATCH_ROWS}", target=partition
        )
    seen: set[str] = set()
    size = 0
    for operation in operations:
        if operation.key in seen:
            raise StorageKeyInvalid(f"transaction names row {operation.key!r} twice", target=operation.key)
        seen.add(operation.key)
        size += 1024  # the part's own headers, keys and address
        if isinstance(operation, Delete):
            check_key(operation.key)
        else:
            size += _wire_size(present(partition, operation.key, operation.values))
    if size > MAX_BATCH_BYTES:
        raise StorageLimitExceeded(
            f"transaction has about {size} bytes on the wire, more than {MAX_BATCH_BYTES}", target=partition
        )


def _wire_size(values: Mapping[str, Value]) -> int:
    size = 0
    for name, value in values.items():
        size += 2 * len(name) + 48
        if isinstance(value, str):
            size += len(value) if value.isascii() and value.isalnum() else len(json.dumps(value))
        elif isinstance(value, bytes):
            size += (len(value) + 2) // 3 * 4
    return size


def needs_etag(operation: Operation) -> bool:
    """Whether the outcome of `operation` cannot be told from somebody else's by its values."""
    return isinstance(operation, Replace) and operation.etag is not None


def check_page(size: int) -> None:
    if not 1 <= size <= MAX_PAGE:
        raise StorageLimitExceeded(f"a page holds 1 to {MAX_PAGE} rows, not {size}")


def check_message(body: str) -> str:
    if bad := _XML_FORBIDDEN.search(body):
        raise StorageKeyInvalid(f"message holds {bad.group()!r} at {bad.start()}, which XML cannot carry")
    size = len(body.encode())
    if size > MAX_MESSAGE_BYTES:
        raise StorageLimitExceeded(f"message has {size} bytes, more than {MAX_MESSAGE_BYTES}")
    return body


def whole_seconds(what: str, seconds: float, *, least: int = 0, most: int | None = MAX_DELAY_SECONDS) -> int:
    """Azure counts queue times in whole seconds: the next one up."""
    whole = math.ceil(seconds)
    if whole < least or (most is not None and whole > most):
        limit = f"at least {least} s" if most is None else f"{least} to {most} s"
        raise StorageLimitExceeded(f"{what} is {limit}, not {seconds:g}")
    return whole


def check_receive(limit: int) -> None:
    if not 1 <= limit <= MAX_RECEIVE:
        raise StorageLimitExceeded(f"1 to {MAX_RECEIVE} messages at a time, not {limit}")


def check_range(start: int, length: int | None) -> None:
    if start < 0 or (length is not None and length < 0):
        raise StorageLimitExceeded(f"a range begins and extends at or above 0, not {start} and {length}")


def check_query(
    partition: str | None, where: Mapping[str, Value] | None, select: Sequence[str] | None
) -> None:
    if partition is not None:
        check_key(partition)
    for name, value in (where or {}).items():
        check_column(name)
        _checked(name, value)
        if isinstance(value, float) and not math.isfinite(value):
            raise StorageKeyInvalid(f"a query cannot ask for {name} equal to {value}", target=name)
    for name in select or ():
        check_column(name)


def matches(values: Mapping[str, Value], where: Mapping[str, Value] | None) -> bool:
    return all(name in values and _same(values[name], wanted) for name, wanted in (where or {}).items())


def delay_and_ttl(delay: float, ttl: float | None) -> tuple[int, int | None]:
    wait = whole_seconds("delay", delay)
    if ttl is None:
        return wait, None
    life = whole_seconds("ttl", ttl, least=1, most=None)
    if wait >= life:
        raise StorageLimitExceeded(f"a delay of {wait} s is not shorter than the ttl of {life} s")
    return wait, life


def check_conditions(name: str, etag: str | None, *, if_absent: bool) -> None:
    if if_absent and etag is not None:
        raise StorageKeyInvalid("a write is either if_absent or with an etag", target=name)
