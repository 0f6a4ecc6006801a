"""Goals 1 to 5 and 7 to 9 of the log store: acknowledging, compacting, sizes, pruning, freshness and the cache, each as a ratio.

    python -m bench.logstore [--mb 60] [--parts ack,compact,prune,fresh,cache]

Each figure stands beside its peer in the same run on the same bytes: orjson for parsing, DuckDB written by hand for
everything with Parquet, a bare blob put on the same Azurite. CPU goals count CPU seconds of one thread, waiting goals the clock.
"""

import argparse
import gzip
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import duckdb
import orjson
from isal import igzip

from bench import gen
from devhost.azurite import Azurite
from shared.kernel.clock import SystemClock
from shared.kernel.ticks import TICKS_PER_SECOND, parse_iso_ticks, ticks_of
from shared.kql.translation import Needle, NeedleKind, Scan
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.building import Build, build_here
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.convert import Converter
from shared.loganalytics.logstore.frames import encode
from shared.loganalytics.logstore.indexing import index_terms
from shared.loganalytics.logstore.model import Frame, FrameColumn, JsonKind, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.storage.azure import AzureStorage
from shared.storage.memory import MemoryStorage
from shared.storage.ports import Storage

WORKSPACE: Final = WorkspaceId("7c8e0a6e-3f1b-4b0c-9a43-5c0a9be0f001")
S, R, D, B, L = KqlType.STRING, KqlType.REAL, KqlType.DYNAMIC, KqlType.BOOL, KqlType.LONG
SCHEMAS: Final[dict[str, dict[str, KqlType]]] = {
    "app": {
        "Level": S, "AppRoleName": S, "AppRoleInstance": S, "OperationId": S, "OperationName": S, "ClientIP": S,
        "UserId": S, "ResultCode": S, "DurationMs": R, "Success": B, "Url": S, "Message": S, "Properties": D,
    },
    "syslog": {
        "Computer": S, "HostIP": S, "Facility": S, "SeverityLevel": S, "ProcessName": S, "ProcessID": L,
        "SyslogMessage": S,
    },
    "perf": {"Computer": S, "ObjectName": S, "CounterName": S, "InstanceName": S, "CounterValue": R},
}  # fmt: skip
_SQL: Final = {S: "VARCHAR", R: "DOUBLE", D: "JSON", B: "BOOLEAN", L: "BIGINT"}
_ZSTD: Final = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE 61440"


def show(goal: str, what: str, value: float, relation: str, bound: float, detail: str) -> None:
    met = value >= bound if relation == ">=" else value <= bound
    print(
        f"{goal:>4}  {'ok  ' if met else 'MISS'}  {what:<44} {value:8.2f} {relation} {bound:<6g} {detail}",
        flush=True,
    )


def cpu(work: Callable[[], Any], *, times: int = 3) -> float:
    """The least CPU seconds of some runs."""
    best = float("inf")
    for _ in range(times):
        begin = time.process_time()
        work()
        best = min(best, time.process_time() - begin)
    return best


def wall(work: Callable[[], Any], *, times: int = 7) -> float:
    """The median of some runs by the clock, after one to warm up."""
    work()
    taken: list[float] = []
    for _ in range(times):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return statistics.median(taken)


def frame(table: str, body: bytes, *, columns: Sequence[FrameColumn] | None = None) -> Frame:
    known = [FrameColumn(source=n, name=n, type=k) for n, k in SCHEMAS.get(table, {}).items()]
    return Frame(
        table=table,
        rows=body.count(b"\n") + 1,
        body=body,
        columns=known if columns is None else columns,
        constants={"TenantId": WORKSPACE, "Type": table, "SourceSystem": "RestAPI"},
        time_source="TimeGenerated",
        received_ticks=ticks_of(datetime.now(UTC)),
    )


def bodies(path: Path, size: int) -> Iterator[bytes]:
    """The lines of a file in bodies of about `size` bytes."""
    with path.open("rb") as file:
        while lines := file.readlines(size):
            yield b"".join(lines).rstrip(b"\n")


