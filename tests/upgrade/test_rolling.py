"""During a deploy two releases run on one store: nothing is lost, nothing comes twice, and the older refuses what it cannot read."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.release_data import FOLDER, OLD, post, serve, services_on, unpack
from shared.bootstrap import Services
from shared.jobs.model import JobId, JobStatus, Scope
from shared.kernel.clock import ManualClock
from shared.kernel.versions import StoredVersionUnsupported
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.wire import QueryBody
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Row, Storage

RELEASE = max(FOLDER.glob("*.zip"))
ROUNDS = 5
POSTED = 20

Facts = Mapping[str, Any]
Pair = tuple[Services, Services, Facts, ManualClock]


def start_pair(storage: Storage, clock: ManualClock, folder: Path) -> Iterator[Pair]:
    facts = unpack(RELEASE, storage, folder)
    clock.advance((datetime.fromisoformat(facts["at"]) - clock.now()).total_seconds() + 60)
    (folder / "second").mkdir()
    (folder / "second" / "keys").symlink_to(folder / "keys")
    pair = services_on(storage, clock, folder), services_on(storage, clock, folder / "second")
    yield *pair, facts, clock
    for services in pair:
        services.query_processes.close()
        services.log_store.close()


@pytest.fixture
def pair(any_storage: Storage, clock: ManualClock, tmp_path: Path) -> Iterator[Pair]:
    """Two instances, each with its own disk and memory, on the storage that a release left."""
    yield from start_pair(any_storage, clock, tmp_path)


@pytest.fixture
def on_memory(storage: MemoryStorage, clock: ManualClock, tmp_path: Path) -> Iterator[Pair]:
    yield from start_pair(storage, clock, tmp_path)


def ask(services: Services, facts: Facts, text: str) -> Sequence[Sequence[Any]]:
    answer = services.queries.query(
        QueryBody(query=text, timespan=None, workspaces=None),
        workspaces=[WorkspaceId(facts["workspaceId"])],
        find=services.finder_of_system(),
        caller="operator",
    )
    return json.loads(answer)["tables"][0]["rows"]


def test_two_instances_ingest_query_and_compact_side_by_side(pair: Pair):
    first, second, facts, clock = pair
    workspace = WorkspaceId(facts["workspaceId"])
    counts: list[tuple[int, int]] = []

    def ingest(services: Services, start: int) -> None:
        for number in range(ROUNDS):
            begin = OLD + start + number * POSTED
            post(services, facts, clock, "App", [{"n": n} for n in range(begin, begin + POSTED)])

    def compact(services: Services) -> None:
        compactor = Compactor(store=services.log_store)
        for _ in range(ROUNDS):
            compactor.compact(workspace, "App_CL")
            services.log_maintenance.sweeper.advance_floor(workspace)
            compactor.merge(workspace, "App_CL")

    def look(services: Services) -> None:
        for _ in range(ROUNDS):
            [[rows, numbers]] = ask(services, facts, "App_CL | distinct n_d | count | extend n = 1")
            [[total]] = ask(services, facts, "App_CL | count")
            assert numbers == 1
            counts.append((rows, total))

    with ThreadPoolExecutor(6) as pool:
        doing = [
            pool.submit(ingest, first, 0),
            pool.submit(ingest, second, ROUNDS * POSTED),
            pool.submit(compact, first),
            pool.submit(compact, second),
            pool.submit(look, first),
            pool.submit(look, second),
        ]
        for each in doing:
            each.result()
    expected = OLD + 2 * ROUNDS * POSTED
    for services in (first, second):
        assert ask(services, facts, "App_CL | count") == [[expected]]
        assert ask(services, facts, "App_CL | distinct n_d | count") == [[expected]]
    # The second of each pair was counted later: it may have grown, and what was there before is never gone.
    assert all(OLD <= rows <= total <= expected for rows, total in counts)
    assert all(rows % 10 == 0 for rows, _ in counts)


def test_jobs_are_run_by_either_instance_once(pair: Pair):
    first, second, facts, _ = pair
    scope = Scope(facts["workspaceId"])
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(serve, first), pool.submit(serve, second)]:
            done.result()
    job = first.jobs.get(scope, JobId(facts["queuedJob"]))
    assert (job.status, job.result) == (JobStatus.SUCCEEDED, {"counted": 3})
    lines = second.jobs.output(scope, job.id).read().lines
    assert [line.text for line in lines] == ["counted 1", "counted 2", "counted 3"]


NEWER: Mapping[str, tuple[str, str, str, Callable[[Services, WorkspaceId], object]]] = {
    "the head of a table": (
        "omslogs",
        "h|",
        "head row has version 2",
        lambda services, workspace: Compactor(store=services.log_store).compact(workspace, "App_CL"),
    ),
    "the floor": (
        "omslogs",
        "i|",
        "floor row has version 2",
        lambda services, workspace: services.log_maintenance.sweeper.advance_floor(workspace),
    ),
    "a batch": (
        "omslogs",
        "b|",
        "batch row has version 2",
        lambda services, workspace: Compactor(store=services.log_store).compact(workspace, "App_CL"),
    ),
    "a job": ("omsjobs", "j!", "job row has version 2", lambda services, _: serve(services)),
    "a table's columns": (
        "omstables",
        "App_CL",
        "table App_CL has version 2",
        lambda services, workspace: services.tables.extend(workspace, "App_CL", []),
    ),
}


@pytest.mark.parametrize("kind", NEWER)
def test_the_older_release_refuses_what_the_newer_wrote_and_changes_nothing(on_memory: Pair, kind: str):
    older, newer, facts, clock = on_memory
    storage = newer.storage
    workspace = WorkspaceId(facts["workspaceId"])
    table, prefix, named, act = NEWER[kind]
    post(older, facts, clock, "App", [{"n": OLD}])

    def rows() -> list[Row]:
        return [row for row in storage.table(table).query() if row.key.startswith(prefix)]

    was = rows()
    for row in was:
        storage.table(table).replace(row, {**row.values, "v": 2})
    changed = blobs_of(storage)
    written = [(row.key, row.values, row.etag) for row in rows()]
    # An instance that comes up while the newer runs already.
    fresh = services_on(storage, clock, older.settings.data_dir)
    with pytest.raises(StoredVersionUnsupported, match=named):
        act(fresh, workspace)
    assert [(row.key, row.values, row.etag) for row in rows()] == written
    assert changed.items() <= blobs_of(storage).items()

    # The newer release reads what it wrote: here, its rows as they were before.
    for row, old in zip(rows(), was, strict=True):
        storage.table(table).replace(row, old.values)
    assert ask(newer, facts, "App_CL | count") == [[OLD + 1]]
    serve_later(newer, clock)
    job = newer.jobs.get(Scope(workspace), JobId(facts["queuedJob"]))
    assert job.result == {"counted": 3}
    fresh.log_store.close()


def serve_later(services: Services, clock: ManualClock) -> None:
    """A message whose delivery was refused comes again when its invisibility is over."""
    clock.advance(700)
    serve(services)


def blobs_of(storage: Storage) -> dict[str, bytes]:
    assert isinstance(storage, MemoryStorage)
    return {
        f"{name}/{blob.name}": container.get(blob.name)
        for name, container in storage.containers().items()
        for blob in container.list()
    }
