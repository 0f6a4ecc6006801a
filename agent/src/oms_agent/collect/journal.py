"""systemd's journal, by journalctl's own cursor: each entry once, across restarts."""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, cast

from oms_agent.collect.syslog import FACILITIES, SEVERITIES
from oms_agent.versions import check_version

VERSION: Final = 1
BATCH: Final = 5_000


def is_available() -> bool:
    """Whether this machine keeps a journal that we may read."""
    return shutil.which("journalctl") is not None and any(
        Path(folder).is_dir() for folder in ("/run/log/journal", "/var/log/journal")
    )


@dataclass(slots=True)
class JournalReader:
    """`read` gives what is new since the saved cursor; `commit` saves the cursor once the records are durable."""

    computer: str
    state: Path
    _next: str | None = None

    def read(self) -> list[Mapping[str, Any]]:
        cursor = self.cursor()
        where = ["--after-cursor", cursor] if cursor else ["-n", "100"]
        done = subprocess.run(
            ["/usr/bin/env", "journalctl", "-o", "json", "--no-pager", *where],
            capture_output=True,
            check=False,
            timeout=30,
        )
        records: list[Mapping[str, Any]] = []
        for entry in _entries(done.stdout):
            records.append(record_of(entry, computer=self.computer))
            self._next = entry.get("__CURSOR", self._next)
            if len(records) >= BATCH:
                break
        return records

    def cursor(self) -> str | None:
        """Where the last run came to. StateUnreadable."""
        if not self.state.is_file():
            return None
        saved = json.loads(self.state.read_text(encoding="utf-8"))
        check_version(self.state, saved.get("v"), current=VERSION)
        return str(saved["cursor"])

    def commit(self) -> None:
        if self._next is not None:
            self.state.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.state.with_suffix(".new")
            temporary.write_text(json.dumps({"v": VERSION, "cursor": self._next}), encoding="utf-8")
            temporary.replace(self.state)


def record_of(entry: Mapping[str, Any], *, computer: str) -> Mapping[str, Any]:
    """One journal entry as a record of the table Syslog."""
    facility, severity = _number(entry.get("SYSLOG_FACILITY"), 3), _number(entry.get("PRIORITY"), 6)
    micros = int(entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry.get("__REALTIME_TIMESTAMP") or 0)
    when = datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    record: dict[str, Any] = {
        "TimeGenerated": when,
        "EventTime": when,
        "Facility": FACILITIES[facility] if facility < len(FACILITIES) else str(facility),
        "SeverityLevel": SEVERITIES[severity] if severity < len(SEVERITIES) else str(severity),
        "HostName": _text(entry.get("_HOSTNAME")) or computer,
        "Computer": computer,
        "CollectorHostName": computer,
        "HostIP": "127.0.0.1",
        "ProcessName": _text(entry.get("SYSLOG_IDENTIFIER")) or _text(entry.get("_COMM")),
        "SyslogMessage": _text(entry.get("MESSAGE")),
    }
    pid = _text(entry.get("SYSLOG_PID")) or _text(entry.get("_PID"))
    if pid.isdigit():
        record["ProcessID"] = int(pid)
    return record


def _entries(output: bytes) -> Iterator[dict[str, Any]]:
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _text(value: Any) -> str:
    # journalctl writes text that is not UTF-8 as an array of bytes
    if isinstance(value, list):
        return bytes(cast("list[int]", value)).decode(errors="replace")
    return "" if value is None else str(value)


def _number(value: Any, otherwise: int) -> int:
    text = _text(value)
    return int(text) if text.isdigit() else otherwise