@contextmanager
def azurite(folder: Path) -> Iterator[Storage]:
    with (
        Azurite.start(log_file=folder / "azurite.log") as running,
        AzureStorage.from_connection_string(running.connection_string) as storage,
    ):
        yield storage


def hand_sql(path: Path, table: str, *, order: bool) -> str:
    columns = {"TimeGenerated": "TIMESTAMP", **{n: _SQL[k] for n, k in SCHEMAS[table].items()}}
    given = ", ".join(f"{name}: '{kind}'" for name, kind in columns.items())
    read = f"read_json('{path}', columns={{{given}}}, format='newline_delimited')"
    return f"SELECT * FROM {read}" + (" ORDER BY TimeGenerated" if order else "")


def by_hand(path: Path, table: str, out: Path, *, order: bool) -> None:
    with duckdb.connect(config={"threads": 1}) as connection:
        connection.execute(f"COPY ({hand_sql(path, table, order=order)}) TO '{out}' ({_ZSTD})")


def ack(files: dict[str, Path], folder: Path) -> None:
    """Goal 1: from a gzip body to the commit on Azurite."""
    chosen = [body for _, body in zip(range(16), bodies(files["app"], 1_000_000), strict=False)]
    zipped = [gzip.compress(body, 6) for body in chosen]
    size = sum(len(body) for body in chosen) / 1e6
    parse = cpu(lambda: [orjson.loads(line) for body in chosen for line in body.split(b"\n")], times=2)
    arrays = [b"[" + body.replace(b"\n", b",") + b"]" for body in chosen]
    whole = cpu(lambda: [orjson.loads(body) for body in arrays], times=2)
    with azurite(folder) as storage:
        store = LogStore.over(storage, clock=SystemClock(), folder=folder / "ack", tail_limit=10**12)
        bare = storage.blobs("bare")
        puts: list[float] = []
        acks: list[float] = []
        spent = 0.0
        for number, (raw, data) in enumerate(zip(arrays, zipped * 1, strict=True)):
            begin = time.perf_counter()
            bare.put(f"b{number}", raw)
            puts.append(time.perf_counter() - begin)
            begin, cpu_begin = time.perf_counter(), time.process_time()
            body = igzip.decompress(data)
            records = [orjson.loads(line) for line in body.split(b"\n")]
            store.append(WORKSPACE, [frame("app", body)])
            acks.append(time.perf_counter() - begin)
            spent += time.process_time() - cpu_begin
            del records
    show("1", "ack / orjson.loads of the same bodies", whole / spent, ">=", 0.4,
         f"{size / spent:.0f} MB/cpu-s; orjson {size / whole:.0f} (by line {size / parse:.0f})")  # fmt: skip
    p95 = sorted(acks)[int(len(acks) * 0.95)] / sorted(puts)[int(len(puts) * 0.95)]
    show("1", "ack p95 / bare blob put p95", p95, "<=", 3,
         f"p50 {statistics.median(acks) * 1e3:.0f} ms, put {statistics.median(puts) * 1e3:.0f} ms")  # fmt: skip


def compact(files: dict[str, Path], folder: Path) -> None:
    """Goals 2, 3 and 5: known schemas to segments, with and without the term index, beside DuckDB by hand."""
    for table, path in files.items():
        compact_table(table, path, folder)


