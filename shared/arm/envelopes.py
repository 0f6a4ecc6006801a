"""A resource as the wire has it: `{id, name, type, location, tags, properties, systemData}`."""

from datetime import UTC, datetime
from typing import Any

from shared.arm.declarations import ResourceType
from shared.arm.resources import Resource, Stamp


def envelope(declared: ResourceType, resource: Resource) -> dict[str, Any]:
    """The type's `shown` hook has its say first; absent fields are left out, null values too."""
    shown = declared.hooks.shown(resource)
    body: dict[str, Any] = {"id": str(shown.id), "name": shown.id.name, "type": declared.type}
    if shown.location is not None:
        body["location"] = shown.location
    if shown.tags or shown.location is not None:
        body["tags"] = dict(shown.tags)
    if declared.has_etag and shown.etag:
        body["etag"] = shown.etag
    body |= shown.extra
    if shown.stamp is not None and not shown.id.is_group:
        body["systemData"] = system_data(shown.stamp)
    body["properties"] = dict(shown.properties)
    return body


def system_data(stamp: Stamp) -> dict[str, str]:
    return {
        "createdBy": stamp.created_by,
        "createdByType": stamp.created_by_type,
        "createdAt": instant(stamp.created),
        "lastModifiedBy": stamp.changed_by,
        "lastModifiedByType": stamp.changed_by_type,
        "lastModifiedAt": instant(stamp.changed),
    }


def instant(at: datetime) -> str:
    """`2026-11-22T19:41:31.1669900Z`, with the seven digits that .NET writes."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "0Z"
