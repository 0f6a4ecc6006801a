"""A real host of the sample app as a child process, for tests to talk to."""

import http.client
import json
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

REPO: Final = Path(__file__).resolve().parents[2]
SAMPLE_APP: Final = Path(__file__).parent / "sample_app"
PATIENCE: Final = 60.0


class NeverHappened(AssertionError):
    """What a test waited for did not come about."""


def until[T](what: str, probe: Callable[[], T | None]) -> T:
    """The first answer of `probe` that is not None or empty."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.05)
    raise NeverHappened(what)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.casefold() == name), None)


def ask(
    port: int,
    method: str,
    target: str,
    *,
    body: bytes | None = None,
    headers: Sequence[tuple[str, str]] = (),
    tls: ssl.SSLContext | None = None,
) -> Answer:
    """One request, its target sent exactly as given."""
    connection = (
        http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=tls)
        if tls is not None
        else http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    )
    try:
        connection.putrequest(method, target, skip_host=any(n.casefold() == "host" for n, _ in headers))
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None and not any(n.casefold() == "content-length" for n, _ in headers):
            connection.putheader("content-length", str(len(body)))
        connection.endheaders()
        if body:
            connection.send(body)
        response = connection.getresponse()
        return Answer(status=response.status, headers=response.getheaders(), body=response.read())
    finally:
        connection.close()


@dataclass(slots=True, kw_only=True)
class RunningHost:
    process: subprocess.Popen[bytes]
    folder: Path
    queue: str
    port: int = 0
    keys: Mapping[str, str] = field(default_factory=dict[str, str])

    @classmethod
    def start(
        cls,
        folder: Path,
        *,
        storage: str | None = None,
        queue: str = "unused",
        app_root: Path = SAMPLE_APP,
        arguments: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
    ) -> Self:
        """Start it on a folder of its own and wait until it answers. Starting again there continues the same host."""
        port_file = folder / "port"
        port_file.unlink(missing_ok=True)
        environment = {
            **os.environ,
            "PYTHONPATH": str(REPO),
            "SAMPLE_LOG": str(folder / "events"),
            "SAMPLE_QUEUE": queue,
            **(settings or {}),
        }
        if storage is not None:
            environment |= {"OMS_STORAGE": storage, "AzureWebJobsStorage": storage}
        else:
            arguments = ["--no-listeners", *arguments]
        command = [sys.executable, "-m", "devhost", "host", "--app-root", str(app_root), "--port", "0"]
        command += ["--port-file", str(port_file), "--data-dir", str(folder / "data"), *arguments]
        with (folder / "output").open("ab") as output:
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        host = cls(process=process, folder=folder, queue=queue)
        try:
            host.port = until(
                "the host listens",
                lambda: int(port_file.read_text()) if port_file.exists() else host.fail_if_dead(),
            )
        except BaseException:
            host.kill()
            raise
        host.keys = json.loads((folder / "data" / "host-keys.json").read_text())
        return host

    def fail_if_dead(self) -> None:
        if self.process.poll() is not None:
            raise NeverHappened(f"the host ended with {self.process.poll()}: {self.output()}")

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    def ask(
        self,
        method: str,
        target: str,
        *,
        body: bytes | None = None,
        headers: Sequence[tuple[str, str]] = (),
    ) -> Answer:
        return ask(self.port, method, target, body=body, headers=headers)

    def admin(self, method: str, path: str, body: bytes | None = None) -> Answer:
        return self.ask(method, path, body=body, headers=[("x-functions-key", self.keys["master"])])

    def events(self, kind: str) -> Sequence[Mapping[str, Any]]:
        """What the sample app recorded, oldest first."""
        path = self.folder / "events"
        lines = path.read_text().splitlines() if path.exists() else []
        return [event for event in map(json.loads, lines) if event["kind"] == kind]

    def await_events(self, kind: str, count: int = 1) -> Sequence[Mapping[str, Any]]:
        def enough() -> Sequence[Mapping[str, Any]] | None:
            found = self.events(kind)
            return found if len(found) >= count else None

        return until(f"{count} times {kind}", enough)

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        self.process.terminate()
        return self.process.wait(PATIENCE)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