def compact_table(table: str, path: Path, folder: Path) -> None:
    size = path.stat().st_size / 1e6
    out = folder / "hand.parquet"
    sorted_hand = cpu(lambda: by_hand(path, table, out, order=True))
    sorted_bytes = out.stat().st_size
    plain_hand = cpu(lambda: by_hand(path, table, out, order=False))
    frames = [frame(table, body) for body in bodies(path, 1_000_000)]
    staged = folder / "batch"
    staged.write_bytes(encode(frames, ticks=frames[0].received_ticks))
    target = folder / "own.parquet"
    converter = Converter(folder / "scratch", threads=1, memory_mb=4_000)

    def convert() -> None:
        from shared.loganalytics.logstore.frames import decode

        found = decode(staged.read_bytes(), name="b")
        converter.to_parquet(found, target, workspace=WORKSPACE, table=table, form="segment")

    ours = cpu(convert)
    columns = {**SCHEMAS[table], "SourceSystem": S}
    index = index_terms(target, columns)
    indexing = cpu(lambda: index_terms(target, columns), times=2)
    terms = len(index.encode())

    def end_to_end() -> None:
        where = folder / "build"
        shutil.rmtree(where, ignore_errors=True)
        where.mkdir()
        for one in frames:
            orjson.loads(b"[" + one.body.replace(b"\n", b",") + b"]")
        staged.write_bytes(encode(frames, ticks=frames[0].received_ticks))
        build_here(
            Build(workspace=WORKSPACE, table=table, folder=str(where), staged=[("b", str(staged))]),
            threads=1,
        )

    whole = cpu(end_to_end, times=2)
    show("2", f"{table}: parse to indexed segment / DuckDB", plain_hand / whole, ">=", 0.25,
         f"{size / whole:.0f} MB/cpu-s; DuckDB unsorted {size / plain_hand:.0f}")  # fmt: skip
    show("3", f"{table}: compaction / DuckDB with the same sort", sorted_hand / ours, ">=", 0.9,
         f"{size / ours:.0f} MB/cpu-s; by hand {size / sorted_hand:.0f}; index alone {size / indexing:.0f}")  # fmt: skip
    show("5", f"{table}: bytes / plain zstd-1 Parquet", target.stat().st_size / sorted_bytes, "<=", 1.05,
         f"{target.stat().st_size / size / 1e6:.4f} of raw")  # fmt: skip
    show("5", f"{table}: term index, % of raw", terms / size / 1e4, "<=", 0.6, f"{terms} bytes")
    converter.close()


def custom(folder: Path, mb: float) -> None:
    """Goal 4: custom logs, whose columns split by kind, beside a loop over the parsed records."""
    given = os.environ.get("OMS_SHARED")
    path = None if given is None else Path(given) / "logstore" / "security_events.ndjson.gz"
    if path is not None and path.exists():
        lines = gzip.decompress(path.read_bytes()).splitlines() * 6
        what = "real records"
    else:
        lines = [
            orjson.dumps(
                {
                    "TimeGenerated": "2026-11-01T00:00:00Z",
                    **{f"k{n % 40 + j}": (n if j % 3 else f"v{n}") for j in range(12)},
                }
            )
            for n in range(int(mb * 2_000))
        ]
        what = "mixed records of our own"
    raw = b"\n".join(lines)
    size = len(raw) / 1e6
    kinds: dict[str, set[str]] = {}
    for line in lines:
        for key, value in orjson.loads(line).items():
            if value is not None:
                kinds.setdefault(key, set()).add(_kind(value))
    columns = list(_custom_columns(kinds))
    chunks = [b"\n".join(lines[at : at + 1_000]) for at in range(0, len(lines), 1_000)]
    frames = [frame("custom", chunk, columns=columns) for chunk in chunks]
    staged = folder / "custom"
    staged.write_bytes(encode(frames, ticks=0))
    target = folder / "custom.parquet"
    converter = Converter(folder / "scratch", threads=1, memory_mb=4_000)

    def ours() -> None:
        from shared.loganalytics.logstore.frames import decode

        converter.to_parquet(
            decode(staged.read_bytes(), name="b"), target, workspace=WORKSPACE, table="custom", form="segment"
        )

    naive_out = folder / "naive.parquet"

    def naive() -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        fields: dict[str, list[Any]] = {}
        for row, line in enumerate(lines):
            for key, value in orjson.loads(line).items():
                if value is None:
                    continue
                name, stored = _suffixed(key, value)
                column = fields.setdefault(name, [])
                column.extend([None] * (row - len(column)))
                column.append(stored)
        for column in fields.values():
            column.extend([None] * (len(lines) - len(column)))
        pq.write_table(pa.table(fields), naive_out, compression="zstd", compression_level=1)

    mine, loop = cpu(ours, times=2), cpu(naive, times=2)
    kept = duckdb.sql(f"SELECT count(*) FROM '{target}'").fetchall()[0][0]
    show("4", f"custom logs / naive loop ({what})", loop / mine, ">=", 1.8,
         f"{size / mine:.0f} MB/cpu-s; loop {size / loop:.0f}; {kept} of {len(lines)} records, {len(columns)} columns")  # fmt: skip
    converter.close()


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "b"
    if isinstance(value, int | float):
        return "d"
    return "s"


