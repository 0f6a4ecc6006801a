"""The one place that reads settings and builds clients: `services()` is what every function calls first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from threading import RLock
from typing import TYPE_CHECKING, Final, Self, overload

from shared.kernel.clock import Clock, SystemClock
from shared.settings import Settings
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.arm.store import ResourceStore
    from shared.identity.access import RoleAssignments
    from shared.identity.local_issuer import LocalIssuer
    from shared.identity.model import Principal
    from shared.identity.secrets import KeyWrapper, SecretBox
    from shared.identity.service import Identity
    from shared.jobs.desk import JobDesk
    from shared.jobs.engine import JobEngine
    from shared.jobs.kinds import JobKinds
    from shared.jobs.poison import PoisonDesk
    from shared.loganalytics.logstore.model import WorkspaceId
    from shared.loganalytics.logstore.store import LogStore
    from shared.loganalytics.queries.access import QueryAccess, ResourceScope
    from shared.loganalytics.queries.processes import QueryProcesses
    from shared.loganalytics.queries.scope import FindWorkspace
    from shared.loganalytics.queries.service import LogQueries
    from shared.loganalytics.tables.registry import TableRegistry
    from shared.loganalytics.workspaces.service import Workspaces


class built_once[T](cached_property[T]):  # noqa: N801 - used as a decorator, like the one it extends
    """A cached property that is built once also when many threads ask first at the same time."""

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...
    def __get__(self, instance: object | None, owner: type | None = None) -> Self | T:
        if instance is None:
            return self
        with _BUILDING:
            return super().__get__(instance, owner)


_BUILDING: Final = RLock()


@dataclass
class Services:
    """Everything a function may call, built on first use: importing the bundle, or one service, pays for nothing else."""

    settings: Settings
    clock: Clock

    @built_once
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

    @built_once
    def secrets(self) -> SecretBox:
        from shared.identity.secrets import SecretBox

        return SecretBox(storage=self.storage, wrapper=self._key_wrapper(), clock=self.clock)

    def _key_wrapper(self) -> KeyWrapper:
        if self.settings.key_vault_url is not None:
            from shared.cloud.keyvault import KeyVaultKey

            return KeyVaultKey(self.settings.key_vault_url, azure_credential(self.settings))
        from shared.identity.key_file import KeyFile

        return KeyFile(self.settings.data_dir / "keys")

    @property
    def issuer(self) -> LocalIssuer | None:
        """The bundle's own issuer of tokens for people and programs; None where Entra signs these."""
        return self.signer if self.settings.issuer == "local" else None

    @built_once
    def signer(self) -> LocalIssuer:
        """Signs the tokens of agents, wherever the bundle runs."""
        from shared.identity.local_issuer import LocalIssuer

        return LocalIssuer(
            storage=self.storage,
            box=self.secrets,
            clock=self.clock,
            tenant=self.settings.tenant_id,
            base_url=self.settings.base_url,
        )

    @built_once
    def role_assignments(self) -> RoleAssignments:
        from shared.identity.access import RoleAssignments

        return RoleAssignments(storage=self.storage, clock=self.clock)

    @built_once
    def identity(self) -> Identity:
        from shared.identity.access import Access
        from shared.identity.entra import entra_validator
        from shared.identity.service import Identity, NoTokens
        from shared.identity.sign_in import SignIns
        from shared.identity.tokens import ByIssuer

        settings = self.settings
        own = self.signer.validator()
        if self.issuer is not None:
            tokens = own
        elif settings.audience is not None:
            tokens = entra_validator(tenant=settings.tenant_id, audience=settings.audience, clock=self.clock)
        else:
            tokens = NoTokens()
        return Identity(
            tokens=ByIssuer(own_issuer=self.signer.issuer, own=own, others=tokens),
            access=Access(assignments=self.role_assignments),
            sign_ins=SignIns(storage=self.storage, box=self.secrets, clock=self.clock),
            tenant=settings.tenant_id,
            issuer=self.issuer,
            trust_easy_auth=settings.trust_easy_auth,
            secure_cookies=settings.base_url.startswith("https://"),
        )

    @built_once
    def resources(self) -> ResourceStore:
        from shared.arm.store import ResourceStore

        return ResourceStore(storage=self.storage, clock=self.clock)

    @built_once
    def workspaces(self) -> Workspaces:
        from shared.loganalytics.workspaces.service import Workspaces

        return Workspaces(storage=self.storage, resources=self.resources, box=self.secrets, clock=self.clock)

    @built_once
    def job_kinds(self) -> JobKinds:
        """What jobs this release runs: each service registers its kinds here."""
        from shared.jobs.kinds import JobKinds

        return JobKinds()

    @built_once
    def nudge(self) -> Callable[[str], None]:
        """Wakes the local host's listener of a queue; on Azure the platform scales by the queue itself."""
        from shared.cloud.host import HostNudge
        from shared.jobs.engine import no_nudge

        url = self.settings.host_nudge_url
        return no_nudge if url is None else HostNudge(url)

    @built_once
    def jobs(self) -> JobEngine:
        from shared.jobs.engine import JobEngine

        return JobEngine(self.storage, self.clock, self.job_kinds, nudge=self.nudge)

    @built_once
    def job_desk(self) -> JobDesk:
        from shared.jobs.desk import JobDesk

        return JobDesk(self.jobs)

    @built_once
    def poison(self) -> PoisonDesk:
        """Poison queues; a service that listens to another queue adds it here."""
        from shared.jobs.engine import QUEUE
        from shared.jobs.poison import PoisonDesk, explain_job

        return PoisonDesk(self.storage, {QUEUE: explain_job(self.jobs.store)}, self.nudge)

    @built_once
    def tables(self) -> TableRegistry:
        from shared.loganalytics.tables.registry import TableRegistry
        from shared.loganalytics.tables.store import TableStore

        return TableRegistry(store=TableStore(self.storage.table("omstables")), clock=self.clock)

    @built_once
    def log_store(self) -> LogStore:
        from shared.loganalytics.logstore.store import LogStore

        settings = self.settings
        return LogStore.over(
            self.storage,
            clock=self.clock,
            folder=settings.data_dir / "store",
            cache_bytes=settings.cache_mb * 1_000_000,
            tail_limit=settings.tail_limit_mb * 1_000_000,
        )

    @built_once
    def queries(self) -> LogQueries:
        from shared.loganalytics.queries.records import StoredRecords
        from shared.loganalytics.queries.schemas import WorkspaceSchemas
        from shared.loganalytics.queries.service import LogQueries

        return LogQueries(
            schemas=WorkspaceSchemas(registry=self.tables, stored=lambda _workspace, _name: None),
            records=StoredRecords(store=self.log_store),
            processes=self.query_processes,
            clock=self.clock,
            memory_mb=self.settings.query_memory_mb,
        )

    @built_once
    def query_processes(self) -> QueryProcesses:
        from shared.loganalytics.queries.processes import QueryProcesses

        return QueryProcesses(size=self.settings.query_processes, memory_mb=self.settings.query_memory_mb)

    @built_once
    def query_access(self) -> QueryAccess:
        from shared.loganalytics.queries.access import QueryAccess

        return QueryAccess(workspaces=self.workspaces, identity=self.identity)

    def finder(self, principal: Principal) -> FindWorkspace:
        """Looks up the workspaces that one caller may query."""
        return self.query_access.finder(principal)

    def finder_of_system(self) -> FindWorkspace:
        """For queries of our own over one workspace: they name no other."""

        def find(name: str) -> WorkspaceId:
            from shared.loganalytics.queries.scope import PathNotFound

            raise PathNotFound(f"this query reads its own workspace only, not {name}", target=name)

        return find

    def resource_workspaces(self, principal: Principal, resource_id: str) -> ResourceScope:
        return self.query_access.resource(principal, resource_id)


def azure_credential(settings: Settings) -> TokenCredential:
    """The app's identity on Azure; on a laptop whoever is signed in to the Azure CLI."""
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential(managed_identity_client_id=settings.identity_client_id)


@cache
def services() -> Services:
    """The process's one set of services. The first call reads the environment."""
    return Services(settings=Settings(), clock=SystemClock())
