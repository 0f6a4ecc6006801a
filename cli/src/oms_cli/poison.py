"""`oms poison`: messages that failed too often, and how to try them again."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from oms_cli import context, tables
from oms_cli.client import Client
from oms_cli.errors import Exit


def add(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser(
        "poison", help="list and replay messages that failed too often"
    )
    parser.add_argument(
        "--replay", metavar="QUEUE", help="put the poison messages of this queue back to work"
    )
    parser.add_argument("-o", "--output", choices=tables.FORMATS, default="table")
    context.add_options(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    client = Client(context.resolve(options))
    if options.replay:
        answer = client.ask("POST", "/operations/poison/replay", {"queue": options.replay})
        print(f"{answer['replayed']} messages of {options.replay} are back at work")
        return Exit.OK
    queues: list[dict[str, Any]] = client.ask("GET", "/operations/poison")["value"]
    found: list[dict[str, Any]] = []
    for queue in queues:
        if queue["count"]:
            found += client.ask("GET", f"/operations/poison/{queue['queue']}")["value"]
    names = ["queue", "id", "names", "reason", "inserted"]
    rows = [[message.get(name) for name in names] for message in found]
    columns = [{"name": name, "type": "string"} for name in names]
    sys.stdout.write(tables.render({"columns": columns, "rows": rows}, options.output))
    return Exit.OK
