"""`oms tables`: what there is to ask about."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from oms_cli import context, tables
from oms_cli.client import Client
from oms_cli.errors import CommandFailed, Exit


def add(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser("tables", help="list tables and their columns")
    parser.add_argument("table", nargs="?", help="show the columns of this table")
    parser.add_argument("-o", "--output", choices=tables.FORMATS, default="table")
    context.add_options(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    client = Client(context.resolve(options))
    found: list[dict[str, Any]] = client.ask("GET", f"/v1/workspaces/{client.context.workspace}/metadata")[
        "tables"
    ]
    if options.table is None:
        columns = [{"name": "table", "type": "string"}, {"name": "columns", "type": "long"}]
        rows: list[list[Any]] = [[table["name"], len(table["columns"])] for table in found]
    else:
        named = next((table for table in found if table["name"].lower() == options.table.lower()), None)
        if named is None:
            raise CommandFailed(f"there is no table named {options.table}", Exit.FAILED)
        columns = [{"name": "column", "type": "string"}, {"name": "type", "type": "string"}]
        rows = [[column["name"], column["type"]] for column in named["columns"]]
    sys.stdout.write(tables.render({"columns": columns, "rows": rows}, options.output))
    return Exit.OK
