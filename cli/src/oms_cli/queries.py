"""`oms query` and `oms tail`: ask in KQL, and watch records arrive."""

import re
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from oms_cli import context, tables
from oms_cli.client import Client, ServiceError
from oms_cli.errors import CommandFailed, Exit

_SINCE: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_SECONDS: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def add(commands: Any) -> None:
    query: ArgumentParser = commands.add_parser(
        "query", help="ask in KQL", description="Ask in KQL and print the answer."
    )
    query.add_argument("text", help="the query, @FILE, or - for standard input")
    query.add_argument("--since", default="24h", help="how far back: 30m, 12h, 7d, or `all` (default 24h)")
    query.add_argument("-o", "--output", choices=tables.FORMATS, default="table")
    context.add_options(query)
    query.set_defaults(run=run_query)
    tail: ArgumentParser = commands.add_parser("tail", help="watch records arrive")
    tail.add_argument("table", help="a table, or a query that keeps TimeGenerated")
    tail.add_argument("-f", "--follow", action="store_true", help="go on until Ctrl-C")
    tail.add_argument("-n", "--lines", type=int, default=10, help="records to begin with (default 10)")
    tail.add_argument("-o", "--output", choices=("table", "json"), default="table")
    context.add_options(tail)
    tail.set_defaults(run=run_tail)


def timespan(since: str) -> str | None:
    """`30m` as the API's ISO 8601 duration; None for `all`."""
    if since == "all":
        return None
    match = _SINCE.fullmatch(since)
    if match is None:
        raise CommandFailed(
            f"--since {since}: say a number and one of ms, s, m, h, d, w (30m, 7d), or `all`", Exit.USAGE
        )
    return f"PT{float(match[1]) * _SECONDS[match[2]]:.3f}S"


def text_of(argument: str) -> str:
    """The query itself, the content of `@file`, or standard input for `-`."""
    if argument == "-":
        return sys.stdin.read()
    if argument.startswith("@"):
        try:
            return Path(argument[1:]).read_text(encoding="utf-8")
        except OSError as unreadable:
            raise CommandFailed(f"{argument[1:]} cannot be read: {unreadable}", Exit.USAGE) from None
    return argument


def pointed(query: str, error: Mapping[str, Any]) -> str:
    """The innermost error, with the line of the query it is about and a caret under the position."""
    inner = error
    while isinstance(inner.get("innererror"), dict):
        inner = inner["innererror"]
    message = f"{error.get('innererror', error).get('code', 'Error')}: {inner.get('message', '')}"
    if inner.get("suggestion"):
        message += f"\n  did you mean {inner['suggestion']}?"
    line, position = inner.get("line"), inner.get("pos")
    lines = query.splitlines()
    if not isinstance(line, int) or not isinstance(position, int) or not 1 <= line <= len(lines):
        return message
    width = max(1, min(len(str(inner.get("token", ""))), len(lines[line - 1]) - position))
    return f"{message}\n  {lines[line - 1]}\n  {' ' * position}{'^' * width}"


def ask(client: Client, query: str, since: str | None) -> Mapping[str, Any]:
    if not client.context.workspace:
        raise CommandFailed("which workspace? Give --workspace or OMS_WORKSPACE", Exit.USAGE)
    try:
        return client.ask(
            "POST", f"/v1/workspaces/{client.context.workspace}/query", {"query": query, "timespan": since}
        )
    except ServiceError as refused:
        if "innererror" in refused.error:
            raise CommandFailed(pointed(query, refused.error)) from None
        raise


def run_query(options: Namespace) -> int:
    client = Client(context.resolve(options))
    answer = ask(client, text_of(options.text), timespan(options.since))
    for number, table in enumerate(answer["tables"]):
        if number:
            print()
        sys.stdout.write(tables.render(table, options.output))
    if partial := answer.get("error"):
        inner = (
            partial["details"][0]["innererror"]["message"] if partial.get("details") else partial["message"]
        )
        print(f"oms: partial answer: {inner}", file=sys.stderr)
        return Exit.PARTIAL
    return Exit.OK


def run_tail(options: Namespace) -> int:
    """Follows ingestion, not event time: a late record shows when it arrives, once."""
    client = Client(context.resolve(options))
    query = f"{options.table} | extend _Arrived = ingestion_time()"
    seen = _show(
        ask(client, f"{query} | top {options.lines} by _Arrived desc | sort by _Arrived asc", "PT3600S"),
        options.output,
        first=True,
    )
    if not options.follow:
        return Exit.OK
    since = seen or "1970-01-01T00:00:00Z"
    while True:
        time.sleep(1)
        answer = ask(client, f"{query} | where _Arrived > datetime({since}) | sort by _Arrived asc", "P1D")
        since = _show(answer, options.output, first=False) or since


def _show(answer: Mapping[str, Any], form: str, *, first: bool) -> str | None:
    """Print the records; when the last of them arrived."""
    table = answer["tables"][0]
    names = [column["name"] for column in table["columns"]]
    arrived = names.index("_Arrived")
    rows = [[value for index, value in enumerate(row) if index != arrived] for row in table["rows"]]
    columns = [column for index, column in enumerate(table["columns"]) if index != arrived]
    if form == "json":
        sys.stdout.write(tables.render({"columns": columns, "rows": rows}, "json"))
    else:
        kept = [
            index
            for index, column in enumerate(columns)
            if not column["name"].startswith("_") and column["name"] not in ("TenantId", "Type")
        ]
        if first:
            print("  ".join(columns[index]["name"] for index in kept))
        for row in rows:
            print("  ".join(str(row[index]) for index in kept if row[index] not in (None, "")))
    sys.stdout.flush()
    return str(table["rows"][-1][arrived]) if table["rows"] else None
