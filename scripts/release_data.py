"""Writes what a release leaves in a storage account as an archive, for the tests that start later releases on it.

`python -m scripts.release_data 0.1.0` runs the services of the checkout on an account in memory and packs every row, blob
and message, the data folder's keys, and what its callers hold (`facts.json`). Run it once, when the release is cut; the
archive is committed and never made anew.
"""

import base64
import io
import json
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from pydantic_settings import SettingsConfigDict

from shared.arm.requests import ArmRequest, ArmResponse
from shared.arm.subscriptions import Subscription
from shared.bootstrap import Services
from shared.identity.access import RoleAssignment
from shared.identity.builtin_roles import role_named
from shared.identity.model import ObjectId, Principal
from shared.identity.shared_keys import data_collector_signature
from shared.jobs.context import StepContext
from shared.jobs.engine import QUEUE
from shared.jobs.kinds import JobKind, Next, StepOutcome, Succeed
from shared.jobs.model import JobId, Scope
from shared.jobs.output import CONTAINER as OUTPUT
from shared.kernel.clock import ManualClock
from shared.loganalytics.ingestion.collector import Post
from shared.loganalytics.ingestion.upload import Upload
from shared.loganalytics.logstore.model import WorkspaceId
from shared.settings import Settings
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Row, Storage, Value

FOLDER: Final = Path(__file__).resolve().parents[1] / "tests" / "upgrade" / "releases"
RELEASED: Final = datetime(2026, 11, 22, 12, tzinfo=UTC)
OPERATOR: Final = Principal(
    object_id=ObjectId("aaaaaaaa-0000-0000-0000-00000000000a"),
    name="operator",
    tenant="00000000-0000-0000-0000-000000000001",
    roles=frozenset({"Owner", "Monitoring Metrics Publisher"}),
)
READER: Final = ObjectId("bbbbbbbb-0000-0000-0000-00000000000b")
OTHER_SUBSCRIPTION: Final = "00000000-0000-0000-0000-00000000000c"
COMPACTED: Final = 4_100  # a segment of fewer than 4,096 rows has no term index
OLD: Final = 4_110
COUNTING: Final = "example-counting"
ROLE: Final = "Log Analytics Reader"


class BareSettings(Settings):
    """Settings that read no environment."""

    model_config = SettingsConfigDict(env_prefix="NOTHING_READS_THIS_", frozen=True, extra="ignore")


def services_on(storage: Storage, clock: ManualClock, folder: Path) -> Services:
    """The bundle's services, with one more kind of job: it counts to its parameter, a step each, and says so."""
    settings = BareSettings(data_dir=folder, issuer="local", query_processes=1)
    made = Services(settings=settings, clock=clock, account=storage)
    made.job_kinds.register(JobKind(name=COUNTING, run_step=_count))
    return made


def _count(context: StepContext) -> StepOutcome:
    done = int(context.state.get("done", 0)) + 1
    context.say(f"counted {done}")
    if done >= context.parameters["to"]:
        return Succeed(result={"counted": done})
    return Next(state={"done": done})


def fill(services: Services, clock: ManualClock) -> Mapping[str, Any]:
    """One of everything that is stored; what callers hold of it."""
    facts: dict[str, Any] = dict(services.first_start())
    workspace = WorkspaceId(facts["workspaceId"])
    services.subscriptions.add(Subscription(id=OTHER_SUBSCRIPTION, name="Other"))
    client, secret = services.signer.register("pipeline", roles=["Reader"])
    at = f"/subscriptions/{facts['subscriptionId']}/resourceGroups/{facts['resourceGroup']}"
    here = f"{at}/providers/Microsoft.OperationalInsights/workspaces/{facts['workspaceName']}"
    role = role_named(ROLE)
    assert role is not None
    services.role_assignments.add(
        RoleAssignment(
            name="cccccccc-0000-0000-0000-00000000000c",
            principal_id=READER,
            principal_type="User",
            role_id=role.id,
            scope=here,
            created_by="operator",
        )
    )
    arm(
        services,
        "PUT",
        f"{here}/savedSearches/old",
        {
            "properties": {
                "category": "Release",
                "displayName": "Old ones",
                "query": "App_CL | where n_d >= 0",
                "functionAlias": "OldOnes",
                "version": 2,
            }
        },
    )
    arm(services, "PUT", f"{at}-gone", {"location": "local"})
    arm(services, "DELETE", f"{at}-gone")
    services.management.operations.begin(
        subscription=facts["subscriptionId"], kind="delete", resource_id=f"{at}-gone"
    )
    post(services, facts, clock, "App", [{"n": n, "text": f"old {n}"} for n in range(COMPACTED)])
    compactor = services.log_maintenance.compactor
    compactor.compact(workspace, "App_CL")
    services.log_maintenance.sweeper.advance_floor(workspace)
    clock.advance(3_600)
    post(services, facts, clock, "App", [{"n": n, "text": f"old {n}"} for n in range(COMPACTED, OLD)])
    upload(services, facts, clock, [("web1", 1.5), ("web2", 2.5)])
    services.accounting.tick()
    finished = services.jobs.start(COUNTING, Scope(workspace), {"to": 2}, caller="operator")
    serve(services)
    queued = services.jobs.start(COUNTING, Scope(workspace), {"to": 3}, caller="operator")
    # One whose id carries no time of its own, to be run later.
    services.jobs.start(COUNTING, Scope(workspace), {"to": 1}, job_id=JobId("by-name"), delay=864_000)
    session = services.identity.sign_ins.start(OPERATOR)
    return facts | {
        "resourceId": here,
        "clientId": client.client_id,
        "clientSecret": secret,
        "cookie": session.cookie,
        "link": services.identity.sign_ins.make_link(OPERATOR, lifetime=timedelta(days=1)),
        "finishedJob": finished.id,
        "queuedJob": queued.id,
        "at": clock.now().isoformat(),
    }


