"""A resource: the four nouns' first, as values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.arm.resource_ids import ResourceId
from shared.kernel.errors import Category, OmsError


class ResourceNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "ResourceNotFound"

    @classmethod
    def of(cls, resource_id: ResourceId) -> "ResourceNotFound":
        path = "/".join((resource_id.namespace, *_interleaved(resource_id)))
        return cls(
            f"The Resource '{path}' under resource group '{resource_id.group or '<null>'}' was not found.",
            target=str(resource_id),
        )


class ResourceGroupNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "ResourceGroupNotFound"


class ParentResourceNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "ParentResourceNotFound"


class SubscriptionNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "SubscriptionNotFound"


class ResourceExists(OmsError):
    category = Category.CONFLICT
    code = "Conflict"


class ResourceBeingDeleted(OmsError):
    """Somebody deletes it; the name is free again when that is done."""

    category = Category.CONFLICT
    code = "ResourceIsBeingDeleted"


class PreconditionFailed(OmsError):
    """If-Match or If-None-Match does not hold."""

    category = Category.PRECONDITION
    code = "PreconditionFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """Who made it and who changed it last: ARM's systemData."""

    created_by: str
    created_by_type: str
    created: datetime
    changed_by: str
    changed_by_type: str
    changed: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Resource:
    """`properties` is JSON as the wire has it; `extra` holds the other top-level fields (kind, sku, identity, …)."""

    id: ResourceId
    location: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    properties: Mapping[str, Any] = field(default_factory=dict[str, Any])
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stamp: Stamp | None = None
    etag: str = ""


def _interleaved(resource_id: ResourceId) -> list[str]:
    return [part for pair in zip(resource_id.types, resource_id.names, strict=True) for part in pair]
