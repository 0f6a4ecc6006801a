"""Queue triggers with the Functions host's semantics: batches, renewal, retries after a delay, the poison queue."""

import asyncio
import base64
import binascii
import logging
import random
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from devhost.hostjson import Queues
from devhost.worker import Function, Worker

if TYPE_CHECKING:
    from azure.storage.queue import QueueClient, QueueMessage

log = logging.getLogger(__name__)

POISON_SUFFIX: Final = "-poison"
MESSAGE_SECONDS: Final = 600.0
_SHORTEST_POLL: Final = 0.1
_FOREVER: Final = -1


@dataclass(slots=True)
class Backoff:
    """How long to wait after polls that found nothing: growing, randomised, up to `longest`."""

    longest: float
    draw: Callable[[float, float], float] = random.uniform
    _exponent: int = 1
    _current: float = 0.0

    def found(self) -> None:
        self._exponent, self._current = 1, 0.0

    def next(self) -> float:
        if self._current < self.longest:
            grown = _SHORTEST_POLL + self.draw(0.8, 1.2) * _SHORTEST_POLL * (2**self._exponent - 1)
            self._current = min(grown, self.longest)
            self._exponent += 1
        return self._current


@dataclass(slots=True, kw_only=True)
class QueueListener:
    """Listens to one queue for one function. `run` returns after `stop`; any other end is an error of the host."""

    function: Function
    queue: "QueueClient"
    poison: "QueueClient | None"
    worker: Worker
    settings: Queues
    io: ThreadPoolExecutor
    message_seconds: float = MESSAGE_SECONDS
    """For how long a message is hidden while its function runs; renewed at half of it."""
    in_flight: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    trouble: str = ""
    """Why the last poll failed, if it did; the listener goes on trying."""
    _stopping: bool = False
    _wake: asyncio.Event = field(default_factory=asyncio.Event)

    def nudge(self) -> None:
        """Look at the queue now."""
        self._wake.set()

    def stop(self) -> None:
        """Take no more messages."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        backoff = Backoff(self.settings.max_polling_interval)
        while not self._stopping:
            self._wake.clear()
            if len(self.in_flight) > self.settings.new_batch_threshold:
                await self._wake.wait()
                continue
            if await self._poll():
                backoff.found()
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), backoff.next())
                backoff.found()

    async def drain(self) -> None:
        """Wait for the functions that run."""
        while self.in_flight:
            await asyncio.wait(self.in_flight)

    async def give_back(self) -> None:
        """Cancel what still runs and make its messages visible again."""
        tasks = list(self.in_flight)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _poll(self) -> int:
        from azure.core.exceptions import (
            HttpResponseError,
            ResourceNotFoundError,
            ServiceRequestError,
            ServiceResponseError,
        )

        try:
            messages = await self._io(self._receive)
        except ResourceNotFoundError:
            # Nobody has sent anything yet: the queue comes with its first message.
            messages = []
        except (ServiceRequestError, ServiceResponseError) as error:
            return self._troubled(error)
        except HttpResponseError as error:
            if error.status_code is not None and error.status_code < 500 and error.status_code != 429:
                raise
            return self._troubled(error)
        if self.trouble:
            log.info("queue %s answers again", self.queue.queue_name)
            self.trouble = ""
        for message in messages:
            task = asyncio.create_task(self._process(message), name=message.id)
            self.in_flight.add(task)
            task.add_done_callback(self._ended)
        return len(messages)

    def _receive(self) -> list["QueueMessage"]:
        received = self.queue.receive_messages(
            max_messages=self.settings.batch_size,
            messages_per_page=self.settings.batch_size,
            visibility_timeout=int(self.message_seconds),
        )
        return list(received)

    def _troubled(self, error: Exception) -> int:
        if not self.trouble:
            log.warning("queue %s does not answer: %s", self.queue.queue_name, error)
        self.trouble = str(error)
        return 0

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.in_flight.discard(task)
        self._wake.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            # The message becomes visible again by itself, and is tried again then.
            log.error("message %s of %s: %s", task.get_name(), self.queue.queue_name, error, exc_info=error)

    async def _process(self, message: "QueueMessage") -> None:
        dequeues = message.dequeue_count or 1
        if dequeues > self.settings.max_dequeue_count and self.poison is not None:
            await self._to_poison(message)
            return
        text = message.content
        body: str | bytes = text
        if self.settings.base64:
            try:
                body = _decoded(base64.b64decode(text, validate=True))
            except binascii.Error:
                log.warning(
                    "message %s of %s is not base64, as host.json says it should be",
                    message.id,
                    self.queue.queue_name,
                )
                await self._to_poison(message)
                return
        done = asyncio.Event()
        renewal = asyncio.create_task(self._renew(message, done))
        try:
            outcome = await self.worker.call_queue(self.function, body, metadata_of(message))
        except asyncio.CancelledError:
            done.set()
            await asyncio.wait([renewal])
            await self._show(message, 0)
            raise
        done.set()
        # Not cancelled: an update under way must end, or its new pop receipt would be lost and the delete refused.
        await asyncio.wait([renewal])
        if outcome.ok:
            await self._delete(message)
        elif self.poison is not None and dequeues >= self.settings.max_dequeue_count:
            log.error(
                "%s failed %d times on message %s: it goes to %s",
                self.function.name,
                dequeues,
                message.id,
                self.poison.queue_name,
            )
            await self._to_poison(message)
        else:
            await self._show(message, self.settings.visibility_timeout)

    async def _renew(self, message: "QueueMessage", done: asyncio.Event) -> None:
        from azure.core.exceptions import AzureError, ResourceNotFoundError

        wait = self.message_seconds / 2
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(done.wait(), wait)
                return
            try:
                await self._update(message, self.message_seconds)
                wait = self.message_seconds / 2
            except ResourceNotFoundError:
                return  # deleted, or somebody else has it: then it is theirs
            except AzureError as error:
                log.warning("message %s of %s: not renewed: %s", message.id, self.queue.queue_name, error)
                wait = max(wait / 4, _SHORTEST_POLL)

    async def _update(self, message: "QueueMessage", seconds: float) -> None:
        updated = await self._io(
            lambda: self.queue.update_message(
                message.id, message.pop_receipt, visibility_timeout=int(seconds)
            )
        )
        message.pop_receipt = updated.pop_receipt

    async def _show(self, message: "QueueMessage", seconds: float) -> None:
        from azure.core.exceptions import ResourceNotFoundError

        with suppress(ResourceNotFoundError):
            await self._update(message, seconds)
        if seconds <= self.settings.max_polling_interval:
            asyncio.get_running_loop().call_later(seconds, self.nudge)

    async def _delete(self, message: "QueueMessage") -> None:
        from azure.core.exceptions import ResourceNotFoundError

        try:
            await self._io(lambda: self.queue.delete_message(message.id, message.pop_receipt))
        except ResourceNotFoundError:
            log.warning(
                "message %s of %s was handled, but somebody else received it meanwhile: it is handled twice",
                message.id,
                self.queue.queue_name,
            )

    async def _to_poison(self, message: "QueueMessage") -> None:
        from azure.core.exceptions import ResourceNotFoundError

        if self.poison is None:
            await self._delete(message)
            return
        poison = self.poison
        try:
            await self._io(lambda: poison.send_message(message.content, time_to_live=_FOREVER))
        except ResourceNotFoundError:
            with suppress(Exception):
                await self._io(poison.create_queue)
            await self._io(lambda: poison.send_message(message.content, time_to_live=_FOREVER))
        await self._delete(message)

    async def _io[T](self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.io, call)

    def status(self) -> Mapping[str, Any]:
        return {
            "function": self.function.name,
            "kind": "queue",
            "queue": self.queue.queue_name,
            "inFlight": len(self.in_flight),
            "trouble": self.trouble or None,
        }


def metadata_of(message: "QueueMessage") -> Mapping[str, str | int]:
    """What the trigger tells about a message beside its body."""
    return {
        "Id": message.id,
        "DequeueCount": message.dequeue_count or 0,
        "PopReceipt": message.pop_receipt or "",
        "InsertionTime": _iso(message.inserted_on),
        "ExpirationTime": _iso(message.expires_on),
        "NextVisibleTime": _iso(message.next_visible_on),
    }


def _iso(instant: Any) -> str:
    # The SDK types these as text but hands out aware datetimes; the worker wants its own one format with Z.
    return instant.strftime("%Y-%m-%dT%H:%M:%S+00:00") if isinstance(instant, datetime) else ""


def _decoded(body: bytes) -> str | bytes:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return body
