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
        answer = client.ask("POST", f"/operations/poison/{options.replay}/replay")
        print(f"{answer['replayed']} messages of {options.replay} are back at work")
        return Exit.OK
    found: list[dict[str, Any]] = client.ask("GET", "/operations/poison")["value"]
    names = ["queue", "id", "dequeues", "inserted", "body"]
    rows = [[message.get(name) for name in names] for message in found]
    sys.stdout.write(
        tables.render(
            {"columns": [{"name": name, "type": "string"} for name in names], "rows": rows}, options.output
        )
    )
    return Exit.OK
