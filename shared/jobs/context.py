"""What a step is given: its job, its time, and ways to say how far it is and to hear of a cancel."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from shared.jobs.model import Job, JsonObject, Progress
from shared.jobs.output import OutputWriter
from shared.kernel.clock import Clock
from shared.storage.ports import StorageUnavailable

_LOOK_EVERY: Final = 2.0
"""Seconds between two looks at the stored job."""

Touch = Callable[[Job], Job]
"""Renews the claim with the progress given; the job as stored now. FenceBroken."""


@dataclass(slots=True)
class StepContext:
    """One attempt at one step. Good until `deadline`; `should_stop` says when to come to an end."""

    job: Job
    clock: Clock
    output: OutputWriter
    budget: float
    touch: Touch
    cancelling: bool
    """This step is to undo and end: the job's cancel was asked for."""
    _began: float = field(init=False)
    _looked: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self._looked = self.clock.monotonic()

    @property
    def parameters(self) -> JsonObject:
        return self.job.parameters

    @property
    def state(self) -> JsonObject:
        return self.job.state

    @property
    def fence(self) -> int:
        """Grows with every claim of this job: whoever writes elsewhere for it can refuse an older one."""
        return self.job.fence

    def now(self) -> datetime:
        return self.clock.now()

    def time_left(self) -> float:
        """Seconds of the step's budget."""
        return self.budget - (self.clock.monotonic() - self._began)

    def should_stop(self) -> bool:
        """Whether the step has to come to an end: its time is over, or somebody asked to cancel. FenceBroken."""
        return self.time_left() <= 0 or self.cancel_requested()

    def cancel_requested(self) -> bool:
        """Whether a cancel was asked for; looks at the stored job every other second. FenceBroken."""
        if not self.job.cancel_requested and self.clock.monotonic() - self._looked >= _LOOK_EVERY:
            self.heartbeat()
        return self.job.cancel_requested

    def say(self, text: str, *, stream: str = "Output") -> None:
        """Add lines to the job's output."""
        self.output.write(text, stream=stream)

    def report(
        self,
        *,
        phase: str | None = None,
        done: int | None = None,
        total: int | None = None,
        size: int | None = None,
    ) -> None:
        """Say how far the job is; what is not given stays. Stored every other second at most. FenceBroken."""
        before = self.job.progress
        seconds = max(self.clock.monotonic() - self._began, 0.001)
        progress = Progress(
            phase=before.phase if phase is None else phase,
            done=before.done if done is None else done,
            total=before.total if total is None else total,
            bytes=before.bytes if size is None else size,
            rate=before.rate,
        )
        moved = progress.bytes - before.bytes if size is not None else progress.done - before.done
        if moved > 0:
            progress = replace(progress, rate=round(moved / seconds, 3))
        self.job = replace(self.job, progress=progress)
        if self.clock.monotonic() - self._looked >= _LOOK_EVERY:
            self.heartbeat()

    def heartbeat(self) -> None:
        """Renew the claim, store the progress, make the output readable. FenceBroken."""
        self._looked = self.clock.monotonic()
        # A storage that is busy now costs the step nothing: what it says is kept, and the claim has time left.
        with suppress(StorageUnavailable):
            self.output.flush()
            stored = self.touch(self.job)
            self.job = replace(self.job, cancel_requested=stored.cancel_requested)
