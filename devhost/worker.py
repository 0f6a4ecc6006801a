# pyright: basic
"""The one seam to Microsoft's Python worker library: indexes a function app in this process and invokes its functions.

The library's protocol messages are protobuf classes elsewhere; here they are stand-ins that only carry values. What
this module relies on is held by tests/devhost/test_worker.py, so that a new release of the library shows there first.
"""

import asyncio
import json
import logging
import os
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

log = logging.getLogger(__name__)

THREADS_SETTING: Final = "PYTHON_THREADPOOL_THREAD_COUNT"
DEFAULT_THREADS: Final = 32


class AppFailed(Exception):
    """The function app cannot be indexed. The message is the library's, traceback included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A retry policy. `limit` -1 is for ever; intervals are in seconds, `least` and `most` equal for a fixed delay."""

    limit: int
    least: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An indexed function: its trigger binding as the app declares it."""

    id: str
    name: str
    trigger: str
    """`httpTrigger`, `queueTrigger`, `timerTrigger`, ..."""
    parameter: str
    binding: Mapping[str, Any]
    retry: Retry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request as the worker takes it. Header names are lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    route: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an invocation ended. `response` is there for HTTP functions that answered."""

    ok: bool
    response: Response | None = None
    error: str = ""
    traceback: str = ""


class _Message(SimpleNamespace):
    """A stand-in for a protobuf message: keeps what it is given."""


class _StatusResult(_Message):
    Failure: Final = 0
    Success: Final = 1
    Cancelled: Final = 2


class _BindingInfo(_Message):
    undefined: Final = 0
    string: Final = 1
    binary: Final = 2
    stream: Final = 3
    out: Final = 1
    inout: Final = 2


# `in` is a keyword; the library reads the direction by number and by the names above.
setattr(_BindingInfo, "in", 0)

_MESSAGES: Final = SimpleNamespace(
    StatusResult=_StatusResult,
    BindingInfo=_BindingInfo,
    RpcException=_Message,
    WorkerMetadata=_Message,
    WorkerInitResponse=_Message,
    FunctionMetadataResponse=_Message,
    FunctionLoadResponse=_Message,
    RpcFunctionMetadata=_Message,
    RpcRetryOptions=_Message,
)


@dataclass(slots=True, kw_only=True)
class Worker:
    """The function app of this process (the library knows only one)."""

    functions: Sequence[Function]
    timeout: float | None = None
    """`functionTimeout` in seconds: longer invocations are logged as errors; a thread cannot be killed."""
    in_flight: int = 0
    _background: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(background_share()))

    @classmethod
    async def load(cls, app_root: Path, *, timeout: float | None = None) -> Self:
        """Import and index the app. AppFailed."""
        os.environ.setdefault(THREADS_SETTING, str(DEFAULT_THREADS))
        sys.path[:] = [str(app_root), *(entry for entry in sys.path if entry != str(app_root))]
        import azure_functions_runtime as runtime

        runtime.start_threadpool_executor()
        request = SimpleNamespace(
            request=SimpleNamespace(
                worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(app_root))
            ),
            properties={"host": "127.0.0.1", "protos": _MESSAGES},
        )
        answer = await runtime.worker_init_request(request)
        _require_success(answer)
        metadata = await runtime.functions_metadata_request(request)
        _require_success(metadata)
        found = metadata.function_metadata_results
        if not found:
            raise AppFailed(f"no functions found in {app_root}: function_app.py is missing or registers none")
        return cls(functions=[_function_of(each) for each in found], timeout=timeout)

    def close(self) -> None:
        """Let go of the threads without waiting for functions that still run."""
        import azure_functions_runtime as runtime

        if (executor := runtime.get_threadpool_executor()) is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    async def call_http(self, function: Function, request: Request) -> Outcome:
        from azure_functions_runtime.bindings.datumdef import Datum

        value = {
            "method": Datum(request.method, "string"),
            "url": Datum(request.url, "string"),
            "headers": {name: Datum(each, "string") for name, each in request.headers.items()},
            "params": {name: Datum(each, "string") for name, each in request.route.items()},
            "query": {name: Datum(each, "string") for name, each in request.query.items()},
            "body": Datum(request.body, "bytes"),
        }
        return await self._invoke(function, Datum(value, "http"), {})

    async def call_queue(
        self, function: Function, body: str | bytes, metadata: Mapping[str, str | int]
    ) -> Outcome:
        """`metadata`: Id, DequeueCount, InsertionTime, ExpirationTime, NextVisibleTime, PopReceipt."""
        from azure_functions_runtime.bindings.datumdef import Datum

        datums = {
            name: Datum(value, "int" if isinstance(value, int) else "string")
            for name, value in metadata.items()
        }
        async with self._background:
            return await self._invoke(
                function, Datum(body, "string" if isinstance(body, str) else "bytes"), datums
            )

    async def call_timer(
        self, function: Function, value: Mapping[str, Any], *, attempt: int = 0, attempts: int = 0
    ) -> Outcome:
        """`value`: Schedule, ScheduleStatus, IsPastDue. `attempt` counts the retries so far."""
        from azure_functions_runtime.bindings.datumdef import Datum

        async with self._background:
            return await self._invoke(
                function, Datum(json.dumps(value), "json"), {}, attempt=attempt, attempts=attempts
            )

    async def _invoke(
        self,
        function: Function,
        value: Any,
        metadata: Mapping[str, Any],
        *,
        attempt: int = 0,
        attempts: int = 0,
    ) -> Outcome:
        from azure_functions_runtime.native_invocation import invocation_request_native

        with self._counted(function):
            ok, returned, _, error, trace = await invocation_request_native(
                str(uuid.uuid4()),
                function.id,
                [(function.parameter, value)],
                dict(metadata),
                retry_count=attempt,
                max_retry_count=attempts,
            )
        if not ok:
            return Outcome(ok=False, error=error or "the function failed", traceback=trace or "")
        return Outcome(
            ok=True, response=_response_of(returned) if function.trigger == "httpTrigger" else None
        )

    @contextmanager
    def _counted(self, function: Function) -> Iterator[None]:
        started = time.monotonic()
        alarm = (
            asyncio.get_running_loop().call_later(self.timeout, self._overdue, function)
            if self.timeout
            else None
        )
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1
            if alarm is not None:
                alarm.cancel()
            if self.timeout and time.monotonic() - started > self.timeout:
                log.error("%s ended after %.1f s", function.name, time.monotonic() - started)

    def _overdue(self, function: Function) -> None:
        log.error(
            "%s runs longer than the functionTimeout of %g s; it goes on, since a thread cannot be killed",
            function.name,
            self.timeout,
        )


