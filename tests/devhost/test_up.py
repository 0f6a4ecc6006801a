"""`oms up` as a process, on the sample app: what it starts, tells, restarts and stops."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from azure.storage.queue import QueueServiceClient
from cryptography import x509

from devhost.up.certificates import ensure_certificates
from devhost.up.lock import DataDirInUse, DataDirLock
from devhost.up.supervisor import Restarts
from tests.devhost.running import SAMPLE_APP, ask, until


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    process: subprocess.Popen[bytes]
    folder: Path

    def output(self) -> str:
        return (self.folder / "output").read_text()

    def ready(self) -> dict[str, Any]:
        return until("the ready file is there", self._read)

    def _read(self) -> dict[str, Any] | None:
        assert self.process.poll() is None, self.output()
        path = self.folder / "ready.json"
        return json.loads(path.read_text()) if path.exists() else None

    @property
    def port(self) -> int:
        return int(self.ready()["url"].rpartition(":")[2])

    def new_pid(self, component: str, old: int) -> int:
        def changed() -> int | None:
            pid: int = (self._read() or {"pids": {component: old}})["pids"][component]
            return pid if pid != old else None

        return until(f"{component} has a new pid", changed)


@contextmanager
def running_up(folder: Path, *arguments: str) -> Generator[Up]:
    command = [str(Path(sys.executable).parent / "oms"), "up", "--app-root", str(SAMPLE_APP)]
    command += ["--data-dir", str(folder / "data"), "--ready-file", str(folder / "ready.json"), *arguments]
    environment = {**os.environ, "SAMPLE_LOG": str(folder / "events"), "SAMPLE_QUEUE": "orders"}
    with (folder / "output").open("ab") as output:
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    try:
        yield Up(process=process, folder=folder)
    finally:
        process.terminate()
        process.wait(90)


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A process that ended and that nobody has asked after is not alive.
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def events(folder: Path, kind: str) -> Sequence[dict[str, Any]]:
    path = folder / "events"
    lines = path.read_text().splitlines() if path.exists() else []
    return [event for event in map(json.loads, lines) if event["kind"] == kind]


def test_the_ready_file_says_all_that_a_client_needs_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        ready = up.ready()
        assert set(ready) == {
            "url", "portalUrl", "token", "caFile", "tenantId", "subscriptionId", "resourceGroup", "location",
            "workspaceName", "workspaceId", "workspaceKey", "dataCollectionRule", "storageConnectionString", "pids",
        }  # fmt: skip
        assert ready["portalUrl"] == f"{ready['url']}/signin?token=once"
        assert ready["caFile"] is None
        assert (tmp_path / "ready.json").stat().st_mode & 0o777 == 0o600
        assert set(ready["pids"]) == {"azurite", "host", "agent"}
        assert all(alive(pid) for pid in ready["pids"].values())
        assert ask(up.port, "GET", "/items/7").status == 200
        agent = json.loads((tmp_path / "data" / "agent" / "agent.json").read_text())
        assert agent["endpoint"] == ready["url"]
        assert agent["workspaceKey"] == ready["workspaceKey"]
        assert (tmp_path / "data" / "agent" / "agent.json").stat().st_mode & 0o777 == 0o600
        for component in ("storage", "host", "workspace", "agent"):
            assert f"✓ {component}" in up.output()
        assert ready["portalUrl"] in up.output()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_and_the_next_start_finds_what_was_there(
    tmp_path: Path, number: signal.Signals
) -> None:
    with running_up(tmp_path, "--no-agent") as up:
        ready = up.ready()
        assert ready["pids"]["agent"] is None
        with QueueServiceClient.from_connection_string(ready["storageConnectionString"]) as service:
            service.create_queue("kept").send_message("still here")
        up.process.send_signal(number)
        assert up.process.wait(60) == 0
        assert not [pid for pid in ready["pids"].values() if pid is not None and alive(pid)]
        assert not (tmp_path / "ready.json").exists()
    with running_up(tmp_path, "--no-agent") as up:
        again = up.ready()
        with QueueServiceClient.from_connection_string(again["storageConnectionString"]) as service:
            kept = service.get_queue_client("kept").receive_message()
            assert kept is not None
            assert kept.content == "still here"


def test_a_host_that_dies_is_started_again_at_the_same_address_and_its_reason_is_told(tmp_path: Path) -> None:
    with running_up(tmp_path, "--no-agent") as up:
        before = up.ready()
        os.kill(before["pids"]["host"], signal.SIGKILL)
        up.new_pid("host", before["pids"]["host"])
        assert up.ready()["url"] == before["url"]
        assert ask(up.port, "GET", "/items/7").status == 200
        assert f"host (pid {before['pids']['host']}) ended: killed by SIGKILL" in up.output()


def test_an_agent_that_ends_is_started_again(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        before = up.ready()["pids"]["agent"]
        os.kill(before, signal.SIGKILL)
        assert alive(up.new_pid("agent", before))
        assert f"agent (pid {before}) ended: killed by SIGKILL" in up.output()


def test_an_azurite_that_dies_is_named_and_started_again_where_it_was(tmp_path: Path) -> None:
    with running_up(tmp_path, "--no-agent") as up:
        before = up.ready()
        os.kill(before["pids"]["azurite"], signal.SIGKILL)
        up.new_pid("azurite", before["pids"]["azurite"])
        assert up.ready()["storageConnectionString"] == before["storageConnectionString"]
        assert f"Azurite (pid {before['pids']['azurite']}) died" in up.output()
        with QueueServiceClient.from_connection_string(before["storageConnectionString"]) as service:
            service.create_queue("orders").send_message("{}")
        until("the host works on", lambda: events(tmp_path, "work done"))


def test_nothing_outlives_a_launcher_that_is_killed(tmp_path: Path) -> None:
    with running_up(tmp_path) as up:
        pids = list(up.ready()["pids"].values())
        up.process.kill()
        until("all of them ended", lambda: not any(alive(pid) for pid in pids))


def test_a_second_launcher_on_the_same_folder_is_refused_by_name(tmp_path: Path) -> None:
    with running_up(tmp_path, "--no-agent") as up:
        up.ready()
        second = subprocess.run(
            [str(Path(sys.executable).parent / "oms"), "up", "--data-dir", str(tmp_path / "data")],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert second.returncode == 1
        assert f"in use by another `oms up` (pid {up.process.pid})" in second.stderr


def test_a_port_that_is_taken_is_told_with_the_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with running_up(tmp_path, "--no-agent", "--port", str(port)) as up:
            assert up.process.wait(60) == 1
            assert f"fix: port {port} is taken" in up.output()


def test_with_tls_everything_is_https_by_an_authority_of_its_own(
    tmp_path: Path, azurite_connection: str
) -> None:
    with running_up(tmp_path, "--no-agent", "--tls", "--storage", azurite_connection) as up:
        ready = up.ready()
        assert ready["url"].startswith("https://")
        assert ready["pids"]["azurite"] is None
        assert ready["storageConnectionString"] == azurite_connection
        context = ssl.create_default_context(cafile=ready["caFile"])
        assert ask(up.port, "GET", "/items/7", tls=context).status == 200
        nudge = ask(up.port, "GET", "/setting?name=OMS_HOST_NUDGE_URL", tls=context).body.decode()
        # Functions nudge on plain loopback, whatever the outside speaks.
        assert nudge.startswith("http://127.0.0.1:")
        port = int(nudge.removeprefix("http://127.0.0.1:").partition("/")[0])
        assert ask(port, "POST", f"/{nudge.split('/', 3)[3]}&queue=orders").status == 202


def test_the_authority_stays_while_certificates_are_renewed(tmp_path: Path) -> None:
    first = ensure_certificates(tmp_path)
    ca, cert = first.ca.read_bytes(), first.cert.read_bytes()
    assert ensure_certificates(tmp_path).cert.read_bytes() == cert
    later = ensure_certificates(tmp_path, now=datetime.now(UTC) + timedelta(days=380))
    assert later.ca.read_bytes() == ca
    assert later.cert.read_bytes() != cert
    names = (
        x509.load_pem_x509_certificate(cert)
        .extensions.get_extension_for_class(x509.SubjectAlternativeName)
        .value.get_values_for_type(x509.DNSName)
    )
    assert {"localhost", "*.ods.localhost", "*.oms.localhost"} <= set(names)


def test_a_lock_is_free_again_once_it_is_let_go(tmp_path: Path) -> None:
    lock = DataDirLock.take(tmp_path)
    with pytest.raises(DataDirInUse, match=str(os.getpid())):
        DataDirLock.take(tmp_path)
    lock.release()
    DataDirLock.take(tmp_path).release()


def test_a_component_that_keeps_dying_young_is_given_time_and_one_that_lived_is_not() -> None:
    restarts = Restarts()
    delays = [restarts.delay(1.0, killed=False) for _ in range(7)]
    assert delays == [0.2, 0.5, 1.0, 2.0, 4.0, 30.0, 30.0]
    assert restarts.delay(3600.0, killed=False) == 0.2
    assert [restarts.delay(1.0, killed=True) for _ in range(7)] == [0.2] * 7
