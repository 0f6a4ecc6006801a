"""Everything stored carries a version, and whoever meets a newer one refuses it by name and leaves it as it is."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.release_data import (
    COUNTING,
    OPERATOR,
    OTHER_SUBSCRIPTION,
    READER,
    RELEASED,
    arm,
    fill,
    pack,
    post,
    serve,
    services_on,
    unpack,
    upload,
)
from shared.arm.resource_ids import parse
from shared.arm.resources import Resource
from shared.arm.subscriptions import Subscription
from shared.bootstrap import Services
from shared.jobs.model import JobId, Scope
from shared.kernel.clock import ManualClock
from shared.kernel.versions import StoredVersionUnsupported
from shared.loganalytics.logstore import frames
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.logstore.terms import TermIndex
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Row

Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class World:
    """Services that know nothing yet, on an account with one of everything."""

    storage: MemoryStorage
    services: Services
    facts: Facts
    clock: ManualClock
    folder: Path

    @property
    def workspace(self) -> WorkspaceId:
        return WorkspaceId(self.facts["workspaceId"])

    @property
    def scope(self) -> Scope:
        return Scope(self.facts["workspaceId"])


Action = Callable[[World], object]
Read = Callable[[World, bytes], object]


def job(world: World, name: str) -> object:
    return world.services.jobs.get(world.scope, JobId(world.facts.get(name, name)))


def usage(world: World) -> object:
    [workspace] = world.services.ingestion_workspaces.all()
    return world.services.accounting._usage(workspace)  # pyright: ignore[reportPrivateUsage] - `tick` logs what fails


def read_terms(world: World, data: bytes) -> object:
    path = world.folder / "terms"
    path.write_bytes(data)
    return TermIndex.read(path)


def grant(world: World) -> object:
    return world.services.signer.grant(
        tenant=world.facts["tenantId"],
        form={
            "grant_type": "client_credentials",
            "client_id": world.facts["clientId"],
            "client_secret": world.facts["clientSecret"],
            "scope": "https://management.azure.com/.default",
        },
    )


def sweep_log_store(world: World) -> object:
    return world.services.log_maintenance.sweeper.sweep(world.workspace)


# What is stored, by table and the beginning of its key: how the refusal names it, and what reads it or would write over it.
ROWS: Mapping[tuple[str, str], tuple[str, tuple[Action, ...]]] = {
    ("omsaccounting", ""): ("accounting row", (usage,)),
    ("omsactivity", ""): ("an activity", (lambda w: w.services.activity.drain(lambda _: None),)),
    ("omsdatacollectionrules", ""): (
        "data collection rule dcr-",
        (
            lambda w: w.services.data_collection_rules.by_immutable_id(w.facts["dataCollectionRule"]),
            lambda w: w.services.first_start(),
        ),
    ),
    ("omsdatakeys", "current"): (
        "the current data key",
        (lambda w: w.services.secrets.seal(b"secret", path="here"), lambda w: w.services.secrets.rotate()),
    ),
    ("omsdatakeys", "keys"): (
        "data key ",
        (lambda w: w.services.workspaces.keys(w.workspace), lambda w: w.services.secrets.rewrap()),
    ),
    ("omsdatakeys", "named"): ("the key sessions", (lambda w: w.services.secrets.shared_key("sessions"),)),
    ("omsissuer", "key"): ("the issuer's key", (lambda w: w.services.signer.jwks(),)),
    ("omsissuer", "clients"): (
        "client ",
        (
            grant,
            lambda w: w.services.signer.register("again", roles=["Reader"], client_id=w.facts["clientId"]),
        ),
    ),
    ("omsjobs", "!scopes"): ("job scope", (lambda w: list(w.services.jobs.store.scopes()),)),
    ("omsjobs", "a!"): (
        "job marker",
        (
            lambda w: w.services.jobs.store.live(w.scope),
            lambda w: w.services.jobs.store.survey(w.scope, at=w.clock.now()),
        ),
    ),
    ("omsjobs", "i!"): ("job pointer", (lambda w: job(w, "by-name"),)),
    ("omsjobs", "j!"): (
        "job row",
        (
            lambda w: job(w, "queuedJob"),
            lambda w: w.services.jobs.cancel(w.scope, JobId(w.facts["queuedJob"])),
            lambda w: serve(w.services),
        ),
    ),
    ("omsjobs", "s!"): ("job slots", (lambda w: serve(w.services),)),
    ("omslogs", "b|"): ("batch row", (lambda w: w.services.log_store.snapshot(w.workspace, ["App_CL"]),)),
    ("omslogs", "h|"): (
        "head row",
        (
            lambda w: w.services.log_store.snapshot(w.workspace, ["App_CL"]),
            lambda w: w.services.log_maintenance.compactor.compact(w.workspace, "App_CL"),
            lambda w: w.services.log_maintenance.sweeper.sweep_orphans(),
        ),
    ),
    ("omslogs", "i|"): (
        "floor row",
        (
            lambda w: w.services.log_store.snapshot(w.workspace, ["App_CL"]),
            lambda w: w.services.log_maintenance.sweeper.advance_floor(w.workspace),
            sweep_log_store,
        ),
    ),
    ("omslogs", "l|"): (
        "lane row",
        (lambda w: w.services.log_store.snapshot(w.workspace, ["App_CL"]), sweep_log_store),
    ),
    ("omslogs", "r|"): (
        "request row",
        (lambda w: upload(w.services, w.facts, w.clock, [("web1", 1)]), sweep_log_store),
    ),
    # Nobody reads this row: it is written to learn what time it is at storage.
    ("omslogs", "t|"): ("", ()),
    ("omslogs", "u|"): ("usage row", (lambda w: w.services.log_store.usage(w.workspace, since=0),)),
    ("omsoperations", ""): (
        "operation ",
        (
            lambda w: [
                w.services.management.operations.get(row.partition, row.key)
                for row in w.storage.table("omsoperations").query()
            ],
        ),
    ),
    ("omsresources", ""): (
        "resource /subscriptions/",
        (
            lambda w: list(w.services.workspaces.list()),
            lambda w: w.services.resources.bury(Resource(id=parse(w.facts["resourceId"]))),
        ),
    ),
    ("omsroleassignments", ""): ("a role assignment", (lambda w: w.services.role_assignments.of(READER),)),
    ("omssignin", ""): (
        "a sign-in token",
        (
            lambda w: w.services.identity.sign_ins.sign_in(w.facts["link"]),
            lambda w: w.services.identity.sign_ins.sweep(),
        ),
    ),
    ("omssubscriptions", ""): (
        "subscription ",
        (
            lambda w: list(w.services.subscriptions.list()),
            lambda w: w.services.subscriptions.add(Subscription(id=OTHER_SUBSCRIPTION, name="Renamed")),
        ),
    ),
    ("omstables", ""): (
        "table App_CL",
        (
            lambda w: w.services.tables.find(w.workspace, "App_CL"),
            lambda w: post(w.services, w.facts, w.clock, "App", [{"new": 1}]),
        ),
    ),
    ("omsworkspaces", ""): (
        "workspace ",
        (
            lambda w: w.services.workspaces.keys(w.workspace),
            lambda w: w.services.workspaces.regenerate_key(w.workspace, "primary"),
        ),
    ),
}
PARTITIONED = {"omsdatakeys", "omsissuer"}
"""Tables whose kinds are told apart by the partition."""


def in_json(data: bytes) -> int:
    return int(json.loads(data.splitlines()[0])["v"])


def bump_json(data: bytes) -> bytes:
    return data.replace(b'"v":1', b'"v":2', 1)


# Blobs by container and the end of their name: the name in a refusal, their version, the same a version on, their reader.
BLOBS: Mapping[tuple[str, str], tuple[str, Callable[[bytes], int], Callable[[bytes], bytes], Read]] = {
    ("job-output", ".ndjson"): (
        "job output",
        in_json,
        bump_json,
        lambda w, _: w.services.jobs.output(w.scope, JobId(w.facts["finishedJob"])).read(),
    ),
    ("omssegments", ".json"): (
        "manifest",
        in_json,
        bump_json,
        lambda w, _: w.services.log_maintenance.compactor.compact(w.workspace, "App_CL"),
    ),
    ("omssegments", ".terms"): (
        "term index",
        lambda data: int.from_bytes(data[4:6], "big"),
        lambda data: data[:4] + b"\0\2" + data[6:],
        read_terms,
    ),
    ("omsstaged", ""): (
        "staged blob",
        lambda data: int.from_bytes(data[4:8], "big"),
        lambda data: data[:4] + b"\0\0\0\2" + data[8:],
        lambda _, data: frames.decode(data, name="staged"),
    ),
}


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of everything, as the present release writes it."""
    folder = tmp_path_factory.mktemp("present")
    clock = ManualClock(RELEASED)
    storage = MemoryStorage(clock)
    services = services_on(storage, clock, folder)
    facts = fill(services, clock)
    archive = folder / "present.zip"
    archive.write_bytes(pack(storage, folder / "keys", facts))
    services.log_store.close()
    return archive


