"""A small bundle for tests: ingestion over the real log store, on storage in memory, with two workspaces."""

import base64
import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import orjson

from shared.identity.model import ObjectId, Principal
from shared.identity.shared_keys import KeyPair, data_collector_signature
from shared.kernel.clock import ManualClock
from shared.kernel.errors import OmsError
from shared.kernel.ticks import format_ticks
from shared.kql.translation import Scan
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.accounting import Accounting
from shared.loganalytics.ingestion.collector import DataCollector, Post
from shared.loganalytics.ingestion.directory import RulesWithDefaults
from shared.loganalytics.ingestion.ports import IngestionWorkspace, RuleDocument
from shared.loganalytics.ingestion.quota import DailyCap
from shared.loganalytics.ingestion.records import RecordWriter
from shared.loganalytics.ingestion.transforms import Transforms
from shared.loganalytics.ingestion.upload import LogsIngestion, Upload
from shared.loganalytics.logstore.frames import StagedFrame
from shared.loganalytics.logstore.model import Commit, Frame, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.loganalytics.queries.model import Execution, Outcome
from shared.loganalytics.queries.processes import QueryProcesses
from shared.loganalytics.tables.registry import TableRegistry
from shared.loganalytics.tables.store import TableStore
from shared.storage.memory import MemoryStorage

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
CONTOSO = WorkspaceId("11111111-1111-4111-8111-111111111111")
FABRIKAM = WorkspaceId("22222222-2222-4222-8222-222222222222")
CLOSED = WorkspaceId("33333333-3333-4333-8333-333333333333")
DEFAULT_RULE = f"dcr-{CONTOSO.replace('-', '')}"
Row = dict[str, Any]


def key(letter: str) -> str:
    return base64.b64encode(letter.encode() * 64).decode()


KEYS = KeyPair(primary=key("a"), secondary=key("b"))
SENDER = Principal(
    object_id=ObjectId("sender"), name="sender", tenant="t", roles=frozenset({"Monitoring Metrics Publisher"})
)
STRANGER = Principal(object_id=ObjectId("stranger"), name="stranger", tenant="t")


@dataclass
class Directory:
    """Workspaces and rules that stand in a dict."""

    workspaces: dict[str, IngestionWorkspace] = field(default_factory=dict[str, IngestionWorkspace])
    rules: dict[str, RuleDocument] = field(default_factory=dict[str, RuleDocument])

    def by_customer_id(self, customer_id: str) -> IngestionWorkspace | None:
        return self.workspaces.get(customer_id)

    def by_resource_id(self, resource_id: str) -> IngestionWorkspace | None:
        found = (each for each in self.workspaces.values() if each.resource_id.lower() == resource_id.lower())
        return next(found, None)

    def check(self, customer_id: str, check: Callable[[KeyPair], None]) -> None:
        assert customer_id in self.workspaces
        check(KEYS)

    def all(self) -> Sequence[IngestionWorkspace]:
        return [each for each in self.workspaces.values() if each.is_active]

    def by_immutable_id(self, immutable_id: str) -> RuleDocument | None:
        return self.rules.get(immutable_id)


class Roles:
    """Allows what the token's roles allow, at any scope."""

    def allows(self, principal: Principal, action: str, scope: str) -> bool:
        assert scope.startswith("/subscriptions/")
        return (
            action == "Microsoft.Insights/Telemetry/Write"
            and "Monitoring Metrics Publisher" in principal.roles
        )


@dataclass
class Gate:
    """The log store, which can be told to fail."""

    store: LogStore
    refuses: OmsError | None = None

    def append(self, workspace: WorkspaceId, frames: Sequence[Frame]) -> Commit:
        if self.refuses is not None:
            raise self.refuses
        return self.store.append(workspace, frames)


@dataclass
class _Late:
    """Starts the child processes when a transformation first wants one."""

    processes: Callable[[], QueryProcesses]

    def run(self, execution: Execution, *, caller: str, seconds: float) -> Outcome:
        return self.processes().run(execution, caller=caller, seconds=seconds)


