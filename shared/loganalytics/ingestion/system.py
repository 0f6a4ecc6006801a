"""The bundle's own measurements, as records of a system workspace, without telling of their own telling."""

from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

from shared.kernel.clock import Clock
from shared.kql.types import Column, KqlType
from shared.loganalytics.ingestion.records import RecordWriter
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.tables.model import TableOrigin
from shared.loganalytics.tables.registry import TableRegistry

TABLE: Final = "OmsMetrics_CL"
_COLUMNS: Final = (
    Column(name="Name", type=KqlType.STRING),
    Column(name="Value", type=KqlType.REAL),
    Column(name="Subject", type=KqlType.STRING),
    Column(name="Instance", type=KqlType.STRING),
)


@dataclass
class SystemMetrics:
    """Counts in memory; `flush` writes one record per name and subject. Without a system workspace it counts nothing.

    What concerns the system workspace itself is not counted, so that writing metrics makes no more of them.
    """

    records: RecordWriter
    tables: TableRegistry
    workspace: Callable[[], WorkspaceId | None]
    instance: str
    clock: Clock
    _counts: dict[tuple[str, str], float] = field(default_factory=dict[tuple[str, str], float])
    _lock: Lock = field(default_factory=Lock)

    def count(self, name: str, value: float = 1, *, subject: str = "") -> None:
        """Add to a sum, e.g. of bytes that a workspace (the subject) took in."""
        system = self.workspace()
        if system is None or subject == system:
            return
        with self._lock:
            self._counts[name, subject] = self._counts.get((name, subject), 0) + value

    def flush(self) -> int:
        """Write what was counted since the last time; how many records. What could not be written is kept."""
        system = self.workspace()
        with self._lock:
            counted, self._counts = self._counts, {}
        if system is None or not counted:
            return 0
        try:
            self.tables.extend(system, TABLE, _COLUMNS, origin=TableOrigin.DECLARED)
            self.records.write(
                system,
                TABLE,
                [
                    {"Name": name, "Value": value, "Subject": subject, "Instance": self.instance}
                    for (name, subject), value in sorted(counted.items())
                ],
            )
        except BaseException:
            for (name, subject), value in counted.items():
                self.count(name, value, subject=subject)
            raise
        return len(counted)