def _suffixed(key: str, value: Any) -> tuple[str, Any]:
    kind = _kind(value)
    if kind == "d":
        return f"{key}_d", float(value)
    if kind == "b":
        return f"{key}_b", value
    text = value if isinstance(value, str) else orjson.dumps(value).decode()
    if len(text) >= 19 and text[4:5] == "-" and parse_iso_ticks(text) is not None:
        return f"{key}_t", parse_iso_ticks(text)
    return f"{key}_s", text


def _custom_columns(kinds: dict[str, set[str]]) -> Iterator[FrameColumn]:
    types = {"b": (KqlType.BOOL, JsonKind.BOOL), "d": (R, JsonKind.NUMBER), "s": (S, JsonKind.STRING)}
    taken: set[str] = set()
    for key, found in kinds.items():
        for kind in sorted(found):
            name = f"{key}_{kind}"
            while name.lower() in taken:
                name += "x"
            taken.add(name.lower())
            only = {types[kind][1]} | ({JsonKind.CONTAINER} if kind == "s" else set())
            yield FrameColumn(
                source=key, name=name, type=types[kind][0], kinds=frozenset(only if len(found) > 1 else ())
            )


def filled(storage: Storage, files: dict[str, Path], folder: Path, table: str) -> LogStore:
    store = LogStore.over(storage, clock=SystemClock(), folder=folder, tail_limit=10**12)
    for body in bodies(files[table], 4_000_000):
        store.append(WORKSPACE, [frame(table, body)])
    compactor = Compactor(store=store, compact_bytes=512_000_000)
    while compactor.compact(WORKSPACE, table).more:
        pass
    return store


def scan(table: str, **bounds: Any) -> Scan:
    columns = [Column(name="TimeGenerated", type=KqlType.DATETIME)]
    columns += [Column(name=name, type=kind) for name, kind in SCHEMAS[table].items()]
    return Scan(relation="t", workspace=WORKSPACE, table=table, columns=columns, **bounds)


def prune(files: dict[str, Path], folder: Path) -> None:
    """Goal 7: a GUID or an absent term beside the scan, the newest 100 beside plain DuckDB."""
    store = filled(MemoryStorage(SystemClock()), files, folder / "prune", "app")
    plain = folder / "plain.parquet"
    by_hand(files["app"], "app", plain, order=True)
    with duckdb.connect(config={"threads": 2}) as connection:
        one = connection.execute(
            f"SELECT regexp_extract(Message, 'session ([0-9a-f-]+)', 1) FROM '{plain}' WHERE Message LIKE '%session%' LIMIT 1"
        ).fetchall()[0][0]
        for what, term in (("GUID in one row", one), ("absent term", "quasarabsent")):
            where = f"WHERE regexp_matches(Message, '(?i){term}')"

            def ours(term: str = term, where: str = where) -> list[Any]:
                needle = Needle(kind=NeedleKind.TERM, column="Message", text=term)
                snapshot = store.snapshot(WORKSPACE, ["app"])
                relation = store.relation(snapshot, scan("app", needles=[needle]))
                return connection.execute(f"SELECT count(*) FROM ({relation.sql}) {where}").fetchall()

            def theirs(where: str = where) -> list[Any]:
                return connection.execute(f"SELECT count(*) FROM '{plain}' {where}").fetchall()

            if ours() != theirs():
                raise AssertionError(f"{what}: {ours()} instead of {theirs()}")
            mine, other = wall(ours), wall(theirs)
            show(
                "7",
                f"{what} / scan",
                mine / other,
                "<=",
                0.1,
                f"{mine * 1e3:.1f} ms, scan {other * 1e3:.1f} ms",
            )

        def newest() -> list[Any]:
            snapshot = store.snapshot(WORKSPACE, ["app"])
            relation = store.relation(snapshot, scan("app", newest=100))
            return connection.execute(
                f"SELECT * FROM ({relation.sql}) ORDER BY TimeGenerated DESC LIMIT 100"
            ).fetchall()

        def newest_plain() -> list[Any]:
            return connection.execute(
                f"SELECT * FROM '{plain}' ORDER BY TimeGenerated DESC LIMIT 100"
            ).fetchall()

        mine, other = wall(newest), wall(newest_plain)
        show(
            "7",
            "newest 100 / plain DuckDB",
            mine / other,
            "<=",
            0.125,
            f"{mine * 1e3:.1f} ms, plain {other * 1e3:.1f} ms",
        )
    store.close()