@pytest.fixture
def world(packed: Path, storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> World:
    facts = unpack(packed, storage, tmp_path)
    clock.advance((datetime.fromisoformat(facts["at"]) - clock.now()).total_seconds())
    return World(storage, services_on(storage, clock, tmp_path), facts, clock, tmp_path)


def kind_of(table: str, row: Row) -> tuple[str, str]:
    told_by = row.partition if table in PARTITIONED or row.partition == "!scopes" else row.key
    [kind] = [kind for kind in ROWS if kind[0] == table and told_by.startswith(kind[1]) and is_of(kind, row)]
    return kind


def is_of(kind: tuple[str, str], row: Row) -> bool:
    return (kind[1] == "!scopes") == (row.partition == "!scopes")


def rows_of(world: World, kind: tuple[str, str]) -> list[Row]:
    return [row for row in world.storage.table(kind[0]).query() if kind_of(kind[0], row) == kind]


def test_every_row_blob_and_message_carries_a_version_and_is_of_a_kind_told_of_here(world: World):
    kinds: set[tuple[str, str]] = set()
    for name, table in world.storage.tables().items():
        for row in table.query():
            assert row.values.get("v") == 1, (name, row)
            kinds.add(kind_of(name, row))
    assert kinds == set(ROWS)
    blobs: set[tuple[str, str]] = set()
    for name, container in world.storage.containers().items():
        for blob in container.list():
            if blob.name.endswith(".parquet"):
                # A segment is found by its manifest alone, whose version says how its columns are spelled.
                continue
            [kind] = [kind for kind in BLOBS if kind[0] == name and blob.name.endswith(kind[1])]
            assert BLOBS[kind][1](container.get(blob.name)) == 1, blob.name
            blobs.add(kind)
    assert blobs == set(BLOBS)
    messages = [message.body for queue in world.storage.queues().values() for message in queue.peek()]
    assert messages
    assert all(json.loads(body)["v"] == 1 for body in messages)


@pytest.mark.parametrize(
    ("kind", "number"), [(k, n) for k, (_, actions) in ROWS.items() for n in range(len(actions))]
)
def test_a_row_of_a_newer_release_is_refused_by_name_and_stays(
    world: World, kind: tuple[str, str], number: int
):
    name, actions = ROWS[kind]
    table = world.storage.table(kind[0])
    for row in rows_of(world, kind):
        table.replace(row, {**row.values, "v": 2, "newer": "kept"})
    before = [(row.key, row.values) for row in rows_of(world, kind)]
    assert before
    with pytest.raises(StoredVersionUnsupported, match=f"{name}.*has version 2, newer than the 1"):
        actions[number](world)
    assert [(row.key, row.values) for row in rows_of(world, kind)] == before


@pytest.mark.parametrize("kind", BLOBS)
def test_a_blob_of_a_newer_release_is_refused_by_name_and_stays(world: World, kind: tuple[str, str]):
    name, _, bump, read = BLOBS[kind]
    container = world.storage.blobs(kind[0])
    found = [blob.name for blob in container.list() if blob.name.endswith(kind[1] or "")]
    for blob in found:
        data = bump(container.get(blob))
        container.delete(blob)
        (container.append if kind[0] == "job-output" else container.put)(blob, data)
    data = container.get(found[0])
    with pytest.raises(StoredVersionUnsupported, match=f"{name}.*has version 2, newer than the 1"):
        read(world, data)
    assert container.get(found[0]) == data


def test_a_message_of_a_newer_release_is_refused_by_name_and_not_acknowledged(world: World):
    queue = world.storage.queue("oms-jobs")
    for message in queue.receive(limit=32):
        queue.update(message, visibility=0, body=message.body.replace('"v": 1', '"v": 2'))
    with pytest.raises(StoredVersionUnsupported, match="job message has version 2"):
        serve(world.services)
    assert queue.info().count == 2


def test_a_session_of_a_newer_release_is_none_here(world: World):
    sign_ins = world.services.identity.sign_ins
    assert sign_ins.session(world.facts["cookie"]) is not None
    body = world.facts["cookie"].partition(".")[0]
    payload = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    newer = base64.urlsafe_b64encode(json.dumps({**payload, "v": 2}).encode()).decode().rstrip("=")
    signature = sign_ins._sign("session", newer)  # pyright: ignore[reportPrivateUsage] - a release to come signs alike
    assert sign_ins.session(f"{newer}.{signature}") is None


def test_a_release_that_refuses_one_resource_still_serves_the_others(world: World):
    """What is refused is the thing itself, not the suite."""
    for row in rows_of(world, ("omsroleassignments", "")):
        world.storage.table("omsroleassignments").replace(row, {**row.values, "v": 2})
    assert arm(world.services, "GET", f"{world.facts['resourceId']}/savedSearches/old").status == 200
    assert world.services.jobs.start(COUNTING, world.scope, {"to": 1}, caller=OPERATOR.name)
