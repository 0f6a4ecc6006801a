"""A queue in Azure Storage or Azurite; messages are plain text, as `messageEncoding` "none" in host.json expects."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.storage.queue import QueueClient, QueueMessage, QueueServiceClient

from shared.storage import limits
from shared.storage.azure_calls import Caller, code_of, is_homeless, utc
from shared.storage.ports import Message, MessageNotFound, QueueInfo

_NEVER: Final = 9000  # the year from which on an expiry means that there is none
_GONE: Final = frozenset({"MessageNotFound", "PopReceiptMismatch"})


@dataclass(slots=True, kw_only=True)
class AzureQueue:
    name: str
    service: QueueServiceClient
    caller: Caller
    _client: QueueClient = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._client = self.service.get_queue_client(self.name)

    def send(self, body: str, *, delay: float = 0, ttl: float | None = None) -> str:
        limits.check_message(body)
        wait, life = limits.delay_and_ttl(delay, ttl)

        def attempt(_: bool) -> str:
            sent = self._client.send_message(
                body, visibility_timeout=wait, time_to_live=-1 if life is None else life
            )
            return str(sent.id)

        return self.caller.call(f"send to queue {self.name}", attempt, create=self._create)

    def receive(self, *, limit: int = 1, visibility: float = 600) -> Sequence[Message]:
        limits.check_receive(limit)
        hidden = limits.whole_seconds("visibility", visibility, least=1)

        def attempt(_: bool) -> Sequence[Message]:
            pages = self._client.receive_messages(
                messages_per_page=limit, max_messages=limit, visibility_timeout=hidden
            ).by_page()
            return [_message(found) for found in next(pages, ())]

        return self._reading("receive from", attempt, ())

    def update(self, message: Message, *, visibility: float, body: str | None = None) -> Message:
        hidden = limits.whole_seconds("visibility", visibility)
        if body is not None:
            limits.check_message(body)

        def attempt(_: bool) -> Message:
            try:
                # Without a text of its own some services empty the message: always send it.
                updated = self._client.update_message(
                    message.id,
                    message.receipt,
                    content=message.body if body is None else body,
                    visibility_timeout=hidden,
                )
            except HttpResponseError as error:
                raise self._gone_or(error, message) from error
            return Message(
                id=message.id,
                body=message.body if body is None else body,
                receipt=str(updated.pop_receipt),
                dequeues=message.dequeues,
                inserted=message.inserted,
                expires=message.expires,
                next_visible=_instant(updated.next_visible_on),
            )

        return self.caller.call(f"update message of queue {self.name}", attempt)

    def delete(self, message: Message) -> None:
        def attempt(again: bool) -> None:
            try:
                self._client.delete_message(message.id, message.receipt)
            except HttpResponseError as error:
                if again and code_of(error) == "MessageNotFound":
                    return
                raise self._gone_or(error, message) from error

        self.caller.call(f"delete message of queue {self.name}", attempt)

    def peek(self, *, limit: int = 32) -> Sequence[Message]:
        limits.check_receive(limit)

        def attempt(_: bool) -> Sequence[Message]:
            return [_message(found) for found in self._client.peek_messages(max_messages=limit)]

        return self._reading("peek at", attempt, ())

    def info(self) -> QueueInfo:
        def attempt(_: bool) -> QueueInfo:
            count = self._client.get_queue_properties().approximate_message_count or 0
            head = self._client.peek_messages(max_messages=1)
            return QueueInfo(count=count, oldest=_instant(head[0].inserted_on) if head else None)

        return self._reading("measure", attempt, QueueInfo(count=0, oldest=None))

    def clear(self) -> None:
        self._reading("clear", lambda _: self._client.clear_messages(), None)

    def _reading[T](self, verb: str, attempt: Callable[[bool], T], absent: T) -> T:
        try:
            return self.caller.call(f"{verb} queue {self.name}", attempt)
        except ResourceNotFoundError as error:
            if is_homeless(error):
                return absent
            raise

    def _gone_or(self, error: HttpResponseError, message: Message) -> Exception:
        if code_of(error) not in _GONE and not is_homeless(error):
            return error
        return MessageNotFound(
            f"message {message.id} of queue {self.name} is gone or was received since", target=message.id
        )

    def _create(self) -> None:
        with suppress(ResourceExistsError):
            self._client.create_queue()


def _message(found: QueueMessage) -> Message:
    expires = found.expires_on
    return Message(
        id=str(found.id),
        body=str(found.content or ""),
        receipt=str(found.pop_receipt or ""),
        dequeues=int(found.dequeue_count or 0),
        inserted=_instant(found.inserted_on),
        expires=None if expires is None or expires.year >= _NEVER else utc(expires),
        next_visible=_instant(found.next_visible_on or found.inserted_on),
    )


def _instant(instant: datetime | None) -> datetime:
    if instant is None:
        raise TypeError("a message without its times")
    return utc(instant)
