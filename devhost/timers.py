"""Timer triggers with the Functions host's semantics: one leader, a status blob, past-due runs, no overlap, retries."""

import asyncio
import json
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from devhost.ncrontab import Cron, Every, Schedule
from devhost.worker import Function, Worker

if TYPE_CHECKING:
    from azure.storage.blob import BlobServiceClient

log = logging.getLogger(__name__)

CONTAINER: Final = "azure-webjobs-hosts"
LEASE_SECONDS: Final = 15
_RENEW_SECONDS: Final = 5.0
# The host keeps a status only for schedules at least this long.
_MONITORED: Final = timedelta(minutes=1)
_LONGEST_SLEEP: Final = 60.0

Now = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class HostBlobs:
    """The host's own container: the leader's lease and the timers' status blobs."""

    service: "BlobServiceClient"
    host_id: str
    io: ThreadPoolExecutor

    async def read_status(self, function: str) -> "Status | None":
        from azure.core.exceptions import ResourceNotFoundError

        try:
            data = await self._io(
                lambda: (
                    self.service.get_blob_client(CONTAINER, self._status_name(function))
                    .download_blob()
                    .readall()
                )
            )
        except ResourceNotFoundError:
            return None
        return Status.from_json(data)

    async def write_status(self, function: str, status: "Status") -> None:
        text = json.dumps(status.to_json())
        await self._io(
            lambda: self.service.get_blob_client(CONTAINER, self._status_name(function)).upload_blob(
                text, overwrite=True
            )
        )

    async def lead(self, lease_id: str) -> bool:
        """Take or renew the lease of `lease_id`; False while another host holds it."""
        from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

        blob = self.service.get_blob_client(CONTAINER, f"locks/{self.host_id}/timers")
        for _ in range(2):
            try:
                await self._io(lambda: blob.acquire_lease(LEASE_SECONDS, lease_id=lease_id))
            except ResourceNotFoundError:
                with suppress(ResourceExistsError):
                    await self._io(lambda: self.service.get_container_client(CONTAINER).create_container())
                with suppress(HttpResponseError):
                    await self._io(lambda: blob.upload_blob(b"", overwrite=False))
            except ResourceExistsError:
                return False
            except HttpResponseError as error:
                if error.status_code in (409, 412):
                    return False
                raise
            else:
                return True
        return False

    async def resign(self, lease_id: str) -> None:
        from azure.core.exceptions import AzureError
        from azure.storage.blob import BlobLeaseClient

        blob = self.service.get_blob_client(CONTAINER, f"locks/{self.host_id}/timers")
        with suppress(AzureError):
            await self._io(lambda: BlobLeaseClient(blob, lease_id=lease_id).release())

    def _status_name(self, function: str) -> str:
        return f"timers/{self.host_id}/Host.Functions.{function}/status"

    async def _io[T](self, call: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.io, call)


