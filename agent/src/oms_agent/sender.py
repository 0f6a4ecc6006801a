"""Empties the spool into the bundle: in order, with back-off, for ever."""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from oms_agent.spool import Spool
from oms_agent.transport import NotReached, Refused, Transport

log = logging.getLogger(__name__)

SHORTEST: Final = 1.0
LONGEST: Final = 60.0


@dataclass(slots=True)
class Sender:
    """One thread. `on_rejected` hears of batches that the bundle will never take."""

    spool: Spool
    transport: Transport
    stop: threading.Event
    on_rejected: Callable[[str, int, str], None]
    jitter: random.Random = field(default_factory=random.Random)
    sent: int = 0
    sent_bytes: int = 0
    trouble: str | None = None
    last_success: float = 0.0

    def run(self) -> None:
        delay = SHORTEST
        while not self.stop.is_set():
            wait = self.step()
            if wait is None:
                delay = SHORTEST
                continue
            # Full jitter, so that a fleet does not come back in one wave; the bundle's own Retry-After is the least.
            self.stop.wait(max(wait, self.jitter.uniform(delay / 2, delay)))
            delay = min(delay * 2, LONGEST)

    def step(self, patience: float = 0.5) -> float | None:
        """Send one batch. None: go on; a number: something is wrong, wait at least so many seconds."""
        batch = self.spool.next(patience)
        if batch is None:
            return None
        count, body = batch.body()
        if count == 0:
            self.spool.done(batch)
            return None
        try:
            self.transport.post_records(batch.stream, body, request_id=batch.request_id)
        except Refused as refused:
            if refused.is_final:
                log.exception("batch rejected", extra={"stream": batch.stream, "reason": str(refused)})
                self.spool.set_aside(batch, str(refused))
                self.on_rejected(batch.stream, count, str(refused))
                return None
            self._trouble(str(refused))
            return refused.retry_after or 0.0
        except NotReached as silent:
            self._trouble(str(silent))
            return 0.0
        self.spool.done(batch)
        self.sent += count
        self.sent_bytes += len(body)
        self.last_success = time.time()
        if self.trouble is not None:
            log.info("sending again")
            self.trouble = None
        return None

    def _trouble(self, reason: str) -> None:
        if self.trouble != reason:
            log.warning("cannot send", extra={"reason": reason})
        self.trouble = reason