def arm(services: Services, method: str, path: str, body: object = None) -> ArmResponse:
    """One call of the management API as the operator."""
    return services.management.handle(
        ArmRequest(
            method=method,
            path=path,
            query={"api-version": "2025-07-01"},
            headers={},
            body=b"" if body is None else json.dumps(body).encode(),
            principal=OPERATOR,
            origin="http://localhost:7071",
            correlation_id="c",
        )
    )


def post(
    services: Services, facts: Mapping[str, Any], clock: ManualClock, log_type: str, records: Sequence[object]
) -> None:
    """Records by the Data Collector API, signed with the workspace's key."""
    body, date = json.dumps(records).encode(), format_datetime(clock.now(), usegmt=True)
    signature = data_collector_signature(
        facts["workspaceKey"], length=len(body), content_type="application/json", date=date
    )
    headers = {
        "authorization": f"SharedKey {facts['workspaceId']}:{signature}",
        "log-type": log_type,
        "x-ms-date": date,
        "content-type": "application/json",
    }
    services.data_collector.take(Post(api_version="2016-04-01", headers=headers, body=body))


def upload(
    services: Services, facts: Mapping[str, Any], clock: ManualClock, values: Sequence[tuple[str, float]]
) -> None:
    """Perf records by the Logs Ingestion API and the default rule, with a request id."""
    records = [
        {"TimeGenerated": clock.now().isoformat(), "Computer": computer, "CounterValue": value}
        for computer, value in values
    ]
    services.logs_ingestion.take(
        Upload(
            rule=facts["dataCollectionRule"],
            stream="Microsoft-Perf",
            api_version="2023-01-01",
            headers={
                "content-type": "application/json",
                "x-ms-client-request-id": "dddddddd-0000-0000-0000-00000000000d",
            },
            body=json.dumps(records).encode(),
        ),
        OPERATOR,
    )


def serve(services: Services) -> None:
    """Handle the job queue's messages until none is visible."""
    queue = services.storage.queue(QUEUE)
    while messages := queue.receive():
        services.jobs.handle(messages[0].body)
        queue.delete(messages[0])


def pack(storage: MemoryStorage, keys: Path, facts: Mapping[str, Any]) -> bytes:
    """All of an account in memory, as a zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:

        def write(name: str, data: bytes) -> None:
            archive.writestr(zipfile.ZipInfo(name, RELEASED.timetuple()[:6]), data, zipfile.ZIP_DEFLATED)

        write("facts.json", json.dumps(facts, indent=1).encode())
        for file in sorted(keys.iterdir()):
            write(f"keys/{file.name}", file.read_bytes())
        for name, table in sorted(storage.tables().items()):
            rows = [json.dumps(_row_json(row)) for row in table.query()]
            write(f"tables/{name}.jsonl", "\n".join(rows).encode())
        for name, queue in sorted(storage.queues().items()):
            write(
                f"queues/{name}.jsonl",
                "\n".join(json.dumps(m.body) for m in queue.messages.values()).encode(),
            )
        for name, blobs in sorted(storage.containers().items()):
            for blob in blobs.list():
                write(f"blobs/{name}/{blob.name}", blobs.get(blob.name))
    return made.getvalue()


def unpack(archive: Path, storage: Storage, folder: Path) -> Mapping[str, Any]:
    """Put it all into an empty account, and the keys below `folder`; the facts."""
    with zipfile.ZipFile(archive) as packed:
        for name in packed.namelist():
            what, _, rest = name.partition("/")
            data = packed.read(name)
            if what == "keys":
                (folder / "keys").mkdir(mode=0o700, parents=True, exist_ok=True)
                (folder / "keys" / rest).write_bytes(data)
            elif what == "tables":
                for row in map(json.loads, _lines(data)):
                    values = {column: _value(stored) for column, stored in row["values"].items()}
                    storage.table(rest.removesuffix(".jsonl")).insert(row["p"], row["k"], values)
            elif what == "queues":
                for line in _lines(data):
                    storage.queue(rest.removesuffix(".jsonl")).send(json.loads(line))
            elif what == "blobs":
                container, _, blob = rest.partition("/")
                blobs = storage.blobs(container)
                write: Callable[[str, bytes], object] = blobs.append if container == OUTPUT else blobs.put
                write(blob, data)
        facts: dict[str, Any] = json.loads(packed.read("facts.json"))
    return facts


def _lines(data: bytes) -> Iterator[str]:
    return (line for line in data.decode().split("\n") if line)


def _row_json(row: Row) -> Mapping[str, Any]:
    values = {name: _json(value) for name, value in row.values.items()}
    return {"p": row.partition, "k": row.key, "values": values}


def _json(value: Value) -> Any:
    if isinstance(value, bytes):
        return {"bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        return {"at": value.isoformat()}
    return value


def _value(stored: Any) -> Value:
    match stored:
        case {"bytes": str(text)}:
            return base64.b64decode(text)
        case {"at": str(text)}:
            return datetime.fromisoformat(text)
        case _:
            return stored


def main(release: str) -> None:
    target = FOLDER / f"{release}.zip"
    if target.exists():
        sys.exit(f"{target} is there: what a release wrote is not made anew")
    clock = ManualClock(RELEASED)
    storage = MemoryStorage(clock)
    with TemporaryDirectory() as folder:
        services = services_on(storage, clock, Path(folder))
        facts = fill(services, clock)
        FOLDER.mkdir(parents=True, exist_ok=True)
        target.write_bytes(pack(storage, Path(folder) / "keys", facts))
        services.log_store.close()
        services.query_processes.close()
    print(f"{target}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
