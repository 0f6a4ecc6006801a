"""The one place that reads settings and builds clients: `services()` is what every function calls first."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Final, Self, overload

from shared.kernel import structured_log
from shared.kernel.clock import Clock, SystemClock
from shared.settings import Settings
from shared.storage.ports import Storage

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from shared.arm.activity import Activity, ActivityOutbox
    from shared.arm.management import ManagementApi
    from shared.arm.registry import Registry
    from shared.arm.role_assignments import Authorization
    from shared.arm.store import ResourceStore
    from shared.arm.subscriptions import Subscriptions
    from shared.cloud.azure_monitor import AzureMonitorQueries
    from shared.http.assets import Assets
    from shared.http.measures import Measures
    from shared.http.pages import Pages
    from shared.identity.access import RoleAssignments
    from shared.identity.local_issuer import LocalIssuer
    from shared.identity.model import Principal
    from shared.identity.secrets import KeyWrapper, SecretBox
    from shared.identity.service import Identity
    from shared.jobs.desk import JobDesk
    from shared.jobs.engine import JobEngine
    from shared.jobs.kinds import JobKinds
    from shared.jobs.migration import Migrations
    from shared.jobs.poison import PoisonDesk
    from shared.kernel.health import Check
    from shared.kql.catalog import StoredFunction
    from shared.loganalytics.agents.service import Agents
    from shared.loganalytics.datacollectionrules.service import DataCollectionRules
    from shared.loganalytics.ingestion.accounting import Accounting
    from shared.loganalytics.ingestion.collector import DataCollector
    from shared.loganalytics.ingestion.ports import RuleDirectory, TransformRunner, WorkspaceDirectory
    from shared.loganalytics.ingestion.quota import DailyCap
    from shared.loganalytics.ingestion.records import RecordWriter
    from shared.loganalytics.ingestion.upload import LogsIngestion
    from shared.loganalytics.logstore.frames import StagedFrame
    from shared.loganalytics.logstore.jobs import Maintenance
    from shared.loganalytics.logstore.model import WorkspaceId
    from shared.loganalytics.logstore.store import LogStore
    from shared.loganalytics.queries.access import QueryAccess, ResourceScope
    from shared.loganalytics.queries.processes import QueryProcesses
    from shared.loganalytics.queries.scope import FindWorkspace
    from shared.loganalytics.queries.service import LogQueries
    from shared.loganalytics.savedsearches.service import SavedSearches
    from shared.loganalytics.tables.registry import TableRegistry
    from shared.loganalytics.workspaces.model import Workspace
    from shared.loganalytics.workspaces.service import Workspaces


PORTAL: Final = Path(__file__).resolve().parents[1] / "portal"


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
    account: Storage | None = None
    """The storage account, where it is not the one that the settings name."""

    @built_once
    def storage(self) -> Storage:
        if self.account is not None:
            return self.account
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
    def subscriptions(self) -> Subscriptions:
        from shared.arm.subscriptions import Subscription, Subscriptions

        return Subscriptions(
            storage=self.storage,
            clock=self.clock,
            default=Subscription(id=self.settings.subscription_id, name="OMS"),
        )

    @built_once
    def saved_searches(self) -> SavedSearches:
        from shared.loganalytics.savedsearches.service import SavedSearches

        return SavedSearches(resources=self.resources, clock=self.clock)

    @built_once
    def data_collection_rules(self) -> DataCollectionRules:
        from shared.loganalytics.datacollectionrules.service import DataCollectionRules

        return DataCollectionRules(
            storage=self.storage,
            resources=self.resources,
            workspaces=self.workspaces,
            access=self.identity.access,
            clock=self.clock,
            base_url=self.settings.base_url,
        )

    @built_once
    def activity(self) -> ActivityOutbox:
        from shared.arm.activity import ActivityOutbox

        return ActivityOutbox(storage=self.storage, clock=self.clock)

    @built_once
    def registry(self) -> Registry:
        """Every resource type of the bundle: each service's declarations are added here."""
        from shared.arm.groups import resource_groups
        from shared.arm.registry import Registry
        from shared.loganalytics.logstore.compaction import Compactor
        from shared.loganalytics.savedsearches.query_packs import query_packs
        from shared.loganalytics.workspaces.erasure import Erasure
        from shared.loganalytics.workspaces.provider import WorkspaceProvider
        from shared.loganalytics.workspaces.table_resources import TableResources

        registry = Registry()
        erasure = Erasure(
            storage=self.storage,
            compactor=Compactor(store=self.log_store),
            tables=self.tables.names,
        )
        workspaces = WorkspaceProvider(
            workspaces=self.workspaces,
            resources=self.resources,
            usage=self._used_today,
            made=(self._make_default_rule,),
            gone=(
                self.data_collection_rules.delete_default,
                erasure.workspace,
                self.tables.forget,
            ),
        )
        tables = TableResources(workspaces=self.workspaces, registry=self.tables, erase=erasure.table)
        registry.add(
            resource_groups(),
            *workspaces.types(),
            tables.type(),
            self.saved_searches.type(),
            *query_packs(),
            *self.data_collection_rules.types(),
        )
        registry.route(*workspaces.routes())
        return registry

    @built_once
    def management(self) -> ManagementApi:
        """The management API."""
        from shared.arm.deletion import Deletions
        from shared.arm.management import ManagementApi
        from shared.arm.operations import LongOperations
        from shared.arm.paging import Continuations
        from shared.arm.tenant import Tenant

        api = ManagementApi(
            registry=self.registry,
            resources=self.resources,
            subscriptions=self.subscriptions,
            access=self.identity.access,
            activity=self.activity,
            deletions=Deletions(resources=self.resources, registry=self.registry, clock=self.clock),
            operations=LongOperations(storage=self.storage, clock=self.clock),
            continuations=lambda: Continuations(self.secrets.shared_key("continuations")),
            authorization=self.authorization,
            clock=self.clock,
        )
        tenant = Tenant(api=api, tenant_id=self.settings.tenant_id, location=self.settings.location)
        self.registry.route(*tenant.routes())
        return api

    @built_once
    def authorization(self) -> Authorization:
        """Role assignments in the management API."""
        from shared.arm.role_assignments import Authorization

        return Authorization(
            assignments=self.role_assignments,
            access=self.identity.access,
            subscriptions=self.subscriptions,
            activity=self.activity,
            clock=self.clock,
        )

    def publish_activity(self) -> int:
        """Write what was done in the management API into the first workspace as AzureActivity; how many records."""
        from shared.arm.resource_ids import ResourceId
        from shared.loganalytics.workspaces.model import NAMESPACE, TYPES, WorkspaceNotFound

        first = ResourceId(
            subscription=self.settings.subscription_id,
            group=self.settings.resource_group,
            namespace=NAMESPACE,
            types=TYPES,
            names=(self.settings.default_workspace,),
        )
        try:
            workspace = self.workspaces.by_resource_id(str(first))
        except WorkspaceNotFound:
            return 0  # the outbox keeps them until there is one

        def sink(activities: Sequence[Activity]) -> None:
            # Each by its own id: what a crash hands on again is not written again.
            for each in activities:
                self.record_writer.write(
                    workspace.customer_id, "AzureActivity", [each.record()], cause=each.id
                )

        return self.activity.drain(sink)

    def _make_default_rule(self, workspace: Workspace) -> None:
        self.data_collection_rules.create_default(workspace)

    def _used_today(self, workspace: Workspace) -> float:
        """Bytes billed since midnight UTC."""
        from shared.kernel.ticks import ticks_of

        start = self.clock.now().replace(hour=0, minute=0, second=0, microsecond=0)
        used = self.log_store.usage(workspace.customer_id, since=ticks_of(start))
        return float(sum(each.billable for each in used))

    @built_once
    def job_kinds(self) -> JobKinds:
        """What jobs this release runs: each service registers its kinds here."""
        from shared.jobs.kinds import JobKinds

        kinds = JobKinds()
        for kind in self.log_maintenance.kinds():
            kinds.register(kind)
        kinds.register(self.migrations.kind())
        return kinds

    @built_once
    def migrations(self) -> Migrations:
        """Migrations of what earlier releases stored: each service registers its own here."""
        from shared.jobs.migration import Migrations

        return Migrations()

    @built_once
    def log_maintenance(self) -> Maintenance:
        """Compaction, merging, retention and sweeping of the log store."""
        from shared.loganalytics.logstore.building import build_in_child
        from shared.loganalytics.logstore.compaction import Compactor
        from shared.loganalytics.logstore.jobs import Maintenance
        from shared.loganalytics.logstore.sweeping import Sweeper

        def days(workspace: WorkspaceId, table: str) -> int | None:
            known = self.tables.find(workspace, table)
            kept = known.retention if known is not None else None
            own = None if kept is None else kept.total_days or kept.days
            return own or self.workspaces.by_customer_id(workspace).retention_days

        return Maintenance(
            store=self.log_store,
            compactor=Compactor(store=self.log_store, builder=build_in_child),
            sweeper=Sweeper(store=self.log_store),
            retention=days,
        )

    def start_compactions(self) -> int:
        """Start the compaction jobs that are due; how many."""
        workspaces = (one.customer_id for one in self.workspaces.list())
        return len(self.log_maintenance.start_due(self.jobs, workspaces, at=self.clock.now()))

    def start_sweeps(self) -> int:
        """Start the sweep jobs of this hour; how many."""
        workspaces = (one.customer_id for one in self.workspaces.list())
        return len(self.log_maintenance.start_sweeps(self.jobs, workspaces, at=self.clock.now()))

    @built_once
    def nudge(self) -> Callable[[str], None]:
        """Wakes the local host's listener of a queue; on Azure the platform scales by the queue itself."""
        from shared.cloud.host import HostNudge
        from shared.jobs.engine import no_nudge

        url = self.settings.host_nudge_url
        return no_nudge if url is None else HostNudge(url)

    @built_once
    def jobs(self) -> JobEngine:
        from shared.jobs.admission import per_scope_and_caller
        from shared.jobs.engine import JobEngine

        return JobEngine(
            self.storage,
            self.clock,
            self.job_kinds,
            admission=per_scope_and_caller(scope=8, caller=8),
            nudge=self.nudge,
        )

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
    def ingestion_workspaces(self) -> WorkspaceDirectory:
        """Workspaces as ingestion asks for them."""
        from shared.loganalytics.ingestion.directory import StoredWorkspaces

        return StoredWorkspaces(self.workspaces)

    @built_once
    def ingestion_rules(self) -> RuleDirectory:
        """Data collection rules: those that were made, and each workspace's default."""
        from shared.loganalytics.datacollectionrules.directory import StoredRules
        from shared.loganalytics.ingestion.directory import RulesWithDefaults

        return RulesWithDefaults(
            made=StoredRules(self.data_collection_rules), workspaces=self.ingestion_workspaces
        )

    @built_once
    def daily_cap(self) -> DailyCap:
        from shared.loganalytics.ingestion.quota import DailyCap

        return DailyCap(ledger=self.log_store, clock=self.clock)

    @built_once
    def data_collector(self) -> DataCollector:
        from shared.loganalytics.ingestion.collector import DataCollector

        return DataCollector(
            workspaces=self.ingestion_workspaces,
            tables=self.tables,
            log=self.log_store,
            cap=self.daily_cap,
            clock=self.clock,
        )

    @built_once
    def logs_ingestion(self) -> LogsIngestion:
        from shared.loganalytics.ingestion.upload import LogsIngestion

        return LogsIngestion(
            rules=self.ingestion_rules,
            workspaces=self.ingestion_workspaces,
            tables=self.tables,
            log=self.log_store,
            cap=self.daily_cap,
            access=self.identity.access,
            clock=self.clock,
            transforms=self.transforms,
        )

    @built_once
    def transforms(self) -> TransformRunner:
        """Transformations of data collection rules, in the processes that answer queries."""
        from shared.loganalytics.ingestion.transforms import Transforms

        def write(frames: Sequence[StagedFrame], path: Path, workspace: WorkspaceId) -> None:
            self.log_store.converter.to_parquet(
                frames, path, workspace=workspace, table="source", form="tail"
            )

        return Transforms(
            processes=self.query_processes,
            write=write,
            folder=self.settings.data_dir / "transforms",
            memory_mb=self.settings.query_memory_mb,
        )

    @built_once
    def record_writer(self) -> RecordWriter:
        """Writes the suite's own records into workspaces."""
        from shared.loganalytics.ingestion.records import RecordWriter

        return RecordWriter(tables=self.tables, log=self.log_store, clock=self.clock)

    @built_once
    def accounting(self) -> Accounting:
        from shared.loganalytics.ingestion.accounting import TABLE, Accounting

        return Accounting(
            workspaces=self.ingestion_workspaces,
            tables=self.tables,
            ledger=self.log_store,
            records=self.record_writer,
            table=self.storage.table(TABLE),
            clock=self.clock,
        )

    @built_once
    def queries(self) -> LogQueries:
        from shared.loganalytics.queries.elsewhere import ElsewhereAnswered
        from shared.loganalytics.queries.records import StoredRecords
        from shared.loganalytics.queries.schemas import WorkspaceSchemas
        from shared.loganalytics.queries.service import LogQueries

        return LogQueries(
            schemas=WorkspaceSchemas(registry=self.tables, stored=self._stored_function),
            records=StoredRecords(store=self.log_store),
            processes=self.query_processes,
            clock=self.clock,
            memory_mb=self.settings.query_memory_mb,
            elsewhere=ElsewhereAnswered(
                workspace=self.workspaces.by_customer_id, monitor=lambda: self.azure_monitor, clock=self.clock
            ),
        )

    @built_once
    def azure_monitor(self) -> AzureMonitorQueries:
        from shared.cloud.azure_monitor import AzureMonitorQueries

        return AzureMonitorQueries(self.settings.azure_monitor_endpoint, azure_credential(self.settings))

    def _stored_function(self, workspace: WorkspaceId, name: str) -> StoredFunction | None:
        return self.saved_searches.function(self.workspaces.by_customer_id(workspace), name)

    @built_once
    def agents(self) -> Agents:
        from shared.loganalytics.agents.service import Agents, DefaultRule
        from shared.loganalytics.agents.sources import StoredDataSources

        def rule_of(workspace: WorkspaceId) -> DefaultRule:
            rule = self.data_collection_rules.create_default(self.workspaces.by_customer_id(workspace))
            return DefaultRule(immutable_id=rule.immutable_id, resource_id=rule.resource_id)

        return Agents(
            signer=self.signer,
            keys=self.workspaces.keys,
            check=self.workspaces.check,
            assignments=self.role_assignments,
            rule_of=rule_of,
            data_sources=StoredDataSources(resources=self.resources, workspaces=self.workspaces).of,
            invitations=self.identity.sign_ins,
            clock=self.clock,
        )

    @built_once
    def assets(self) -> Assets:
        from shared.http.assets import Assets

        return Assets(PORTAL / "assets")

    @built_once
    def pages(self) -> Pages:
        from shared.http.pages import Pages

        return Pages(PORTAL / "templates", self.assets)

    def health_checks(self) -> Sequence[Check]:
        """What `/health` looks at."""
        from shared.http.health import checks

        return checks(
            storage=self.storage,
            jobs=self.jobs,
            poison=self.poison,
            store=self.log_store,
            workspaces=self.workspaces,
            processes=self.query_processes,
        )

    @built_once
    def measures(self) -> Measures:
        """The bundle's own metrics; the first use makes the system workspace."""
        from shared.http.measures import SYSTEM_WORKSPACE, Measures
        from shared.loganalytics.ingestion.system import SystemMetrics

        settings = self.settings
        system = self.workspaces.create_default(
            subscription=settings.subscription_id,
            group=settings.resource_group,
            name=SYSTEM_WORKSPACE,
            location=settings.location,
        ).customer_id
        metrics = SystemMetrics(
            self.record_writer, self.tables, lambda: system, socket.gethostname(), self.clock
        )
        return Measures(
            metrics=metrics,
            jobs=self.jobs,
            poison=self.poison,
            store=self.log_store,
            workspaces=self.workspaces,
            processes=self.query_processes,
            system=system,
        )

    def first_start(self) -> Mapping[str, str]:
        """The default workspace and what its operator needs. Doing it again finds the workspace, and makes a new sign-in link."""
        from shared.loganalytics.firststart import first_start

        return first_start(
            self.settings,
            workspaces=self.workspaces,
            rules=self.data_collection_rules,
            signer=self.signer,
            sign_ins=self.identity.sign_ins,
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
    structured_log.install()
    return Services(settings=Settings(), clock=SystemClock())