def background_share() -> int:
    """How many threads queue and timer functions may hold together: half, so that HTTP never waits for all of them."""
    text = os.environ.get(THREADS_SETTING, "")
    return max((int(text) if text.isdigit() else DEFAULT_THREADS) // 2, 1)


def _require_success(answer: Any) -> None:
    if answer.result.status != _StatusResult.Success:
        failure = answer.result.exception
        raise AppFailed(f"{failure.message}\n{failure.stack_trace}".rstrip())


def _function_of(metadata: Any) -> Function:
    bindings = [json.loads(text) for text in metadata.raw_bindings]
    triggers = [each for each in bindings if each["type"].casefold().endswith("trigger")]
    if len(triggers) != 1:
        raise AppFailed(f"function {metadata.name} has {len(triggers)} triggers where one is wanted")
    outputs = [
        each["type"]
        for each in bindings
        if each not in triggers and not (each["type"] == "http" and each["direction"] == "OUT")
    ]
    if outputs:
        raise AppFailed(
            f"function {metadata.name} binds {', '.join(outputs)}: this host serves triggers, not other bindings; use the SDK's clients"
        )
    trigger = triggers[0]
    return Function(
        id=metadata.function_id,
        name=metadata.name,
        trigger=trigger["type"],
        parameter=trigger["name"],
        binding=trigger,
        retry=_retry_of(metadata.retry_options),
    )


def _retry_of(options: Any) -> Retry | None:
    if options is None:
        return None
    if options.retry_strategy == "fixed_delay":
        delay = options.delay_interval.total_seconds()
        return Retry(limit=options.max_retry_count, least=delay, most=delay)
    return Retry(
        limit=options.max_retry_count,
        least=options.minimum_interval.total_seconds(),
        most=options.maximum_interval.total_seconds(),
    )


def _response_of(datum: Any) -> Response:
    if datum is None or datum.type is None or datum.value is None:
        return Response(status=204, headers=(), body=b"")
    if datum.type == "http":
        value = datum.value
        headers = [(name, each.value) for name, each in value["headers"].items()]
        cookies: Sequence[SimpleCookie] = value.get("cookies") or ()
        headers += [("set-cookie", morsel.OutputString()) for cookie in cookies for morsel in cookie.values()]
        body = value["body"].value
        return Response(
            status=int(value["status_code"].value),
            headers=headers,
            body=body.encode() if isinstance(body, str) else bytes(body or b""),
        )
    if datum.type == "bytes":
        return Response(
            status=200, headers=[("content-type", "application/octet-stream")], body=bytes(datum.value)
        )
    if datum.type == "json":
        return Response(
            status=200, headers=[("content-type", "application/json")], body=str(datum.value).encode()
        )
    return Response(
        status=200, headers=[("content-type", "text/plain; charset=utf-8")], body=str(datum.value).encode()
    )
