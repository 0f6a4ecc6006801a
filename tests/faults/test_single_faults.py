"""Each operation of storage against each kind of fault, one at a time: what it acknowledges is there, once."""

from collections.abc import Callable
from typing import Final

import pytest

from shared.storage.azure import AzureStorage
from shared.storage.ports import (
    BlobChanged,
    BlobExists,
    Insert,
    Replace,
    RowChanged,
    RowExists,
    RowNotFound,
    StorageUnavailable,
    Upsert,
)
from tests.faultproxy import EVERY, Fault, Faults

# What reaches storage, and whose first answer is lost or spoiled.
APPLIED: Final = (Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.TRUNCATE)
LEASE: Final = "11111111-1111-4111-8111-111111111111"
each_fault = pytest.mark.parametrize("fault", EVERY, ids=lambda fault: fault.name)


@pytest.fixture
def prepared(azurite_storage: AzureStorage) -> AzureStorage:
    """The same account, not by way of the proxy, with everything the tests write to already made."""
    azurite_storage.blobs("box").put("a", b"before")
    azurite_storage.table("rows").insert("p", "k", {"n": 0})
    azurite_storage.queue("work").send("x")
    return azurite_storage


@each_fault
def test_a_put_if_absent_succeeds_once(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    faults.plan = [fault]
    info = faulty_storage.blobs("box").put("new", b"bytes", if_absent=True)
    assert prepared.blobs("box").read("new") == (b"bytes", info)
    with pytest.raises(BlobExists):
        faulty_storage.blobs("box").put("new", b"other", if_absent=True)
    assert faults.counts == {fault: 1}


@each_fault
def test_a_put_with_an_etag_succeeds_once_and_keeps_its_metadata(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    etag = prepared.blobs("box").info("a").etag
    faults.plan = [fault]
    info = faulty_storage.blobs("box").put("a", b"after", etag=etag, metadata={"n": "1"})
    assert prepared.blobs("box").read("a") == (b"after", info)
    assert info.metadata == {"n": "1"}
    with pytest.raises(BlobChanged):
        faulty_storage.blobs("box").put("a", b"after", etag=etag, metadata={"n": "1"})


@pytest.mark.parametrize("fault", APPLIED, ids=lambda fault: fault.name)
def test_a_repeated_put_does_not_take_anothers_equal_write_for_its_own(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    etag = prepared.blobs("box").info("a").etag
    prepared.blobs("box").put("a", b"after", etag=etag)
    faults.plan = [fault]
    with pytest.raises(BlobChanged):
        faulty_storage.blobs("box").put("a", b"after", etag=etag)


@pytest.mark.parametrize(
    "fault", [fault for fault in EVERY if fault is not Fault.DUPLICATE], ids=lambda fault: fault.name
)
@pytest.mark.parametrize("at", [4, None])
def test_an_append_is_there_once(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault, at: int | None
):
    prepared.blobs("box").append("log", b"one;")
    box = faulty_storage.blobs("box")
    if at is None:
        assert box.append("log", b"two;") == 8  # its size is known from now on
    faults.plan = [fault]
    size = box.append("log", b"three;", at=at)
    data = prepared.blobs("box").get("log")
    assert data.count(b"three;") == 1
    assert size == len(data)


@each_fault
def test_reads_bring_whole_bytes(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    data = bytes(range(256)) * 8192
    prepared.blobs("box").put("big", data)
    box = faulty_storage.blobs("box")
    reads: list[Callable[[], bytes]] = [
        lambda: box.get("big"),
        lambda: box.read("big")[0],
        lambda: box.get("big", start=0, length=len(data)),
    ]
    for read in reads:
        faults.plan = [fault]
        assert read() == data
    assert faults.counts == {fault: 3}


@each_fault
def test_listings_and_queries_bring_each_name_once(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    names = [f"k{number:04}" for number in range(1100)]
    for first in range(0, len(names), 100):
        operations = [Insert(key=name, values={}) for name in names[first : first + 100]]
        prepared.table("rows").transact("q", operations)
    faults.plan = [fault, fault]
    assert [row.key for row in faulty_storage.table("rows").query("q")] == names
    faults.plan = [fault]
    assert [info.name for info in faulty_storage.blobs("box").list()] == ["a"]


@each_fault
def test_an_insert_succeeds_once(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    faults.plan = [fault]
    row = faulty_storage.table("rows").insert("p", "new", {"n": 1})
    assert prepared.table("rows").get("p", "new") == row
    with pytest.raises(RowExists):
        faulty_storage.table("rows").insert("p", "new", {"n": 2})


@each_fault
def test_a_replacement_succeeds_once_and_shows_nothing_of_how(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    row = prepared.table("rows").get("p", "k")
    faults.plan = [fault]
    newer = faulty_storage.table("rows").replace(row, {"n": 1})
    assert prepared.table("rows").get("p", "k") == newer
    assert newer.values == {"n": 1}
    with pytest.raises(RowChanged):
        faulty_storage.table("rows").replace(row, {"n": 1})


@pytest.mark.parametrize("fault", APPLIED, ids=lambda fault: fault.name)
def test_a_repeated_replacement_does_not_take_anothers_equal_write_for_its_own(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    row = prepared.table("rows").get("p", "k")
    prepared.table("rows").replace(row, {"n": 1})
    faults.plan = [fault]
    with pytest.raises(RowChanged):
        faulty_storage.table("rows").replace(row, {"n": 1})


@each_fault
def test_a_transaction_succeeds_once(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    row = prepared.table("rows").get("p", "k")
    faults.plan = [fault]
    faulty_storage.table("rows").transact(
        "p",
        [
            Insert(key="ledger-1", values={"n": 1}),
            Replace(key="k", values={"n": 1}, etag=row.etag),
            Upsert(key="seen", values={"n": 1}),
        ],
    )
    assert {row.key: row.values for row in prepared.table("rows").query("p")} == {
        "ledger-1": {"n": 1},
        "k": {"n": 1},
        "seen": {"n": 1},
    }


@each_fault
def test_a_deletion_with_an_etag_succeeds(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    row = prepared.table("rows").get("p", "k")
    faults.plan = [fault]
    if (
        fault is Fault.DUPLICATE
    ):  # its one answer is that the row is missing, as it would be had somebody else deleted it
        with pytest.raises(RowNotFound):
            faulty_storage.table("rows").delete("p", "k", etag=row.etag)
    else:
        faulty_storage.table("rows").delete("p", "k", etag=row.etag)
    with pytest.raises(RowNotFound):
        prepared.table("rows").get("p", "k")


@each_fault
def test_a_message_is_sent_and_deleted(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    prepared.queue("work").clear()
    faults.plan = [fault]
    faulty_storage.queue("work").send("x")
    twice = fault in {Fault.ERROR_AFTER, Fault.DROP_AFTER, Fault.TRUNCATE, Fault.DUPLICATE}
    messages = prepared.queue("work").receive(limit=32)
    assert [message.body for message in messages] == ["x"] * (2 if twice else 1)


@pytest.mark.parametrize(
    "fault", [fault for fault in EVERY if fault is not Fault.DUPLICATE], ids=lambda fault: fault.name
)
def test_a_message_whose_deletion_was_repeated_is_gone(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    (message,) = prepared.queue("work").receive()
    faults.plan = [fault]
    faulty_storage.queue("work").delete(message)
    assert prepared.queue("work").info().count == 0


@each_fault
def test_a_lease_is_acquired_renewed_and_released(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    box = faulty_storage.blobs("box")
    faults.plan = [fault]
    assert box.acquire_lease("a", seconds=60, lease_id=LEASE) == LEASE
    faults.plan = [fault]
    box.renew_lease("a", LEASE)
    faults.plan = [fault]
    box.release_lease("a", LEASE)
    prepared.blobs("box").put("a", b"free again")


@each_fault
def test_containers_tables_and_queues_make_themselves_all_the_same(
    faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    writes: list[Callable[[], object]] = [
        lambda: faulty_storage.blobs("fresh").put("a", b"1"),
        lambda: faulty_storage.table("fresh").insert("p", "k", {}),
        lambda: faulty_storage.table("fresher").transact("p", [Insert(key="k", values={})]),
        lambda: faulty_storage.queue("fresh").send("x"),
    ]
    for write in writes:
        faults.plan = [None, fault]  # the first request finds nothing, the second makes it
        write()
    assert faulty_storage.blobs("fresh").get("a") == b"1"
    assert [row.key for row in faulty_storage.table("fresh").query()] == ["k"]
    assert [row.key for row in faulty_storage.table("fresher").query()] == ["k"]
    assert faulty_storage.queue("fresh").info().count == 1


@pytest.mark.parametrize(
    "fault",
    [Fault.BUSY, Fault.ERROR_AFTER, Fault.DROP_BEFORE, Fault.DROP_AFTER],
    ids=lambda fault: fault.name,
)
def test_storage_that_keeps_failing_is_unavailable_by_name(
    prepared: AzureStorage, faulty_storage: AzureStorage, faults: Faults, fault: Fault
):
    faults.rate, faults.kinds = 1.0, (fault,)
    calls: list[Callable[[], object]] = [
        faulty_storage.ping,
        lambda: faulty_storage.blobs("box").put("a", b"1"),
        lambda: faulty_storage.blobs("box").get("a"),
        lambda: list(faulty_storage.table("rows").query("p")),
        lambda: faulty_storage.table("rows").transact("p", [Upsert(key="k", values={})]),
        lambda: faulty_storage.queue("work").receive(),
    ]
    for call in calls:
        with pytest.raises(StorageUnavailable, match="no answer that lasts") as refused:
            call()
        assert refused.value.retry_after == 1
    faults.heal()
    faulty_storage.ping()
