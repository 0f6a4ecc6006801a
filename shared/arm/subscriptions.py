"""Subscriptions of the bundle's tenant: the configured one, and those that were added."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from shared.arm.resources import SubscriptionNotFound
from shared.kernel.clock import Clock
from shared.kernel.versions import check_version
from shared.storage.ports import Row, RowNotFound, Storage

TABLE: Final = "omssubscriptions"
VERSION: Final = 1
KEEP_SECONDS: Final = 30.0
_TENANT: Final = "tenant"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    id: str
    name: str


@dataclass(slots=True, kw_only=True)
class Subscriptions:
    storage: Storage
    clock: Clock
    default: Subscription
    _kept: tuple[float, dict[str, Subscription]] | None = None
    _lock: Lock = field(default_factory=Lock)

    def list(self) -> Iterator[Subscription]:
        return iter(self._all().values())

    def get(self, subscription_id: str) -> Subscription:
        """SubscriptionNotFound. One that another process added is seen within 30 seconds."""
        found = self._all().get(subscription_id.lower())
        if found is None:
            raise SubscriptionNotFound(
                f"The subscription '{subscription_id}' could not be found.", target=subscription_id
            )
        return found

    def add(self, subscription: Subscription) -> None:
        """Doing it again renames it."""
        table = self.storage.table(TABLE)
        with suppress(RowNotFound):
            _check(table.get(_TENANT, subscription.id.lower()))
        table.upsert(
            _TENANT,
            subscription.id.lower(),
            {"v": VERSION, "id": subscription.id, "name": subscription.name},
        )
        with self._lock:
            self._kept = None

    def _all(self) -> dict[str, Subscription]:
        now = self.clock.monotonic()
        with self._lock:
            kept = self._kept
        if kept is not None and now - kept[0] < KEEP_SECONDS:
            return kept[1]
        found = {self.default.id.lower(): self.default}
        for row in self.storage.table(TABLE).query(_TENANT):
            _check(row)
            found[row.key] = Subscription(id=str(row.values["id"]), name=str(row.values["name"]))
        with self._lock:
            self._kept = (now, found)
        return found


def _check(row: Row) -> None:
    check_version(f"subscription {row.key}", row.values.get("v"), current=VERSION)
