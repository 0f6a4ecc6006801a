"""The simulation kit itself: same seed, same history; and it finds the races it is there to find."""

from functools import partial

import pytest

from shared.storage.ports import RowChanged, RowExists, Storage, StorageUnavailable
from tests.simulation.listener import queue_listener
from tests.simulation.world import Crash, DidNotDrain, Faults, ProcessFailed, World


def _count_up(storage: Storage, *, times: int, guarded: bool) -> None:
    table = storage.table("counters")
    for _ in range(times):
        while True:
            try:
                row = table.get("p", "n")
                value = {"n": int(str(row.values["n"])) + 1}
                if guarded:
                    table.replace(row, value)
                else:
                    table.upsert("p", "n", value)
                break
            except RowChanged:
                continue


def _counted(seed: int, *, guarded: bool) -> tuple[int, World]:
    world = World(seed, faults=Faults.none())
    world.inner.table("counters").insert("p", "n", {"n": 0})
    for name in ("a", "b", "c"):
        world.spawn(name, partial(_count_up, world.storage, times=5, guarded=guarded))
    world.run(settled=lambda: not world.alive())
    return int(str(world.inner.table("counters").get("p", "n").values["n"])), world


def test_a_counter_guarded_by_its_etag_counts_right_in_every_schedule():
    assert {_counted(seed, guarded=True)[0] for seed in range(20)} == {15}


def test_a_counter_without_etag_is_caught_losing_counts():
    assert any(_counted(seed, guarded=False)[0] < 15 for seed in range(20))


def test_the_same_seed_gives_the_same_history():
    assert _counted(3, guarded=True)[1].trace == _counted(3, guarded=True)[1].trace
    assert _counted(3, guarded=True)[1].trace != _counted(4, guarded=True)[1].trace


def _serve(seed: int, *, deletes_first: bool) -> set[str]:
    """The bodies handled of 8 sent, with every fault on."""
    world = World(seed)
    for number in range(8):
        world.inner.queue("work").send(str(number))

    def handle(body: str) -> None:
        try:
            world.storage.table("done").insert("p", body, {"worker": "any"})
        except RowExists:
            return

    for name in ("a", "b"):
        world.spawn(
            name,
            queue_listener(
                world.storage, "work", handle, world.clock(), deletes_first=deletes_first, max_dequeues=50
            ),
        )
    world.run(settled=lambda: world.inner.queue("work").info().count == 0)
    return {row.key for row in world.inner.table("done").query("p")}


def test_a_listener_that_deletes_last_handles_every_message():
    for seed in range(15):
        assert len(_serve(seed, deletes_first=False)) == 8


def test_a_listener_that_deletes_first_is_caught_losing_messages():
    assert any(len(_serve(seed, deletes_first=True)) < 8 for seed in range(15))


def test_a_killed_process_reaches_nothing_from_its_finally():
    world = World(1, faults=Faults.none())

    def dies() -> None:
        try:
            world.crash_now()
        finally:
            try:
                world.storage.table("things").insert("p", "k", {"n": 1})
            except Crash:
                reached.append("refused")

    reached: list[str] = []
    world.spawn("dies", dies, restarts=False)
    world.run(settled=lambda: not world.alive())
    assert reached == ["refused"]
    assert [*world.inner.table("things").query("p")] == []


def test_work_that_is_never_done_is_reported_with_its_seed():
    world = World(9, faults=Faults.none())

    def idle() -> None:
        while True:
            world.clock().sleep(1)

    world.spawn("idles", idle)
    with pytest.raises(DidNotDrain, match="seed 9"):
        world.run(settled=lambda: False, faulty_steps=10, max_steps=100)


def test_an_exception_nobody_handled_ends_the_run():
    world = World(5, faults=Faults(fail=1, lost=0, crash=0))

    def careless() -> None:
        world.storage.queue("work").send("x")

    world.spawn("careless", careless)
    with pytest.raises(ProcessFailed, match="careless") as failed:
        world.run(settled=lambda: False)
    assert isinstance(failed.value.__cause__, StorageUnavailable)


def test_sleeping_processes_let_time_pass():
    world = World(2, faults=Faults.none())
    woke: list[float] = []

    def naps() -> None:
        before = world.clock().monotonic()
        world.clock().sleep(3_600)
        woke.append(world.clock().monotonic() - before)

    world.spawn("naps", naps)
    world.run(settled=lambda: bool(woke))
    assert 3_600 <= woke[0] < 3_601
