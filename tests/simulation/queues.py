"""Queues that do what the platform may do: send twice, deliver late and out of order, deliver to two at once."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from shared.storage.ports import Blobs, Message, MessageNotFound, Queue, QueueInfo, Storage, Table


class Dice(Protocol):
    """Who decides whether something of a chance happens now."""

    def happens(self, chance: float) -> bool: ...

    def between(self, low: float, high: float) -> float: ...


@dataclass(frozen=True, slots=True)
class UnreliableQueue:
    inner: Queue
    dice: Dice
    twice: float
    late: float

    def send(self, body: str, *, delay: float = 0, ttl: float | None = None) -> str:
        if self.dice.happens(self.late):
            # Later messages overtake it.
            delay += self.dice.between(0, 60)
        sent = self.inner.send(body, delay=delay, ttl=ttl)
        if self.dice.happens(self.twice):
            self.inner.send(body, delay=delay + self.dice.between(0, 60), ttl=ttl)
        return sent

    def receive(self, *, limit: int = 1, visibility: float = 600) -> Sequence[Message]:
        messages = self.inner.receive(limit=limit, visibility=visibility)
        for message in messages:
            if self.dice.happens(self.twice):
                # Somebody else gets it too, while the first receiver works on it.
                with suppress(MessageNotFound):
                    self.inner.update(message, visibility=0)
        return messages

    def update(self, message: Message, *, visibility: float, body: str | None = None) -> Message:
        return self.inner.update(message, visibility=visibility, body=body)

    def delete(self, message: Message) -> None:
        self.inner.delete(message)

    def peek(self, *, limit: int = 32) -> Sequence[Message]:
        return self.inner.peek(limit=limit)

    def info(self) -> QueueInfo:
        return self.inner.info()

    def clear(self) -> None:
        self.inner.clear()


@dataclass(frozen=True, slots=True)
class UnreliableStorage:
    """A storage account whose queues are unreliable; its failures come from the gate of the storage beneath."""

    inner: Storage
    dice: Dice
    twice: float
    late: float

    def blobs(self, container: str) -> Blobs:
        return self.inner.blobs(container)

    def table(self, name: str) -> Table:
        return self.inner.table(name)

    def queue(self, name: str) -> Queue:
        return UnreliableQueue(self.inner.queue(name), self.dice, self.twice, self.late)

    def ping(self) -> None:
        self.inner.ping()
