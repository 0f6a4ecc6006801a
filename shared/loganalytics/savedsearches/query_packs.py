"""Query packs: collections of queries that belong to no workspace."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from pydantic import Field

from shared.arm.declarations import Draft, Hooks, Location, ResourceType, Statuses
from shared.arm.envelopes import instant
from shared.arm.resources import Resource
from shared.arm.wire import Wire
from shared.kernel.ids import derived_id
from shared.loganalytics.workspaces.model import NAMESPACE


class QueryWire(Wire):
    display_name: str = Field(min_length=1)
    body: str = Field(min_length=1)


def query_packs() -> list[ResourceType]:
    """Kept as they come, with the ids and times that Log Analytics adds."""
    return [
        ResourceType(
            namespace=NAMESPACE,
            types=("queryPacks",),
            location=Location.REQUIRED,
            statuses=Statuses(created=200),
            extra=(),
            hooks=Hooks(prepare=_stamped("queryPackId", provisioned=True)),
        ),
        ResourceType(
            namespace=NAMESPACE,
            types=("queryPacks", "queries"),
            statuses=Statuses(created=200),
            properties=QueryWire,
            extra=(),
            hooks=Hooks(prepare=_stamped("id", provisioned=False)),
        ),
    ]


def _stamped(id_name: str, *, provisioned: bool) -> Callable[[Draft], Resource]:
    def prepare(draft: Draft) -> Resource:
        at, known = instant(draft.at), draft.known
        properties: dict[str, Any] = {
            **draft.resource.properties,
            id_name: derived_id("query pack", str(draft.resource.id).lower()),
            "timeCreated": at if known is None else known.properties.get("timeCreated", at),
            "timeModified": at,
        }
        if provisioned:
            properties["provisioningState"] = "Succeeded"
        return replace(draft.resource, properties=properties)

    return prepare