def fresh(files: dict[str, Path], folder: Path) -> None:
    """Goal 8: from the ack to the answer, and a query over a tail of 30 MB."""
    chosen = [body for _, body in zip(range(30), bodies(files["syslog"], 1_000_000), strict=False)]
    with azurite(folder) as storage, duckdb.connect(config={"threads": 2}) as connection:
        store = LogStore.over(storage, clock=SystemClock(), folder=folder / "fresh", tail_limit=10**12)
        reader = LogStore.over(storage, clock=SystemClock(), folder=folder / "reader", tail_limit=10**12)

        def count() -> int:
            snapshot = reader.snapshot(WORKSPACE, ["syslog"])
            relation = reader.relation(snapshot, scan("syslog"))
            return connection.execute(f"SELECT count(*) FROM ({relation.sql})").fetchall()[0][0]

        rows = 0
        taken: list[float] = []
        for body in chosen:
            store.append(WORKSPACE, [frame("syslog", body)])
            rows += body.count(b"\n") + 1
            begin = time.perf_counter()
            if count() != rows:
                raise AssertionError("an acknowledged record is not visible")
            taken.append(time.perf_counter() - begin)
        p95 = sorted(taken)[int(len(taken) * 0.95)]
        show(
            "8",
            "ack to visible, p95 s (1 MB bodies)",
            p95,
            "<=",
            1.0,
            f"p50 {statistics.median(taken) * 1e3:.0f} ms",
        )
        size = sum(len(body) for body in chosen) / 1e6

        def query() -> list[Any]:
            snapshot = reader.snapshot(WORKSPACE, ["syslog"])
            relation = reader.relation(snapshot, scan("syslog"))
            return connection.execute(
                f"SELECT Computer, count(*) FROM ({relation.sql}) WHERE SyslogMessage LIKE '%timeout%' GROUP BY 1"
            ).fetchall()

        show("8", f"query over a tail of {size:.0f} MB, ms", wall(query) * 1e3, "<=", 100, "")
        store.close()
        reader.close()


def cached(files: dict[str, Path], folder: Path) -> None:
    """Goal 9: a query through the cache beside the same files read directly."""
    with azurite(folder) as storage, duckdb.connect(config={"threads": 2}) as connection:
        store = filled(storage, files, folder / "cached", "app")
        first = time.perf_counter()
        relation = store.relation(store.snapshot(WORKSPACE, ["app"]), scan("app"))
        first = time.perf_counter() - first
        local = ", ".join(f"'{name}'" for name in relation.files)
        ask = "SELECT AppRoleName, count(*), avg(DurationMs), max(Message) FROM"

        def through() -> list[Any]:
            made = store.relation(store.snapshot(WORKSPACE, ["app"]), scan("app"))
            return connection.execute(f"{ask} ({made.sql}) GROUP BY 1").fetchall()

        def directly() -> list[Any]:
            return connection.execute(f"{ask} read_parquet([{local}]) GROUP BY 1").fetchall()

        mine, other = wall(through), wall(directly)
        show("9", "warm cache / local files", mine / other, "<=", 1.2,
             f"{mine * 1e3:.1f} ms, local {other * 1e3:.1f} ms, first fetch {first * 1e3:.0f} ms")  # fmt: skip
        store.close()


