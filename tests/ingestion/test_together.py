"""Many senders at once: every record is found, in columns that all agree on."""

from concurrent.futures import ThreadPoolExecutor

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
