"""What every implementation of queues holds to, in memory and on Azurite."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC

import pytest

from shared.storage.ports import (
    MessageNotFound,
    Queue,
    QueueInfo,
    Storage,
    StorageKeyInvalid,
    StorageLimitExceeded,
)

WEEK = 7 * 24 * 3600


@pytest.fixture
def queue(any_storage: Storage) -> Queue:
    return any_storage.queue("work")


@pytest.mark.parametrize(
    "body",
    [
        '{"job": 1}',
        "käse 雪 🦊",
        "<a>&amp;</a> ]]>",
        " outer spaces \n",
        "\ttab\nline",
        "x" * 65_536,
        "é" * 32_000,  # Azurite spoils what is not ASCII beyond its first 64 KiB of request
        "",
        "[1]",
        "YQ==",
    ],
)
def test_a_body_comes_back_as_it_was_sent(queue: Queue, body: str):
    sent = queue.send(body)
    (message,) = queue.receive()
    assert (message.id, message.body, message.dequeues) == (sent, body, 1)
    queue.update(message, visibility=0)
    assert [found.body for found in queue.peek()] == [body]


@pytest.mark.parametrize("body", ["\x00", "a\x1fb", "\r\n", "\ufffe", "\ud800"])
def test_a_body_that_xml_cannot_carry_is_refused(queue: Queue, body: str):
    with pytest.raises(StorageKeyInvalid, match="XML"):
        queue.send(body)
    queue.send("fine")
    (message,) = queue.receive()
    with pytest.raises(StorageKeyInvalid, match="XML"):
        queue.update(message, visibility=0, body=body)


@pytest.mark.parametrize("body", ["x" * 65_537, "é" * 32_769])
def test_a_body_over_64_kib_is_refused(queue: Queue, body: str):
    with pytest.raises(StorageLimitExceeded, match="more than 65536"):
        queue.send(body)


@pytest.mark.parametrize("name", ["", "ab", "Work", "a--b", "-ab", "ab-", "a_b", "x" * 64, "work\n"])
def test_a_queue_name_that_azure_would_refuse_is_refused(any_storage: Storage, name: str):
    with pytest.raises(StorageKeyInvalid):
        any_storage.queue(name)


def test_a_queue_nobody_sent_to_is_empty(queue: Queue):
    assert not queue.receive()
    assert not queue.peek()
    assert queue.info() == QueueInfo(count=0, oldest=None)
    queue.clear()


def test_messages_come_oldest_first_and_hide_from_others(queue: Queue):
    for number in range(3):
        queue.send(str(number))
    first = queue.receive(limit=2)
    second = queue.receive(limit=32)
    assert [message.body for message in (*first, *second)] == ["0", "1", "2"]
    assert not queue.receive()
    assert not queue.peek()
    assert queue.info() == QueueInfo(count=3, oldest=None)


def test_a_deleted_message_is_gone(queue: Queue):
    queue.send("x")
    (message,) = queue.receive()
    queue.delete(message)
    with pytest.raises(MessageNotFound):
        queue.delete(message)
    with pytest.raises(MessageNotFound):
        queue.update(message, visibility=0)
    assert queue.info().count == 0


def test_an_update_gives_a_new_receipt_and_perhaps_a_new_body(queue: Queue):
    queue.send("x")
    (message,) = queue.receive()
    held = queue.update(message, visibility=60)
    assert (held.body, held.id, held.dequeues) == ("x", message.id, 1)
    assert held.receipt != message.receipt
    with pytest.raises(MessageNotFound):
        queue.delete(message)
    queue.update(held, visibility=0, body="y")
    (again,) = queue.receive()
    assert (again.body, again.dequeues) == ("y", 2)
    with pytest.raises(MessageNotFound):
        queue.delete(held)
    queue.delete(again)


def test_a_message_received_again_belongs_to_the_second(queue: Queue):
    queue.send("x")
    (first,) = queue.receive()
    released = queue.update(first, visibility=0)
    (second,) = queue.receive()
    with pytest.raises(MessageNotFound):
        queue.delete(released)
    queue.delete(second)


def test_peeking_changes_nothing(queue: Queue):
    sent = [queue.send(str(number)) for number in range(3)]
    for _ in range(2):
        peeked = queue.peek()
        assert [(message.id, message.receipt, message.dequeues) for message in peeked] == [
            (id_, "", 0) for id_ in sent
        ]
    assert len(queue.peek(limit=2)) == 2
    assert queue.info() == QueueInfo(count=3, oldest=queue.peek()[0].inserted)


def test_a_delayed_message_is_counted_but_not_seen(queue: Queue):
    queue.send("x", delay=WEEK)
    queue.send("y", delay=0.1)
    assert not queue.peek()
    assert not queue.receive()
    assert queue.info() == QueueInfo(count=2, oldest=None)


def test_times_are_utc_and_a_message_without_a_ttl_never_expires(queue: Queue):
    queue.send("x")
    queue.send("y", ttl=3600)
    forever, brief = queue.receive(limit=2, visibility=100)
    assert forever.expires is None
    assert brief.expires is not None
    assert (brief.expires - brief.inserted).total_seconds() == 3600
    assert 99 <= (forever.next_visible - forever.inserted).total_seconds() <= 160
    assert forever.inserted.tzinfo == forever.next_visible.tzinfo == brief.expires.tzinfo == UTC


def test_a_cleared_queue_is_empty_and_takes_messages(queue: Queue):
    queue.send("x")
    queue.send("y", delay=60)
    queue.clear()
    assert queue.info().count == 0
    queue.send("z")
    assert [message.body for message in queue.receive()] == ["z"]


def test_times_and_counts_beyond_azures_limits_are_refused(queue: Queue):
    queue.send("x")
    (message,) = queue.receive()
    with pytest.raises(StorageLimitExceeded, match="delay is 0 to 604800 s"):
        queue.send("x", delay=WEEK + 1)
    with pytest.raises(StorageLimitExceeded, match="delay"):
        queue.send("x", delay=-1)
    with pytest.raises(StorageLimitExceeded, match="ttl"):
        queue.send("x", ttl=0)
    with pytest.raises(StorageLimitExceeded, match="shorter than the ttl"):
        queue.send("x", delay=60, ttl=60)
    with pytest.raises(StorageLimitExceeded, match="visibility is 1 to"):
        queue.receive(visibility=0)
    with pytest.raises(StorageLimitExceeded, match="visibility is 0 to"):
        queue.update(message, visibility=WEEK + 1)
    for limit in (0, 33):
        with pytest.raises(StorageLimitExceeded, match="1 to 32 messages"):
            queue.receive(limit=limit)
        with pytest.raises(StorageLimitExceeded, match="1 to 32 messages"):
            queue.peek(limit=limit)


def test_each_message_goes_to_one_of_many_receivers(queue: Queue):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(queue.send, [str(number) for number in range(40)]))

        def take(_: int) -> list[str]:
            return [message.body for message in queue.receive(limit=5)]

        taken = [body for bodies in pool.map(take, range(12)) for body in bodies]
    assert sorted(taken, key=int) == [str(number) for number in range(40)]
