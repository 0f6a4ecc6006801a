"""Writers on threads while storage breaks at random: afterwards everything acknowledged is there exactly once, and sums agree."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from shared.storage.azure import AzureStorage
from shared.storage.ports import (
    BlobChanged,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    Storage,
    StorageUnavailable,
    Value,
    prefix_end,
)
from tests.faultproxy import EVERY, Fault, Faults

WRITERS = 4
ROUNDS = 12
# An append that storage carried out twice over is refused the second time, and only its writer knows the bytes were its own.
LONE = tuple(fault for fault in EVERY if fault is not Fault.DUPLICATE)


@dataclass(slots=True)
class Acknowledged:
    """What one writer was told is done. `asked` is what it tried at all."""

    asked: set[str] = field(default_factory=set[str])
    blobs: dict[str, bytes] = field(default_factory=dict[str, bytes])
    rows: dict[str, int] = field(default_factory=dict[str, int])
    counted: dict[str, int] = field(default_factory=dict[str, int])
    sent: list[str] = field(default_factory=list[str])


def count(storage: Storage, name: str, amount: int) -> None:
    """Add to the counter once, whatever happens on the way: the ledger row says whether it was."""
    table = storage.table("totals")
    while True:
        row = table.get("p", "counter")
        try:
            table.transact(
                "p",
                [
                    Replace(key="counter", values={"n": total(row.values["n"]) + amount}, etag=row.etag),
                    Insert(key=f"ledger-{name}", values={"n": amount}),
                ],
            )
        except RowChanged:
            continue
        except RowExists:
            assert table.get("p", f"ledger-{name}").values == {"n": amount}
        return


def total(amount: Value) -> int:
    assert isinstance(amount, int)
    return amount


def write(storage: Storage, writer: int) -> Acknowledged:
    told = Acknowledged()
    for number in range(ROUNDS):
        name = f"w{writer}-{number:03}"
        told.asked.add(name)
        data = f"{name} ".encode() * (1 + 500 * number)
        try:
            storage.blobs("batches").put(name, data, if_absent=True)
            told.blobs[name] = data
            storage.table("batches").insert("p", name, {"size": len(data)})
            told.rows[name] = len(data)
            count(storage, name, number)
            told.counted[name] = number
            storage.queue("batches").send(name)
            told.sent.append(name)
        except StorageUnavailable:
            continue
    return told


@pytest.mark.parametrize("seed", [1, 2])
def test_what_was_acknowledged_amid_faults_is_there_exactly_once(
    azurite_storage: AzureStorage, faulty_storage: AzureStorage, faults: Faults, seed: int
):
    azurite_storage.table("totals").insert("p", "counter", {"n": 0})
    faults.random.seed(seed)
    faults.rate = 0.3
    with ThreadPoolExecutor(WRITERS) as pool:
        told = list(pool.map(write, [faulty_storage] * WRITERS, range(WRITERS)))
    faults.heal()

    asked = set[str]().union(*(one.asked for one in told))
    blobs = {
        info.name: azurite_storage.blobs("batches").get(info.name)
        for info in azurite_storage.blobs("batches").list()
    }
    rows = {row.key: row.values["size"] for row in azurite_storage.table("batches").query("p")}
    ledger = {
        row.key.removeprefix("ledger-"): row.values["n"]
        for row in azurite_storage.table("totals").query("p", start="ledger-", before=prefix_end("ledger-"))
    }
    sent = Counter(
        message.body for _ in range(20) for message in azurite_storage.queue("batches").receive(limit=32)
    )
    for one in told:
        assert one.blobs.items() <= blobs.items()
        assert one.rows.items() <= rows.items()
        assert one.counted.items() <= ledger.items()
        assert set(one.sent) <= sent.keys()
    assert blobs.keys() | rows.keys() | ledger.keys() | sent.keys() <= asked
    assert rows.keys() <= blobs.keys()
    assert all(size == len(blobs[name]) for name, size in rows.items())
    assert azurite_storage.table("totals").get("p", "counter").values == {
        "n": sum(total(amount) for amount in ledger.values())
    }
    assert set(faults.counts) == set(EVERY)


@pytest.mark.parametrize("seed", [3, 4])
def test_appends_amid_faults_are_there_exactly_once(
    azurite_storage: AzureStorage, faulty_storage: AzureStorage, faults: Faults, seed: int
):
    faults.random.seed(seed)
    faults.rate, faults.kinds = 0.3, LONE

    def append(writer: int) -> list[str]:
        told: list[str] = []
        for number in range(ROUNDS):
            line = f"w{writer}-{number:03}"
            try:
                faulty_storage.blobs("logs").append("log", f"{line};".encode())
            except (StorageUnavailable, BlobChanged):
                continue
            told.append(line)
        return told

    with ThreadPoolExecutor(WRITERS) as pool:
        told = [line for lines in pool.map(append, range(WRITERS)) for line in lines]
    faults.heal()
    lines = Counter(azurite_storage.blobs("logs").get("log").decode().rstrip(";").split(";"))
    assert set(told) <= lines.keys()
    assert set(lines.values()) == {1}
    assert set(faults.counts) == set(LONE)
