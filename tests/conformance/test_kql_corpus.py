"""The answers of the real engine, case by case, through the published checker, and the queries that people run."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.kql import KqlError, KqlUnsupported, parse, unparse
from tests.conformance.kql_engine import Engine

KQL = Path(os.environ["OMS_SHARED"]) / "kql"
ROOT = Path(__file__).parents[2]
PASSING = {"PASS", "PASS_NAMES", "PASS_SHAPE", "PASS_ERROR"}
# Joins millions of made-up rows: it would measure the machine. It counts as unanswered.
HEAVY = {"docs:query.join-time-window#02"}
# What can only be answered from outside the suite is refused by name, as it should be.
OUTSIDE = ("externaldata", "geo_info_from_ip_address", "parse_user_agent", "arg()", "FileProfile")
SAMPLED = 4  # every so many of the real queries are run; all of them take minutes

type Verdicts = Mapping[str, Counter[str]]


def _lines(path: Path) -> Sequence[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _group(case: Mapping[str, object]) -> str:
    if case.get("expect_error"):
        return "rejected"
    if case["source"] != "emulator":
        return "written"
    return "everyday" if case["tier"] in (1, 2) else "rare"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Verdicts:
    folder = tmp_path_factory.mktemp("kql")
    cases = {case["id"]: case for case in _lines(KQL / "corpus.jsonl") if case["tier"] in (1, 2, 3)}
    asked = folder / "corpus.jsonl"
    asked.write_text("\n".join(json.dumps(case) for key, case in cases.items() if key not in HEAVY))
    out = folder / "results.jsonl"
    command = [
        sys.executable, str(KQL / "kqlcheck.py"), "--corpus", str(asked), "--out", str(out),
        "--engine", "tests.conformance.kql_engine:Engine", "--timeout", "60",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(command, check=True, cwd=ROOT, env=environment, capture_output=True)
    found = {name: Counter[str]() for name in ("everyday", "rare", "written", "rejected")}
    for key in HEAVY:
        found[_group(cases[key])]["refused"] += 1
    for answer in _lines(out):
        verdict = answer["verdict"]
        kind = "right" if verdict in PASSING else "refused" if verdict.startswith("ERROR") else "wrong"
        found[_group(cases[answer["id"]])][kind] += 1
    return found


def _share(found: Counter[str], kind: str) -> float:
    return found[kind] / found.total()


def test_the_everyday_cases_get_the_real_engines_answers(verdicts: Verdicts):
    assert _share(verdicts["everyday"], "right") >= 0.97


def test_the_rare_cases_get_the_real_engines_answers(verdicts: Verdicts):
    assert _share(verdicts["rare"], "right") >= 0.85


def test_hardly_an_answer_is_wrong(verdicts: Verdicts):
    assert _share(verdicts["everyday"] + verdicts["rare"], "wrong") <= 0.01


def test_examples_and_expectations_that_others_wrote_hold(verdicts: Verdicts):
    assert _share(verdicts["written"], "right") >= 0.92


def test_what_the_real_engine_rejects_is_rejected(verdicts: Verdicts):
    assert _share(verdicts["rejected"], "right") >= 0.9


def test_real_queries_run_on_empty_tables():
    run, total = 0, 0
    for case in _lines(KQL / "real_queries.jsonl")[::SAMPLED]:
        try:
            Engine().check(case["query"])
        except KqlUnsupported as error:
            total += not any(word in str(error) for word in OUTSIDE)
        except Exception:  # whatever went wrong, the query did not run
            total += 1
        else:
            run, total = run + 1, total + 1
    assert run / total >= 0.98


def test_real_queries_parse_and_survive_printing():
    parsed, total = 0, 0
    for case in _lines(KQL / "real_queries.jsonl"):
        total += 1
        try:
            tree = parse(case["query"])
        except KqlError:
            continue
        parsed += 1
        assert parse(unparse(tree)) == tree
    assert parsed / total >= 0.998
