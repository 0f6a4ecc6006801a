"""The whole suite as an operator starts it (`oms up`): one for all end-to-end tests of a pytest process."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parent.parent
PATIENCE: Final = 120.0


class SuiteFailed(AssertionError):
    """The suite did not come up, or ended; the message ends with what it printed last."""


@dataclass(frozen=True, kw_only=True)
class Suite:
    """A running suite. `ready` is its ready file; `started` the monotonic time of the command."""

    ready: Mapping[str, Any]
    started: float
    folder: Path

    @property
    def url(self) -> str:
        return self.ready["url"]

    @property
    def workspace(self) -> str:
        return self.ready["workspaceId"]

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], bytes]:
        """One request as the operator, its body as JSON."""
        sent = {"Authorization": f"Bearer {self.ready['token']}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data=data, method=method, headers={**sent, **(headers or {})}
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, dict(answer.headers), answer.read()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, dict(refused.headers), refused.read()

    def query(self, text: str, timespan: str | None = None) -> Sequence[Mapping[str, Any]]:
        """The rows of the first table."""
        body = {"query": text, "timespan": timespan}
        status, _, answer = self.request("POST", f"/v1/workspaces/{self.workspace}/query", body)
        assert status == 200, answer[:1000]
        table = json.loads(answer)["tables"][0]
        names = [column["name"] for column in table["columns"]]
        return [dict(zip(names, row, strict=True)) for row in table["rows"]]

    def send(self, table: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Records by the Logs Ingestion API, to a standard table."""
        path = f"/dataCollectionRules/{self.ready['dataCollectionRule']}/streams/Microsoft-{table}?api-version=2023-01-01"
        status, _, answer = self.request("POST", path, list(records))
        assert status == 204, answer[:1000]

    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")


def start(folder: Path) -> tuple[subprocess.Popen[bytes], Suite]:
    """The suite on a free port, with its state below `folder`. SuiteFailed."""
    ready_file = folder / "ready.json"
    command = [sys.executable, "-m", "devhost", "up", "--port", "0", "--no-browser"]
    command += ["--data-dir", str(folder / "data"), "--ready-file", str(ready_file)]
    started = time.monotonic()
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
    while time.monotonic() - started < PATIENCE:
        if ready_file.is_file():
            ready = json.loads(ready_file.read_text())
            return process, Suite(ready=ready, started=started, folder=folder)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    stop(process)
    tail = (folder / "output").read_text(errors="replace")[-5000:]
    raise SuiteFailed(f"the suite is not up after {time.monotonic() - started:.0f} s:\n{tail}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End it and all that it started."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Suite]:
    """The suite, up and watching this machine."""
    process, running = start(tmp_path_factory.mktemp("suite"))
    try:
        yield running
    finally:
        stop(process)
