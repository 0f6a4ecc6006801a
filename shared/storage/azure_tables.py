"""A table in Azure Storage or Azurite."""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, cast
from urllib.parse import unquote

from azure.core import MatchConditions
from azure.core.exceptions import (
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.data.tables import (
    EdmType,
    EntityProperty,
    TableServiceClient,
    TableTransactionError,
    UpdateMode,
)

from shared.storage import continuations, limits, odata
from shared.storage.azure_calls import Caller, code_of, is_homeless
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
    Value,
)

_ETAG_TIME: Final = re.compile(r"datetime'(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d{1,6})?\d*Z'")
_HIDDEN: Final = frozenset({"PartitionKey", "RowKey", "Timestamp", limits.WRITE_ID})


@dataclass(slots=True, kw_only=True)
class AzureTable:
    name: str
    service: TableServiceClient
    caller: Caller
    _client: Any = field(init=False, repr=False)  # a TableClient, which the SDK types by half

    def __post_init__(self) -> None:
        self._client = self.service.get_table_client(self.name)

    def insert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(partition, key, values)
        entity = _entity(partition, key, kept)

        def attempt(_: bool) -> Row:
            try:
                return _written(partition, key, kept, self._client.create_entity(entity))
            except ResourceExistsError as error:
                with suppress(RowNotFound):
                    found = self.get(partition, key)
                    if limits.same_values(found.values, kept):
                        return found
                raise RowExists(f"row {self._full(partition, key)} exists", target=key) from error

        return self.caller.call(self._what("insert", partition, key), attempt, create=self._create)

    def get(self, partition: str, key: str) -> Row:
        return _row(self._entity_at(partition, key))

    def replace(self, row: Row, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(row.partition, row.key, values)
        write_id = uuid.uuid4().hex
        entity = _entity(row.partition, row.key, kept, write_id)

        def attempt(_: bool) -> Row:
            try:
                answer = self._client.update_entity(
                    entity, UpdateMode.REPLACE, etag=row.etag, match_condition=MatchConditions.IfNotModified
                )
            except ResourceModifiedError as error:
                if (found := self._own(row.partition, row.key, write_id)) is not None:
                    return found
                raise RowChanged(
                    f"row {self._full(row.partition, row.key)} changed since it was read", target=row.key
                ) from error
            except ResourceNotFoundError as error:
                raise self._missing(row.partition, row.key) from error
            return _written(row.partition, row.key, kept, answer)

        return self.caller.call(self._what("replace", row.partition, row.key), attempt)

    def upsert(self, partition: str, key: str, values: Mapping[str, Value | None]) -> Row:
        kept = limits.present(partition, key, values)
        entity = _entity(partition, key, kept)

        def attempt(_: bool) -> Row:
            return _written(partition, key, kept, self._client.upsert_entity(entity, UpdateMode.REPLACE))

        return self.caller.call(self._what("upsert", partition, key), attempt, create=self._create)

    def delete(self, partition: str, key: str, *, etag: str | None = None) -> None:
        limits.check_key(partition)
        limits.check_key(key)
        # As a transaction of one: the SDK's own delete passes over a row that is missing, whatever the etag.
        change = Delete(key=key, etag=etag)

        def attempt(again: bool) -> None:
            try:
                if etag is None:
                    self._client.delete_entity(partition, key)
                else:
                    self._client.submit_transaction([_part(partition, change, "")])
            except TableTransactionError as error:
                failed = self._refusal(partition, change, error)
                if isinstance(failed, RowNotFound) and again:
                    return
                raise failed or error from error
            except ResourceNotFoundError as error:
                if etag is not None and not again:
                    raise self._missing(partition, key) from error

        self.caller.call(self._what("delete", partition, key), attempt)

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
        columns = None if select is None else ["PartitionKey", "RowKey", "Timestamp", *select]
        wanted = odata.row_filter(partition, start, before, where)
        return self._pages(wanted, columns)

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
        return self._page(odata.row_filter(partition, start, before), None, size, after)

    def transact(self, partition: str, operations: Sequence[Operation]) -> Sequence[str]:
        limits.check_batch(partition, operations)
        write_id = uuid.uuid4().hex
        parts = [_part(partition, operation, write_id) for operation in operations]

        def attempt(_: bool) -> Sequence[str]:
            try:
                answers = cast("list[Mapping[str, Any]]", self._client.submit_transaction(parts))
                return [str(answer.get("etag") or "") for answer in answers]
            except TableTransactionError as error:
                index = error.index if 0 <= error.index < len(operations) else 0
                failed = self._refusal(partition, operations[index], error)
                if failed is None or is_homeless(error):
                    raise
                if all(self._in_force(partition, operation, write_id) for operation in operations):
                    return [self._etag_now(partition, operation) for operation in operations]
                raise failed from error

        what = self._what("transact", partition, operations[0].key)
        return self.caller.call(what, attempt, create=self._create)

    def _refusal(
        self, partition: str, operation: Operation, error: TableTransactionError
    ) -> RowExists | RowChanged | RowNotFound | None:
        full = self._full(partition, operation.key)
        match code_of(error):
            case "EntityAlreadyExists":
                return RowExists(f"row {full} exists", target=operation.key)
            case "UpdateConditionNotSatisfied" | "ConditionNotMet":
                return RowChanged(f"row {full} changed since it was read", target=operation.key)
            case "ResourceNotFound" | "EntityNotFound" | "TableNotFound":
                return self._missing(partition, operation.key)
            case _:
                return None

    def _in_force(self, partition: str, operation: Operation, write_id: str) -> bool:
        try:
            entity = self._entity_at(partition, operation.key)
        except RowNotFound:
            return isinstance(operation, Delete)
        if isinstance(operation, Delete):
            return False
        if limits.needs_etag(operation):
            return entity.get(limits.WRITE_ID) == write_id
        kept = limits.present(partition, operation.key, operation.values)
        return limits.same_values(_row(entity).values, kept)

    def _etag_now(self, partition: str, operation: Operation) -> str:
        return "" if isinstance(operation, Delete) else self.get(partition, operation.key).etag

    def _own(self, partition: str, key: str, write_id: str) -> Row | None:
        with suppress(RowNotFound):
            entity = self._entity_at(partition, key)
            if entity.get(limits.WRITE_ID) == write_id:
                return _row(entity)
        return None

    def _entity_at(self, partition: str, key: str) -> Any:
        limits.check_key(partition)
        limits.check_key(key)
        try:
            return self.caller.call(
                self._what("get", partition, key), lambda _: self._client.get_entity(partition, key)
            )
        except ResourceNotFoundError as error:
            raise self._missing(partition, key) from error

    def _pages(self, wanted: str, columns: list[str] | None) -> Iterator[Row]:
        after: str | None = None
        while True:
            page = self._page(wanted, columns, limits.MAX_PAGE, after)
            yield from page.rows
            if (after := page.next) is None:
                return

    def _page(self, wanted: str, columns: list[str] | None, size: int, after: str | None) -> Page:
        token = None
        if after is not None:
            partition, key = continuations.decode(after)
            token = {"PartitionKey": partition or None, "RowKey": key or None}

        def attempt(_: bool) -> Page:
            found = self._client.query_entities(wanted, results_per_page=size, select=columns)
            pages = found.by_page(cast("Any", token))
            try:
                rows = [_row(entity) for entity in next(pages, ())]
            except ResourceNotFoundError as error:
                if is_homeless(error):
                    return Page(rows=(), next=None)
                raise
            following = cast("Mapping[str, str | None] | None", getattr(pages, "continuation_token", None))
            if not following:
                return Page(rows=rows, next=None)
            begin = continuations.encode(following["PartitionKey"] or "", following["RowKey"] or "")
            return Page(rows=rows, next=begin)

        return self.caller.call(f"query table {self.name}", attempt)

    def _create(self) -> None:
        with suppress(ResourceExistsError):
            try:
                self._client.create_table()
            except HttpResponseError as error:
                if code_of(error) != "TableAlreadyExists":
                    raise

    def _missing(self, partition: str, key: str) -> RowNotFound:
        return RowNotFound(f"there is no row {self._full(partition, key)}", target=key)

    def _full(self, partition: str, key: str) -> str:
        return f"{self.name}/{partition}/{key}"

    def _what(self, verb: str, partition: str, key: str) -> str:
        return f"{verb} row {self._full(partition, key)}"


def _entity(
    partition: str, key: str, values: Mapping[str, Value], write_id: str | None = None
) -> dict[str, Any]:
    entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": key}
    for name, value in values.items():
        # A plain int goes out as Edm.Int32 and fails beyond it.
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        entity[name] = EntityProperty(value, EdmType.INT64) if is_whole else value
    if write_id is not None:
        entity[limits.WRITE_ID] = write_id
    return entity


def _part(partition: str, operation: Operation, write_id: str) -> tuple[Any, ...]:
    if isinstance(operation, Delete):
        entity: dict[str, Any] = {"PartitionKey": partition, "RowKey": operation.key}
        return ("delete", entity, _condition(operation.etag))
    kept = limits.present(partition, operation.key, operation.values)
    if isinstance(operation, Insert):
        return ("create", _entity(partition, operation.key, kept))
    if isinstance(operation, Replace):
        marked = write_id if limits.needs_etag(operation) else None
        options = {"mode": UpdateMode.REPLACE, **_condition(operation.etag)}
        return ("update", _entity(partition, operation.key, kept, marked), options)
    return ("upsert", _entity(partition, operation.key, kept), {"mode": UpdateMode.REPLACE})


def _condition(etag: str | None) -> dict[str, Any]:
    return {} if etag is None else {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _row(entity: Any) -> Row:
    metadata = cast("Mapping[str, Any]", entity.metadata)
    columns = cast("Mapping[str, object]", entity)
    values = {name: _value(value) for name, value in columns.items() if name not in _HIDDEN}
    etag = str(metadata["etag"])
    return Row(
        partition=entity["PartitionKey"],
        key=entity["RowKey"],
        values=values,
        etag=etag,
        modified=_plain(metadata["timestamp"]) if metadata.get("timestamp") else _modified(etag, None),
    )


def _value(value: object) -> Value:
    if isinstance(value, EntityProperty):
        value = cast("object", value.value)
    if isinstance(value, datetime):
        return _plain(value)
    if isinstance(value, str | int | float | bytes):
        return value
    raise TypeError(f"a table column holds a {type(value).__name__}, which none of ours do")


def _plain(instant: datetime) -> datetime:
    """The SDK's own subclass of datetime hides a string in it that later writes would send instead."""
    aware = instant.astimezone(UTC)
    return datetime.combine(aware.date(), aware.timetz())


def _written(partition: str, key: str, values: Mapping[str, Value], answer: Mapping[str, Any]) -> Row:
    etag = str(answer["etag"])
    return Row(
        partition=partition, key=key, values=values, etag=etag, modified=_modified(etag, answer.get("date"))
    )


def _modified(etag: str, date: object) -> datetime:
    """When a row was written: Azure's table etags hold it to the tick, the answer's date to the second."""
    if (found := _ETAG_TIME.search(unquote(etag))) is not None:
        return datetime.fromisoformat(f"{found.group(1)}{found.group(2) or ''}+00:00")
    if isinstance(date, datetime):
        return date.astimezone(UTC)
    return parsedate_to_datetime(str(date)).astimezone(UTC)
