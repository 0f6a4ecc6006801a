"""Poison messages are seen with their reason and delivered once more, or given up."""

import pytest

from shared.jobs.engine import QUEUE
from shared.jobs.kinds import Fail
from shared.jobs.messages import JobMessage
from shared.jobs.model import JobId, JobStatus
from shared.jobs.poison import PoisonDesk, PoisonMessageNotFound, QueueUnknown, explain_job, explain_json
from shared.storage.memory import MemoryStorage
from tests.jobs.conftest import SCOPE, Bench


@pytest.fixture
def nudged() -> list[str]:
    return []


@pytest.fixture
def desk(storage: MemoryStorage, bench: Bench, nudged: list[str]) -> PoisonDesk:
    explained = {QUEUE: explain_job(bench.engine.store), "other": explain_json}
    return PoisonDesk(storage, explained, nudged.append)


def test_a_poison_message_names_its_job_and_why_it_failed(
    desk: PoisonDesk, bench: Bench, storage: MemoryStorage
):
    bench.kind(lambda _: Fail(code="DiskGone", message="there is no disk"))
    job = bench.start()
    bench.serve()
    poison = storage.queue(f"{QUEUE}-poison")
    poison.send(JobMessage(scope=SCOPE, job_id=job.id).encode())
    poison.send(JobMessage(scope=SCOPE, job_id=JobId("gone")).encode())
    poison.send("rubbish")
    storage.queue("other-poison").send('{"password": "hunter2"}')
    first, second, third = desk.peek(QUEUE)
    assert first.names == f"test {job.id} of {SCOPE}"
    assert first.reason == "the job is Failed: there is no disk"
    assert second.reason == "there is no job gone"
    assert third.reason == "a job message is not JSON"
    assert desk.peek("other")[0].names == "fields password"
    assert {queue.queue: queue.count for queue in desk.list()} == {QUEUE: 3, "other": 1}


def test_one_message_is_replayed_and_the_others_stay(
    desk: PoisonDesk, bench: Bench, storage: MemoryStorage, nudged: list[str]
):
    bench.kind(lambda _: Fail(code="No", message="no"))
    job = bench.start()
    storage.queue(QUEUE).clear()
    storage.queue(f"{QUEUE}-poison").send("rubbish")
    wanted = storage.queue(f"{QUEUE}-poison").send(JobMessage(scope=SCOPE, job_id=job.id).encode())
    assert desk.replay(QUEUE, wanted) == 1
    assert nudged == [QUEUE]
    bench.serve()
    assert bench.now(job).status is JobStatus.FAILED
    assert len(desk.peek(QUEUE)) == 1


def test_all_are_replayed_at_once(desk: PoisonDesk, storage: MemoryStorage):
    for number in range(70):
        storage.queue("other-poison").send(str(number))
    assert desk.replay("other") == 70
    assert storage.queue("other").info().count == 70
    assert storage.queue("other-poison").info().count == 0
    assert desk.replay("other") == 0


def test_a_message_is_given_up_by_its_id(desk: PoisonDesk, storage: MemoryStorage):
    message = storage.queue("other-poison").send("x")
    desk.delete("other", message)
    assert storage.queue("other-poison").info().count == 0
    with pytest.raises(PoisonMessageNotFound):
        desk.delete("other", message)


def test_a_queue_that_nobody_listens_to_is_refused(desk: PoisonDesk):
    with pytest.raises(QueueUnknown, match="no queue payroll"):
        desk.peek("payroll")
