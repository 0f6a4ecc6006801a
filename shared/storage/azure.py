"""One account of Azure Storage or Azurite; each service's SDK is imported when that service is first asked for."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import RLock
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from shared.kernel.clock import Clock, SystemClock
from shared.storage import limits

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableServiceClient
    from azure.storage.blob import BlobServiceClient
    from azure.storage.queue import QueueServiceClient

    from shared.storage.azure_blobs import AzureBlobs
    from shared.storage.azure_calls import Caller
    from shared.storage.azure_queues import AzureQueue
    from shared.storage.azure_tables import AzureTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """Where an account's services answer, such as https://contoso.blob.core.windows.net."""

    blob: str
    queue: str
    table: str


@dataclass(slots=True, kw_only=True)
class AzureStorage:
    """Make one per account and process, and share it among threads."""

    connection_string: str | None = field(default=None, repr=False)
    endpoints: Endpoints | None = None
    credential: TokenCredential | None = field(default=None, repr=False)
    ca_file: str | None = None
    clock: Clock = field(default_factory=SystemClock)
    jitter: Callable[[], float] = random.random
    _lock: RLock = field(default_factory=RLock, repr=False)
    _kept: dict[tuple[str, str], Any] = field(default_factory=dict[tuple[str, str], Any], repr=False)
    """Clients and the pool of connections, by kind and name."""

    @classmethod
    def from_connection_string(cls, connection_string: str, *, clock: Clock | None = None) -> Self:
        """With the account's key, or Azurite's."""
        return cls(connection_string=connection_string, clock=clock or SystemClock())

    @classmethod
    def from_identity(
        cls,
        *,
        blob: str,
        queue: str,
        table: str,
        credential: TokenCredential,
        ca_file: str | None = None,
        clock: Clock | None = None,
    ) -> Self:
        """With a managed identity or whoever `credential` is; the three are the services' addresses.

        `ca_file` replaces the public certificate authorities (an emulator's, or those of a network that inspects TLS).
        """
        return cls(
            endpoints=Endpoints(blob=blob, queue=queue, table=table),
            credential=credential,
            ca_file=ca_file,
            clock=clock or SystemClock(),
        )

    def blobs(self, container: str) -> AzureBlobs:
        from shared.storage.azure_blobs import AzureBlobs

        limits.check_container(container)
        return self._keep(
            "container",
            container,
            lambda: AzureBlobs(container=container, service=self._blob_service(), caller=self._caller()),
        )

    def table(self, name: str) -> AzureTable:
        from shared.storage.azure_tables import AzureTable

        limits.check_table(name)
        return self._keep(
            "table",
            name,
            lambda: AzureTable(name=name, service=self._table_service(), caller=self._caller()),
        )

    def queue(self, name: str) -> AzureQueue:
        from shared.storage.azure_queues import AzureQueue

        limits.check_queue(name)
        return self._keep(
            "queue",
            name,
            lambda: AzureQueue(name=name, service=self._queue_service(), caller=self._caller()),
        )

    def ping(self) -> None:
        caller = self._caller()
        blobs, queues = self._blob_service(), self._queue_service()
        tables: Any = self._table_service()
        caller.call("ping blobs", lambda _: next(blobs.list_containers(results_per_page=1).by_page(), None))
        caller.call("ping queues", lambda _: next(queues.list_queues(results_per_page=1).by_page(), None))
        caller.call("ping tables", lambda _: next(tables.list_tables(results_per_page=1).by_page(), None))

    def close(self) -> None:
        """Close the connections. What is used afterwards opens new ones."""
        with self._lock:
            transport = self._kept.get(("transport", ""))
            if transport is not None:
                transport.session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _caller(self) -> Caller:
        from shared.storage.azure_calls import Caller

        return self._keep("caller", "", lambda: Caller(clock=self.clock, jitter=self.jitter))

    def _options(self) -> dict[str, Any]:
        from shared.storage.azure_calls import SDK_OPTIONS, transport

        return {
            "transport": self._keep("transport", "", lambda: transport(self.ca_file)),
            **SDK_OPTIONS,
        }

    def _blob_service(self) -> BlobServiceClient:
        from azure.storage.blob import BlobServiceClient

        from shared.storage.azure_blobs import SDK_OPTIONS

        return self._service(BlobServiceClient, "blob", SDK_OPTIONS)

    def _table_service(self) -> TableServiceClient:
        from azure.data.tables import TableServiceClient

        return self._service(TableServiceClient, "table", {})

    def _queue_service(self) -> QueueServiceClient:
        from azure.storage.queue import QueueServiceClient

        return self._service(QueueServiceClient, "queue", {})

    def _service(self, client: Any, kind: str, more: dict[str, Any]) -> Any:
        def make() -> Any:
            if self.connection_string is not None:
                return client.from_connection_string(self.connection_string, **self._options(), **more)
            if self.endpoints is None or self.credential is None:
                raise TypeError("a storage account needs a connection string, or endpoints and a credential")
            address = getattr(self.endpoints, kind)
            naming = "endpoint" if kind == "table" else "account_url"
            return client(**{naming: address}, credential=self.credential, **self._options(), **more)

        return self._keep("service", kind, make)

    def _keep[T](self, kind: str, name: str, make: Callable[[], T]) -> T:
        found = self._kept.get((kind, name))
        if found is None:
            with self._lock:
                found = self._kept.get((kind, name))
                if found is None:
                    found = self._kept[kind, name] = make()
        return found
