"""Where resources live: one table, a row each, laid out so that every listing is one range."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from shared.arm.resource_ids import SEPARATOR, ResourceId, escape, parse, type_part
from shared.arm.resources import (
    PreconditionFailed,
    Resource,
    ResourceBeingDeleted,
    ResourceExists,
    ResourceNotFound,
    Stamp,
)
from shared.kernel.clock import Clock
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import (
    Row,
    RowChanged,
    RowExists,
    RowNotFound,
    Storage,
    Table,
    Value,
    prefix_end,
)

TABLE: Final = "omsresources"
VERSION: Final = 1
# A string column holds 32 Ki UTF-16 units and an entity 1 MiB; a longer body goes into several columns.
_COLUMN: Final = 30_000
_BODY_LIMIT: Final = 450_000


class ResourceTooLarge(OmsError):
    category = Category.TOO_LARGE
    code = "RequestEntityTooLarge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One page of resources, and where the next begins."""

    resources: list[Resource]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceStore:
    """PartitionKey = subscription, RowKey = type path, group, names. A tombstone hides the resource from every reader."""

    storage: Storage
    clock: Clock

    def get(self, resource_id: ResourceId) -> Resource:
        """ResourceNotFound, also while it is being deleted."""
        row = self._row(resource_id)
        if row is None or _deleting(row):
            raise ResourceNotFound.of(resource_id)
        return resource_of(row)

    def find(self, resource_id: ResourceId) -> Resource | None:
        row = self._row(resource_id)
        return None if row is None or _deleting(row) else resource_of(row)

    def insert(self, resource: Resource, *, by: str, by_type: str = "Application") -> Resource:
        """ResourceExists, ResourceBeingDeleted."""
        now = self.clock.now()
        stamp = Stamp(
            created_by=by,
            created_by_type=by_type,
            created=now,
            changed_by=by,
            changed_by_type=by_type,
            changed=now,
        )
        made = replace(resource, stamp=stamp)
        try:
            row = self._table.insert(made.id.partition, made.id.key, values_of(made))
        except RowExists:
            row = self._row(made.id)
            if row is not None and _deleting(row):
                raise ResourceBeingDeleted(
                    f"'{made.id}' is being deleted", target=str(made.id), retry_after=5
                ) from None
            raise ResourceExists(f"'{made.id}' exists already", target=str(made.id)) from None
        return replace(made, etag=row.etag)

    def replace(self, resource: Resource, *, by: str, by_type: str = "Application") -> Resource:
        """Write over the resource as it was read: PreconditionFailed if somebody wrote since. The first spelling stays."""
        row = self._row(resource.id)
        if row is None or _deleting(row):
            raise ResourceNotFound.of(resource.id)
        if row.etag != resource.etag:
            raise PreconditionFailed("the resource has changed since it was read", target=str(resource.id))
        known = resource_of(row)
        stamp = known.stamp and replace(
            known.stamp, changed_by=by, changed_by_type=by_type, changed=self.clock.now()
        )
        made = replace(resource, id=known.id, stamp=stamp)
        try:
            written = self._table.replace(row, values_of(made))
        except RowChanged:
            raise PreconditionFailed(
                "the resource has changed since it was read", target=str(resource.id)
            ) from None
        except RowNotFound:
            raise ResourceNotFound.of(resource.id) from None
        return replace(made, etag=written.etag)

    def bury(self, resource: Resource, *, exactly: bool = False) -> Resource:
        """Put the tombstone on it: nobody sees it from now on, and `remove` makes its name free again.

        With `exactly`, PreconditionFailed if somebody wrote since it was read. ResourceNotFound.
        """
        while True:
            row = self._row(resource.id)
            if row is None:
                raise ResourceNotFound.of(resource.id)
            if _deleting(row):
                return resource_of(row)
            if exactly and row.etag != resource.etag:
                raise PreconditionFailed(
                    "the resource has changed since it was read", target=str(resource.id)
                )
            resource_of(row)  # a newer release's resource is refused before it is written
            with suppress(RowChanged, RowNotFound):
                return resource_of(self._table.replace(row, {**row.values, "deleting": self.clock.now()}))

    def remove(self, resource_id: ResourceId) -> None:
        """Gone afterwards, whether it was there or not."""
        self._table.delete(resource_id.partition, resource_id.key)

    def buried(self, subscription: str | None = None) -> Iterator[tuple[Resource, datetime]]:
        """What has a tombstone, and since when: deletions that were begun and not finished."""
        for row in self._table.query(None if subscription is None else subscription.lower()):
            since = row.values.get("deleting")
            if isinstance(since, datetime):
                yield resource_of(row), since

    def list(
        self,
        *,
        subscription: str,
        namespace: str,
        types: tuple[str, ...],
        group: str | None = None,
        parents: tuple[str, ...] = (),
    ) -> Iterator[Resource]:
        """Resources of one type: of a subscription, of a group, or the children of one parent."""
        prefix = listing_prefix(namespace, types, group, parents)
        for row in self._table.query(subscription.lower(), start=prefix, before=prefix_end(prefix)):
            if not _deleting(row):
                yield resource_of(row)

    def page(
        self,
        *,
        subscription: str,
        namespace: str,
        types: tuple[str, ...],
        group: str | None = None,
        parents: tuple[str, ...] = (),
        size: int,
        after: str | None = None,
    ) -> Listed:
        """Up to `size` resources; buried ones may make a page shorter, never empty the listing early."""
        prefix = listing_prefix(namespace, types, group, parents)
        page = self._table.page(
            subscription.lower(), start=prefix, before=prefix_end(prefix), size=size, after=after
        )
        return Listed(resources=[resource_of(row) for row in page.rows if not _deleting(row)], next=page.next)

    def of_type(self, namespace: str, types: tuple[str, ...]) -> Iterator[Resource]:
        """Resources of one type in every subscription."""
        prefix = type_part(namespace, types) + SEPARATOR
        for row in self._table.query(start=prefix, before=prefix_end(prefix)):
            if row.key.startswith(prefix) and not _deleting(row):
                yield resource_of(row)

    def everything(self, subscription: str) -> Iterator[Resource]:
        """Every resource of a subscription, of every type."""
        for row in self._table.query(subscription.lower()):
            if not _deleting(row):
                yield resource_of(row)

    def under(self, subscription: str, group: str, *, buried: bool = False) -> Iterator[Resource]:
        """Everything in a resource group, of every type. It reads the subscription: for listings of a group and its deletion."""
        inside = escape(group)
        for row in self._table.query(subscription.lower()):
            parts = row.key.split(SEPARATOR)
            if len(parts) > 2 and parts[1] == inside and (buried or not _deleting(row)):
                yield resource_of(row)

    def children(self, resource_id: ResourceId) -> Iterator[Resource]:
        """Every descendant of a resource, of every type, buried ones too: the rows whose type path goes on from the resource's own."""
        types = type_part(resource_id.namespace, resource_id.types) + ":"
        names = resource_id.key.split(SEPARATOR)[1:]
        for row in self._table.query(resource_id.partition, start=types, before=prefix_end(types)):
            if row.key.split(SEPARATOR)[1 : 1 + len(names)] == names:
                yield resource_of(row)

    @property
    def _table(self) -> Table:
        return self.storage.table(TABLE)

    def _row(self, resource_id: ResourceId) -> Row | None:
        try:
            return self._table.get(resource_id.partition, resource_id.key)
        except RowNotFound:
            return None
        except OmsError as refused:
            if refused.category is Category.INVALID:  # a subscription that cannot be a key has no resources
                return None
            raise


