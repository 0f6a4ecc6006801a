"""Random sequences of operations end the same in memory and on Azurite: each answer, each error, and what is left."""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.kernel.errors import OmsError
from shared.storage.azure import AzureStorage
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Blobs, Delete, Insert, Operation, Replace, Row, Table, Upsert

KEYS = st.sampled_from(["a", "B", "b c"])
NUMBERS = st.integers(0, 2)
LEASES = ("11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222")
Step = tuple[Any, ...]


def outcome(call: Callable[[], object]) -> object:
    """What the caller sees: the answer, or the name of the error."""
    try:
        return call()
    except OmsError as error:
        return type(error).__name__


@dataclass(slots=True)
class TableUser:
    """Plays steps on one table; `stale` takes the row as it was first seen instead of as last seen."""

    table: Table
    first: dict[str, Row] = field(default_factory=dict[str, Row])
    last: dict[str, Row] = field(default_factory=dict[str, Row])

    def row(self, key: str, *, stale: bool) -> Row | None:
        return (self.first if stale else self.last).get(key)

    def saw(self, row: Row) -> Mapping[str, object]:
        self.first.setdefault(row.key, row)
        self.last[row.key] = row
        return row.values

    def play(self, step: Step) -> object:
        match step:
            case ("insert", key, number):
                return self.saw(self.table.insert("p", key, {"n": number}))
            case ("get", key):
                return self.saw(self.table.get("p", key))
            case ("upsert", key, number):
                return self.saw(self.table.upsert("p", key, {"n": number}))
            case ("replace", key, number, stale):
                row = self.row(key, stale=stale)
                return row and self.saw(self.table.replace(row, {"n": number}))
            case ("delete", key, how):
                row = None if how is None else self.row(key, stale=how)
                return self.table.delete("p", key, etag=row.etag if row else None)
            case ("transact", parts):
                operations = {part[1]: self.operation(part) for part in parts}
                self.table.transact("p", list(operations.values()))
                for key in operations:
                    outcome(lambda key=key: self.saw(self.table.get("p", key)))
                return None
            case _:
                raise AssertionError(step)

    def operation(self, part: Step) -> Operation:
        match part:
            case ("insert", key, number):
                return Insert(key=key, values={"n": number})
            case ("upsert", key, number):
                return Upsert(key=key, values={"n": number})
            case ("replace", key, number, stale):
                row = self.row(key, stale=stale)
                return Replace(key=key, values={"n": number}, etag=row.etag if row else None)
            case ("delete", key, how):
                row = None if how is None else self.row(key, stale=how)
                return Delete(key=key, etag=row.etag if row else None)
            case _:
                raise AssertionError(part)


WRITES = [
    st.tuples(st.just("insert"), KEYS, NUMBERS),
    st.tuples(st.just("upsert"), KEYS, NUMBERS),
    st.tuples(st.just("replace"), KEYS, NUMBERS, st.booleans()),
    st.tuples(st.just("delete"), KEYS, st.sampled_from([None, True, False])),
]
TABLE_STEPS = st.one_of(
    *WRITES,
    st.tuples(st.just("get"), KEYS),
    st.tuples(st.just("transact"), st.lists(st.one_of(*WRITES), min_size=1, max_size=3)),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TABLE_STEPS, max_size=12))
def test_a_table_in_memory_answers_as_azurite_does(
    storage: MemoryStorage, azurite_storage: AzureStorage, steps: list[Step]
):
    name = f"t{uuid.uuid4().hex}"
    memory, azurite = TableUser(storage.table(name)), TableUser(azurite_storage.table(name))
    for step in steps:
        assert outcome(lambda step=step: memory.play(step)) == outcome(
            lambda step=step: azurite.play(step)
        ), step
    assert rows_of(memory.table) == rows_of(azurite.table)


def rows_of(table: Table) -> list[tuple[str, Mapping[str, object]]]:
    return [(row.key, row.values) for row in table.query("p")]


@dataclass(slots=True)
class BlobUser:
    box: Blobs
    etags: dict[str, list[str]] = field(default_factory=dict[str, list[str]])

    def play(self, step: Step) -> object:
        match step:
            case ("put", key, number, how):
                known = self.etags.setdefault(key, [])
                etag = known[0 if how == "first" else -1] if how in {"first", "last"} and known else None
                info = self.box.put(key, b"x" * number, if_absent=how == "absent", etag=etag)
                known.append(info.etag)
                return info.size, info.metadata
            case ("read", key):
                data, info = self.box.read(key)
                self.etags.setdefault(key, []).append(info.etag)
                return data, info.size
            case ("get", key, start, length):
                return self.box.get(key, start=start, length=length)
            case ("append", key, number, at):
                return self.box.append(key, b"y" * number, at=at)
            case ("delete", key):
                return self.box.delete(key)
            case ("acquire", key, lease):
                return self.box.acquire_lease(key, seconds=60, lease_id=lease)
            case ("renew", key, lease):
                return self.box.renew_lease(key, lease)
            case ("release", key, lease):
                return self.box.release_lease(key, lease)
            case _:
                raise AssertionError(step)


BLOB_STEPS = st.one_of(
    st.tuples(st.just("put"), KEYS, NUMBERS, st.sampled_from(["any", "absent", "first", "last"])),
    st.tuples(st.just("read"), KEYS),
    st.tuples(st.just("get"), KEYS, NUMBERS, st.one_of(st.none(), NUMBERS)),
    st.tuples(st.just("append"), KEYS, NUMBERS, st.one_of(st.none(), NUMBERS)),
    st.tuples(st.just("delete"), KEYS),
    st.tuples(st.just("acquire"), KEYS, st.sampled_from(LEASES)),
    st.tuples(st.just("renew"), KEYS, st.sampled_from(LEASES)),
    st.tuples(st.just("release"), KEYS, st.sampled_from(LEASES)),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(BLOB_STEPS, max_size=12))
def test_a_container_in_memory_answers_as_azurite_does(
    storage: MemoryStorage, azurite_storage: AzureStorage, steps: list[Step]
):
    name = f"c{uuid.uuid4().hex}"
    memory, azurite = BlobUser(storage.blobs(name)), BlobUser(azurite_storage.blobs(name))
    for step in steps:
        assert outcome(lambda step=step: memory.play(step)) == outcome(
            lambda step=step: azurite.play(step)
        ), step
    assert blobs_of(memory.box) == blobs_of(azurite.box)


def blobs_of(box: Blobs) -> list[tuple[str, bytes]]:
    return [(info.name, box.get(info.name)) for info in box.list()]
