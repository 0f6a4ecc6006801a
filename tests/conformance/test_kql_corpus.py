"""The answers of the real engine, case by case, through the published checker."""

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from shared.kql import KqlError, parse, unparse

KQL = Path(os.environ["OMS_SHARED"]) / "kql"
ROOT = Path(__file__).parents[2]
PASSING = {"PASS", "PASS_NAMES", "PASS_SHAPE", "PASS_ERROR"}


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    out = tmp_path_factory.mktemp("kql") / "results.jsonl"
    command = [
        sys.executable, str(KQL / "kqlcheck.py"), "--corpus", str(KQL / "corpus.jsonl"), "--out", str(out),
        "--engine", "tests.conformance.kql_engine:Engine", "--filter", "source=emulator", "tier=1,2",
    ]  # fmt: skip
    subprocess.run(
        command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True
    )
    cases = {case["id"]: case for case in map(json.loads, (KQL / "corpus.jsonl").read_text().splitlines())}
    found = Counter[str]()
    for result in map(json.loads, out.read_text().splitlines()):
        if cases[result["id"]].get("expect_error"):
            found["rejected" if result["verdict"] == "PASS_ERROR" else "accepted"] += 1
        elif result["verdict"] in PASSING:
            found["right"] += 1
        else:
            found["refused" if result["verdict"].startswith("ERROR") else "wrong"] += 1
    return found


def test_the_everyday_cases_get_the_real_engines_answers(verdicts: Counter[str]):
    asked = verdicts["right"] + verdicts["wrong"] + verdicts["refused"]
    assert verdicts["right"] / asked >= 0.97
    assert verdicts["wrong"] / asked <= 0.01


def test_what_the_real_engine_rejects_is_rejected(verdicts: Counter[str]):
    assert verdicts["rejected"] / (verdicts["rejected"] + verdicts["accepted"]) >= 0.9


def test_real_queries_parse_and_survive_printing():
    parsed, total = 0, 0
    for line in (KQL / "real_queries.jsonl").read_text().splitlines():
        total += 1
        try:
            tree = parse(json.loads(line)["query"])
        except KqlError:
            continue
        parsed += 1
        assert parse(unparse(tree)) == tree
    assert parsed / total >= 0.998
