"""What the agent says of this very machine, and of Windows by a recorded event."""

import socket
from collections.abc import Mapping
from pathlib import Path
from threading import Event
from typing import Any

import psutil

from oms_agent.budget import Budget
from oms_agent.collect.heartbeat import heartbeat
from oms_agent.collect.journal import record_of
from oms_agent.collect.listener import SyslogListener
from oms_agent.collect.perf import PerfCollector
from oms_agent.collect.windows_events import records_of
from oms_agent.config import Collection
from oms_agent.identity import this_machine

ALL = Collection().perf_objects


def test_the_machine_keeps_its_id(tmp_path: Path) -> None:
    assert this_machine(tmp_path).id == this_machine(tmp_path).id
    assert this_machine(tmp_path).name == socket.gethostname()


def test_a_heartbeat_names_this_machine(tmp_path: Path) -> None:
    record = heartbeat(this_machine(tmp_path), version="1.2", at="2026-01-01T00:00:00Z")
    assert record["Computer"] == socket.gethostname()
    assert record["OSType"] == "Linux"


def test_processor_shares_are_of_the_time_between_two_collections() -> None:
    perf = PerfCollector("here", ALL)
    assert not [r for r in perf.collect(at="t") if r["ObjectName"] == "Processor"]
    sum(range(3_000_000))
    second = [r for r in perf.collect(at="t") if r["CounterName"] == "% Processor Time"]
    assert {r["InstanceName"] for r in second} == {"_Total", *map(str, range(psutil.cpu_count() or 1))}
    assert all(0 <= r["CounterValue"] <= 100 for r in second)


def test_every_object_that_is_asked_for_reports_and_no_other() -> None:
    perf = PerfCollector("here", frozenset({"Memory", "Network"}))
    assert {r["ObjectName"] for r in perf.collect(at="t")} == {"Memory", "Network"}


def test_the_listener_takes_udp_and_both_framings_of_tcp() -> None:
    got: list[Mapping[str, Any]] = []
    three = Event()

    def take(records: list[Mapping[str, Any]]) -> None:
        got.extend(records)
        if len(got) >= 3:
            three.set()

    listener = SyslogListener(0, "here", take)
    port = listener.start()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            udp.sendto(b"<13>by udp", ("127.0.0.1", port))
        with socket.create_connection(("127.0.0.1", port)) as tcp:
            tcp.sendall(b"<13>by newline\n15 <13>by counting")
        assert three.wait(5)
    finally:
        listener.stop()
    assert sorted(r["SyslogMessage"] for r in got) == ["by counting", "by newline", "by udp"]


def test_a_journal_entry_with_bytes_that_are_not_text_is_kept() -> None:
    record = record_of(
        {
            "MESSAGE": [104, 105, 255],
            "PRIORITY": "3",
            "__REALTIME_TIMESTAMP": "1700000000000001",
            "_PID": "7",
        },
        computer="here",
    )
    assert record["SyslogMessage"] == "hi\ufffd"
    assert record["SeverityLevel"] == "err"
    assert record["TimeGenerated"] == "2023-11-14T22:13:20.000001Z"
    assert record["ProcessID"] == 7


def test_a_windows_event_becomes_an_event_record() -> None:
    xml = (
        '<Events><Event xmlns="http://schemas.microsoft.com/win/2004/08/events/event"><System>'
        '<Provider Name="Service Control Manager"/><EventID>7036</EventID><Level>4</Level><Task>0</Task>'
        '<TimeCreated SystemTime="2026-01-02T03:04:05.1234567Z"/><EventRecordID>12</EventRecordID>'
        "<Channel>System</Channel><Computer>win1</Computer></System>"
        '<EventData><Data Name="param1">Spooler</Data></EventData>'
        "<RenderingInfo><Message>The Spooler service entered the running state.</Message></RenderingInfo></Event></Events>"
    )
    [(number, record)] = records_of(xml, computer="here")
    assert number == 12
    assert record["EventID"] == 7036
    assert record["Computer"] == "win1"
    assert record["EventLevelName"] == "Information"
    assert record["ParameterXml"] == "<Param>Spooler</Param>"
    assert record["RenderedDescription"] == "The Spooler service entered the running state."


def test_an_agent_over_its_budget_slows_down_and_recovers() -> None:
    now = [0.0]
    budget = Budget(cpu_percent=0.0001, memory_mb=10_000, clock=lambda: now[0])
    budget.measure()
    sum(range(3_000_000))
    now[0] += 1
    budget.measure()
    assert budget.factor == 2.0
    budget.cpu_percent = 1_000_000
    now[0] += 1
    budget.measure()
    assert budget.factor == 1.0
