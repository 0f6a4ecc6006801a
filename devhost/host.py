"""The host of one function app: indexes it, serves its HTTP, listens for its queues and timers, stops in good order."""

import asyncio
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devhost import storage
from devhost.hostjson import HostJson, read_host_json, resolve_settings
from devhost.keys import Keys, write_private
from devhost.ncrontab import ScheduleInvalid, parse_schedule
from devhost.queues import MESSAGE_SECONDS, POISON_SUFFIX, QueueListener
from devhost.server import Server, listen, make_server
from devhost.timers import HostBlobs, Leadership, TimerListener
from devhost.web import Admin, Web, body_limit_setting
from devhost.worker import Function, Worker

log = logging.getLogger(__name__)

NUDGE_SETTING: Final = "OMS_HOST_NUDGE_URL"
DRAIN_SECONDS: Final = 30.0
_IO_THREADS: Final = 24
_NOT_LISTED: Final = ("type", "direction", "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How to run the host. Port 0 takes a free one; `data_dir` keeps the keys."""

    app_root: Path
    host: str = "127.0.0.1"
    port: int = 7071
    data_dir: Path | None = None
    host_id: str = "devhost"
    cert: Path | None = None
    key: Path | None = None
    client_ca: Path | None = None
    port_file: Path | None = None
    listeners: bool = True
    message_seconds: float = MESSAGE_SECONDS
    lifeline: bool = False
    """Stop when standard input ends: whoever started this host is gone."""


class TriggerUnsupported(Exception):
    """A trigger that this host does not serve, or that says something it cannot."""


class ListenerDied(Exception):
    """A listener ended by itself. HTTP that goes on over dead queues would be worse than no host."""


@dataclass(slots=True, kw_only=True)
class Host:
    options: Options
    settings: HostJson
    worker: Worker
    keys: Keys
    io: ThreadPoolExecutor
    queues: Sequence[QueueListener] = ()
    timers: Sequence[TimerListener] = ()
    leadership: Leadership | None = None
    state: str = "Starting"
    _started: float = field(default_factory=time.monotonic)
    _by_hand: set[asyncio.Task[None]] = field(default_factory=set["asyncio.Task[None]"])
    _stop: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self) -> None:
        """Serve until SIGTERM or Ctrl-C, then drain. ListenerDied; OSError where the port is taken."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        if self.options.lifeline:
            threading.Thread(target=self._await_end_of_input, args=[loop], daemon=True).start()
        web = Web(
            worker=self.worker,
            keys=self.keys,
            admin=Admin(
                status=self.status, functions=self.list_functions, nudge=self.nudge, run=self.run_by_hand
            ),
            route_prefix=self.settings.route_prefix,
            body_limit=body_limit_setting(),
        )
        servers, sockets = self._servers(web)
        serving = [
            asyncio.create_task(server.serve(sockets=[each]))
            for server, each in zip(servers, sockets, strict=True)
        ]
        tasks = self._start_listeners()
        await _until_started(servers, serving)
        self.state = "Running"
        self._announce(sockets[0])
        try:
            await self._watch(tasks, serving)
        finally:
            await self._drain(web, servers, serving, tasks)

    def _await_end_of_input(self, loop: asyncio.AbstractEventLoop) -> None:
        while sys.stdin.buffer.read(4096):
            pass
        with suppress(RuntimeError):  # the loop may have ended first
            loop.call_soon_threadsafe(self._stop.set)

    def _servers(self, web: Web) -> tuple[list[Server], list[socket.socket]]:
        options = self.options
        sockets = [listen(options.host, options.port)]
        servers = [
            make_server(
                web,
                cert=options.cert,
                key=options.key,
                client_ca=options.client_ca,
                drain_seconds=DRAIN_SECONDS,
            )
        ]
        if options.cert is not None or options.host not in ("127.0.0.1", "0.0.0.0", "localhost"):  # noqa: S104 - compared, not bound
            # Functions nudge their own host: that stays plain and on loopback.
            sockets.append(listen("127.0.0.1", 0))
            servers.append(make_server(web, drain_seconds=DRAIN_SECONDS))
        nudge_port = sockets[-1].getsockname()[1]
        os.environ[NUDGE_SETTING] = f"http://127.0.0.1:{nudge_port}/admin/host/nudge?code={self.keys.master}"
        return servers, sockets

    def _start_listeners(self) -> list[asyncio.Task[None]]:
        work: list[tuple[str, Coroutine[Any, Any, None]]] = [
            (f"the listener of queue {each.queue.queue_name} ({each.function.name})", each.run())
            for each in self.queues
        ]
        work += [(f"the timer {each.function.name}", each.run()) for each in self.timers]
        if self.leadership is not None:
            work.append(("the timers' lease", self.leadership.run()))
        return [asyncio.create_task(each, name=name) for name, each in work]

    def _announce(self, listening: socket.socket) -> None:
        scheme = "https" if self.options.cert is not None else "http"
        port = listening.getsockname()[1]
        if self.options.port_file is not None:
            write_private(self.options.port_file, str(port))
        print(
            f"devhost: {len(self.worker.functions)} functions at {scheme}://{self.options.host}:{port}",
            flush=True,
        )

    async def _watch(
        self, tasks: Sequence[asyncio.Task[None]], serving: Sequence[asyncio.Task[None]]
    ) -> None:
        stopping = asyncio.create_task(self._stop.wait())
        ended, _ = await asyncio.wait([stopping, *tasks, *serving], return_when=asyncio.FIRST_COMPLETED)
        if stopping in ended:
            return
        stopping.cancel()
        for task in ended:
            what = task.get_name() if task in tasks else "the HTTP server"
            error = task.exception()
            raise ListenerDied(f"{what} died: {type(error).__name__}: {error}") from error

    async def _drain(
        self,
        web: Web,
        servers: Sequence[Server],
        serving: Sequence[asyncio.Task[None]],
        tasks: Sequence[asyncio.Task[None]],
    ) -> None:
        self.state = "Draining"
        web.draining = True
        for listener in (*self.queues, *self.timers):
            listener.stop()
        for server in servers:
            server.should_exit = True
        waits = [asyncio.create_task(each.drain()) for each in self.queues]
        waits += [task for task in (*serving, *self._by_hand) if not task.done()]
        waits += [task for task in tasks if not task.done() and not task.get_name().startswith("the timers'")]
        if waits:
            _, late = await asyncio.wait(waits, timeout=DRAIN_SECONDS)
            if late:
                log.error(
                    "after %g s %d functions still run: they are left", DRAIN_SECONDS, self.worker.in_flight
                )
        for queue in self.queues:
            await queue.give_back()
        for task in (*tasks, *waits):
            task.cancel()
        if self.leadership is not None:
            await self.leadership.resign()
        self.io.shutdown(wait=False, cancel_futures=True)
        self.worker.close()

    def nudge(self, queue: str) -> bool:
        listeners = [each for each in self.queues if each.queue.queue_name == queue]
        for each in listeners:
            each.nudge()
        return bool(listeners)

    def run_by_hand(self, name: str, given: str) -> bool:
        for function in self.worker.functions:
            if function.name.casefold() != name.casefold():
                continue
            if function.trigger == "queueTrigger":
                self._spawn(self._queue_by_hand(function, given))
                return True
            for timer in self.timers:
                if timer.function is function:
                    self._spawn(timer.fire_by_hand())
                    return True
        return False

    async def _queue_by_hand(self, function: Function, given: str) -> None:
        outcome = await self.worker.call_queue(function, given, {"Id": "by-hand", "DequeueCount": 1})
        if not outcome.ok:
            log.error("%s failed: %s", function.name, outcome.error)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._by_hand.add(task)
        task.add_done_callback(self._by_hand.discard)

    def status(self) -> Mapping[str, Any]:
        return {
            "id": self.options.host_id,
            "state": self.state,
            "version": "devhost",
            "pid": os.getpid(),
            "processUptime": int((time.monotonic() - self._started) * 1000),
            "inFlight": self.worker.in_flight,
            "listeners": [each.status() for each in (*self.queues, *self.timers)],
        }

    def list_functions(self) -> Sequence[Mapping[str, Any]]:
        return [
            {
                "name": each.name,
                "trigger": each.trigger,
                **{key: value for key, value in each.binding.items() if key not in _NOT_LISTED},
            }
            for each in self.worker.functions
        ]


async def _until_started(servers: Sequence[Server], serving: Sequence[asyncio.Task[None]]) -> None:
    while not all(server.started for server in servers):
        if any(task.done() for task in serving):
            return
        await asyncio.sleep(0.002)


async def build(options: Options) -> Host:
    """Index the app and make its listeners; nothing runs yet. The errors say what is wrong by name."""
    settings = read_host_json(options.app_root / "host.json")
    os.chdir(options.app_root)
    worker = await Worker.load(options.app_root, timeout=settings.function_timeout)
    keys = Keys.load(options.data_dir / "host-keys.json" if options.data_dir else None)
    io = ThreadPoolExecutor(_IO_THREADS, thread_name_prefix="devhost-io")
    host = Host(options=options, settings=settings, worker=worker, keys=keys, io=io)
    for function in worker.functions:
        if function.trigger not in ("httpTrigger", "queueTrigger", "timerTrigger"):
            raise TriggerUnsupported(
                f"{function.name} has a {function.trigger}, which this host does not serve"
            )
        if function.trigger == "queueTrigger" and function.retry is not None:
            log.warning("%s: a retry policy has no effect on a queue trigger", function.name)
    if options.listeners:
        host.queues = [
            _queue_listener(host, each) for each in worker.functions if each.trigger == "queueTrigger"
        ]
        timers = [each for each in worker.functions if each.trigger == "timerTrigger"]
        if timers:
            blobs = HostBlobs(
                service=storage.blob_service(storage.HOST_CONNECTION, used_by=f"the timer {timers[0].name}"),
                host_id=options.host_id,
                io=io,
            )
            leadership = Leadership(blobs=blobs, lease_id=keys.instance)
            host.leadership = leadership
            host.timers = [_timer_listener(host, each, blobs, leadership) for each in timers]
    return host


def _queue_listener(host: Host, function: Function) -> QueueListener:
    used_by = f"the queue trigger of {function.name}"
    name = resolve_settings(str(function.binding["queueName"]), used_by=used_by)
    connection = str(function.binding.get("connection") or storage.HOST_CONNECTION)
    service = storage.queue_service(connection, used_by=used_by)
    return QueueListener(
        function=function,
        queue=service.get_queue_client(name),
        poison=None if name.endswith(POISON_SUFFIX) else service.get_queue_client(f"{name}{POISON_SUFFIX}"),
        worker=host.worker,
        settings=host.settings.queues,
        io=host.io,
        message_seconds=host.options.message_seconds,
    )


def _timer_listener(
    host: Host, function: Function, blobs: HostBlobs, leadership: Leadership
) -> TimerListener:
    expression = resolve_settings(str(function.binding["schedule"]), used_by=f"the timer {function.name}")
    try:
        schedule = parse_schedule(expression)
    except ScheduleInvalid as error:
        raise TriggerUnsupported(f"the timer {function.name}: {error}") from error
    return TimerListener(
        function=function, schedule=schedule, blobs=blobs, leadership=leadership, worker=host.worker
    )


async def run(options: Options) -> None:
    host = await build(options)
    await host.serve()


def main(options: Options) -> int:
    """Run the host; the process's exit code."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    # The worker library reports the whole app at INFO on each start.
    logging.getLogger("azure.functions").setLevel(logging.WARNING)
    try:
        asyncio.run(run(options))
    except Exception as error:
        log.debug("the host failed", exc_info=True)
        print(f"devhost: {error}", file=sys.stderr, flush=True)
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    # A function's thread that will not end must not keep the process.
    os._exit(code)
