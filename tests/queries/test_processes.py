"""Query children do not outlive who started them."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PARENT = """
import sys, threading
from shared.loganalytics.queries.model import Execution, Statement
from shared.loganalytics.queries.processes import Child, QueryProcesses
processes = QueryProcesses(size=1, memory_mb=256)
processes.warm()
print(processes._idle[0].process.pid, flush=True)
endless = "SELECT count(*) FROM range(100000000000) a(i) WHERE i * 7 % 11 = 12"
statement = Statement(name="PrimaryResult", sql=endless, columns=["n"], types=["long"])
processes.run(Execution(relations={}, files=(), prelude=(), functions=(), statements=[statement], memory_mb=256), caller="me", seconds=600)
"""


def test_a_child_in_the_midst_of_a_query_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        while not busy(child):
            time.sleep(0.05)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not Path(f"/proc/{child}").exists()


def busy(pid: int) -> bool:
    """Whether it has spent two seconds of processor time: starting takes less, an endless query takes more."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") > 2
