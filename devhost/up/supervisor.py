"""Starts the suite's processes in order, keeps them running, tells what happens, and stops them in order."""

import json
import os
import secrets
import signal
import socket
import sys
import threading
import time
import webbrowser
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from devhost.azurite import Azurite, AzuriteFailed
from devhost.keys import write_private
from devhost.storage import expand_connection_string
from devhost.up.bootstrap import BootstrapRefused, answers, bootstrap
from devhost.up.certificates import Certificates, ensure_certificates
from devhost.up.child import Child

_START_SECONDS: Final = 60.0
_HOST_STOP_SECONDS: Final = 40.0
_AGENT_STOP_SECONDS: Final = 10.0
_TICK_SECONDS: Final = 0.2
_AZURITE_CHECK_SECONDS: Final = 5.0
_AZURITE_CHECKS_FAILED: Final = 3
_THREADS: Final = "32"
# A host that dies comes back within 5 s; only one that cannot stay up for long is given time.
_FIRST_DELAYS: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
_LAST_DELAY: Final = 30.0
_STEADY_SECONDS: Final = 20.0


class StartFailed(Exception):
    """A component did not come up. `fix` says what to do."""

    def __init__(self, component: str, reason: str, fix: str) -> None:
        super().__init__(f"{component}: {reason}")
        self.component = component
        self.reason = reason
        self.fix = fix


@dataclass(frozen=True, slots=True, kw_only=True)
class UpOptions:
    app_root: Path
    data_dir: Path
    port: int = 0
    ready_file: Path | None = None
    agent: bool = True
    browser: bool = True
    tls: bool = False
    storage: str | None = None


@dataclass(slots=True)
class Restarts:
    """How long to wait before a component is started again: longer when it keeps dying young, by itself."""

    _count: int = 0

    def delay(self, lived: float, *, killed: bool) -> float:
        if killed or lived > _STEADY_SECONDS:
            self._count = 0
        delay = _FIRST_DELAYS[self._count] if self._count < len(_FIRST_DELAYS) else _LAST_DELAY
        self._count += 1
        return delay


