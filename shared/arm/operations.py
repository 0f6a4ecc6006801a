"""Long operations: what a 202 names in `Azure-AsyncOperation` and `Location`, and how it ended."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from shared.arm.envelopes import instant
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import NewId, random_id
from shared.kernel.versions import check_version
from shared.storage.ports import Row, RowNotFound, Storage, Table, Value

TABLE: Final = "omsoperations"
VERSION: Final = 1
RETRY_AFTER: Final = 1


class OperationState(StrEnum):
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELED = "Canceled"


class OperationNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "OperationNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class LongOperation:
    """`kind` says what goes on (`delete`), `resource_id` with which resource."""

    id: str
    subscription: str
    kind: str
    resource_id: str
    state: OperationState = OperationState.IN_PROGRESS
    started: datetime
    ended: datetime | None = None
    error: Mapping[str, str] | None = None

    def status(self) -> dict[str, Any]:
        """The body at `Azure-AsyncOperation`."""
        body: dict[str, Any] = {
            "id": f"/subscriptions/{self.subscription}/operationStatuses/{self.id}",
            "name": self.id,
            "status": self.state.value,
            "startTime": instant(self.started),
        }
        if self.ended is not None:
            body["endTime"] = instant(self.ended)
        if self.error is not None:
            body["error"] = dict(self.error)
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class LongOperations:
    storage: Storage
    clock: Clock
    new_id: NewId = random_id

    def begin(self, *, subscription: str, kind: str, resource_id: str) -> LongOperation:
        begun = LongOperation(
            id=self.new_id(),
            subscription=subscription,
            kind=kind,
            resource_id=resource_id,
            started=self.clock.now(),
        )
        self._table.insert(subscription.lower(), begun.id, _values(begun))
        return begun

    def get(self, subscription: str, operation_id: str) -> LongOperation:
        """OperationNotFound."""
        try:
            return _operation(self._table.get(subscription.lower(), operation_id))
        except RowNotFound:
            raise OperationNotFound(
                f"the operation {operation_id} is not found", target=operation_id
            ) from None

    def end(
        self, operation: LongOperation, state: OperationState, error: Mapping[str, str] | None = None
    ) -> LongOperation:
        ended = replace(operation, state=state, ended=self.clock.now(), error=error)
        self._table.upsert(operation.subscription.lower(), operation.id, _values(ended))
        return ended

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)


def accepted(operation: LongOperation, *, origin: str, api_version: str) -> dict[str, str]:
    """The headers of a 202."""
    root = f"{origin}/subscriptions/{operation.subscription}"
    return {
        "Azure-AsyncOperation": f"{root}/operationStatuses/{operation.id}?api-version={api_version}",
        "Location": f"{root}/operationResults/{operation.id}?api-version={api_version}",
        "Retry-After": str(RETRY_AFTER),
    }


def _values(operation: LongOperation) -> dict[str, Value | None]:
    return {
        "v": VERSION,
        "subscription": operation.subscription,
        "kind": operation.kind,
        "resourceId": operation.resource_id,
        "state": operation.state.value,
        "started": operation.started,
        "ended": operation.ended,
        "error": None if operation.error is None else json.dumps(dict(operation.error)),
    }


def _operation(row: Row) -> LongOperation:
    values = row.values
    check_version(f"operation {row.key}", values.get("v"), current=VERSION)
    started, ended, error = values["started"], values.get("ended"), values.get("error")
    return LongOperation(
        id=row.key,
        subscription=str(values["subscription"]),
        kind=str(values["kind"]),
        resource_id=str(values["resourceId"]),
        state=OperationState(str(values["state"])),
        started=started if isinstance(started, datetime) else row.modified,
        ended=ended if isinstance(ended, datetime) else None,
        error=json.loads(str(error)) if error else None,
    )
