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
    names = ["id", "kind", "subject", "status", "progress", "reason", "next", "created"]
    rows = [[progress_of(job) if name == "progress" else job.get(name) for name in names] for job in found]
    columns = [{"name": name, "type": "string"} for name in names]
    sys.stdout.write(tables.render({"columns": columns, "rows": rows}, options.output))
    if options.job is not None and not options.cancel:
        follow(client, options.job)
    return Exit.OK


def progress_of(job: dict[str, Any]) -> str:
    """Phase, share and rate, as far as they are known."""
    progress = job["progress"]
    parts = [progress["phase"]]
    if progress.get("total"):
        parts.append(f"{progress['done']}/{progress['total']}")
    if progress["bytes"]:
        parts.append(f"{progress['bytes'] / 1e6:.1f} MB, {progress['rate'] / 1e6:.1f} MB/s")
    return " ".join(part for part in parts if part)


def follow(client: Client, job: str) -> None:
    """Print the job's output until it is over."""
    cursor, over = "", False
    while not over:
        page = client.ask("GET", f"/operations/jobs/{job}/output?wait=15&after={cursor}")
        for line in page["lines"]:
            print(f"{line['at']}  {line['stream']:<8} {line['text']}", flush=True)
        cursor = page["cursor"]
        over = page["over"] and not page["lines"]
