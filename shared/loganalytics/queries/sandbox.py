"""The child process that runs one query at a time on a locked-down DuckDB: no network, no writes, no credentials.

Started by `processes.py` with pipes for input and output. Each request is answered from a fresh in-memory database that
may open only the files the request names. Messages are a 4-byte big-endian length and JSON; an answer is followed by the
raw bytes of the tables.
"""

import contextlib
import os
import re
import resource
import signal
import struct
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any, BinaryIO, Final

import duckdb
import orjson

OVERHEAD_MB: Final = 1536  # of address space, for the interpreter, DuckDB's own code and its thread stacks
FETCH_ROWS: Final = 10_000
_PATH: Final = re.compile(r"(?<![\w:/])/(?:[^\s/\"']+/)+[^\s\"',;]*")
_ISO: Final = "strftime(make_timestamp(({c} - 621355968000000000) // 10), '%Y-%m-%dT%H:%M:%S')"
_WIRE: Final = {
    # Log Analytics writes as many fractional digits as there are, up to seven.
    "datetime": "CASE WHEN {c} IS NULL THEN NULL ELSE "
    + _ISO
    + " || CASE WHEN {c} % 10000000 = 0 THEN '' ELSE '.' || rtrim(lpad(CAST({c} % 10000000 AS VARCHAR), 7, '0'), '0') END || 'Z' END",
    "timespan": "CASE WHEN {c} IS NULL THEN NULL ELSE CASE WHEN {c} < 0 THEN '-' ELSE '' END"
    " || CASE WHEN abs({c}::HUGEINT) >= 864000000000 THEN CAST(abs({c}::HUGEINT) // 864000000000 AS VARCHAR) || '.' ELSE '' END"
    " || lpad(CAST(abs({c}::HUGEINT) // 36000000000 % 24 AS VARCHAR), 2, '0') || ':'"
    " || lpad(CAST(abs({c}::HUGEINT) // 600000000 % 60 AS VARCHAR), 2, '0') || ':'"
    " || lpad(CAST(abs({c}::HUGEINT) // 10000000 % 60 AS VARCHAR), 2, '0')"
    " || CASE WHEN abs({c}::HUGEINT) % 10000000 = 0 THEN '' ELSE '.' || lpad(CAST(abs({c}::HUGEINT) % 10000000 AS VARCHAR), 7, '0') END END",
    "guid": "CAST({c} AS VARCHAR)",
    "dynamic": "CAST({c} AS VARCHAR)",
    "decimal": "CASE WHEN {c} IS NULL THEN NULL WHEN contains(CAST({c} AS VARCHAR), '.')"
    " THEN rtrim(rtrim(CAST({c} AS VARCHAR), '0'), '.') ELSE CAST({c} AS VARCHAR) END",
    "string": "coalesce({c}, '')",
}


def wire_select(sql: str, types: Sequence[str]) -> str:
    """`sql` with every column as the wire spells it. Columns are taken by position: names may repeat."""
    names = [f"c{position}" for position in range(len(types))]
    outputs = [_WIRE.get(kind, "{c}").format(c=name) for name, kind in zip(names, types, strict=True)]
    return f"SELECT {', '.join(outputs)} FROM ({sql}) AS answer({', '.join(names)})"


def confine(memory_mb: int) -> None:
    """Bound this process for good: address space, and no file may grow (reads and pipes still work)."""
    limit = (memory_mb + OVERHEAD_MB) * 1024 * 1024
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def fresh() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(
        ":memory:",
        config={
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
            "temp_directory": "",
        },
    )


