"""`oms-agent doctor`: walks handshake, configuration, first row and visible, with the time each took and why one failed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from oms_agent.collect.heartbeat import heartbeat
from oms_agent.config import Collection, ConfigurationInvalid, Connection
from oms_agent.identity import this_machine
from oms_agent.runtime import now_text
from oms_agent.transport import NotReached, Refused, Transport

VISIBLE_WITHIN: Final = 20.0

CURES: Final = {
    "handshake": "check the endpoint and the CA file in the configuration, the workspace key, and this machine's clock",
    "configuration": "the token was given but the workspace refuses its configuration: look at the host's log",
    "first row": "the rule id in the configuration may be of another workspace, or its daily cap is reached",
    "visible": "records are taken but not found: look at /health, its tail and its query processes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    step: str
    ok: bool
    milliseconds: float
    detail: str


def examine(connection: Connection, version: str, report: Callable[[Finding], None]) -> bool:
    """Whether all is well. Stops at the first step that fails."""
    transport = Transport(connection, version)
    machine = this_machine(connection.state_dir)
    started = now_text()

    def handshake() -> str:
        transport.token()
        return f"{connection.endpoint} knows workspace {connection.workspace_id} and its key"

    def configuration() -> str:
        found = Collection.parse(
            transport.get(f"/operations/agents/configuration?{urlencode({'computer': machine.name})}")
        )
        return f"version {found.version}: heartbeat every {found.heartbeat_interval:g} s, perf every {found.perf_interval:g} s"

    def first_row() -> str:
        record = {**heartbeat(machine, version=version, at=started), "Category": "Doctor"}
        import orjson

        transport.post_records(
            "Microsoft-Heartbeat", orjson.dumps([record]), request_id=f"{machine.id}-{time.time_ns()}"
        )
        return "one Heartbeat was taken"

    def visible() -> str:
        deadline = time.monotonic() + VISIBLE_WITHIN
        while time.monotonic() < deadline:
            asked = urlencode({"computer": machine.name, "since": started})
            if transport.get(f"/operations/agents/seen?{asked}")["seen"]:
                return "a query finds it"
            time.sleep(0.2)
        raise NotReached(f"no query found it within {VISIBLE_WITHIN:g} s")

    steps = (
        ("handshake", handshake),
        ("configuration", configuration),
        ("first row", first_row),
        ("visible", visible),
    )
    try:
        for name, step in steps:
            began = time.perf_counter()
            try:
                detail, ok = step(), True
            except (NotReached, Refused, ConfigurationInvalid, KeyError, ValueError) as failed:
                detail, ok = f"{failed}. {CURES[name]}", False
            report(
                Finding(step=name, ok=ok, milliseconds=(time.perf_counter() - began) * 1000, detail=detail)
            )
            if not ok:
                return False
        return True
    finally:
        transport.close()
