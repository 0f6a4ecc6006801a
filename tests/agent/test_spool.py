"""The spool keeps what it took, in order, within its limit."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import orjson

from oms_agent.spool import Spool


def drain(spool: Spool) -> list[int]:
    found: list[int] = []
    while (batch := spool.next(0.05)) is not None:
        count, body = batch.body()
        numbers = [record["n"] for record in orjson.loads(body)]
        assert count == len(numbers)
        found += numbers
        spool.done(batch)
    return found


def test_records_come_out_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000, seal_after=0.01)
    for n in range(100):
        spool.put("Custom-A_CL", [{"n": n}])
    assert drain(spool) == list(range(100))


def test_a_new_spool_finds_what_a_closed_one_left(tmp_path: Path) -> None:
    first = Spool(tmp_path, 10_000_000)
    first.put("Custom-A_CL", [{"n": 1}])
    first.close()
    assert drain(Spool(tmp_path, 10_000_000, seal_after=0.01)) == [1]


def test_what_put_returned_for_survives_a_kill(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from oms_agent.spool import Spool\n"
        "spool = Spool(Path(sys.argv[1]), 10_000_000, seal_after=0.02)\n"
        "n = 0\n"
        "while True:\n"
        "    spool.put('Custom-A_CL', [{'n': n}]); print(n, flush=True); n += 1\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(50)]
        os.kill(writer.pid, signal.SIGKILL)
        acknowledged += [int(line) for line in writer.stdout.read().split() if line.isdigit()]
    found = drain(Spool(tmp_path, 10_000_000, seal_after=0.01))
    assert found[: len(acknowledged)] == acknowledged
    assert len(found) - len(acknowledged) <= 1


def test_sending_again_after_a_lost_answer_uses_the_same_id(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000, seal_after=0.01)
    spool.put("Custom-A_CL", [{"n": 1}])
    first = spool.next(1)
    again = Spool(tmp_path, 10_000_000).next(1)
    assert first is not None
    assert again is not None
    assert again.request_id == first.request_id


def test_a_full_spool_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 3_000_000, seal_after=0.01)
    for n in range(50):
        spool.put("Custom-A_CL", [{"n": n, "fill": "x" * 100_000}])
    assert spool.size() <= 3_000_000
    kept = drain(spool)
    assert kept == list(range(spool.dropped, 50))
    assert 0 < spool.dropped < 50


def test_a_rejected_batch_is_kept_aside_with_its_reason(tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000, seal_after=0.01)
    spool.put("Custom-A_CL", [{"n": 1}, {"n": 2}])
    batch = spool.next(1)
    assert batch is not None
    assert spool.set_aside(batch, "400 InvalidStream") == 2
    assert spool.next(0.02) is None
    assert [path.read_text() for path in (tmp_path / "rejected").glob("*.reason")] == ["400 InvalidStream"]
