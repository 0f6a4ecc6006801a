"""Messages that the host gave up on: what they are, since when, why, and how to have them delivered once more."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from shared.jobs.messages import JobMessage, JobMessageInvalid
from shared.jobs.store import JobNotFound, JobStore
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import StoredVersionUnsupported
from shared.storage.ports import Message, MessageNotFound, Queue, Storage

SUFFIX: Final = "-poison"
_HIDE: Final = 30.0
"""Seconds that messages looked through for one of them stay hidden from others."""
_MOST: Final = 3_200
"""Messages looked through for one of them."""


class QueueUnknown(OmsError):
    category = Category.NOT_FOUND
    code = "QueueNotFound"


class PoisonMessageNotFound(OmsError):
    category = Category.NOT_FOUND
    code = "MessageNotFound"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonMessage:
    """A message nobody could handle. `names` is what it is about, `reason` what is known of why."""

    queue: str
    id: str
    inserted: datetime
    size: int
    names: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PoisonQueue:
    queue: str
    count: int
    oldest: datetime | None


Explain = Callable[[str], tuple[str, str]]
"""From a message's body to what it names and why it may have failed; it shows nothing else of the body."""


@dataclass(frozen=True, slots=True)
class PoisonDesk:
    """The poison queues of all the queues that the bundle listens to, each with its way to explain a message."""

    storage: Storage
    queues: dict[str, Explain]
    nudge: Callable[[str], None]

    def list(self) -> Sequence[PoisonQueue]:
        found: list[PoisonQueue] = []
        for queue in self.queues:
            info = self.storage.queue(f"{queue}{SUFFIX}").info()
            found.append(PoisonQueue(queue=queue, count=info.count, oldest=info.oldest))
        return found

    def peek(self, queue: str) -> Sequence[PoisonMessage]:
        """The first 32. QueueNotFound."""
        explain = self._explain(queue)
        shown: list[PoisonMessage] = []
        for message in self._poison(queue).peek():
            names, reason = explain(message.body)
            shown.append(
                PoisonMessage(
                    queue=queue,
                    id=message.id,
                    inserted=message.inserted,
                    size=len(message.body.encode()),
                    names=names,
                    reason=reason,
                )
            )
        return shown

    def replay(self, queue: str, message_id: str | None = None) -> int:
        """Put one message, or all, back on its queue; how many. A crash between may replay one twice, never lose it."""
        self._explain(queue)
        replayed = 0
        for message in self._take(queue, message_id):
            self.storage.queue(queue).send(message.body)
            self._drop(queue, message)
            replayed += 1
        if replayed:
            self.nudge(queue)
        return replayed

    def delete(self, queue: str, message_id: str) -> None:
        """Give one message up for good. MessageNotFound."""
        self._explain(queue)
        for message in self._take(queue, message_id):
            self._drop(queue, message)

    def _take(self, queue: str, message_id: str | None) -> Sequence[Message]:
        """The message of that id, or all that are there now; the others are handed back."""
        poison = self._poison(queue)
        taken: list[Message] = []
        while len(taken) < _MOST and (batch := poison.receive(limit=32, visibility=_HIDE)):
            taken += batch
        if message_id is None:
            return taken
        wanted = [message for message in taken if message.id == message_id]
        for message in taken:
            if message.id != message_id:
                self._hand_back(poison, message)
        if not wanted:
            raise PoisonMessageNotFound(
                f"there is no message {message_id} on {queue}{SUFFIX}", target=message_id
            )
        return wanted

    def _hand_back(self, poison: Queue, message: Message) -> None:
        try:
            poison.update(message, visibility=0)
        except MessageNotFound:
            return

    def _drop(self, queue: str, message: Message) -> None:
        try:
            self._poison(queue).delete(message)
        except MessageNotFound:
            # Somebody replays it as well; delivered twice is harmless.
            return

    def _poison(self, queue: str) -> Queue:
        return self.storage.queue(f"{queue}{SUFFIX}")

    def _explain(self, queue: str) -> Explain:
        try:
            return self.queues[queue]
        except KeyError:
            raise QueueUnknown(f"the bundle listens to no queue {queue}", target=queue) from None


def explain_job(store: JobStore) -> Explain:
    """What a message of the job queue is about: the job, and how that job stands now."""

    def explain(body: str) -> tuple[str, str]:
        try:
            message = JobMessage.decode(body)
        except (JobMessageInvalid, StoredVersionUnsupported) as invalid:
            return "", invalid.message
        try:
            job = store.get(message.scope, message.job_id).job
        except JobNotFound as gone:
            return f"job {message.job_id}", gone.message
        except StoredVersionUnsupported as newer:
            return f"job {message.job_id}", newer.message
        why = job.error.message if job.error else job.reason
        return f"{job.kind} {job.id} of {job.scope}", f"the job is {job.status}" + (f": {why}" if why else "")

    return explain


def explain_json(body: str) -> tuple[str, str]:
    """For queues without a way of their own: which fields the message has, not what they hold."""
    try:
        parsed: Any = json.loads(body)
    except ValueError:
        return "", "the message is not JSON"
    if not isinstance(parsed, dict):
        return "", "the message is not a JSON object"
    return f"fields {', '.join(sorted(cast('dict[str, Any]', parsed)))}", ""
