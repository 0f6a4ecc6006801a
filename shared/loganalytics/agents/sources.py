"""The data sources of a workspace, from the resources that the management API keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from shared.arm.resource_ids import parse
from shared.arm.store import ResourceStore
from shared.loganalytics.agents.service import DataSource
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.workspaces.model import NAMESPACE
from shared.loganalytics.workspaces.service import Workspaces

TYPES: Final = ("workspaces", "dataSources")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDataSources:
    resources: ResourceStore
    workspaces: Workspaces

    def of(self, workspace: WorkspaceId) -> Sequence[DataSource]:
        at = parse(self.workspaces.by_customer_id(workspace).resource_id)
        found = self.resources.list(
            subscription=at.subscription, namespace=NAMESPACE, types=TYPES, group=at.group, parents=at.names
        )
        return [
            DataSource(kind=str(extra.get("kind", "")), properties=each.properties)
            for each in found
            for extra in [_extra(each.extra)]
        ]


def _extra(extra: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return extra or {}
