"""Many senders at once: every record is found, in columns that all agree on."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.kernel.errors import Category
from shared.loganalytics.ingestion.room import IngestionBusy, Room
from tests.ingestion.world import World


def test_posts_at_once_with_new_columns_are_all_kept():
    world = World()

    def send(number: int) -> None:
        world.send(
            [{"number": number, f"only{number % 5}": "x", "mixed": number if number % 2 else f"n{number}"}]
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(40)))
    rows = world.rows("App_CL")
    assert sorted(row["number_d"] for row in rows) == [float(n) for n in range(40)]
    for row in rows:
        number = int(row["number_d"])
        assert row[f"only{number % 5}_s"] == "x"
        assert (row["mixed_d"] == number) if number % 2 else (row["mixed_s"] == f"n{number}")


def test_one_post_sent_by_many_at_once_is_one_record():
    world = World()
    post = world.post([{"a": 1}])
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(world.collector.take, [post] * 16))
    assert len(world.rows("App_CL")) == 1


def test_two_instances_given_one_post_at_once_keep_it_once():
    one = World()
    other = World(clock=one.clock)
    other.__dict__["storage"] = one.storage
    post = one.post([{"a": 1}])

    def take(world: World) -> None:
        world.collector.take(post)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(take, [one, other] * 4))
    assert len(one.rows("App_CL")) == 1


def test_what_is_worked_on_at_once_stays_within_the_room():
    room, most, now, lock = Room(limit=100), [0], [0], threading.Lock()

    def work(size: int) -> None:
        with room.hold(size):
            with lock:
                now[0] += size
                most[0] = max(most[0], now[0])
            with lock:
                now[0] -= size

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [30, 40, 60, 50] * 50))
    assert most[0] <= 100


def test_one_body_larger_than_the_room_is_worked_on_alone():
    room = Room(limit=10, patience=0)
    with room.hold(50), pytest.raises(IngestionBusy) as busy, room.hold(1):
        pass
    assert busy.value.category is Category.THROTTLED
    with room.hold(1):
        assert busy.value.retry_after == 5