def resource_of(row: Row) -> Resource:
    values = row.values
    resource_id = parse(str(values["id"]))
    check_version(f"resource {resource_id}", values.get("v"), current=VERSION)
    body = json.loads("".join(str(values[f"body{n}"]) for n in range(_count(values))))
    return Resource(
        id=resource_id,
        location=body.get("location"),
        tags=body.get("tags", {}),
        properties=body.get("properties", {}),
        extra=body.get("extra", {}),
        stamp=_stamp(values),
        etag=row.etag,
    )


def values_of(resource: Resource) -> dict[str, Value | None]:
    """The columns of its row. ResourceTooLarge."""
    body = json.dumps(
        {
            "location": resource.location,
            "tags": dict(resource.tags),
            "properties": dict(resource.properties),
            "extra": dict(resource.extra),
        },
        separators=(",", ":"),
    )
    if len(body) > _BODY_LIMIT:
        raise ResourceTooLarge(
            f"a resource holds at most {_BODY_LIMIT} characters, and this one has {len(body)}",
            target=str(resource.id),
        )
    chunks = [body[at : at + _COLUMN] for at in range(0, len(body), _COLUMN)]
    values: dict[str, Value | None] = {"v": VERSION, "id": str(resource.id), "chunks": len(chunks)}
    values |= {f"body{n}": chunk for n, chunk in enumerate(chunks)}
    if (stamp := resource.stamp) is not None:
        values |= {
            "createdBy": stamp.created_by,
            "createdByType": stamp.created_by_type,
            "createdAt": stamp.created,
            "changedBy": stamp.changed_by,
            "changedByType": stamp.changed_by_type,
            "changedAt": stamp.changed,
        }
    return values


def _count(values: Mapping[str, Any]) -> int:
    return int(values["chunks"])


def _stamp(values: Mapping[str, Value]) -> Stamp | None:
    created, changed = values.get("createdAt"), values.get("changedAt")
    if not isinstance(created, datetime) or not isinstance(changed, datetime):
        return None
    return Stamp(
        created_by=str(values["createdBy"]),
        created_by_type=str(values["createdByType"]),
        created=created,
        changed_by=str(values["changedBy"]),
        changed_by_type=str(values["changedByType"]),
        changed=changed,
    )


def _deleting(row: Row) -> bool:
    return "deleting" in row.values


def listing_prefix(
    namespace: str, types: tuple[str, ...], group: str | None, parents: tuple[str, ...]
) -> str:
    """The beginning of every key in the listing. A group's own rows have an empty group part."""
    parts = [type_part(namespace, types)]
    if group is not None:
        parts += [escape(group), *map(escape, parents)]
    return SEPARATOR.join(parts) + SEPARATOR
