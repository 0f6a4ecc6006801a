"""The Functions host's queue listener, as far as correctness can tell: receive, handle, delete; back off, and poison."""

from collections.abc import Callable
from contextlib import suppress

from shared.kernel.clock import Clock
from shared.storage.ports import Message, MessageNotFound, Queue, Storage, StorageUnavailable


def queue_listener(
    storage: Storage,
    name: str,
    handle: Callable[[str], None],
    clock: Clock,
    *,
    visibility: float = 600,
    retry_delay: float = 5,
    max_dequeues: int = 5,
    poll: float = 1,
    deletes_first: bool = False,
) -> Callable[[], None]:
    """A process body that serves one queue for ever. `deletes_first` is the classic bug, for tests that must fail."""

    def run() -> None:
        queue = storage.queue(name)
        while True:
            try:
                messages = queue.receive(limit=1, visibility=visibility)
                for message in messages:
                    deliver(queue, message)
            except StorageUnavailable:
                clock.sleep(poll)
                continue
            if not messages:
                clock.sleep(poll)

    def deliver(queue: Queue, message: Message) -> None:
        # MessageNotFound: somebody else received it since, and has to finish with it.
        with suppress(MessageNotFound):
            if deletes_first:
                queue.delete(message)
            try:
                handle(message.body)
            except Exception:
                if message.dequeues < max_dequeues:
                    queue.update(message, visibility=retry_delay)
                else:
                    storage.queue(f"{name}-poison").send(message.body)
                    queue.delete(message)
                return
            if not deletes_first:
                queue.delete(message)

    return run
