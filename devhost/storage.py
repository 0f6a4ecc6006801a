"""A trigger's `connection`: from the settings it names to clients of Azure Storage."""

import logging
import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

HOST_CONNECTION: Final = "AzureWebJobsStorage"
# Azurite's published account: learn.microsoft.com/azure/storage/common/storage-use-azurite
_DEVELOPMENT: Final = (
    "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    "AccountKey=Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==;"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    "QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
    "TableEndpoint=http://127.0.0.1:10002/devstoreaccount1;"
)


class ConnectionMissing(Exception):
    """A trigger names a connection for which there are no settings."""


def queue_service(connection: str, *, used_by: str) -> "QueueServiceClient":
    """ConnectionMissing."""
    from azure.storage.queue import LinearRetry, QueueServiceClient

    _quiet()
    retry = LinearRetry(backoff=1, retry_total=2, random_jitter_range=1)
    if text := _connection_string(connection):
        return QueueServiceClient.from_connection_string(text, retry_policy=retry, connection_timeout=5)
    return QueueServiceClient(
        _endpoint(connection, "queue", used_by), credential=_identity(connection), retry_policy=retry
    )


def blob_service(connection: str, *, used_by: str) -> "BlobServiceClient":
    """ConnectionMissing."""
    from azure.storage.blob import BlobServiceClient, LinearRetry

    _quiet()
    retry = LinearRetry(backoff=1, retry_total=2, random_jitter_range=1)
    if text := _connection_string(connection):
        return BlobServiceClient.from_connection_string(text, retry_policy=retry, connection_timeout=5)
    return BlobServiceClient(
        _endpoint(connection, "blob", used_by), credential=_identity(connection), retry_policy=retry
    )


def _connection_string(connection: str) -> str | None:
    text = os.environ.get(connection) or os.environ.get(f"AzureWebJobs{connection}")
    return expand_connection_string(text) if text else None


def expand_connection_string(text: str) -> str:
    """`UseDevelopmentStorage=true` written out; anything else as it is."""
    return _DEVELOPMENT if text.strip().rstrip(";").casefold() == "usedevelopmentstorage=true" else text


def _endpoint(connection: str, service: str, used_by: str) -> str:
    account = os.environ.get(f"{connection}__accountName")
    uri = os.environ.get(f"{connection}__{service}ServiceUri")
    if uri or account:
        return uri or f"https://{account}.{service}.core.windows.net"
    raise ConnectionMissing(
        f"{used_by} wants the setting {connection} (a connection string) or {connection}__{service}ServiceUri, and neither is there"
    )


def _identity(connection: str) -> "TokenCredential":
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=os.environ.get(f"{connection}__clientId"))


def _quiet() -> None:
    # The SDK logs each request at INFO.
    logging.getLogger("azure.core").setLevel(logging.WARNING)
    logging.getLogger("azure.storage").setLevel(logging.WARNING)
