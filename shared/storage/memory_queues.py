"""A queue in memory, with Azure's visibility, pop receipts and expiry."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import RLock

from shared.kernel.clock import Clock
from shared.storage import limits
from shared.storage.gates import Gated
from shared.storage.ports import Message, MessageNotFound, QueueInfo


@dataclass(slots=True, kw_only=True)
class _Held:
    id: str
    body: str
    receipt: str
    dequeues: int
    inserted: datetime
    expires: datetime | None
    visible: datetime


@dataclass(slots=True, kw_only=True)
class MemoryQueue:
    name: str
    clock: Clock
    lock: RLock
    gates: Gated
    next_etag: Callable[[], str]
    messages: dict[str, _Held] = field(default_factory=dict[str, _Held])

    def send(self, body: str, *, delay: float = 0, ttl: float | None = None) -> str:
        limits.check_message(body)
        wait, life = limits.delay_and_ttl(delay, ttl)
        with self.gates.passing("queue.send", self.name), self.lock:
            now = self.clock.now()
            held = _Held(
                id=str(uuid.uuid5(uuid.NAMESPACE_OID, self.next_etag())),
                body=body,
                receipt=self.next_etag(),
                dequeues=0,
                inserted=now,
                expires=None if life is None else now + timedelta(seconds=life),
                visible=now + timedelta(seconds=wait),
            )
            self.messages[held.id] = held
            return held.id

    def receive(self, *, limit: int = 1, visibility: float = 600) -> Sequence[Message]:
        limits.check_receive(limit)
        hidden = limits.whole_seconds("visibility", visibility, least=1)
        with self.gates.passing("queue.receive", self.name), self.lock:
            taken = self._visible()[:limit]
            for held in taken:
                held.receipt = self.next_etag()
                held.dequeues += 1
                held.visible = self.clock.now() + timedelta(seconds=hidden)
            return [_message(held) for held in taken]

    def update(self, message: Message, *, visibility: float, body: str | None = None) -> Message:
        hidden = limits.whole_seconds("visibility", visibility)
        if body is not None:
            limits.check_message(body)
        with self.gates.passing("queue.update", self.name), self.lock:
            held = self._held(message)
            held.receipt = self.next_etag()
            held.visible = self.clock.now() + timedelta(seconds=hidden)
            held.body = held.body if body is None else body
            return _message(held)

    def delete(self, message: Message) -> None:
        with self.gates.passing("queue.delete", self.name), self.lock:
            del self.messages[self._held(message).id]

    def peek(self, *, limit: int = 32) -> Sequence[Message]:
        limits.check_receive(limit)
        with self.gates.passing("queue.peek", self.name), self.lock:
            return [_message(held, receipt="") for held in self._visible()[:limit]]

    def info(self) -> QueueInfo:
        with self.gates.passing("queue.info", self.name), self.lock:
            visible = self._visible()
            return QueueInfo(count=len(self.messages), oldest=visible[0].inserted if visible else None)

    def clear(self) -> None:
        with self.gates.passing("queue.clear", self.name), self.lock:
            self.messages.clear()

    def _visible(self) -> list[_Held]:
        self._expire()
        now = self.clock.now()
        # Azure promises no order; oldest visible first is what it does when left alone.
        return sorted(
            (held for held in self.messages.values() if held.visible <= now), key=lambda held: held.visible
        )

    def _held(self, message: Message) -> _Held:
        self._expire()
        held = self.messages.get(message.id)
        if held is None or held.receipt != message.receipt:
            raise MessageNotFound(
                f"message {message.id} of queue {self.name} is gone or was received since", target=message.id
            )
        return held

    def _expire(self) -> None:
        now = self.clock.now()
        for held in [held for held in self.messages.values() if held.expires and held.expires <= now]:
            del self.messages[held.id]


def _message(held: _Held, *, receipt: str | None = None) -> Message:
    return Message(
        id=held.id,
        body=held.body,
        receipt=held.receipt if receipt is None else receipt,
        dequeues=held.dequeues,
        inserted=held.inserted,
        expires=held.expires,
        next_visible=held.visible,
    )
