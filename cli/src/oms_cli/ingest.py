"""`oms ingest`: send a file of records to a table, with progress."""

import gzip
import json
import sys
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from oms_cli import context
from oms_cli.client import Client
from oms_cli.errors import CommandFailed, Exit

BATCH: Final = 900_000
"""Bytes of JSON in one request: the Logs Ingestion API takes 1 MB."""


def add(commands: Any) -> None:
    parser: ArgumentParser = commands.add_parser("ingest", help="send a file of records")
    parser.add_argument("file", help="JSON lines or a JSON array, .gz too; - for standard input")
    parser.add_argument(
        "--table", required=True, help="a standard table (Syslog) or a custom one (Orders_CL)"
    )
    context.add_options(parser)
    parser.set_defaults(run=run)


def records_of(text: str) -> Iterator[Any]:
    """The records of a JSON array, or of one JSON object a line. CommandFailed says which line is not JSON."""
    if text.lstrip()[:1] == "[":
        try:
            yield from json.loads(text)
        except ValueError as broken:
            raise CommandFailed(f"not a JSON array: {broken}", Exit.USAGE) from None
        return
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield json.loads(line)
            except ValueError as broken:
                raise CommandFailed(f"line {number} is not JSON: {broken}", Exit.USAGE) from None


def batches(records: Iterator[Any]) -> Iterator[tuple[int, bytes]]:
    """How many records, and the JSON array of them, each at most BATCH bytes (a larger record goes alone)."""
    parts: list[bytes] = []
    size = 0
    for record in records:
        encoded = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
        if parts and size + len(encoded) + 1 > BATCH:
            yield len(parts), b"[" + b",".join(parts) + b"]"
            parts, size = [], 0
        parts.append(encoded)
        size += len(encoded) + 1
    if parts:
        yield len(parts), b"[" + b",".join(parts) + b"]"


def read(name: str) -> str:
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except (OSError, UnicodeDecodeError) as unreadable:
        raise CommandFailed(f"{name} cannot be read: {unreadable}", Exit.USAGE) from None


def run(options: Namespace) -> int:
    where = context.resolve(options)
    client = Client(where)
    stream = f"Custom-{options.table}" if options.table.endswith("_CL") else f"Microsoft-{options.table}"
    path = f"/dataCollectionRules/{where.of('dataCollectionRule')}/streams/{stream}?api-version=2023-01-01"
    began, sent, volume = time.monotonic(), 0, 0
    text = read(options.file)
    for count, body in batches(records_of(text)):
        try:
            client.send(
                "POST",
                path,
                gzip.compress(body, 1),
                {"Content-Type": "application/json", "Content-Encoding": "gzip"},
            )
        except CommandFailed as failed:
            raise CommandFailed(f"{failed} (after {sent} records were taken)", failed.exit_code) from None
        sent += count
        volume += len(body)
        _progress(sent, volume, len(text), time.monotonic() - began)
    if sys.stderr.isatty():
        print(file=sys.stderr)
    print(f"{sent} records taken into {options.table}")
    return Exit.OK


def _progress(sent: int, volume: int, total: int, seconds: float) -> None:
    if not sys.stderr.isatty():
        return
    share = min(1.0, volume / max(total, 1))
    rate = volume / max(seconds, 1e-6)
    left = (total - volume) / rate if rate and total > volume else 0
    bar = "█" * round(share * 24)
    print(
        f"\r{bar:<24} {share:4.0%}  {sent} records  {rate / 1e6:.1f} MB/s  {left:.0f} s left ",
        end="",
        file=sys.stderr,
    )