@dataclass
class World:
    folder: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="oms-ingestion-")))
    clock: ManualClock = field(default_factory=lambda: ManualClock(NOON))

    def __post_init__(self) -> None:
        weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        for workspace in (CONTOSO, FABRIKAM, CLOSED):
            self.directory.workspaces[workspace] = IngestionWorkspace(
                id=workspace,
                resource_id=f"/subscriptions/S/resourceGroups/g/providers/Microsoft.OperationalInsights/workspaces/{workspace[:4]}",
                is_active=workspace != CLOSED,
            )

    @cached_property
    def storage(self) -> MemoryStorage:
        return MemoryStorage(self.clock)

    @cached_property
    def directory(self) -> Directory:
        return Directory()

    @cached_property
    def gate(self) -> Gate:
        store = LogStore.over(self.storage, clock=self.clock, folder=self.folder)
        store.lag_limit_seconds = 10 * 86_400  # nothing compacts here, while the clock jumps by hours
        return Gate(store)

    @cached_property
    def tables(self) -> TableRegistry:
        return TableRegistry(TableStore(self.storage.table("omstables")), self.clock)

    @cached_property
    def cap(self) -> DailyCap:
        return DailyCap(self.gate.store, self.clock)

    @cached_property
    def collector(self) -> DataCollector:
        return DataCollector(
            workspaces=self.directory, tables=self.tables, log=self.gate, cap=self.cap, clock=self.clock
        )

    @cached_property
    def ingestion(self) -> LogsIngestion:
        return LogsIngestion(
            rules=RulesWithDefaults(made=self.directory, workspaces=self.directory),
            workspaces=self.directory,
            tables=self.tables,
            log=self.gate,
            cap=self.cap,
            access=Roles(),
            clock=self.clock,
            transforms=self.transforms,
        )

    @cached_property
    def processes(self) -> QueryProcesses:
        processes = QueryProcesses(size=1, memory_mb=512)
        weakref.finalize(self, processes.close)
        return processes

    @cached_property
    def transforms(self) -> Transforms:
        def write(frames: Sequence[StagedFrame], path: Path, workspace: WorkspaceId) -> None:
            self.gate.store.converter.to_parquet(
                frames, path, workspace=workspace, table="source", form="tail"
            )

        return Transforms(
            processes=_Late(lambda: self.processes),
            write=write,
            folder=self.folder / "transforms",
            memory_mb=512,
        )

    @cached_property
    def records(self) -> RecordWriter:
        return RecordWriter(tables=self.tables, log=self.gate, clock=self.clock)

    @cached_property
    def accounting(self) -> Accounting:
        return Accounting(
            workspaces=self.directory,
            tables=self.tables,
            ledger=self.gate.store,
            records=self.records,
            table=self.storage.table("omsaccounting"),
            clock=self.clock,
        )

    def cap_at(self, workspace: WorkspaceId, size: int, *, reset_hour: int = 0) -> None:
        known = self.directory.workspaces[workspace]
        self.directory.workspaces[workspace] = replace(known, daily_cap=size, reset_hour=reset_hour)

    def post(
        self,
        body: Any,
        *,
        key: str = KEYS.primary,
        workspace: str = CONTOSO,
        date: str | None = None,
        api_version: str = "2016-04-01",
        headers: Mapping[str, str | None] | None = None,
        address: str = "",
    ) -> Post:
        """A rightly signed post of `body` (bytes, or what becomes JSON) to App_CL. A header that is None is left out."""
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        at = date or format_datetime(self.clock.now(), usegmt=True)
        signature = data_collector_signature(key, length=len(data), content_type="application/json", date=at)
        given: dict[str, str | None] = {
            "authorization": f"SharedKey {workspace}:{signature}",
            "log-type": "App",
            "x-ms-date": at,
            "content-type": "application/json",
            **(headers or {}),
        }
        return Post(
            api_version=api_version,
            headers={name: value for name, value in given.items() if value is not None},
            body=data,
            workspace=address,
        )

    def send(self, body: Any, **changes: Any) -> None:
        self.collector.take(self.post(body, **changes))

    def upload(
        self,
        body: Any,
        *,
        stream: str = "Microsoft-Heartbeat",
        rule: str = DEFAULT_RULE,
        headers: Mapping[str, str] | None = None,
        principal: Principal = SENDER,
        api_version: str = "2023-01-01",
    ) -> None:
        data = body if isinstance(body, bytes) else orjson.dumps(body)
        self.ingestion.take(
            Upload(rule=rule, stream=stream, api_version=api_version, headers=headers or {}, body=data),
            principal,
        )

    def rows(self, table: str, workspace: WorkspaceId = CONTOSO) -> list[Row]:
        """All records of a table as they come out of the log store: what is null or empty left out."""
        schema = self.tables.schema(workspace, table)
        if schema is None:
            return []
        store = self.gate.store
        snapshot = store.snapshot(workspace, [table])
        relation = store.relation(
            snapshot, Scan(relation="r", workspace=workspace, table=table, columns=list(schema.columns))
        )
        with duckdb.connect() as connection:
            found = connection.execute(f"SELECT * FROM ({relation.sql}) ORDER BY TimeGenerated")
            names = [each[0] for each in found.description or ()]
            return [_row(names, values, schema.columns) for values in found.fetchall()]

    def stored(self) -> list[str]:
        """Everything that is stored of records, to show that nothing was."""
        return [row.key for row in self.storage.table("omslogs").query()] + [
            f"{row.partition} {row.key}" for row in self.storage.table("omstables").query()
        ]


def _row(names: Sequence[str], values: Sequence[Any], columns: Sequence[Column]) -> Row:
    types = {column.name: column.type for column in columns}
    row: Row = {}
    for name, value in zip(names, values, strict=True):
        if value is None or value == "":
            continue
        row[name] = format_ticks(value) if types.get(name) is KqlType.DATETIME else value
    return row