@dataclass(slots=True, kw_only=True)
class Supervisor:
    options: UpOptions
    say: Callable[[str], None] = field(default=lambda text: print(text, flush=True))
    azurite: Azurite | None = None
    host: Child | None = None
    agent: Child | None = None
    certificates: Certificates | None = None
    storage: str = ""
    port: int = 0
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])
    stopping: threading.Event = field(default_factory=threading.Event)
    _host_restarts: Restarts = field(default_factory=Restarts)
    _agent_restarts: Restarts = field(default_factory=Restarts)
    _azurite_silent: int = 0
    _azurite_checked: float = 0.0

    @property
    def url(self) -> str:
        return f"{'https' if self.options.tls else 'http'}://127.0.0.1:{self.port}"

    def run(self) -> int:
        """Until Ctrl-C or SIGTERM; the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda _number, _frame: self.stopping.set())
        try:
            self._start()
            self._write_ready()
            self._welcome()
            while not self.stopping.wait(_TICK_SECONDS):
                self._watch()
        except StartFailed as failed:
            if self.stopping.is_set():
                return 0
            self.say(f"✗ {failed.component}: {failed.reason}")
            self.say(f"  fix: {failed.fix}")
            return 1
        finally:
            self._stop()
        return 0

    def _start(self) -> None:
        self.options.data_dir.mkdir(parents=True, exist_ok=True)
        if self.options.tls:
            self._timed("certificates", self._make_certificates)
        self._timed("storage", self._start_storage)
        self._timed("host", self._start_host_first)
        self._timed("workspace", self._bootstrap)
        if self.options.agent:
            self._timed("agent", self._start_agent)

    def _timed(self, name: str, start: Callable[[], str]) -> None:
        if self.stopping.is_set():
            raise StartFailed(name, "interrupted", "start again")
        began = time.monotonic()
        detail = start()
        self.say(f"✓ {name:<13}{(time.monotonic() - began) * 1000:>6.0f} ms  {detail}")

    def _make_certificates(self) -> str:
        self.certificates = ensure_certificates(self.options.data_dir / "tls")
        return f"trust {self.certificates.ca}"

    def _start_storage(self) -> str:
        if self.options.storage is not None:
            self.storage = expand_connection_string(self.options.storage)
            return "the storage account you named"
        try:
            self._start_azurite((0, 0, 0))
        except AzuriteFailed as failed:
            raise StartFailed(
                "storage",
                str(failed),
                f"run `make setup`, or look into {self._log('azurite')}; --storage names another account",
            ) from failed
        return f"Azurite, pid {self.azurite.pid if self.azurite else '?'}, in {self.options.data_dir / 'azurite'}"

    def _start_azurite(self, ports: tuple[int, int, int]) -> None:
        folder = self.options.data_dir / "azurite"
        folder.mkdir(exist_ok=True)
        self.azurite = Azurite.start(folder, ports=ports, log_file=self._log("azurite"))
        self.storage = self.azurite.connection_string
        self._azurite_silent, self._azurite_checked = 0, time.monotonic()

    def _start_host_first(self) -> str:
        attempts = 3 if self.options.port == 0 else 1
        for attempt in range(attempts):
            self.port = self.options.port or _free_port()
            try:
                self._start_host()
            except StartFailed as failed:
                # Somebody may take a free port between our look and the host's.
                if attempt + 1 == attempts or "in use" not in failed.reason:
                    raise
            else:
                break
        return f"pid {self.host.pid if self.host else '?'}, {self.url}"

    def _start_host(self) -> None:
        self.host = self._spawn_host()
        deadline = time.monotonic() + _START_SECONDS
        while not answers(self.port, self._ca()):
            if self.stopping.wait(0.02):
                raise StartFailed("host", "interrupted", "start again")
            if not self.host.alive():
                raise StartFailed("host", self.host.reason(), self._host_fix())
            if time.monotonic() > deadline:
                raise StartFailed(
                    "host",
                    f"it did not answer at {self.url} within {_START_SECONDS:g} s",
                    f"look into {self._log('host')}",
                )

    def _host_fix(self) -> str:
        if self.host is not None and "Address already in use" in self.host.reason():
            return f"port {self.port} is taken: choose another with --port, or 0 for any free one"
        return f"the last lines above say why; all of them are in {self._log('host')}"

    def _spawn_host(self) -> Child:
        command = [
            sys.executable,
            "-m",
            "devhost",
            "host",
            "--app-root",
            str(self.options.app_root),
            "--port",
            str(self.port),
            "--data-dir",
            str(self.options.data_dir / "host"),
            "--lifeline",
        ]
        if self.certificates is not None:
            command += ["--tls-cert", str(self.certificates.cert), "--tls-key", str(self.certificates.key)]
        return Child.start(
            "host",
            command,
            log_file=self._log("host"),
            cwd=self.options.app_root,
            env=self._host_environment(),
        )

    def _host_environment(self) -> Mapping[str, str]:
        given = dict(os.environ)
        # A user's own setting wins, but for what only the launcher can know.
        given.setdefault("PYTHON_THREADPOOL_THREAD_COUNT", _THREADS)
        given.setdefault("OMS_ISSUER", "local")
        given["OMS_STORAGE"] = given["AzureWebJobsStorage"] = self.storage
        given["OMS_DATA_DIR"] = str(self.options.data_dir / "host")
        given["OMS_BASE_URL"] = self.url
        given["OMS_BOOTSTRAP_SECRET"] = self.secret
        given["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(Path(__file__).resolve().parents[2]), given.get("PYTHONPATH")])
        )
        return given

    def _bootstrap(self) -> str:
        try:
            self.facts = bootstrap(self.port, self._ca(), self.secret)
        except (BootstrapRefused, OSError) as error:
            raise StartFailed("workspace", str(error), f"look into {self._log('host')}") from error
        return f"{self.facts['workspaceName']} ({self.facts['workspaceId']})"

    def _start_agent(self) -> str:
        self._write_agent_config()
        self.agent = self._spawn_agent()
        return f"pid {self.agent.pid}"

    def _write_agent_config(self) -> None:
        folder = self.options.data_dir / "agent"
        folder.mkdir(exist_ok=True)
        config = {
            "endpoint": self.url,
            "workspaceId": self.facts["workspaceId"],
            "workspaceKey": self.facts["workspaceKey"],
            "dataCollectionRule": self.facts["dataCollectionRule"],
            "caFile": str(self.certificates.ca) if self.certificates else None,
            "spoolDir": str(folder / "spool"),
            "stateDir": str(folder / "state"),
        }
        write_private(self._agent_config(), json.dumps(config, indent=2))

    def _agent_config(self) -> Path:
        return self.options.data_dir / "agent" / "agent.json"

    def _spawn_agent(self) -> Child:
        beside = Path(sys.executable).parent / "oms-agent"
        if not beside.is_file():
            raise StartFailed(
                "agent", f"{beside} is missing", "run `make setup`; --no-agent starts without it"
            )
        return Child.start(
            "agent", [str(beside), "run", "--config", str(self._agent_config())], log_file=self._log("agent")
        )

    def _watch(self) -> None:
        """Start again what died, and say so."""
        changed = False
        if self.azurite is not None and self._azurite_is_gone(self.azurite):
            changed = self._restart_azurite(self.azurite)
        if self.host is not None and not self.host.alive():
            changed = self._restart_host(self.host) or changed
        if self.agent is not None and not self.agent.alive():
            self.say(f"! {self.agent.reason()}")
            if self._pause("agent", self._agent_restarts.delay(self.agent.age(), killed=self.agent.killed())):
                self.agent = self._spawn_agent()
                self.say(f"✓ agent started again, pid {self.agent.pid}")
                changed = True
        if changed and not self.stopping.is_set():
            self._write_ready()

    def _azurite_is_gone(self, azurite: Azurite) -> bool:
        if not azurite.alive():
            self.say(f"! Azurite (pid {azurite.pid}) died; what it said is in {azurite.log_file}")
            return True
        if time.monotonic() - self._azurite_checked < _AZURITE_CHECK_SECONDS:
            return False
        self._azurite_checked = time.monotonic()
        try:
            azurite.check()
        except AzuriteFailed as failed:
            self._azurite_silent += 1
            self.say(f"! {failed}")
        else:
            self._azurite_silent = 0
        return self._azurite_silent >= _AZURITE_CHECKS_FAILED

    def _restart_azurite(self, azurite: Azurite) -> bool:
        ports = {name: int(where.rpartition(":")[2]) for name, where in azurite.endpoints.items()}
        azurite.stop()
        try:
            self._start_azurite((ports["blob"], ports["queue"], ports["table"]))
        except AzuriteFailed as failed:
            self.say(f"! {failed}")
            self._pause("Azurite", 2.0)
            return False
        self.say(
            f"✓ Azurite started again, pid {self.azurite.pid if self.azurite else '?'}. It does not survive a crash: "
            "what it acknowledged in its last moments may be lost. It is for trying out, not for keeping."
        )
        return True

    def _restart_host(self, host: Child) -> bool:
        self.say(f"! {host.reason()}")
        if not self._pause("host", self._host_restarts.delay(host.age(), killed=host.killed())):
            return False
        try:
            self._start_host()
        except StartFailed as failed:
            if not self.stopping.is_set() and "ended" not in failed.reason:
                self.say(f"! host: {failed.reason}")
            if self.host is not None and self.host.alive():
                self.host.stop(seconds=_HOST_STOP_SECONDS)
            return False
        self.say(f"✓ host started again, pid {self.host.pid if self.host else '?'}")
        return True

    def _pause(self, what: str, seconds: float) -> bool:
        if seconds > _FIRST_DELAYS[-1]:
            self.say(f"! {what} keeps dying: it is started again in {seconds:g} s")
        return not self.stopping.wait(seconds)

    def _write_ready(self) -> None:
        if self.options.ready_file is None:
            return
        pids = {"azurite": self.azurite, "host": self.host, "agent": self.agent}
        ready = {
            **{name: value for name, value in self.facts.items() if name != "portalUrl"},
            "url": self.url,
            "portalUrl": self._portal_url(),
            "caFile": str(self.certificates.ca) if self.certificates else None,
            "storageConnectionString": self.storage,
            "pids": {name: child.pid if child is not None else None for name, child in pids.items()},
        }
        self.options.ready_file.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.options.ready_file, json.dumps(ready, indent=2))

    def _portal_url(self) -> str:
        path = str(self.facts["portalUrl"])
        return path if path.startswith(("http://", "https://")) else f"{self.url}/{path.lstrip('/')}"

    def _welcome(self) -> None:
        self.say(f"\n  Portal   {self._portal_url()}\n  API      {self.url}")
        if self.certificates is not None:
            self.say(f"  CA       {self.certificates.ca}")
        self.say("  Ctrl-C stops everything; nothing that was acknowledged is lost.\n")
        if self.options.browser and sys.stdout.isatty():
            webbrowser.open(self._portal_url())

    def _stop(self) -> None:
        if self.options.ready_file is not None:
            self.options.ready_file.unlink(missing_ok=True)
        if self.agent is not None:
            self.agent.stop(seconds=_AGENT_STOP_SECONDS)
        if self.host is not None and not self.host.stop(seconds=_HOST_STOP_SECONDS):
            self.say(f"! the host did not drain within {_HOST_STOP_SECONDS:g} s and was killed")
        if self.azurite is not None:
            self.azurite.stop()

    def _ca(self) -> Path | None:
        return self.certificates.ca if self.certificates is not None else None

    def _log(self, name: str) -> Path:
        return self.options.data_dir / "logs" / f"{name}.log"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
