"""How a call to Azure Storage is repeated, and when it is given up: ours, so that a call knows whether it is a repetition."""

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    ServiceResponseError,
)
from azure.core.pipeline.transport import RequestsTransport
from requests import RequestException, Session
from requests.adapters import HTTPAdapter

from shared.kernel.clock import Clock
from shared.storage.ports import StorageUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")

PAUSES: Final = (0.1, 0.3, 0.8, 1.6, 3.0)
BUDGET_SECONDS: Final = 10.0
CONNECT_SECONDS: Final = 5
READ_SECONDS: Final = 20
CONNECTIONS: Final = 64
_RETRIABLE: Final = frozenset({408, 429, 500, 502, 503, 504})
# 409s that pass by themselves: what is being deleted goes away, and so does a conflict inside the service.
_PASSING: Final = frozenset(
    {"ContainerBeingDeleted", "TableBeingDeleted", "QueueBeingDeleted", "OperationTimedOut"}
)
_HOMELESS: Final = frozenset({"ContainerNotFound", "TableNotFound", "QueueNotFound"})
SDK_OPTIONS: Final[dict[str, Any]] = {"retry_total": 0, "logging_enable": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Repeats what may pass, at most some ten seconds long, and says when a repetition may meet its own earlier success."""

    clock: Clock
    jitter: Callable[[], float] = random.random

    def call(self, what: str, attempt: Callable[[bool], T], *, create: Callable[[], None] | None = None) -> T:
        """The result of `attempt(again)`; `again` says that an earlier one failed with an unknown outcome.

        `create` makes the container, table or queue where the answer is that it is missing. StorageUnavailable in the end.
        """
        begun = self.clock.monotonic()
        again = False
        pauses = iter(PAUSES)
        while True:
            try:
                return attempt(again)
            except (AzureError, RequestException, AttributeError) as raised:
                error = broken(raised)
                if create is not None and is_homeless(error):
                    self._make(what, create)
                    create = None
                    continue
                if not is_passing(error):
                    raise error from raised.__cause__
                pause = next(pauses, None)
                elapsed = self.clock.monotonic() - begun
                if pause is None or elapsed + pause > BUDGET_SECONDS:
                    raise StorageUnavailable(
                        f"{what}: storage gave no answer that lasts in {elapsed:.1f} s: {summary(error)}",
                        target=what,
                        retry_after=1,
                    ) from error
                log.info("storage call repeated", extra={"call": what, "reason": summary(error)})
                again = True
                self.clock.sleep(pause * (0.5 + self.jitter()))

    def _make(self, what: str, create: Callable[[], None]) -> None:
        self.call(f"create for {what}", lambda _: create())


def broken(raised: AzureError | RequestException | AttributeError) -> AzureError:
    """What happened, as the SDK's error. Where an answer is cut short the SDK lets other errors out.

    In a table batch it is the one of `requests`; elsewhere in tables it is an AttributeError while it looks for the
    missing answer. An AttributeError of any other origin is a bug and is raised again.
    """
    if isinstance(raised, AzureError):
        return raised
    if isinstance(raised, RequestException):
        return ServiceResponseError(str(raised), error=raised)
    if isinstance(raised.__context__, AzureError):
        return raised.__context__
    raise raised


def is_passing(error: AzureError) -> bool:
    """Whether the same call may succeed a moment later."""
    if isinstance(error, ClientAuthenticationError):
        return False
    if isinstance(error, DecodeError) or not isinstance(error, HttpResponseError):
        return True  # the connection broke, or the answer was cut short
    if (
        error.status_code is None or error.status_code in _RETRIABLE or error.status_code < 300
    ):  # an answer of success that did not parse
        return True
    return code_of(error) in _PASSING


def is_homeless(error: AzureError) -> bool:
    """Whether the container, table or queue itself is missing."""
    return code_of(error) in _HOMELESS


def code_of(error: AzureError) -> str:
    """Azure's name for the error, "" if it gave none."""
    code: object = getattr(error, "error_code", None)
    if code is None and isinstance(error, HttpResponseError):
        response: Any = error.response
        code = None if response is None else response.headers.get("x-ms-error-code")
    return str(getattr(code, "value", code) or "")


def summary(error: AzureError) -> str:
    """One line without addresses or signatures."""
    status = error.status_code if isinstance(error, HttpResponseError) else None
    code = code_of(error)
    return " ".join(str(part) for part in (type(error).__name__, status, code) if part)


def transport(ca_file: str | None = None) -> RequestsTransport:
    """Connections shared by all threads of the process; a burst beyond them opens more and drops them after."""
    session = Session()
    adapter = HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.trust_env = False  # proxies and .netrc of the environment would be read at each request
    return RequestsTransport(
        session=session,
        session_owner=False,
        connection_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        connection_verify=ca_file or True,
    )


def utc(instant: datetime) -> datetime:
    return instant.astimezone(UTC)
