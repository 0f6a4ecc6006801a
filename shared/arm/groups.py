"""Resource groups, as a resource type like the others."""

import re
from dataclasses import replace
from typing import Final

from shared.arm.declarations import Draft, Hooks, Location, ResourceType
from shared.arm.resources import Resource

_NAME: Final = re.compile(r"[\w().-]{1,90}")


def resource_groups() -> ResourceType:
    """Deleting one deletes what is in it."""
    return ResourceType(
        namespace="Microsoft.Resources",
        types=("resourceGroups",),
        location=Location.REQUIRED,
        name=_NAME,
        extra=("managedBy",),
        hooks=Hooks(prepare=_prepared),
        filters={},
        api_versions=("2025-04-01", "2024-11-01", "2022-09-01", "2021-04-01"),
    )


def _prepared(draft: Draft) -> Resource:
    return replace(draft.resource, properties={"provisioningState": "Succeeded"})