def lock_down(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], memory_mb: int, threads: int
) -> None:
    connection.execute(f"SET memory_limit = '{int(memory_mb)}MB'")
    connection.execute(f"SET threads = {int(threads)}")
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
    connection.execute(f"SET allowed_paths = [{quoted}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def answer(
    connection: duckdb.DuckDBPyConnection, request: dict[str, Any]
) -> tuple[dict[str, Any], list[bytes]]:
    """Run the request's statements: the header of the answer, and the tables' JSON in pieces."""
    if request["functions"]:
        from shared.kql.native import NATIVE

        for name in request["functions"]:
            NATIVE[name].register(connection)
    for definition in request["prelude"]:
        connection.execute(definition)
    lock_down(connection, request["files"], request["memory_mb"], request["threads"])
    relations = ", ".join(f'"{name}" AS ({sql})' for name, sql in request["relations"].items())
    given = f"WITH {relations} " if relations else ""
    pieces: list[bytes] = [b"["]
    rows, size, truncated = 0, 0, None
    for position, statement in enumerate(request["statements"]):
        columns = [
            {"name": name, "type": kind}
            for name, kind in zip(statement["columns"], statement["types"], strict=True)
        ]
        head = orjson.dumps({"name": statement["name"], "columns": columns})[:-1]
        pieces.append((b"," if position else b"") + head + b',"rows":[')
        cursor = connection.execute(
            only_select(connection, given + wire_select(statement["sql"], statement["types"]))
        )
        reals = [index for index, kind in enumerate(statement["types"]) if kind == "real"]
        taken = 0
        while batch := cursor.fetchmany(FETCH_ROWS):
            if taken + len(batch) > request["max_rows"]:
                batch = batch[: request["max_rows"] - taken]
                truncated = "rows"
            encoded = orjson.dumps(finite(batch, reals))[1:-1]
            if size + len(encoded) > request["max_bytes"]:
                batch, encoded = within(batch, reals, request["max_bytes"] - size)
                truncated = "bytes"
            if encoded:
                pieces.append((b"," if taken else b"") + encoded)
            taken += len(batch)
            size += len(encoded)
            if truncated:
                break
        rows += taken
        pieces.append(b"]}")
        if truncated:
            break
    pieces.append(b"]")
    return {"rows": rows, "truncated": truncated}, pieces


def only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one statement that `sql` is. A second one, or one that writes, could empty the files that the query may open."""
    found = connection.extract_statements(sql)
    if len(found) != 1 or found[0].type != duckdb.StatementType.SELECT:
        raise ValueError("a query is one SELECT")
    return found[0]


def finite(batch: list[Any], reals: Sequence[int]) -> list[Any]:
    """The rows with NaN and infinities spelled out, since JSON has no numbers for them."""
    if not reals or all(
        value is None or value - value == 0.0 for row in batch for value in (row[i] for i in reals)
    ):
        return batch
    spelled: list[Any] = []
    for row in batch:
        values = list(row)
        for index in reals:
            value = values[index]
            if value is not None and value - value != 0.0:
                values[index] = "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
        spelled.append(values)
    return spelled


def within(batch: list[Any], reals: Sequence[int], budget: int) -> tuple[list[Any], bytes]:
    """As many of the rows as fit into `budget` bytes."""
    kept: list[bytes] = []
    used = 0
    for row in finite(batch, reals):
        encoded = orjson.dumps(row)
        used += len(encoded) + 1
        if used > budget:
            break
        kept.append(encoded)
    return batch[: len(kept)], b",".join(kept)


def failure(error: Exception) -> dict[str, Any]:
    """The engine's error for the parent, without paths: they are the host's, not the caller's."""
    out_of_memory = isinstance(error, (duckdb.OutOfMemoryException, MemoryError)) or "bad_alloc" in str(error)
    message = str(error).split("\n", 1)[0]
    if isinstance(error, (duckdb.IOException, duckdb.PermissionException, duckdb.InvalidInputException)):
        message = _PATH.sub("(a file)", message)
    return {"error": "memory" if out_of_memory else "failed", "message": message}


def read(stream: BinaryIO) -> bytes | None:
    head = stream.read(4)
    if len(head) < 4:
        return None
    return stream.read(struct.unpack(">I", head)[0])


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer until the parent closes the pipe. The next database opens while nobody waits for it."""
    connection = fresh()
    while (message := read(requests)) is not None:
        began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        pieces: list[bytes] = []
        try:
            header, pieces = answer(connection, orjson.loads(message))
        except (duckdb.Error, MemoryError, KeyError, ValueError, TypeError, RuntimeError) as error:
            header = failure(error)
        after = resource.getrusage(resource.RUSAGE_SELF)
        header |= {
            "seconds": time.perf_counter() - began,
            "user": after.ru_utime - before.ru_utime,
            "system": after.ru_stime - before.ru_stime,
            "peak": after.ru_maxrss * 1024,
            "size": sum(map(len, pieces)),
        }
        encoded = orjson.dumps(header)
        answers.write(struct.pack(">I", len(encoded)))
        answers.write(encoded)
        for piece in pieces:
            answers.write(piece)
        answers.flush()
        with contextlib.suppress(duckdb.Error):
            connection.close()
        connection = fresh()


def end_with_parent() -> None:
    """A parent that was killed cannot end its children: this one looks for itself, also while a query runs."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, name="parent", daemon=True).start()


if __name__ == "__main__":
    end_with_parent()
    confine(int(sys.argv[1]))
    serve(sys.stdin.buffer, sys.stdout.buffer)
