"""Queue triggers on Azurite: batches, failures, poison, renewal, nudges, restarts."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.storage.queue import QueueClient, QueueServiceClient

from devhost.queues import Backoff
from tests.devhost.running import SAMPLE_APP, RunningHost, until

QUEUE = "orders"


@pytest.fixture
def queues(azurite_connection: str) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(azurite_connection) as service:
        yield service


@pytest.fixture
def orders(queues: QueueServiceClient) -> QueueClient:
    queues.create_queue(QUEUE)
    return queues.get_queue_client(QUEUE)


@pytest.fixture
def host(azurite_connection: str, orders: QueueClient, tmp_path: Path) -> Iterator[RunningHost]:
    running = RunningHost.start(tmp_path, storage=azurite_connection, queue=orders.queue_name)
    yield running
    running.kill()


def test_a_message_is_handled_once_and_deleted(host: RunningHost, orders: QueueClient) -> None:
    sent = orders.send_message('{"n": "é"}')
    event = host.await_events("work")[0]
    assert (event["id"], event["body"], event["dequeues"], event["receipt"]) == (
        sent.id,
        '{"n": "é"}',
        1,
        True,
    )
    host.await_events("work done")
    until("the queue is empty", lambda: orders.get_queue_properties().approximate_message_count == 0)
    assert len(host.events("work")) == 1


def test_a_failing_message_comes_back_and_goes_to_the_poison_queue_at_the_limit(
    host: RunningHost, orders: QueueClient, queues: QueueServiceClient
) -> None:
    orders.send_message('{"fail": 99}')
    poison = queues.get_queue_client("orders-poison")

    def poisoned() -> list[str]:
        names = [each.name for each in queues.list_queues()]
        return [each.content for each in poison.peek_messages()] if "orders-poison" in names else []

    assert until("the message is in the poison queue", poisoned) == ['{"fail": 99}']
    assert [event["dequeues"] for event in host.events("work")] == [1, 2, 3]
    until("the queue is empty", lambda: orders.get_queue_properties().approximate_message_count == 0)


def test_a_message_that_fails_once_succeeds_the_next_time(host: RunningHost, orders: QueueClient) -> None:
    orders.send_message('{"fail": 1}')
    host.await_events("work done")
    assert [event["dequeues"] for event in host.events("work")] == [1, 2]


def test_many_messages_are_each_handled_once(host: RunningHost, orders: QueueClient) -> None:
    for n in range(40):
        orders.send_message(json.dumps({"n": n}))
    done = host.await_events("work done", 40)
    assert sorted(json.loads(event["body"])["n"] for event in done) == list(range(40))


def test_no_more_run_at_once_than_a_batch_and_the_threshold(host: RunningHost, orders: QueueClient) -> None:
    for n in range(12):
        orders.send_message(json.dumps({"n": n, "seconds": 0.3}))
    host.await_events("work done", 12)
    running, most = 0, 0
    for line in (host.folder / "events").read_text().splitlines():
        kind = json.loads(line)["kind"]
        running += {"work": 1, "work done": -1}.get(kind, 0)
        most = max(most, running)
    assert 1 < most <= 4 + 2


def test_a_nudge_wakes_the_listener_and_a_stranger_cannot_nudge(host: RunningHost) -> None:
    assert host.ask("POST", f"/admin/host/nudge?queue={QUEUE}").status == 401
    assert host.admin("POST", f"/admin/host/nudge?queue={QUEUE}").status == 202
    assert host.admin("POST", "/admin/host/nudge?queue=other").status == 404


def test_a_function_finds_the_nudge_address_in_its_environment(host: RunningHost) -> None:
    # The address opens with the key in it: a function only adds the queue's name.
    expected = f"http://127.0.0.1:{host.port}/admin/host/nudge?code={host.keys['master']}"
    answer = host.ask("GET", "/setting?name=OMS_HOST_NUDGE_URL")
    assert answer.body.decode() == expected
    assert (
        host.ask("POST", f"{expected.removeprefix(f'http://127.0.0.1:{host.port}')}&queue={QUEUE}").status
        == 202
    )


def test_a_message_whose_function_outlives_a_kill_is_delivered_again(
    azurite_connection: str, orders: QueueClient, tmp_path: Path
) -> None:
    orders.send_message('{"seconds": 1}')
    message = orders.receive_message(visibility_timeout=1)
    assert message is not None
    # As after a kill -9: received, never deleted. Its next delivery counts up.
    host = RunningHost.start(tmp_path, storage=azurite_connection, queue=QUEUE)
    try:
        assert host.await_events("work")[0]["dequeues"] == 2
        host.await_events("work done")
    finally:
        host.kill()


def test_a_message_stays_hidden_for_as_long_as_its_function_runs(
    azurite_connection: str, orders: QueueClient, tmp_path: Path
) -> None:
    orders.send_message('{"seconds": 5}')
    host = RunningHost.start(
        tmp_path, storage=azurite_connection, queue=QUEUE, arguments=["--message-seconds", "2"]
    )
    try:
        host.await_events("work done")
        until("the queue is empty", lambda: orders.get_queue_properties().approximate_message_count == 0)
        assert len(host.events("work")) == 1
    finally:
        host.kill()


def test_sigterm_lets_running_messages_finish_and_takes_no_new_ones(
    host: RunningHost, orders: QueueClient
) -> None:
    orders.send_message('{"seconds": 2}')
    host.await_events("work")
    assert host.terminate() == 0
    assert len(host.events("work done")) == 1
    assert orders.get_queue_properties().approximate_message_count == 0


def test_the_status_page_shows_the_listener(host: RunningHost) -> None:
    listeners = host.admin("GET", "/admin/host/status").json()["listeners"]
    queue = next(each for each in listeners if each["kind"] == "queue")
    assert queue == {"function": "work", "kind": "queue", "queue": QUEUE, "inFlight": 0, "trouble": None}


def test_a_queue_that_does_not_exist_yet_is_waited_for(
    azurite_connection: str, queues: QueueServiceClient, tmp_path: Path
) -> None:
    host = RunningHost.start(tmp_path, storage=azurite_connection, queue="later")
    try:
        queues.create_queue("later").send_message("{}")
        host.await_events("work done")
    finally:
        host.kill()


def test_a_listener_that_may_not_read_its_queue_ends_the_host_with_that_error(
    azurite_connection: str, orders: QueueClient, tmp_path: Path
) -> None:
    wrong = base64.b64encode(b"another key").decode()
    parts = [
        f"AccountKey={wrong}" if part.startswith("AccountKey=") else part
        for part in azurite_connection.split(";")
    ]
    host = RunningHost.start(tmp_path, storage=";".join(parts), queue=orders.queue_name)
    try:
        assert host.process.wait(60) == 1
        assert "died: " in host.output()
    finally:
        host.kill()


def test_base64_is_undone_where_host_json_says_so_and_other_text_goes_to_poison(
    azurite_connection: str, orders: QueueClient, queues: QueueServiceClient, tmp_path: Path
) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text((SAMPLE_APP / "function_app.py").read_text())
    (app / "host.json").write_text(
        '{"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:01"}}}'
    )
    orders.send_message(base64.b64encode(b'{"n": 1}').decode())
    orders.send_message('{"plain": "text"}')
    host = RunningHost.start(tmp_path, storage=azurite_connection, queue=QUEUE, app_root=app)
    try:
        assert host.await_events("work done")[0]["body"] == '{"n": 1}'

        def poisoned() -> list[str]:
            if "orders-poison" not in [each.name for each in queues.list_queues()]:
                return []
            return [each.content for each in queues.get_queue_client("orders-poison").peek_messages()]

        assert until("the other message is poison", poisoned) == ['{"plain": "text"}']
    finally:
        host.kill()


def test_polling_slows_down_to_the_longest_interval_and_starts_anew_after_a_find() -> None:
    backoff = Backoff(2.0, draw=lambda low, high: (low + high) / 2)
    waits = [backoff.next() for _ in range(7)]
    assert waits == pytest.approx([0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0])
    backoff.found()
    assert backoff.next() == pytest.approx(0.2)
