"""`oms jobs`: the suite's own jobs, with their reason, progress and output."""

import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from oms_cli import context, tables
from oms_cli.client import Client
from oms_cli.errors import Exit


def add(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser("jobs", help="list, watch and cancel the suite's own jobs")
    parser.add_argument("job", nargs="?", help="one job, with its output")
    parser.add_argument("--cancel", action="store_true", help="ask the job to stop")
    parser.add_argument("-o", "--output", choices=tables.FORMATS, default="table")
    context.add_options(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    client = Client(context.resolve(options))
    if options.job is None:
        found: list[dict[str, Any]] = client.ask("GET", "/operations/jobs")["value"]
    elif options.cancel:
        found = [client.ask("POST", f"/operations/jobs/{options.job}/cancel")]
    else:
        found = [client.ask("GET", f"/operations/jobs/{options.job}")]
    names = ["id", "kind", "status", "phase", "reason", "created"]
    rows = [[job.get(name) for name in names] for job in found]
    sys.stdout.write(
        tables.render(
            {"columns": [{"name": name, "type": "string"} for name in names], "rows": rows}, options.output
        )
    )
    if options.job is not None and not options.cancel:
        for line in client.ask("GET", f"/operations/jobs/{options.job}/output")["lines"]:
            print(f"{line['time']}  {line['text']}")
    return Exit.OK
