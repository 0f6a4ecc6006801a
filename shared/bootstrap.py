"""The one place that reads settings and builds clients: `services()` is what every function calls first."""

from dataclasses import dataclass
from functools import cache, cached_property

from shared.kernel.clock import Clock, SystemClock
from shared.settings import Settings
from shared.storage.ports import Storage


@dataclass
class Services:
    """Everything a function may call, built on first use: importing the bundle, or one service, pays for nothing else."""

    settings: Settings
    clock: Clock

    @cached_property
    def storage(self) -> Storage:
        from shared.storage.azure import AzureStorage

        if self.settings.storage is not None:
            return AzureStorage.from_connection_string(self.settings.storage.get_secret_value())
        return AzureStorage.from_identity(
            blob_endpoint=self.settings.storage_blob_endpoint or "",
            table_endpoint=self.settings.storage_table_endpoint or "",
            queue_endpoint=self.settings.storage_queue_endpoint or "",
            client_id=self.settings.identity_client_id,
        )


@cache
def services() -> Services:
    """The process's one set of services. The first call reads the environment."""
    return Services(settings=Settings(), clock=SystemClock())