@dataclass(slots=True, kw_only=True)
class Leadership:
    """Whether this host runs the timers. `run` keeps the lease, or tries for it, until it is cancelled."""

    blobs: HostBlobs
    lease_id: str
    held: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

        loop = asyncio.get_running_loop()
        renewed = loop.time()
        while True:
            asked = loop.time()
            try:
                led = await self.blobs.lead(self.lease_id)
            except (ServiceRequestError, ServiceResponseError, HttpResponseError) as error:
                if isinstance(error, HttpResponseError) and (error.status_code or 500) < 500:
                    raise
                # Storage does not answer: the lease stands until it runs out, and nobody else can take it either.
                led = self.held.is_set() and loop.time() - renewed < LEASE_SECONDS
                log.warning("the timers' lease could not be renewed: %s", error)
            else:
                renewed = asked
            if led:
                self.held.set()
            else:
                self.held.clear()
            await asyncio.sleep(_RENEW_SECONDS)

    async def resign(self) -> None:
        if self.held.is_set():
            self.held.clear()
            await self.blobs.resign(self.lease_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """When a timer last ran, runs next, and when that was written. `last` None: never."""

    last: datetime | None
    next: datetime | None
    updated: datetime

    def to_json(self) -> dict[str, str]:
        return {
            "Last": _format(self.last),
            "Next": _format(self.next),
            "LastUpdated": _format(self.updated),
        }

    @classmethod
    def from_json(cls, data: bytes) -> "Status | None":
        try:
            document = json.loads(data)
            updated = _parse(document["LastUpdated"])
            return cls(last=_parse(document["Last"]), next=_parse(document["Next"]), updated=updated or _MIN)
        except (ValueError, KeyError, TypeError, AttributeError):
            log.warning("a timer's status blob is damaged and is written anew")
            return None


_MIN: Final = datetime(1, 1, 1, tzinfo=UTC)


def start_status(schedule: Schedule, stored: Status | None, now: datetime) -> Status:
    """What a timer's status is when a host takes it over: unchanged unless the schedule was changed meanwhile."""
    if stored is None:
        return Status(last=None, next=schedule.next_after(now), updated=now)
    counted_from = stored.last or stored.updated
    expected = schedule.next_after(counted_from)
    if expected == stored.next:
        return stored
    if expected is not None and now > expected:
        # The new schedule would have fired already; that is no reason to call it late.
        expected = schedule.next_after(now)
    return Status(last=None, next=expected, updated=now)


def is_monitored(schedule: Schedule, binding: Mapping[str, Any], now: datetime) -> bool:
    """Whether the timer keeps a status blob: unless told otherwise, if it fires no more often than once a minute."""
    if binding.get("useMonitor") is False:
        return False
    if isinstance(schedule, Every):
        return schedule.interval >= _MONITORED
    first = schedule.next_after(now)
    second = schedule.next_after(first) if first is not None else None
    return first is None or second is None or second - first >= _MONITORED


@dataclass(slots=True, kw_only=True)
class TimerListener:
    """Fires one timer function while this host leads. `run` ends only after `stop`."""

    function: Function
    schedule: Schedule
    blobs: HostBlobs
    leadership: Leadership
    worker: Worker
    now: Now = utc_now
    due: datetime | None = None
    last: datetime | None = None
    running: bool = False
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        on_startup = bool(self.function.binding.get("runOnStartup"))
        while await self._lead():
            status = await self._take_over()
            late = status.next is not None and self.now() > status.next
            if on_startup or late:
                status = await self._fire(status, late=late)
                on_startup = False
            while await self._sleep_until_due():
                status = await self._fire(status, late=False)

    async def fire_by_hand(self) -> None:
        """One run outside the schedule; it waits for nothing and changes no status."""
        await self._invoke(Status(last=self.last, next=self.due, updated=self.now()), late=False)

    async def _lead(self) -> bool:
        leading = asyncio.create_task(self.leadership.held.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([leading, stopping], return_when=asyncio.FIRST_COMPLETED)
        leading.cancel()
        stopping.cancel()
        return not self._stopping.is_set()

    async def _take_over(self) -> Status:
        monitored = is_monitored(self.schedule, self.function.binding, self.now())
        stored = await self._patiently(self._read) if monitored else None
        status = start_status(self.schedule, stored, self.now())
        if monitored and status != stored:
            await self._patiently(lambda: self.blobs.write_status(self.function.name, status))
        self.due, self.last = status.next, status.last
        return status

    async def _read(self) -> Status | None:
        return await self.blobs.read_status(self.function.name)

    async def _fire(self, status: Status, *, late: bool) -> Status:
        started = self.now()
        await self._invoke(status, late=late)
        finished = self.now()
        fired = Status(last=started, next=self.schedule.next_after(started), updated=finished)
        if is_monitored(self.schedule, self.function.binding, finished):
            await self._patiently(lambda: self.blobs.write_status(self.function.name, fired))
        # A run that took longer than the interval swallows the occurrences it covered.
        self.due, self.last = self.schedule.next_after(finished), fired.last
        return fired

    async def _invoke(self, status: Status, *, late: bool) -> None:
        value = {
            "Schedule": {"AdjustForDST": isinstance(self.schedule, Cron)},
            "ScheduleStatus": status.to_json(),
            "IsPastDue": late,
        }
        retry, attempt = self.function.retry, 0
        self.running = True
        try:
            while True:
                outcome = await self.worker.call_timer(
                    self.function, value, attempt=attempt, attempts=retry.limit if retry else 0
                )
                if outcome.ok or retry is None or (attempt >= retry.limit != -1):
                    break
                delay = min(retry.least * 2**attempt * random.uniform(0.8, 1.2), retry.most)  # noqa: S311 - not a secret
                if retry.least == retry.most:
                    delay = retry.least
                log.warning("%s is tried again in %.1f s", self.function.name, delay)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), delay)
                    break
                attempt += 1
        finally:
            self.running = False
        if not outcome.ok:
            log.error("timer %s failed: %s", self.function.name, outcome.error)

    async def _sleep_until_due(self) -> bool:
        """True once it is due; False when the host stops or somebody else leads."""
        while not self._stopping.is_set() and self.leadership.held.is_set():
            wait = (self.due - self.now()).total_seconds() if self.due is not None else _LONGEST_SLEEP
            if wait <= 0:
                return True
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(wait, _RENEW_SECONDS))
        return False

    async def _patiently[T](self, call: Callable[[], Awaitable[T]]) -> T:
        """Storage that does not answer is asked again until it does."""
        from azure.core.exceptions import HttpResponseError, ServiceRequestError, ServiceResponseError

        while True:
            try:
                return await call()
            except (ServiceRequestError, ServiceResponseError, HttpResponseError) as error:
                if isinstance(error, HttpResponseError) and (error.status_code or 500) < 500:
                    raise
                log.warning("timer %s: storage does not answer: %s", self.function.name, error)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), _RENEW_SECONDS)
                    raise

    def status(self) -> Mapping[str, Any]:
        return {
            "function": self.function.name,
            "kind": "timer",
            "leader": self.leadership.held.is_set(),
            "running": self.running,
            "last": _format(self.last) if self.last else None,
            "next": _format(self.due) if self.due else None,
        }


def _format(instant: datetime | None) -> str:
    return (instant or _MIN).astimezone(UTC).isoformat(timespec="microseconds")


def _parse(text: str) -> datetime | None:
    instant = datetime.fromisoformat(text).astimezone(UTC)
    return None if instant == _MIN else instant
