"""How much of senders' data is worked on at once: parsed records take many times the memory of their text."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Condition
from typing import Final

from shared.kernel.errors import Category, OmsError

MAX_BYTES: Final = 64 * 1024 * 1024
PATIENCE_SECONDS: Final = 20.0


class IngestionBusy(OmsError):
    """Others' records fill the memory that ingestion may take, and did not make room in time."""

    category = Category.THROTTLED
    code = "IngestionBusy"


@dataclass
class Room:
    """Bodies of up to `limit` bytes in all are held at once, or a single larger one. Others wait their turn."""

    limit: int = MAX_BYTES
    patience: float = PATIENCE_SECONDS
    _held: int = 0
    _changed: Condition = field(default_factory=Condition)

    @contextmanager
    def hold(self, size: int) -> Generator[None]:
        """IngestionBusy if there is no room for so long that the sender had better come again."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: not self._held or self._held + size <= self.limit, self.patience
            ):
                raise IngestionBusy(
                    f"{self._held} bytes of other requests are being worked on; send it again later",
                    retry_after=5,
                )
            self._held += size
        try:
            yield
        finally:
            with self._changed:
                self._held -= size
                self._changed.notify_all()
