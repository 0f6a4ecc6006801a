"""The bundle as the real worker library sees it: it indexes, and each function has the trigger and route it should have."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from devhost.ncrontab import parse_schedule
from devhost.routes import compile_route

ROOT: Final = Path(__file__).resolve().parent.parent
GOLDEN: Final = ROOT / "tests" / "golden" / "functions.json"


@pytest.fixture(scope="module")
def indexed() -> Sequence[Mapping[str, Any]]:
    """The functions, indexed in a process of their own: the library knows one app per process."""
    run = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "golden_functions.py"), "--print"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def test_every_function_has_the_trigger_and_route_of_the_golden_list(
    indexed: Sequence[Mapping[str, Any]],
) -> None:
    golden = json.loads(GOLDEN.read_text())
    assert indexed == golden, "if this change is wanted: .venv/bin/python scripts/golden_functions.py"


def test_functions_are_named_for_their_service_resource_and_verb(
    indexed: Sequence[Mapping[str, Any]],
) -> None:
    odd = [each["name"] for each in indexed if not re.fullmatch(r"[a-z]+(_[a-z0-9]+){2,}", each["name"])]
    assert odd == []


def test_every_route_and_schedule_is_one_that_azure_reads(indexed: Sequence[Mapping[str, Any]]) -> None:
    routes = [
        compile_route(each["route"], each.get("methods", []), each) for each in indexed if "route" in each
    ]
    schedules = [parse_schedule(each["schedule"]) for each in indexed if "schedule" in each]
    assert len(routes) + len(schedules) + sum("queueName" in each for each in indexed) == len(indexed)


def test_every_queue_function_listens_on_the_suites_own_storage(indexed: Sequence[Mapping[str, Any]]) -> None:
    assert {each["connection"] for each in indexed if "queueName" in each} <= {"OMS_STORAGE"}


def test_importing_the_app_opens_nothing_and_asks_for_no_setting() -> None:
    # Indexing happens without any of our settings there: a client or a setting at import would fail or connect.
    script = (
        "import socket, sys\n"
        "def refuse(*_): raise RuntimeError('the import opened a connection')\n"
        "socket.socket.connect = refuse\n"
        "import function_app\n"
        "loaded = {'duckdb', 'pyarrow', 'azure.storage.blob', 'azure.data.tables'} & set(sys.modules)\n"
        "sys.exit(f'imported at load: {sorted(loaded)}' if loaded else 0)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={"PATH": "/usr/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
