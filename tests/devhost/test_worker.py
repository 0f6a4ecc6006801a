"""The contract with Microsoft's worker library: what devhost/worker.py relies on, run in a process of its own."""

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import pytest

from tests.devhost.running import REPO, SAMPLE_APP

_SCRIPT: Final = """
import asyncio, dataclasses, json, sys
from pathlib import Path
from devhost.worker import Request, Worker

async def main():
    worker = await Worker.load(Path(sys.argv[1]), timeout=5.0)
    functions = {each.name: each for each in worker.functions}
    get = Request(method="GET", url="http://h/x?a=1", headers={"h": "v"}, route={"r": "1"}, query={"a": "1"}, body=b"b")
    answers = {}
    for name in ("echo", "asynchronous", "breaks", "cookies"):
        outcome = await worker.call_http(functions[name], get)
        response = outcome.response
        answers[name] = {
            "ok": outcome.ok, "error": outcome.error, "traceback": outcome.traceback,
            "response": response and [response.status, list(response.headers), response.body.decode("latin-1")],
        }
    message = {"Id": "m-1", "DequeueCount": 2, "PopReceipt": "p", "InsertionTime": "2026-03-04T12:00:00+00:00"}
    queued = await worker.call_queue(functions["work"], '{"n": 1}', message)
    timed = await worker.call_timer(functions["each_second"], {"Schedule": {}, "ScheduleStatus": {}, "IsPastDue": True})
    retried = await worker.call_timer(functions["at_startup"], {"IsPastDue": False}, attempt=2, attempts=2)
    print(json.dumps({
        "functions": {name: dataclasses.asdict(each) for name, each in functions.items()},
        "answers": answers, "queued": queued.ok, "timed": timed.ok, "retried": retried.ok,
    }))
    worker.close()

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What one run of the script said, with what the sample app recorded under `events`."""
    log: Path = tmp_path_factory.mktemp("worker") / "events"
    environment = {**os.environ, "PYTHONPATH": str(REPO), "SAMPLE_LOG": str(log)}
    run = subprocess.run(
        [sys.executable, "-c", _SCRIPT, str(SAMPLE_APP)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr
    events = [json.loads(line) for line in log.read_text().splitlines()]
    return json.loads(run.stdout) | {"events": events}


def test_the_library_is_the_release_that_this_contract_was_written_for() -> None:
    assert version("azure-functions-runtime").startswith("1.3.")
    assert version("azure-functions").startswith("2.3.")


def test_a_functions_trigger_is_known_from_its_raw_binding(told: dict[str, Any]) -> None:
    functions = told["functions"]
    assert functions["item_number"]["trigger"] == "httpTrigger"
    assert functions["item_number"]["binding"]["route"] == "items/{id:int}"
    assert functions["item_number"]["binding"]["methods"] == ["GET"]
    assert functions["keyed"]["binding"]["authLevel"] == "FUNCTION"
    assert functions["work"]["binding"]["queueName"] == "%SAMPLE_QUEUE%"
    assert functions["work"]["binding"]["connection"] == "OMS_STORAGE"
    assert functions["work"]["parameter"] == "msg"
    assert functions["each_second"]["binding"]["schedule"] == "* * * * * *"
    assert functions["at_startup"]["binding"]["runOnStartup"] is True
    assert functions["at_startup"]["retry"] == {"limit": 2, "least": 0.0, "most": 0.0}
    assert functions["each_second"]["retry"] is None


@pytest.mark.parametrize("name", ["echo", "asynchronous"])
def test_sync_and_async_functions_answer_alike(told: dict[str, Any], name: str) -> None:
    answer = told["answers"][name]
    assert answer["ok"] is True
    status, headers, body = answer["response"]
    assert status == 200
    assert ["content-type", "application/json"] in headers
    assert json.loads(body) == {
        "function": name,
        "method": "GET",
        "url": "http://h/x?a=1",
        "headers": {"h": "v"},
        "params": {"a": "1"},
        "route": {"r": "1"},
        "body": "b",
    }


def test_cookies_come_as_headers_and_bytes_as_bytes(told: dict[str, Any]) -> None:
    status, headers, body = told["answers"]["cookies"]["response"]
    assert (status, body) == (201, "GET bytes \xff")
    assert [value for name, value in headers if name == "set-cookie"] == [
        "a=1; HttpOnly; Path=/",
        "b=2; SameSite=Strict",
    ]


def test_an_exception_is_an_outcome_with_its_traceback(told: dict[str, Any]) -> None:
    answer = told["answers"]["breaks"]
    assert answer["ok"] is False
    assert answer["response"] is None
    assert answer["error"] == "ValueError('secret reason of GET')"
    assert "in breaks" in answer["traceback"]


def test_a_queue_message_carries_its_metadata(told: dict[str, Any]) -> None:
    assert told["queued"] is True
    event = next(each for each in told["events"] if each["kind"] == "work")
    assert (event["body"], event["dequeues"], event["id"]) == ('{"n": 1}', 2, "m-1")
    assert event["inserted"] == "2026-03-04T12:00:00+00:00"
    assert event["receipt"] is True


def test_a_timer_learns_whether_it_is_late_and_which_attempt_it_is(told: dict[str, Any]) -> None:
    assert told["timed"] is True
    assert told["retried"] is True
    assert next(each["late"] for each in told["events"] if each["kind"] == "each_second") is True
    assert next(each["attempt"] for each in told["events"] if each["kind"] == "at_startup") == 2
