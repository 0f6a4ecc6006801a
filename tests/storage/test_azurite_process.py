"""Azurite as a child process: it starts on free ports, says what is wrong, and never outlives its owner."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devhost.azurite import ACCOUNT, REPO, Azurite, AzuriteFailed
from shared.storage.azure import AzureStorage


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    return tmp_path / "azurite.log"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_it_answers_with_the_well_known_account_until_it_is_stopped(log_file: Path):
    with Azurite.start(log_file=log_file) as running:
        running.check()
        assert f"AccountName={ACCOUNT};" in running.connection_string
        with AzureStorage.from_connection_string(running.connection_string) as account:
            account.ping()
    assert not running.alive()
    with pytest.raises(AzuriteFailed, match="died"):
        running.check()
    running.stop()


def test_what_is_on_disk_is_there_after_an_orderly_restart(tmp_path: Path, log_file: Path):
    with (
        Azurite.start(tmp_path / "data", log_file=log_file) as first,
        AzureStorage.from_connection_string(first.connection_string) as account,
    ):
        account.blobs("box").put("a", b"1")
        account.table("rows").insert("p", "k", {"n": 1})
    with (
        Azurite.start(tmp_path / "data", log_file=log_file) as second,
        AzureStorage.from_connection_string(second.connection_string) as account,
    ):
        assert account.blobs("box").get("a") == b"1"
        assert account.table("rows").get("p", "k").values == {"n": 1}


def test_a_port_that_is_taken_is_named(taken: int, log_file: Path):
    with pytest.raises(AzuriteFailed, match=f"port {taken} is taken"):
        Azurite.start(ports=(0, taken, 0), log_file=log_file)


def test_where_it_is_not_installed_the_message_says_how(tmp_path: Path):
    with pytest.raises(AzuriteFailed, match="npm ci"):
        Azurite.start(repo=tmp_path)


def test_its_death_is_noticed_with_its_last_words(log_file: Path):
    with Azurite.start(log_file=log_file) as running:
        running.process.kill()
        running.process.wait()
        with pytest.raises(AzuriteFailed, match="Table service is successfully listening"):
            running.check()


def test_it_ends_when_its_owner_is_killed(log_file: Path):
    program = (
        "import pathlib, sys, time; from devhost.azurite import Azurite;"
        "print(Azurite.start(log_file=pathlib.Path(sys.argv[1])).pid, flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen(
        [sys.executable, "-c", program, str(log_file)],
        stdout=subprocess.PIPE,
        cwd=REPO,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )
    with owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        os.kill(pid, 0)
        owner.kill()
        owner.wait()
    deadline = time.monotonic() + 30
    while lives(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not lives(pid)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/stat")  # one that ended and that nobody has buried is a Z
    return not (status.exists() and status.read_text().rsplit(")", 1)[1].split()[0] == "Z")