def ticks_or_timestamps(files: dict[str, Path], folder: Path) -> None:
    """The datetime decision: the same queries on int64 ticks and on TIMESTAMP."""
    stamps, ticks = folder / "stamps.parquet", folder / "ticks.parquet"
    by_hand(files["app"], "app", stamps, order=True)
    hour = 3_600 * TICKS_PER_SECOND
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute(
            f"COPY (SELECT * REPLACE (epoch_us(TimeGenerated) * 10 + 621355968000000000 AS TimeGenerated) FROM '{stamps}') TO '{ticks}' ({_ZSTD})"
        )
        low = parse_iso_ticks("2026-11-03T00:00:00Z") or 0
        pairs = {
            "count by hour": ("time_bucket(INTERVAL 1 hour, TimeGenerated)", f"TimeGenerated // {hour}", "true", "true"),
            "time range": ("1", "1", "TimeGenerated BETWEEN '2026-11-03' AND '2026-11-03 06:00'", f"TimeGenerated BETWEEN {low} AND {low + 6 * hour}"),
            "series of 5 min by role": ("time_bucket(INTERVAL 5 minute, TimeGenerated), AppRoleName", f"TimeGenerated // {hour // 12}, AppRoleName", "true", "true"),
        }  # fmt: skip
        for what, (by_stamp, by_tick, if_stamp, if_tick) in pairs.items():
            a = wall(
                lambda by=by_tick, w=if_tick: connection.execute(
                    f"SELECT {by}, count(*), max(TimeGenerated) FROM '{ticks}' WHERE {w} GROUP BY ALL"
                ).fetchall()
            )
            b = wall(
                lambda by=by_stamp, w=if_stamp: connection.execute(
                    f"SELECT {by}, count(*), max(TimeGenerated) FROM '{stamps}' WHERE {w} GROUP BY ALL"
                ).fetchall()
            )
            show("-", f"ticks / TIMESTAMP: {what}", a / b, "<=", 1.15, f"{a * 1e3:.1f} ms, {b * 1e3:.1f} ms")
    show("-", "ticks / TIMESTAMP: bytes", ticks.stat().st_size / stamps.stat().st_size, "<=", 1.05, "")


PARTS: Final = ("ack", "compact", "custom", "prune", "fresh", "cache", "datetime")


def run(*, mb: float = 60, parts: Sequence[str] = PARTS, data: Path | None = None) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = gen.write(data or folder / "data", mb=mb)
        print(f"goal        {'what':<44} {'ratio':>8}    bound  ({mb:g} MB of our own generator's records)")
        if "ack" in parts:
            ack(files, folder)
        if "compact" in parts:
            # What a step of compaction gets in practice: records of one day.
            compact(gen.write(data or folder / "data", mb=mb, days=0.5), folder)
        if "custom" in parts:
            custom(folder, mb)
        if "prune" in parts:
            # Skipping pays by size; on less the fixed cost of a snapshot is most of it.
            prune(gen.write(data or folder / "data", mb=mb * 5), folder)
        if "fresh" in parts:
            fresh(files, folder)
        if "cache" in parts:
            cached(files, folder)
        if "datetime" in parts:
            ticks_or_timestamps(files, folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", "--size", type=float, default=60)
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--data", type=Path, help="keep generated data in this folder")
    asked = parser.parse_args()
    run(mb=asked.mb, parts=asked.parts.split(","), data=asked.data)


if __name__ == "__main__":
    main()
