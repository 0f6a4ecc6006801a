"""Ingestion under kill -9 and broken storage: every acknowledged record is found, none twice.

    python -m tests.endtoend.soak --seconds 120 [--seed 7]

Senders post through the HTTP Data Collector API and repeat a request until it is acknowledged, as real clients do, while the host
is killed at random and started again, and requests to storage fail, vanish or come twice. Timers and queues run, so compaction,
retention and sweeping happen meanwhile. Then the faults stop, and the workspace is read back through the query API.
"""

import argparse
import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from devhost.azurite import Azurite
from shared.identity.shared_keys import data_collector_signature
from tests.faultproxy import FaultProxy, Faults

ROOT = Path(__file__).resolve().parents[2]
SECRET = "only-for-this-soak"
SENDERS = 4


@dataclass(slots=True)
class Host:
    """The bundle's host on a fixed port, killed and started at will."""

    folder: Path
    connection: str
    port: int
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    def start(self) -> None:
        environment = os.environ | {
            "OMS_STORAGE": self.connection,
            "AzureWebJobsStorage": self.connection,
            "OMS_ISSUER": "local",
            "OMS_BOOTSTRAP_SECRET": SECRET,
            "OMS_BASE_URL": f"http://127.0.0.1:{self.port}",
            "OMS_DATA_DIR": str(self.folder / "data"),
        }
        command = [sys.executable, "-m", "devhost", "host", "--app-root", str(ROOT), "--port", str(self.port)]
        command += ["--data-dir", str(self.folder / "host"), "--lifeline"]
        with (self.folder / "host.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        self.starts += 1

    def end(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.communicate(timeout=60)

    def wait(self, seconds: float = 120) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if request(self.port, "GET", "/admin/host/ping")[0] == 200:
                    return
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
        raise AssertionError("the host does not answer: " + (self.folder / "host.log").read_text()[-3000:])


def request(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    timeout: float = 60,
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@dataclass(slots=True)
class Soak:
    """What was sent, what was acknowledged, and how often something went wrong on the way."""

    port: int
    facts: dict[str, str]
    stop: threading.Event = field(default_factory=threading.Event)
    acknowledged: set[str] = field(default_factory=set[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, name: str, seed: int) -> None:
        """Post batches of 1 to 40 records, each repeated as it is until it is taken."""
        source, number = random.Random(seed), 0
        while not self.stop.is_set():
            ids = [f"{name}-{number + offset}" for offset in range(source.randint(1, 40))]
            number += len(ids)
            body = json.dumps(
                [
                    {"Id": each, "Number": source.random(), "Text": "x" * source.randint(0, 300)}
                    for each in ids
                ]
            )
            self._until_taken(ids, body.encode())

    def _until_taken(self, ids: list[str], body: bytes) -> None:
        date = format_datetime(datetime.now(UTC), usegmt=True)
        signed = data_collector_signature(
            self.facts["workspaceKey"], length=len(body), content_type="application/json", date=date
        )
        headers = {
            "Authorization": f"SharedKey {self.facts['workspaceId']}:{signed}",
            "Content-Type": "application/json",
            "Log-Type": "Soak",
            "x-ms-date": date,
        }
        give_up = time.monotonic() + 120
        while time.monotonic() < give_up:
            try:
                status, answer = request(self.port, "POST", "/api/logs?api-version=2016-04-01", body, headers)
            except (OSError, http.client.HTTPException):
                status, answer = 0, b""
            if status == 200:
                with self.lock:
                    self.acknowledged.update(ids)
                return
            with self.lock:
                self.refused[str(status)] += 1
            assert status in (0, 429, 500, 503), f"{status}: {answer[:500]!r}"
            time.sleep(0.2)

    def found(self) -> Counter[str]:
        """How often each record is there, asked as a person would."""
        query = "Soak_CL | summarize n = count() by Id_s"
        deadline = time.monotonic() + 90
        while True:
            status, answer = request(
                self.port,
                "POST",
                f"/v1/workspaces/{self.facts['workspaceId']}/query",
                json.dumps({"query": query}).encode(),
                {"Authorization": f"Bearer {self.facts['token']}", "Content-Type": "application/json"},
            )
            if status == 200:
                return Counter({row[0]: row[1] for row in json.loads(answer)["tables"][0]["rows"]})
            assert time.monotonic() < deadline, answer[:1000]
            time.sleep(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    acknowledged: int
    found: int
    lost: list[str]
    twice: list[str]
    kills: int
    refused: dict[str, int]
    faults: dict[str, int]


def run(folder: Path, connection: str, faults: Faults, *, seconds: float, seed: int) -> Result:
    """One soak over an account whose requests suffer `faults`. The account is Azurite's, which itself is never killed."""
    source = random.Random(seed)
    host = Host(folder, connection, free_port())
    host.start()
    host.wait()
    status, body = request(host.port, "POST", "/operations/bootstrap", headers={"x-oms-bootstrap": SECRET})
    assert status == 200, body
    soak = Soak(host.port, json.loads(body))
    faults.rate = 0.1
    senders = [threading.Thread(target=soak.send, args=(f"s{n}", seed + n)) for n in range(SENDERS)]
    for sender in senders:
        sender.start()
    kills, ends = 0, time.monotonic() + seconds
    try:
        while time.monotonic() < ends:
            time.sleep(min(source.uniform(2, 8), max(ends - time.monotonic(), 0)))
            host.end(signal.SIGKILL)
            kills += 1
            host.start()
            host.wait()
    finally:
        faults.heal()
        soak.stop.set()
        for sender in senders:
            sender.join()
    found = soak.found()
    host.end(signal.SIGTERM)
    return Result(
        acknowledged=len(soak.acknowledged),
        found=len(found),
        lost=sorted(soak.acknowledged - found.keys()),
        twice=sorted(each for each, count in found.items() if count > 1),
        kills=kills,
        refused=dict(soak.refused),
        faults={fault.name: count for fault, count in faults.counts.items()},
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: Any = probe.getsockname()[1]
        return port


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    faults = Faults(random=random.Random(options.seed))
    with (
        tempfile.TemporaryDirectory() as folder,
        Azurite.start(log_file=Path(folder) / "azurite.log") as azurite,
        FaultProxy(azurite.endpoints, faults) as proxy,
    ):
        connection = azurite.connection_string
        for service, address in azurite.endpoints.items():
            connection = connection.replace(address, proxy.endpoints[service])
        result = run(Path(folder), connection, faults, seconds=options.seconds, seed=options.seed)
    print(
        f"{result.acknowledged} records acknowledged, {result.found} found, {len(result.lost)} lost, {len(result.twice)} twice; "
        f"{result.kills} kills, refused {result.refused}, faults {result.faults}"
    )
    return 1 if result.lost or result.twice else 0


if __name__ == "__main__":
    sys.exit(main())
