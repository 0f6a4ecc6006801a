"""Windows event logs as records of the table Event, through the system's own wevtutil."""

import json
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oms_agent.versions import check_version

VERSION: Final = 1
NS: Final = {"e": "http://schemas.microsoft.com/win/2004/08/events/event"}
LEVELS: Final = {0: "Information", 1: "Critical", 2: "Error", 3: "Warning", 4: "Information", 5: "Verbose"}
BATCH: Final = 2_000
WEVTUTIL: Final = r"C:\Windows\System32\wevtutil.exe"


@dataclass(slots=True)
class EventLogReader:
    """`read` gives what is new in one channel since the saved record id; `commit` saves it once the records are durable."""

    channel: str
    computer: str
    state: Path
    _next: int | None = None

    def read(self) -> list[Mapping[str, Any]]:
        last = self.last()
        query = f"*[System[EventRecordID>{last}]]"
        done = subprocess.run(
            [WEVTUTIL, "qe", self.channel, f"/q:{query}", f"/c:{BATCH}", "/f:RenderedXml", "/e:Events"],
            capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        records: list[Mapping[str, Any]] = []
        for number, record in records_of(
            done.stdout.decode("utf-8", errors="replace"), computer=self.computer
        ):
            records.append(record)
            self._next = max(number, self._next or 0)
        return records

    def last(self) -> int:
        """The last event that an earlier run took. StateUnreadable."""
        if not self.state.is_file():
            return 0
        saved = json.loads(self.state.read_text(encoding="ascii"))
        check_version(self.state, saved.get("v"), current=VERSION)
        return int(saved["record"])

    def commit(self) -> None:
        if self._next is not None:
            self.state.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.state.with_suffix(".new")
            temporary.write_text(json.dumps({"v": VERSION, "record": self._next}), encoding="ascii")
            temporary.replace(self.state)


def records_of(xml: str, *, computer: str) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Each event's record id and its record. `xml` is wevtutil's rendered XML under one root; no events give nothing."""
    if not xml.strip():
        return
    # wevtutil is the operating system's own; no entity or document type can come from an event
    for event in ElementTree.fromstring(xml).iterfind("e:Event", NS):  # noqa: S314 - wevtutil is the system's own
        system = event.find("e:System", NS)
        if system is None:
            continue

        def text(name: str, system: ElementTree.Element = system) -> str:
            found = system.find(f"e:{name}", NS)
            return (found.text or "") if found is not None else ""

        provider, created = system.find("e:Provider", NS), system.find("e:TimeCreated", NS)
        security, data = system.find("e:Security", NS), event.find("e:EventData", NS)
        level = int(text("Level") or 4)
        rendered = event.findtext("e:RenderingInfo/e:Message", default="", namespaces=NS)
        parameters = "".join(f"<Param>{item.text or ''}</Param>" for item in data) if data is not None else ""
        yield (
            int(text("EventRecordID") or 0),
            {
                "TimeGenerated": created.get("SystemTime", "") if created is not None else "",
                "Computer": text("Computer") or computer,
                "EventLog": text("Channel"),
                "Source": provider.get("Name", "") if provider is not None else "",
                "EventID": int(text("EventID") or 0),
                "EventLevel": level,
                "EventLevelName": LEVELS.get(level, str(level)),
                "EventCategory": int(text("Task") or 0),
                "UserName": security.get("UserID", "") if security is not None else "",
                "RenderedDescription": rendered,
                "Message": rendered,
                "ParameterXml": parameters,
                "EventData": ElementTree.tostring(data, encoding="unicode") if data is not None else "",
            },
        )
