"""The bundle's settings: one frozen object, read once, in bootstrap."""

from pathlib import Path
from typing import Final, Literal

from pydantic import Field, JsonValue, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

LOCAL: Final[dict[str, JsonValue]] = {"local": True}
"""Marks what only a laptop sets: `infra/` does not name it."""


class Settings(BaseSettings):
    """Read from the environment (prefix `OMS_`). `docs/settings.md`, `local.settings.example.json` and `infra/` name the same."""

    model_config = SettingsConfigDict(env_prefix="OMS_", env_ignore_empty=True, frozen=True, extra="ignore")

    storage: SecretStr | None = Field(
        default=None,
        json_schema_extra=LOCAL,
        description="Connection string of the storage account (Azurite, or a key-based account).",
    )
    storage_blob_endpoint: str | None = Field(
        default=None, description="Blob endpoint of the storage account, used with the managed identity."
    )
    storage_table_endpoint: str | None = Field(
        default=None, description="Table endpoint of the storage account, used with the managed identity."
    )
    storage_queue_endpoint: str | None = Field(
        default=None, description="Queue endpoint of the storage account, used with the managed identity."
    )
    identity_client_id: str | None = Field(
        default=None, description="Client id of the user-assigned identity the bundle runs as."
    )
    base_url: str = Field(
        default="http://localhost:7071",
        description="The URL at which clients reach the bundle; no slash at the end.",
    )
    data_dir: Path = Field(
        default=Path("/tmp/oms"),  # noqa: S108 - on Flex Consumption /tmp is the instance's own disk
        description="Local folder: the cache of immutable segments, and without a key vault the file of the key that wraps secrets.",
    )
    tenant_id: str = Field(
        default="00000000-0000-0000-0000-000000000001",
        description="The Entra tenant whose tokens are accepted.",
    )
    subscription_id: str = Field(
        default="00000000-0000-0000-0000-000000000002",
        description="The subscription that the first workspace is made in.",
    )
    resource_group: str = Field(
        default="oms", description="The resource group that the first workspace is made in."
    )
    location: str = Field(
        default="local", description="The region that new resources carry, unless they name one."
    )
    default_workspace: str = Field(
        default="default", description="Name of the workspace that is made on first start."
    )
    issuer: Literal["local", "entra"] = Field(
        default="entra",
        description="Who signs bearer tokens: Microsoft Entra, or the bundle itself (only for `oms up`).",
    )
    audience: str | None = Field(
        default=None,
        description="The app registration's client id or App ID URI that Entra tokens must be for.",
    )
    azure_monitor_endpoint: str = Field(
        default="https://api.loganalytics.io/v1",
        description="Where the queries of workspaces with the backend `azureMonitor` are answered.",
    )
    key_vault_url: str | None = Field(
        default=None,
        description="Key Vault whose key wraps the data keys. Without it a key file in the data folder does.",
    )
    bootstrap_secret: SecretStr | None = Field(
        default=None,
        json_schema_extra=LOCAL,
        description="Set by `oms up` for its own call that makes the default workspace and the sign-in link.",
    )
    trust_easy_auth: bool = Field(
        default=False,
        description="Whether App Service authentication stands in front, so that its headers may be believed.",
    )
    front_end_secret: SecretStr | None = Field(
        default=None,
        description="Shared with the front end that forwards client certificates; without it they are ignored.",
    )
    applicationinsights_connection_string: SecretStr | None = Field(
        default=None, description="Application Insights that the structured logs go to."
    )
    host_nudge_url: str | None = Field(
        default=None,
        json_schema_extra=LOCAL,
        description="Loopback URL of the embedded host that wakes a queue's listener at once.",
    )
    query_processes: int = Field(
        default=2, ge=1, le=16, description="Warm child processes that answer queries."
    )
    query_memory_mb: int = Field(default=1024, ge=256, description="Memory that one query may take.")
    cache_mb: int = Field(
        default=4096, ge=64, description="Disk that the cache of immutable segments may take."
    )
    tail_limit_mb: int = Field(
        default=512,
        ge=16,
        description="Records not yet compacted, per workspace, beyond which ingestion answers 429.",
    )
