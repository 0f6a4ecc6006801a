"""The log store on Azurite: through a proxy that breaks requests, with its process killed, and with many threads at once."""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shared.kernel.clock import SystemClock
from shared.kernel.errors import OmsError
from shared.kql.types import KqlType
from shared.loganalytics.logstore.catalogue import STAGED
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.model import Commit
from shared.loganalytics.logstore.sweeping import Sweeper, due_tables
from shared.storage.azure import AzureStorage
from tests.faultproxy import Faults
from tests.logstore.samples import WORKSPACE, ask, frame, numbered, store_on

N = {"N": KqlType.LONG}


def collect(lines: Iterable[str], said: list[int]) -> None:
    """The numbers on whole lines; a killed writer's last one may be cut."""
    said.extend(int(line) for line in lines if line.endswith("\n"))


def test_through_a_breaking_connection_every_acknowledged_record_is_there_once(
    faulty_storage: AzureStorage, azurite_storage: AzureStorage, faults: Faults, tmp_path: Path
):
    clock = SystemClock()
    stores = [store_on(faulty_storage, tmp_path / str(n), clock) for n in range(2)]
    faults.rate = 0.15
    wanted = list(range(60))
    retried = Counter[str]()
    for number in wanted:
        one = frame([{"N": number}], clock, schema=N, request_id=number.to_bytes(32, "big"))
        for attempt in range(50):
            try:
                stores[(number + attempt) % 2].append(WORKSPACE, [one])
                break
            except OmsError as error:
                retried[error.code] += 1
        else:
            raise AssertionError(f"request {number} never got through: {retried}")
        if number % 10 == 9:
            compactor, sweeper = Compactor(store=stores[number // 10 % 2]), Sweeper(store=stores[0])
            for work in (
                lambda compactor=compactor: compactor.compact(WORKSPACE, "App_CL"),
                lambda sweeper=sweeper: sweeper.advance_floor(WORKSPACE),
                lambda compactor=compactor: compactor.merge(WORKSPACE, "App_CL"),
            ):
                try:
                    work()
                except OmsError as error:
                    retried[error.code] += 1
    faults.heal()
    assert sum(faults.counts.values()) > 20
    assert ask(store_on(azurite_storage, tmp_path / "after", clock), "N", schema=N) == sorted(
        [(n,) for n in wanted], key=repr
    )


def test_killed_at_random_a_writer_loses_nothing_it_acknowledged(
    azurite_storage: AzureStorage, azurite_connection: str, tmp_path: Path
):
    clock = SystemClock()
    acknowledged: set[int] = set()
    dice = random.Random(7)
    first = 1
    for run in range(4):
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.logstore.writer",
                azurite_connection,
                str(tmp_path / f"w{run}"),
                str(first),
                "100000",
            ],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            assert writer.stdout is not None
            said: list[int] = []
            reader = threading.Thread(target=collect, args=(writer.stdout, said))
            reader.start()
            give_up = time.monotonic() + 60
            while len(said) < 15 and time.monotonic() < give_up:
                time.sleep(0.05)
            time.sleep(dice.random())
            writer.kill()
            reader.join()
        assert said
        acknowledged |= set(said)
        first = max(said) + 1  # the client sends what was not acknowledged again, with the same id
    store = store_on(azurite_storage, tmp_path / "judge", clock)
    found = Counter(n for (n,) in ask(store, "N", schema=N))
    assert max(found.values()) == 1
    assert acknowledged <= set(found)
    assert len(set(found) - acknowledged) <= 1  # the last one before each kill was in flight, and sent again
    compactor = Compactor(store=store)
    while due_tables(store, WORKSPACE):
        compactor.compact(WORKSPACE, "App_CL")
    assert Counter(n for (n,) in ask(store, "N", schema=N)) == found


def test_requests_that_arrive_together_share_a_commit_and_are_all_there(
    azurite_storage: AzureStorage, tmp_path: Path
):
    clock = SystemClock()
    store = store_on(azurite_storage, tmp_path, clock)

    def send(number: int) -> Commit:
        return store.append(WORKSPACE, [frame([{"N": number}], clock, schema=N)])

    with ThreadPoolExecutor(max_workers=24) as pool:
        commits = list(pool.map(send, range(96)))
    batches = {(commit.lane, commit.sequence) for commit in commits}
    assert len(batches) < 96
    assert len(list(azurite_storage.blobs(STAGED).list())) == len(batches)
    assert ask(store, "N", schema=N) == sorted([(n,) for n in range(96)], key=repr)


def test_compaction_under_constant_writing_and_reading_shows_each_record_once(
    azurite_storage: AzureStorage, tmp_path: Path
):
    clock = SystemClock()
    writer, worker = (
        store_on(azurite_storage, tmp_path / "w", clock),
        store_on(azurite_storage, tmp_path / "c", clock),
    )
    done = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        for first in range(0, 400, 10):
            writer.append(WORKSPACE, [frame(list(numbered(10, clock, first=first)), clock)])
            written = first + 10
        done.set()

    def compact() -> None:
        compactor, sweeper = Compactor(store=worker, compact_bytes=3_000), Sweeper(store=worker)
        while not done.is_set():
            compactor.compact(WORKSPACE, "App_CL")
            sweeper.advance_floor(WORKSPACE)
            compactor.merge(WORKSPACE, "App_CL")

    reader = store_on(azurite_storage, tmp_path / "r", clock)
    with ThreadPoolExecutor(max_workers=2) as pool:
        jobs = [pool.submit(write), pool.submit(compact)]
        while not done.is_set():
            least = written
            found = Counter(n for (n,) in ask(reader, "N"))
            assert not found or max(found.values()) == 1
            assert set(range(least)) <= set(found)
        for job in jobs:
            job.result()
    assert len(ask(reader, "N")) == 400
