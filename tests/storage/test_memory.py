"""What only the in-memory storage can show: expiry by a clock, gates, and that it repeats itself exactly."""

from datetime import UTC, datetime

import pytest

from shared.kernel.clock import ManualClock
from shared.storage.gates import Phase
from shared.storage.memory import MemoryStorage
from shared.storage.ports import (
    BlobNotFound,
    Delete,
    Insert,
    LeaseHeld,
    LeaseLost,
    MessageNotFound,
    RowNotFound,
)

LEASE = "11111111-1111-4111-8111-111111111111"
OTHER = "22222222-2222-4222-8222-222222222222"
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


class PowerCut(Exception):
    """The process died here."""


def test_a_gate_that_raises_before_leaves_nothing_and_after_leaves_everything(storage: MemoryStorage):
    def cut(phase: Phase, operation: str, key: str) -> None:
        if (phase, operation) in {("before", "blobs.put"), ("after", "table.transact")}:
            raise PowerCut(key)

    storage.gate = cut
    with pytest.raises(PowerCut, match="box/a"):
        storage.blobs("box").put("a", b"1")
    with pytest.raises(PowerCut, match="rows/p/k"):
        storage.table("rows").transact("p", [Insert(key="k", values={"n": 1})])
    with pytest.raises(BlobNotFound):
        storage.blobs("box").get("a")
    assert storage.table("rows").get("p", "k").values == {"n": 1}


def test_every_operation_passes_its_gate_before_and_after(storage: MemoryStorage):
    passed: list[tuple[str, str, str]] = []

    def note(phase: Phase, operation: str, key: str) -> None:
        passed.append((phase, operation, key))

    storage.gate = note
    storage.blobs("box").put("a", b"1")
    storage.table("rows").upsert("p", "k", {})
    storage.queue("work").send("x")
    assert passed == [
        (phase, operation, key)
        for operation, key in (("blobs.put", "box/a"), ("table.upsert", "rows/p/k"), ("queue.send", "work"))
        for phase in ("before", "after")
    ]


def test_a_lease_ends_by_the_clock_and_the_next_holder_takes_it(storage: MemoryStorage, clock: ManualClock):
    box = storage.blobs("box")
    box.acquire_lease("lock", seconds=15, lease_id=LEASE)
    clock.advance(14)
    with pytest.raises(LeaseHeld):
        box.acquire_lease("lock", seconds=15, lease_id=OTHER)
    clock.advance(1)
    box.acquire_lease("lock", seconds=15, lease_id=OTHER)
    with pytest.raises(LeaseLost):
        box.renew_lease("lock", LEASE)


def test_an_expired_lease_is_renewed_only_where_nobody_wrote_since(
    storage: MemoryStorage, clock: ManualClock
):
    box = storage.blobs("box")
    box.acquire_lease("lock", seconds=15, lease_id=LEASE)
    clock.advance(100)
    box.renew_lease("lock", LEASE)
    clock.advance(100)
    box.put("lock", b"somebody's")
    with pytest.raises(LeaseLost):
        box.renew_lease("lock", LEASE)


def test_a_message_hides_and_expires_by_the_clock(storage: MemoryStorage, clock: ManualClock):
    queue = storage.queue("work")
    queue.send("later", delay=60)
    queue.send("brief", ttl=30)
    (brief,) = queue.receive(limit=32, visibility=10)
    assert (brief.body, brief.dequeues) == ("brief", 1)
    clock.advance(10)
    (again,) = queue.receive(limit=32, visibility=10)
    assert (again.body, again.dequeues) == ("brief", 2)
    with pytest.raises(MessageNotFound):
        queue.delete(brief)
    clock.advance(20)
    with pytest.raises(MessageNotFound):
        queue.delete(again)
    clock.advance(30)
    assert [message.body for message in queue.receive(limit=32)] == ["later"]


def test_the_same_calls_make_the_same_ids_and_etags():
    def run() -> list[str]:
        storage = MemoryStorage(ManualClock(NOON))
        return [
            storage.blobs("box").put("a", b"1").etag,
            storage.blobs("box").acquire_lease("a", seconds=15),
            storage.table("rows").insert("p", "k", {}).etag,
            storage.queue("work").send("x"),
        ]

    assert run() == run()


def test_a_failed_transaction_changes_nothing(storage: MemoryStorage):
    table = storage.table("rows")
    table.insert("p", "b", {"n": 1})
    before = list(table.query("p"))
    with pytest.raises(RowNotFound):
        table.transact("p", [Insert(key="a", values={}), Delete(key="gone")])
    assert list(table.query("p")) == before
