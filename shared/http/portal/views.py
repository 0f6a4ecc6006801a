"""What the pages show: the four ticks, the overview's tiles, the fleet of agents."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from shared.http.portal.queries import PageQueries
from shared.http.portal.sparkline import points
from shared.jobs.model import Job, JobStatus
from shared.kernel.errors import OmsError
from shared.kernel.ticks import TICKS_PER_SECOND, instant_of, parse_iso_ticks, ticks_of
from shared.loganalytics.logstore.model import Usage

FRESH_SECONDS: Final = 180
SILENT_SECONDS: Final = 3600

NAVIGATION: Final = (
    ("Start", (("Get started", "/get-started"), ("Overview", "/overview"))),
    ("Analyse", (("Logs", "/logs"),)),
    ("Manage", (("Agents", "/agents"), ("Jobs", "/jobs"), ("Poison messages", "/poison"))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One step of the first run. `detail` says what was measured, or what is awaited."""

    name: str
    title: str
    done: bool
    detail: str


def ticks(queries: PageQueries) -> Sequence[Tick]:
    """Agent connected, configuration applied, first record, searchable: each from what the workspace itself holds."""
    beats = _first(
        queries.rows(
            "Heartbeat | extend Arrived = ingestion_time() | summarize Beats = count(), First = min(TimeGenerated),"
            " Computers = dcount(Computer), Latency = min(Arrived - TimeGenerated), arg_max(TimeGenerated, Computer, Version)",
            "P1D",
        )
    )
    perf = _first(queries.rows("Perf | summarize Records = count(), First = min(TimeGenerated)", "P1D"))
    connected = int(beats.get("Beats") or 0) > 0
    collecting = int(perf.get("Records") or 0) > 0
    latency = str(beats.get("Latency") or "")
    return (
        Tick(
            name="connected",
            title="Agent connected",
            done=connected,
            detail=f"{beats.get('Computer')} with agent {beats.get('Version')}"
            if connected
            else "Waiting for the first heartbeat.",
        ),
        Tick(
            name="configured",
            title="Configuration applied",
            done=collecting,
            detail="The agent collects what the workspace asks for."
            if collecting
            else "Waiting for the first performance counters.",
        ),
        Tick(
            name="record",
            title="First record",
            done=connected,
            detail=f"Sent at {str(beats.get('First'))[:19].replace('T', ' ')}Z"
            if connected
            else "Waiting for the first record.",
        ),
        Tick(
            name="searchable",
            title="Searchable",
            done=connected,
            detail=f"{_seconds(latency)} from the machine to the answer, measured on your own data."
            if connected
            else "Waiting for a query to find it.",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    title: str
    number: str
    detail: str
    href: str
    line: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    table: str
    records: int
    size: str


def volumes(usage: Sequence[Usage]) -> Sequence[Volume]:
    """What each table took in, the largest first."""
    rows: dict[str, int] = {}
    size: dict[str, int] = {}
    for each in usage:
        rows[each.table] = rows.get(each.table, 0) + each.rows
        size[each.table] = size.get(each.table, 0) + each.bytes
    return [
        Volume(table=table, records=rows[table], size=megabytes(size[table]))
        for table in sorted(rows, key=lambda table: -rows[table])
    ]


def megabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB" if size >= 1e9 else f"{size / 1e6:.2f} MB"


def hourly(usage: Sequence[Usage], at: datetime) -> Sequence[int]:
    """Records of each of the last 24 hours, the oldest first."""
    hour = 3600 * TICKS_PER_SECOND
    last = ticks_of(at) // hour
    found = [0] * 24
    for each in usage:
        place = 23 - (last - each.hour // hour)
        if 0 <= place < 24:
            found[place] += each.rows
    return found


def tiles(
    queries: PageQueries, volume: Sequence[Volume], hours: Sequence[int], at: datetime
) -> Sequence[Tile]:
    fleet = agents(queries, at)
    fresh = sum(agent.state == "reporting" for agent in fleet)
    tail = f"?workspace={queries.workspace}"
    cpu = "Perf | where ObjectName == 'Processor' and InstanceName == '_Total' and CounterName == '% Processor Time'"
    busiest = queries.rows(
        cpu + " | summarize Value = avg(CounterValue) by Computer | top 1 by Value", "PT15M"
    )
    course = queries.rows(
        f"{cpu} | where Computer == {json.dumps(busiest[0]['Computer'])}"
        " | summarize Value = avg(CounterValue) by bin(TimeGenerated, 30s) | sort by TimeGenerated asc"
        if busiest
        else "print Value = 0.0",
        "PT1H",
    )
    errors = queries.rows("Syslog | where SeverityLevel in ('emerg', 'alert', 'crit', 'err') | count", "P1D")
    query = quote(
        cpu + " | summarize avg(CounterValue) by bin(TimeGenerated, 1m), Computer | render timechart"
    )
    trouble = quote(
        "Syslog | where SeverityLevel in ('emerg', 'alert', 'crit', 'err') | top 100 by TimeGenerated"
    )
    return (
        Tile(
            title="Agents reporting",
            number=f"{fresh} of {len(fleet)}",
            detail="sent a heartbeat in the last three minutes",
            href="/agents" + tail,
        ),
        Tile(
            title="Records, last 24 hours",
            number=f"{sum(each.records for each in volume):,}",
            detail=f"in {len(volume)} tables",
            href="/logs" + tail,
            line=points(hours),
        ),
        Tile(
            title="Busiest machine",
            number=f"{busiest[0]['Value']:.0f} %" if busiest else "–",
            detail=f"{busiest[0]['Computer']}, processor over 15 minutes"
            if busiest
            else "no processor counters yet",
            href=f"/logs{tail}&q={query}&span=PT1H&run=1",
            line=points([float(row["Value"] or 0) for row in course]),
        ),
        Tile(
            title="Syslog errors, last 24 hours",
            number=f"{errors[0]['Count']:,}",
            detail="severity error and above",
            href=f"/logs{tail}&q={trouble}&span=P1D&run=1",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """A machine. `state` is reporting, late or silent; `badge` colours it."""

    computer: str
    state: str
    badge: str
    last: str
    age: str
    os: str
    version: str
    address: str
    cpu: str
    memory: str
    query: str


def agents(queries: PageQueries, at: datetime) -> Sequence[AgentRow]:
    """Every machine of the last week, the longest silent first."""
    found = queries.rows(
        "Heartbeat | summarize arg_max(TimeGenerated, OSName, OSMajorVersion, Version, ComputerIP) by Computer"
        " | sort by TimeGenerated asc",
        "P7D",
    )
    own = queries.rows(
        "Perf | where ObjectName == 'OMS Agent' and CounterName in ('% Processor Time', 'Resident MBytes')"
        " | summarize arg_max(TimeGenerated, CounterValue) by Computer, CounterName",
        "PT15M",
    )
    cost = {(row["Computer"], row["CounterName"]): f"{row['CounterValue']:.1f}" for row in own}
    return [_agent(row, cost, at) for row in found]


def _agent(row: Mapping[str, Any], cost: Mapping[tuple[Any, Any], str], at: datetime) -> AgentRow:
    computer, last = str(row["Computer"]), str(row["TimeGenerated"])
    ticks_then = parse_iso_ticks(last)
    seconds = (at - instant_of(ticks_then)).total_seconds() if ticks_then is not None else 0.0
    state, badge = (
        ("reporting", "ok")
        if seconds <= FRESH_SECONDS
        else ("late", "warn")
        if seconds <= SILENT_SECONDS
        else ("silent", "bad")
    )
    return AgentRow(
        computer=computer,
        state=state,
        badge=badge,
        last=last,
        age=age(seconds),
        os=f"{row['OSName']} {row['OSMajorVersion']}".strip(),
        version=str(row["Version"]),
        address=str(row["ComputerIP"]),
        cpu=cost.get((computer, "% Processor Time"), "–"),
        memory=cost.get((computer, "Resident MBytes"), "–"),
        query=f"Heartbeat | where Computer == {json.dumps(computer)} | top 50 by TimeGenerated",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRow:
    kind: str
    subject: str
    status: str
    badge: str
    phase: str
    reason: str
    created: str


_BADGES: Final = {
    JobStatus.SUCCEEDED: "ok",
    JobStatus.PARTIALLY_SUCCEEDED: "warn",
    JobStatus.WAITING: "warn",
    JobStatus.FAILED: "bad",
}


def job_row(job: Job) -> JobRow:
    """Partial success is not green, and a waiting job says why and what comes next."""
    said = [job.reason, job.next, job.error.message if job.error else None]
    return JobRow(
        kind=job.kind,
        subject=job.subject,
        status=job.status.value,
        badge=_BADGES.get(job.status, ""),
        phase=job.progress.phase,
        reason=". ".join(text for text in said if text),
        created=job.created.isoformat().replace("+00:00", "Z"),
    )


def facts_of(part: Mapping[str, Any]) -> str:
    """What a health check measured, in words: `queued 0, oldest uncompacted 20 s, cache 1.20 MB`."""
    said = ", ".join(_fact(name, value) for name, value in part.items() if name != "milliseconds")
    return said or f"answers in {part.get('milliseconds', 0):.0f} ms"


def _fact(name: str, value: Any) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()
    if isinstance(value, int | float) and words.endswith(" seconds"):
        return f"{words.removesuffix(' seconds')} {age(value)}"
    if isinstance(value, int | float) and words.endswith(" bytes"):
        return f"{words.removesuffix(' bytes')} {megabytes(int(value))}"
    return f"{words} {value}"


def age(seconds: float) -> str:
    """A duration in its largest unit."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def problem_of(error: OmsError) -> str:
    return f"{error.code}: {error.message}"


def as_json(found: Sequence[Tick]) -> dict[str, Any]:
    return {"ticks": [asdict(tick) for tick in found]}


def _first(rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    return rows[0] if rows else {}


def _seconds(timespan: str) -> str:
    """`00:00:00.1234567` as `0.12 s`."""
    hours, _, rest = timespan.partition(":")
    minutes, _, seconds = rest.partition(":")
    try:
        return f"{int(hours) * 3600 + int(minutes) * 60 + float(seconds):.2f} s"
    except ValueError:
        return timespan
