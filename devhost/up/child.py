"""A process of ours: its output in a file, why it ended, its end when we end."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_LOG_LIMIT: Final = 10 * 1024 * 1024
_PR_SET_PDEATHSIG: Final = 1


@dataclass(slots=True, kw_only=True)
class Child:
    """`stdin` of the process is a pipe of ours: a child that reads it learns of our end."""

    name: str
    process: subprocess.Popen[bytes]
    log_file: Path
    started: float = field(default_factory=time.monotonic)

    @classmethod
    def start(
        cls,
        name: str,
        command: Sequence[str],
        *,
        log_file: Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> "Child":
        log_file.parent.mkdir(parents=True, exist_ok=True)
        if log_file.exists() and log_file.stat().st_size > _LOG_LIMIT:
            log_file.replace(log_file.with_suffix(".1.log"))
        with log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=dict(env) if env is not None else None,
                # Ctrl-C comes to us alone; we stop the children in the right order.
                start_new_session=True,
                preexec_fn=_end_with_parent if sys.platform == "linux" else None,
            )
        return cls(name=name, process=process, log_file=log_file)

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> bool:
        return self.process.poll() is None

    def age(self) -> float:
        """Seconds since it was started."""
        return time.monotonic() - self.started

    def killed(self) -> bool:
        """Whether somebody else ended it: that is no fault of its own."""
        return self.process.poll() in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT)

    def reason(self) -> str:
        """Why it ended, in a line, and the last lines that it said."""
        code = self.process.poll()
        how = f"exit code {code}"
        if code is not None and code < 0:
            how = f"killed by {signal.Signals(-code).name}"
        said = _tail(self.log_file)
        return "\n".join([f"{self.name} (pid {self.pid}) ended: {how}", *(f"    {line}" for line in said)])

    def stop(self, *, seconds: float) -> bool:
        """Ask it to end, then make it; True if it ended by itself."""
        if self.alive():
            self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return False
        finally:
            if self.process.stdin is not None:
                self.process.stdin.close()
        return True


def _end_with_parent() -> None:
    # SIGTERM to the child when the thread that started it ends: nothing of ours outlives a kill -9.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _tail(path: Path, lines: int = 8) -> Sequence[str]:
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 8192))
        return file.read().decode(errors="replace").strip().splitlines()[-lines:]
