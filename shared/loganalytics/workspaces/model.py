"""A workspace: where records go, how long they stay, and how much may come in a day."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.kernel.errors import Category, OmsError
from shared.loganalytics.logstore.model import WorkspaceId

NAMESPACE: Final = "Microsoft.OperationalInsights"
TYPES: Final = ("workspaces",)
DEFAULT_RETENTION_DAYS: Final = 30
MAX_RETENTION_DAYS: Final = 730
NO_CAP: Final = -1.0


class Backend(StrEnum):
    """Who keeps and answers a workspace's records."""

    STORE = "store"
    AZURE_MONITOR = "azureMonitor"


class WorkspaceNotFound(OmsError):
    """No workspace has this customer id (or resource id)."""

    category = Category.NOT_FOUND
    code = "PathNotFoundError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """`daily_cap_gb` None: no cap. With the backend `azureMonitor`, queries go to `azure_monitor_workspace` instead."""

    resource_id: str
    name: str
    customer_id: WorkspaceId
    subscription: str
    group: str
    location: str
    retention_days: int = DEFAULT_RETENTION_DAYS
    daily_cap_gb: float | None = None
    backend: Backend = Backend.STORE
    azure_monitor_workspace: str | None = None
    sku: str = "PerGB2018"
    public_ingestion: bool = True
    public_query: bool = True
    created: datetime | None = None
