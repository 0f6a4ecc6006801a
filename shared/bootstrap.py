"""The one place that reads settings and builds clients: `services()` is what every function calls first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

from shared.kernel.clock import Clock, SystemClock
from shared.settings import Settings
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.arm.store import ResourceStore
    from shared.identity.access import RoleAssignments
    from shared.identity.local_issuer import LocalIssuer
    from shared.identity.secrets import KeyWrapper, SecretBox
    from shared.identity.service import Identity
    from shared.jobs.desk import JobDesk
    from shared.jobs.engine import JobEngine
    from shared.jobs.kinds import JobKinds
    from shared.jobs.poison import PoisonDesk
    from shared.loganalytics.workspaces.service import Workspaces


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
            blob=self.settings.storage_blob_endpoint or "",
            queue=self.settings.storage_queue_endpoint or "",
            table=self.settings.storage_table_endpoint or "",
            credential=azure_credential(self.settings),
        )

    @cached_property
    def secrets(self) -> SecretBox:
        from shared.identity.secrets import SecretBox

        return SecretBox(storage=self.storage, wrapper=self._key_wrapper(), clock=self.clock)

    def _key_wrapper(self) -> KeyWrapper:
        if self.settings.key_vault_url is not None:
            from shared.cloud.keyvault import KeyVaultKey

            return KeyVaultKey(self.settings.key_vault_url, azure_credential(self.settings))
        from shared.identity.key_file import KeyFile

        return KeyFile(self.settings.data_dir / "keys")

    @cached_property
    def issuer(self) -> LocalIssuer | None:
        """The bundle's own token issuer; None where Entra signs."""
        from shared.identity.local_issuer import LocalIssuer

        if self.settings.issuer != "local":
            return None
        return LocalIssuer(
            storage=self.storage,
            box=self.secrets,
            clock=self.clock,
            tenant=self.settings.tenant_id,
            base_url=self.settings.base_url,
        )

    @cached_property
    def role_assignments(self) -> RoleAssignments:
        from shared.identity.access import RoleAssignments

        return RoleAssignments(storage=self.storage, clock=self.clock)

    @cached_property
    def identity(self) -> Identity:
        from shared.identity.access import Access
        from shared.identity.entra import entra_validator
        from shared.identity.service import Identity, NoTokens
        from shared.identity.sign_in import SignIns

        settings = self.settings
        if self.issuer is not None:
            tokens = self.issuer.validator()
        elif settings.audience is not None:
            tokens = entra_validator(tenant=settings.tenant_id, audience=settings.audience, clock=self.clock)
        else:
            tokens = NoTokens()
        return Identity(
            tokens=tokens,
            access=Access(assignments=self.role_assignments),
            sign_ins=SignIns(storage=self.storage, box=self.secrets, clock=self.clock),
            tenant=settings.tenant_id,
            issuer=self.issuer,
            trust_easy_auth=settings.trust_easy_auth,
            secure_cookies=settings.base_url.startswith("https://"),
        )

    @cached_property
    def resources(self) -> ResourceStore:
        from shared.arm.store import ResourceStore

        return ResourceStore(storage=self.storage, clock=self.clock)

    @cached_property
    def workspaces(self) -> Workspaces:
        from shared.loganalytics.workspaces.service import Workspaces

        return Workspaces(storage=self.storage, resources=self.resources, box=self.secrets, clock=self.clock)

    @cached_property
    def job_kinds(self) -> JobKinds:
        """What jobs this release runs: each service registers its kinds here."""
        from shared.jobs.kinds import JobKinds

        return JobKinds()

    @cached_property
    def nudge(self) -> Callable[[str], None]:
        """Wakes the local host's listener of a queue; on Azure the platform scales by the queue itself."""
        from shared.cloud.host import HostNudge
        from shared.jobs.engine import no_nudge

        url = self.settings.host_nudge_url
        return no_nudge if url is None else HostNudge(url)

    @cached_property
    def jobs(self) -> JobEngine:
        from shared.jobs.engine import JobEngine

        return JobEngine(self.storage, self.clock, self.job_kinds, nudge=self.nudge)

    @cached_property
    def job_desk(self) -> JobDesk:
        from shared.jobs.desk import JobDesk

        return JobDesk(self.jobs)

    @cached_property
    def poison(self) -> PoisonDesk:
        """Poison queues; a service that listens to another queue adds it here."""
        from shared.jobs.engine import QUEUE
        from shared.jobs.poison import PoisonDesk, explain_job

        return PoisonDesk(self.storage, {QUEUE: explain_job(self.jobs.store)}, self.nudge)


def azure_credential(settings: Settings) -> TokenCredential:
    """The app's identity on Azure; on a laptop whoever is signed in to the Azure CLI."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


@cache
def services() -> Services:
    """The process's one set of services. The first call reads the environment."""
    return Services(settings=Settings(), clock=SystemClock())
