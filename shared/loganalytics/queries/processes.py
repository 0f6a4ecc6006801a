"""Warm child processes for queries: started by name, bounded in number and time, replaced when they fail."""

import logging
import os
import struct
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from shared.loganalytics.queries.model import (
    Execution,
    Outcome,
    QueryFailed,
    QueryMemoryExceeded,
    QueryProcessFailed,
    QueryThrottled,
    QueryTimeout,
    Truncation,
)

log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[3]


class ChildGone(Exception):
    """The child ended before it had answered."""


@dataclass(slots=True)
class Child:
    """One child process. It gets no environment but where its packages are."""

    process: subprocess.Popen[bytes]

    @classmethod
    def start(cls, memory_mb: int) -> Self:
        paths = [str(_ROOT), *(path for path in sys.path if path)]
        process = subprocess.Popen(
            [sys.executable, "-m", "shared.loganalytics.queries.sandbox", str(memory_mb)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PYTHONPATH": os.pathsep.join(paths),
                "PYTHONDONTWRITEBYTECODE": "1",
                "LANG": "C.UTF-8",
                "OPENBLAS_NUM_THREADS": "1",
            },
            cwd="/",
            start_new_session=True,
        )
        return cls(process)

    def ask(self, request: bytes) -> tuple[dict[str, Any], bytes]:
        """The answer's header and tables. ChildGone when it ended or was ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(struct.pack(">I", len(request)))
            self.process.stdin.write(request)
            self.process.stdin.flush()
            head = self.process.stdout.read(4)
            if len(head) < 4:
                raise ChildGone
            header = orjson.loads(self.process.stdout.read(struct.unpack(">I", head)[0]))
            tables = self.process.stdout.read(header["size"])
        except (BrokenPipeError, ValueError, orjson.JSONDecodeError) as ended:
            raise ChildGone from ended
        if len(tables) < header["size"]:
            raise ChildGone
        return header, tables

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def last_words(self) -> str:
        """The last line an ended child wrote to its standard error."""
        assert self.process.stderr is not None
        lines = self.process.stderr.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else ""

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue
        self.kill()


@dataclass(slots=True)
class QueryProcesses:
    """At most `size` children at work, at most `waiting` callers in line, at most `per_caller` of one caller at work or in line.

    `run` blocks until a child is free. The deadline covers the time in line too.
    """

    size: int = 2
    memory_mb: int = 1024
    waiting: int = 64
    per_caller: int = 16
    _idle: deque[Child] = field(default_factory=deque[Child], init=False)
    _free: threading.Condition = field(default_factory=threading.Condition, init=False)
    _busy: int = field(default=0, init=False)
    _callers: dict[str, int] = field(default_factory=dict[str, int], init=False)
    _line: int = field(default=0, init=False)

    def run(self, execution: Execution, *, caller: str, seconds: float) -> Outcome:
        """Answer a query within `seconds`. QueryThrottled, QueryTimeout, QueryMemoryExceeded, QueryFailed."""
        request = orjson.dumps(asdict(execution))
        child = self._take(caller, seconds)
        try:
            header, tables = self._ask(child, request, seconds)
        finally:
            self._give(child, caller)
        if "error" in header:
            if header["error"] == "memory":
                raise QueryMemoryExceeded(
                    f"the query needs more than the {execution.memory_mb} MB that one query may take: "
                    "narrow its time range, or summarize before joining and sorting"
                )
            raise QueryFailed(header["message"])
        return Outcome(
            tables=tables,
            rows=header["rows"],
            truncated=Truncation(header["truncated"]) if header["truncated"] else None,
            seconds=header["seconds"],
            cpu_user=header["user"],
            cpu_system=header["system"],
            peak_memory=header["peak"],
        )

    def _ask(self, child: Child, request: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            child.kill()

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()
        try:
            return child.ask(request)
        except ChildGone:
            status = child.process.wait()
            if expired.is_set():
                raise QueryTimeout(
                    f"the query did not end within {seconds:g} s and was stopped", retry_after=None
                ) from None
            said = child.last_words()
            log.warning("query process ended", extra={"status": status, "said": said})
            # A signal, or an allocation that failed: else the child is broken, which is ours to mend and not the query's.
            if status < 0 or "MemoryError" in said or "bad_alloc" in said:
                raise QueryMemoryExceeded(
                    f"the process that ran the query was ended (status {status}), most likely for want of memory"
                ) from None
            raise QueryProcessFailed(f"the process that ran the query failed (status {status})") from None
        finally:
            timer.cancel()

    def _take(self, caller: str, seconds: float) -> Child:
        with self._free:
            mine = self._callers.get(caller, 0)
            if mine >= self.per_caller:
                raise QueryThrottled(
                    f"{mine} queries of {caller} are running or waiting, and {self.per_caller} may",
                    retry_after=5,
                )
            if self._busy >= self.size and self._line >= self.waiting:
                raise QueryThrottled(
                    f"{self._busy} queries are running and {self._line} are waiting: try again later",
                    retry_after=10,
                )
            self._callers[caller] = mine + 1
            self._line += 1
            try:
                if not self._free.wait_for(lambda: self._busy < self.size, timeout=seconds):
                    self._leave(caller)
                    raise QueryTimeout(f"no query process became free within {seconds:g} s", retry_after=10)
            finally:
                self._line -= 1
            self._busy += 1
            while self._idle:
                child = self._idle.popleft()
                if child.is_alive():
                    return child
                child.close()
        try:
            return Child.start(self.memory_mb)
        except OSError:
            with self._free:
                self._busy -= 1
                self._leave(caller)
                self._free.notify()
            raise

    def _give(self, child: Child, caller: str) -> None:
        alive = child.is_alive()
        if not alive:
            child.close()
        with self._free:
            self._busy -= 1
            self._leave(caller)
            if alive:
                self._idle.append(child)
            self._free.notify()

    def _leave(self, caller: str) -> None:
        left = self._callers[caller] - 1
        if left:
            self._callers[caller] = left
        else:
            del self._callers[caller]

    def warm(self) -> None:
        """Start one child ahead of the first query."""
        with self._free:
            if self._busy or self._idle:
                return
            self._idle.append(Child.start(self.memory_mb))

    def state(self) -> Mapping[str, int]:
        """How many children are busy and idle, and how many callers wait."""
        with self._free:
            return {"busy": self._busy, "idle": len(self._idle), "waiting": self._line}

    def close(self) -> None:
        """End the idle children."""
        with self._free:
            children = list(self._idle)
            self._idle.clear()
        for child in children:
            child.close()
