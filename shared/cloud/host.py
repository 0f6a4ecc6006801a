"""The embedded host on this machine: wakes the listener of a queue, so that what was just sent is not waited for."""

import http.client
import logging
import threading
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from urllib.parse import quote, urlsplit

log = logging.getLogger(__name__)

_TIMEOUT = 2.0


@dataclass(slots=True)
class HostNudge:
    """Call it with a queue's name: it returns at once and tells the host from a thread of its own; best effort.

    `url` is loopback and carries the host's key. Names that come while one is told ride together.
    """

    url: str = field(repr=False)
    _names: SimpleQueue[str] = field(default_factory=lambda: SimpleQueue[str]())
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _thread: threading.Thread | None = None

    def __call__(self, queue: str) -> None:
        self._names.put(queue)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._tell_on, name="host-nudge", daemon=True)
                self._thread.start()

    def _tell_on(self) -> None:
        parts = urlsplit(self.url)
        path = f"{parts.path}?{parts.query}&queue=" if parts.query else f"{parts.path}?queue="
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=_TIMEOUT)
        while True:
            names = {self._names.get()}
            while True:
                try:
                    names.add(self._names.get_nowait())
                except Empty:
                    break
            for name in sorted(names):
                try:
                    connection.request("POST", f"{path}{quote(name)}")
                    connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    # The listener polls anyway.
                    connection.close()
                    log.debug("the host was not woken", extra={"queue": name})
