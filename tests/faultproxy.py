"""A proxy before Azurite that breaks requests on purpose: by a seed or by a plan, and counts what it broke."""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType
from typing import Final, Self

from aiohttp import ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL


class Fault(StrEnum):
    BUSY = "503, and the request never reached storage"
    ERROR_AFTER = "500, though storage did it"
    DROP_BEFORE = "the connection broke before the request reached storage"
    DROP_AFTER = "storage did it, and the connection broke before the answer"
    TRUNCATE = "the answer was cut in half"
    DUPLICATE = "the request reached storage twice; the answer is the second one"
    DELAY = "the answer came late"


EVERY: Final = tuple(Fault)
DELAY_SECONDS: Final = 0.1
_HOP: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "expect", "host"})
_NOT_ADDED: Final = ("User-Agent", "Content-Type", "Accept", "Accept-Encoding")


def everything(method: str, path: str) -> bool:
    return True


@dataclass(slots=True, kw_only=True)
class Faults:
    """What to break next. `plan` is used up first (None lets a request pass), then each breaks with chance `rate`."""

    random: random.Random
    rate: float = 0.0
    kinds: tuple[Fault, ...] = EVERY
    match: Callable[[str, str], bool] = everything
    plan: list[Fault | None] = field(default_factory=list[Fault | None])
    counts: Counter[Fault] = field(default_factory=Counter[Fault])
    requests: int = 0

    def heal(self) -> None:
        self.rate = 0.0
        self.plan = []

    def next(self, method: str, path: str) -> Fault | None:
        self.requests += 1
        if not self.match(method, path):
            return None
        fault = None
        if self.plan:
            fault = self.plan.pop(0)
        elif self.random.random() < self.rate:
            fault = self.random.choice(self.kinds)
        if fault is not None:
            self.counts[fault] += 1
        return fault


@dataclass(slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class FaultProxy:
    """One listener for each upstream address, on a thread of its own. Use it as a context manager."""

    upstreams: Mapping[str, str]
    faults: Faults
    endpoints: dict[str, str] = field(default_factory=dict[str, str])
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop, repr=False)
    _thread: threading.Thread = field(init=False, repr=False)
    _runners: list[web.AppRunner] = field(default_factory=list[web.AppRunner], repr=False)
    _session: ClientSession = field(init=False, repr=False)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._open(), self._loop).result(30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _open(self) -> None:
        self._session = ClientSession(
            connector=TCPConnector(limit=100),
            timeout=ClientTimeout(total=60),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
        )
        for service, upstream in self.upstreams.items():
            app = web.Application(client_max_size=1 << 30)
            app.router.add_route("*", "/{rest:.*}", self._handler(service, upstream))
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            self._runners.append(runner)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.endpoints[service] = f"http://127.0.0.1:{runner.addresses[0][1]}"

    async def _close(self) -> None:
        for runner in self._runners:
            await runner.cleanup()
        await self._session.close()

    def _handler(self, service: str, upstream: str) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def handle(request: web.Request) -> web.StreamResponse:
            fault = self.faults.next(request.method, request.path)
            body = await request.read()
            if fault is Fault.BUSY:
                return _error(service, 503, "ServerBusy")
            if fault is Fault.DROP_BEFORE:
                return _hang_up(request)
            answer = await self._forward(upstream, request, body)
            match fault:
                case Fault.DUPLICATE:
                    answer = await self._forward(upstream, request, body)
                case Fault.DELAY:
                    await asyncio.sleep(DELAY_SECONDS)
                case Fault.ERROR_AFTER:
                    return _error(service, 500, "OperationTimedOut")
                case Fault.DROP_AFTER:
                    return _hang_up(request)
                case Fault.TRUNCATE:
                    return await _cut(request, answer)
                case _:
                    pass
            return _whole(request, answer)

        return handle

    async def _forward(self, upstream: str, request: web.Request, body: bytes) -> _Answer:
        sent = [(name, value) for name, value in request.headers.items() if name.lower() not in _HOP]
        async with self._session.request(
            request.method,
            URL(upstream + request.raw_path, encoded=True),
            headers=sent,
            data=body,
            allow_redirects=False,
            skip_auto_headers=_NOT_ADDED,
        ) as response:
            headers = {name: value for name, value in response.headers.items() if name.lower() not in _HOP}
            if request.method == "HEAD" and "Content-Length" in response.headers:
                headers["Content-Length"] = response.headers["Content-Length"]
            return _Answer(status=response.status, headers=headers, body=await response.read())


def _whole(request: web.Request, answer: _Answer) -> web.Response:
    body = None if request.method == "HEAD" else answer.body
    return web.Response(status=answer.status, headers=answer.headers, body=body)


async def _cut(request: web.Request, answer: _Answer) -> web.StreamResponse:
    if len(answer.body) < 2 or request.method == "HEAD":
        return _hang_up(request)
    response = web.StreamResponse(status=answer.status, headers=answer.headers)
    response.content_length = len(answer.body)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2])
    _hang_up(request)
    return response


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _error(service: str, status: int, code: str) -> web.Response:
    if service == "table":
        said = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "injected"}}}
        body, kind = json.dumps(said), "application/json"
    else:
        body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>injected</Message></Error>'
        kind = "application/xml"
    headers = {"x-ms-error-code": code}
    return web.Response(status=status, headers=headers, body=body.encode(), content_type=kind)
