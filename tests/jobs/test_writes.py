"""Writes that ride together are each written or refused as if alone."""

import threading

import pytest

from shared.jobs.writes import GroupedWrites
from shared.storage.azure import AzureStorage
from shared.storage.gates import open_gate
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Row, RowChanged, Storage, StorageUnavailable


@pytest.fixture(params=["memory", "azurite"])
def account(request: pytest.FixtureRequest) -> Storage:
    name = "storage" if request.param == "memory" else "azurite_storage"
    found: MemoryStorage | AzureStorage = request.getfixturevalue(name)
    return found


def at_once(writes: GroupedWrites, rows: list[Row], *, rounds: int) -> list[Row | Exception]:
    """Each row replaced so many times by a thread of its own; what each thread got in the end."""
    ends: list[Row | Exception] = [ValueError()] * len(rows)
    gate = threading.Barrier(len(rows))

    def work(place: int) -> None:
        row = rows[place]
        gate.wait()
        try:
            for turn in range(rounds):
                row = writes.replace(row, {"n": turn, "none": None})
            ends[place] = row
        except (RowChanged, StorageUnavailable) as error:
            ends[place] = error

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(rows))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return ends


def test_many_threads_write_their_rows_and_go_on_with_the_etags_they_got(account: Storage):
    table = account.table("things")
    rows = [table.insert("p", f"k{number:02}", {"n": -1}) for number in range(12)]
    ends = at_once(GroupedWrites(table), rows, rounds=4)
    for end in ends:
        assert isinstance(end, Row)
        stored = table.get("p", end.key)
        assert (stored.values, stored.etag) == ({"n": 3}, end.etag)


def test_one_refused_write_refuses_no_other(account: Storage):
    table = account.table("things")
    rows = [table.insert("p", f"k{number:02}", {"n": -1}) for number in range(8)]
    table.upsert("p", "k03", {"n": 99})
    ends = at_once(GroupedWrites(table), rows, rounds=3)
    assert [number for number, end in enumerate(ends) if isinstance(end, RowChanged)] == [3]
    assert table.get("p", "k03").values == {"n": 99}


def test_of_two_writes_of_one_row_one_is_refused(account: Storage):
    table = account.table("things")
    row = table.insert("p", "one", {"n": -1})
    others = [table.insert("p", f"k{number}", {"n": -1}) for number in range(4)]
    ends = at_once(GroupedWrites(table), [row, row, *others], rounds=1)
    assert sorted(type(end).__name__ for end in ends) == ["Row"] * 5 + ["RowChanged"]


def test_a_storage_that_does_not_answer_is_everybodys_error_and_nobody_hangs(storage: MemoryStorage):
    table = storage.table("things")
    rows = [table.insert("p", f"k{number}", {"n": -1}) for number in range(6)]

    def down(phase: str, operation: str, key: str) -> None:
        raise StorageUnavailable(f"{phase} {operation} {key}")

    storage.gate = down
    writes = GroupedWrites(table)
    assert all(isinstance(end, StorageUnavailable) for end in at_once(writes, rows, rounds=1))
    storage.gate = open_gate
    assert all(isinstance(end, Row) for end in at_once(writes, rows, rounds=2))
