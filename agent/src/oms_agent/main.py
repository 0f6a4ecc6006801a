"""`oms-agent`: run the agent, or examine it."""

import argparse
import json
import logging
import os
import signal
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NoReturn

from oms_agent.config import ConfigurationInvalid, Connection

DEFAULT: Final = Path("/etc/oms/agent.json")


class _Lines(logging.Formatter):
    """One JSON object a line: time, level, event, and what belongs to it."""

    standard: Final = frozenset(vars(logging.makeLogRecord({})))

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created)),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        line |= {
            key: value for key, value in vars(record).items() if key not in self.standard and key != "message"
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def main(arguments: list[str] | None = None) -> int:
    """0: ended as asked, or all is well. 1: the doctor found something. 2: the command or the configuration is wrong."""
    parser = argparse.ArgumentParser(
        prog="oms-agent", description="The agent of the open Operations Management Suite."
    )
    parser.add_argument("--version", action="version", version=f"oms-agent {version('oms-agent')}")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, summary in (
        ("run", "collect and send until stopped"),
        ("doctor", "find out why no data arrives"),
    ):
        command = commands.add_parser(name, help=summary)
        command.add_argument(
            "--config", type=Path, default=DEFAULT, help=f"the configuration file (default {DEFAULT})"
        )
    joining = commands.add_parser("join", help="connect this machine with an invitation from the portal")
    joining.add_argument("--endpoint", required=True, help="address of the bundle")
    joining.add_argument("--token", required=True, help="the invitation, good once")
    joining.add_argument("--ca-file", help="certificate authority of the bundle")
    joining.add_argument(
        "--folder", type=Path, default=Path("/var/lib/oms-agent"), help="where the agent keeps its spool"
    )
    joining.add_argument(
        "--config", type=Path, default=DEFAULT, help=f"the configuration file (default {DEFAULT})"
    )
    options = parser.parse_args(arguments)
    if options.command == "join" and (failed := take_invitation(options)):
        return failed
    try:
        connection = Connection.load(options.config)
    except ConfigurationInvalid as invalid:
        print(f"oms-agent: {invalid}", file=sys.stderr)
        return 2
    return run(connection) if options.command == "run" else doctor(connection)


def take_invitation(options: argparse.Namespace) -> int:
    """Exchange the invitation for the connection, and write it where only this user reads it."""
    from oms_agent.join import NotJoined, join

    try:
        join(
            options.endpoint,
            options.token,
            ca_file=options.ca_file,
            folder=options.folder,
            config=options.config,
        )
    except NotJoined as refused:
        print(f"oms-agent: {refused}", file=sys.stderr)
        return 1
    print(
        f"joined: {options.config} is written; start the agent with `oms-agent run --config {options.config}`"
    )
    return 0


def run(connection: Connection) -> int:
    from oms_agent.runtime import Agent

    handler = logging.StreamHandler()
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    if hasattr(os, "nice"):
        os.nice(10)  # the machine's own work comes first
    agent = Agent(connection, version("oms-agent"))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: agent.stop.set())
    agent.run()
    return 0


def doctor(connection: Connection) -> int:
    from oms_agent.doctor import Finding, examine

    def report(finding: Finding) -> None:
        mark = "ok  " if finding.ok else "FAIL"
        print(f"{mark}  {finding.step:<14} {finding.milliseconds:8.1f} ms  {finding.detail}", flush=True)

    return 0 if examine(connection, version("oms-agent"), report) else 1


def entry() -> NoReturn:
    sys.exit(main())
