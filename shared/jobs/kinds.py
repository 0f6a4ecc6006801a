"""What services register with the engine: a kind of job, the step it runs, and what to do when a step fails."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from shared.jobs.model import JsonObject, Progress
from shared.kernel.errors import Category, OmsError

if TYPE_CHECKING:
    from shared.jobs.context import StepContext


class JobKindUnknown(OmsError):
    """No service of this release runs such jobs."""

    category = Category.UNSUPPORTED
    code = "JobKindUnknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Next:
    """The step is done and another follows, at once or in `delay` seconds. `state` None leaves it as it was."""

    state: JsonObject | None = None
    delay: float = 0
    progress: Progress | None = None
    next: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """The step is done and the job waits until then, or until `JobEngine.wake`. People read `reason` and `next`."""

    until: datetime
    reason: str
    next: str = ""
    state: JsonObject | None = None
    progress: Progress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Succeed:
    result: JsonObject = field(default_factory=dict[str, Any])
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SucceedPartly:
    """Over, with some of it not done; `code` and `message` say what."""

    code: str
    message: str
    result: JsonObject = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fail:
    """Over, and trying again would not help."""

    code: str
    message: str
    result: JsonObject | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """The cancel was heard and everything is as it should be. Refused unless a cancel was asked for."""

    result: JsonObject | None = None


StepOutcome = Next | Wait | Succeed | SucceedPartly | Fail | Stop
RunStep = Callable[["StepContext"], StepOutcome]

_HOPELESS: Final = frozenset(
    {
        Category.INVALID,
        Category.UNAUTHENTICATED,
        Category.FORBIDDEN,
        Category.NOT_FOUND,
        Category.GONE,
        Category.TOO_LARGE,
        Category.UNSUPPORTED,
    }
)


def may_pass(error: Exception) -> bool:
    """Whether the same step may succeed later. What the caller did wrong stays wrong; anything unexpected may pass."""
    return not (isinstance(error, OmsError) and error.category in _HOPELESS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a failing step is tried, and how long apart: `base` seconds, doubling up to `ceiling`, half of it jitter.

    `deaths` is how many runners may fall silent over one step before it is taken for what kills them.
    """

    attempts: int = 5
    base: float = 2.0
    ceiling: float = 300.0
    deaths: int = 10
    retries: Callable[[Exception], bool] = may_pass

    def delay(self, failures: int, jitter: float) -> float:
        """Seconds to wait after so many failures of one step; `jitter` is from 0 to 1."""
        full = min(self.ceiling, self.base * 2.0 ** min(failures - 1, 60))
        return full / 2 + full / 2 * jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class JobKind:
    """A kind of job. `run_step` does one step that fits `budget` seconds; it is run again after a crash, so what it does
    elsewhere must bear that. `on_cancel` undoes what must be undone; without it a cancelled job just ends between steps.
    `timeout` is the longest a job may take from its start, in seconds.
    """

    name: str
    run_step: RunStep
    on_cancel: RunStep | None = None
    retry: RetryPolicy = RetryPolicy()
    budget: float = 60.0
    timeout: float | None = None
    keep_days: float = 30.0


@dataclass(slots=True)
class JobKinds:
    """The kinds of job that this release runs, by name; services register theirs at bootstrap."""

    _kinds: dict[str, JobKind] = field(default_factory=dict[str, JobKind])

    def register(self, kind: JobKind) -> None:
        if kind.name in self._kinds:
            raise ValueError(f"the job kind {kind.name} is registered twice")
        self._kinds[kind.name] = kind

    def get(self, name: str) -> JobKind:
        """JobKindUnknown."""
        try:
            return self._kinds[name]
        except KeyError:
            raise JobKindUnknown(f"no service here runs jobs of kind {name}", target=name) from None

    def all(self) -> Mapping[str, JobKind]:
        return dict(self._kinds)
