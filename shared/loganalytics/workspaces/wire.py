"""A workspace's properties as clients send them: what is checked before it is stored."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from shared.arm.wire import Wire
from shared.loganalytics.workspaces.model import MAX_RETENTION_DAYS

_SKUS = (
    "Free",
    "Standard",
    "Premium",
    "PerNode",
    "PerGB2018",
    "Standalone",
    "CapacityReservation",
    "LACluster",
)


def _spelled(value: object) -> object:
    """Sku names come in any case: the CLI writes PerGB2018, old templates pergb2018."""
    known = {name.lower(): name for name in _SKUS}
    return known.get(value.lower(), value) if isinstance(value, str) else value


Access = Literal["Enabled", "Disabled", "SecuredByPerimeter"]


class SkuWire(Wire):
    name: Annotated[
        Literal[
            "Free",
            "Standard",
            "Premium",
            "PerNode",
            "PerGB2018",
            "Standalone",
            "CapacityReservation",
            "LACluster",
        ],
        BeforeValidator(_spelled),
    ]
    capacity_reservation_level: int | None = None


class CappingWire(Wire):
    daily_quota_gb: float | None = Field(default=None, ge=-1)


class FeaturesWire(Wire):
    """`backend` and its workspace id are ours: who answers the workspace's queries."""

    backend: Literal["store", "azureMonitor"] | None = None
    azure_monitor_workspace_id: str | None = None
    enable_log_access_using_only_resource_permissions: bool | None = None
    immediate_purge_data_on_30_days: bool | None = Field(default=None, alias="immediatePurgeDataOn30Days")


class WorkspaceWire(Wire):
    retention_in_days: int | None = Field(default=None, ge=4, le=MAX_RETENTION_DAYS)
    sku: SkuWire | None = None
    workspace_capping: CappingWire | None = None
    features: FeaturesWire | None = None
    public_network_access_for_ingestion: Access | None = None
    public_network_access_for_query: Access | None = None
