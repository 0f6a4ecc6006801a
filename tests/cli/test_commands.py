"""The command line against the running suite, as its users run it: a process, its output, its exit code."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.suite import Suite


def oms(
    suite: Suite, *arguments: str, stdin: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    ready = suite.folder / "ready-for-cli.json"
    ready.write_text(json.dumps(dict(suite.ready)))
    return subprocess.run(
        [Path(sys.executable).parent / "oms", *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PATH": os.environ["PATH"], "OMS_READY": str(ready), "LANG": "C.UTF-8", **environment},
    )


def test_a_query_prints_an_aligned_table(suite: Suite) -> None:
    done = oms(suite, "query", "print name='a', number=12")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["name  number", "----  ------", "a         12", "(1 row)"]


def test_a_query_comes_as_json_lines_and_as_csv(suite: Suite) -> None:
    text = "datatable(a:string, n:long)['x,y', 1, 'z', 2]"
    done = oms(suite, "query", text, "-o", "json")
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"a": "x,y", "n": 1},
        {"a": "z", "n": 2},
    ]
    done = oms(suite, "query", "-", "-o", "csv", stdin=text)
    assert list(csv.reader(io.StringIO(done.stdout))) == [["a", "n"], ["x,y", "1"], ["z", "2"]]


def test_a_query_comes_from_a_file(suite: Suite, tmp_path: Path) -> None:
    (tmp_path / "q.kql").write_text("print 1 | count")
    done = oms(suite, "query", f"@{tmp_path / 'q.kql'}", "-o", "csv")
    assert done.stdout == "Count\n1\n"


def test_an_error_points_at_its_place_with_a_caret(suite: Suite) -> None:
    done = oms(suite, "query", "Heartbeat\n| where Computr == 'x'")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert "Computer" in done.stderr
    assert lines[-2:] == ["  | where Computr == 'x'", "          ^^^^^^^"]


def test_a_partial_answer_has_its_own_exit_code(suite: Suite) -> None:
    done = oms(suite, "query", "range i from 1 to 500001 step 1 | project x = ''", "-o", "csv")
    assert done.returncode == 5
    assert "500000 records" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "environment", "code"),
    [
        (["query"], {}, 2),
        (["query", "print 1", "--since", "soon"], {}, 2),
        (["query", "print 1"], {"OMS_URL": "http://127.0.0.1:9"}, 3),
        (["query", "print 1"], {"OMS_TOKEN": "no.such.token"}, 4),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    suite: Suite, arguments: Sequence[str], environment: dict[str, str], code: int
) -> None:
    done = oms(suite, *arguments, **environment)
    assert done.returncode == code, done.stderr
    assert done.stderr


def test_a_file_of_records_is_taken_and_found(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "beats.jsonl"
    file.write_text(
        "".join(json.dumps({"Computer": f"cli-{n}", "Category": "cli"}) + "\n" for n in range(2500))
    )
    done = oms(suite, "ingest", str(file), "--table", "Heartbeat")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2500 records taken into Heartbeat\n"
    done = oms(
        suite,
        "query",
        "Heartbeat | where Category == 'cli' | summarize count(), dcount(Computer)",
        "-o",
        "csv",
    )
    assert done.stdout.splitlines()[1] == "2500,2500"


def test_a_file_that_is_not_json_is_refused_by_line_and_nothing_is_sent(suite: Suite, tmp_path: Path) -> None:
    file = tmp_path / "bad.jsonl"
    file.write_text('{"Computer": "bad-file"}\n{"Computer": \n')
    done = oms(suite, "ingest", str(file), "--table", "Heartbeat")
    assert done.returncode == 2
    assert "line 2" in done.stderr
    done = oms(suite, "query", "Heartbeat | where Computer == 'bad-file' | count", "-o", "csv")
    assert done.stdout.splitlines()[1] == "0"


def test_tables_lists_tables_and_columns(suite: Suite) -> None:
    assert "Heartbeat" in oms(suite, "tables").stdout
    columns = oms(suite, "tables", "heartbeat", "-o", "csv").stdout.splitlines()
    assert "TimeGenerated,datetime" in columns
    assert oms(suite, "tables", "Nope").returncode == 1


def test_tail_shows_the_newest_records(suite: Suite) -> None:
    done = oms(suite, "tail", "Perf | where ObjectName == 'Memory'", "-n", "2", "-o", "json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["ObjectName"] for line in done.stdout.splitlines()] == ["Memory", "Memory"]


def test_jobs_and_poison_answer(suite: Suite) -> None:
    jobs = oms(suite, "jobs")
    assert jobs.returncode == 0, jobs.stderr
    assert jobs.stdout.startswith("id")
    poison = oms(suite, "poison")
    assert poison.returncode == 0, poison.stderr
    assert poison.stdout.endswith("(0 rows)\n")


def test_the_agents_doctor_finds_all_four_steps_in_order(suite: Suite) -> None:
    done = oms(
        suite, "agent", "doctor", "--config", str(Path(suite.folder) / "data" / "agent" / "agent.json")
    )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = [line[6:20].strip() for line in done.stdout.splitlines()]
    assert steps == ["handshake", "configuration", "first row", "visible"]


def test_a_machine_joins_once_with_an_invitation(suite: Suite, tmp_path: Path) -> None:
    agent = Path(sys.executable).parent / "oms-agent"
    refused = subprocess.run(
        [agent, "join", "--endpoint", suite.url, "--token", "nope", "--config", tmp_path / "a.json", "--folder", tmp_path / "f"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert refused.returncode == 1
    assert "sign-in" in refused.stderr
    assert not (tmp_path / "a.json").exists()
