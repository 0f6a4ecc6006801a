"""Goal 6: our translation of the 14 queries beside hand-written SQL on the same Parquet segments, in one run.

    python -m bench.kql [--mb 200] [--runs 5]

Both run on DuckDB with two threads over the same files; ours goes through parser, binder, SQL and the store's relation.
Where `duckdb-kql` is installed it translates the same queries beside us.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from bench.gen import write
from bench.queries import Pair, pairs
from shared import kql
from shared.kernel.clock import ManualClock
from shared.kernel.ticks import ticks_of
from shared.kql.catalog import StoredFunction, TableSchema
from shared.kql.translation import Translation
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.compaction import Compactor
from shared.loganalytics.logstore.model import Frame, FrameColumn, WorkspaceId
from shared.loganalytics.logstore.store import LogStore
from shared.storage.memory import MemoryStorage

WORKSPACE = WorkspaceId("00000000-0000-0000-0000-00000000b001")
S, T = KqlType.STRING, KqlType
TABLES: Mapping[str, tuple[str, Mapping[str, KqlType]]] = {
    "App_CL": ("app", {
        "Level": S, "AppRoleName": S, "AppRoleInstance": S, "OperationId": S, "OperationName": S, "ClientIP": S, "UserId": S,
        "ResultCode": S, "DurationMs": T.REAL, "Success": T.BOOL, "Url": S, "Message": S, "Properties": T.DYNAMIC,
    }),
    "Syslog": ("syslog", {
        "Computer": S, "HostIP": S, "Facility": S, "SeverityLevel": S, "ProcessName": S, "ProcessID": T.INT, "SyslogMessage": S,
    }),
}  # fmt: skip
LINES = 20_000


@dataclass(frozen=True, slots=True)
class Catalog:
    def table(self, name: str, *, workspace: str | None = None) -> TableSchema | None:
        found = TABLES.get(name)
        if found is None:
            return None
        columns = [Column(name="TimeGenerated", type=T.DATETIME)]
        columns += [Column(name=column, type=kind) for column, kind in found[1].items()]
        return TableSchema(name=name, columns=columns, workspace=WORKSPACE)

    def table_names(self, *, workspace: str | None = None) -> Sequence[str]:
        return list(TABLES)

    def function(self, name: str) -> StoredFunction | None:
        return None


def load(folder: Path, mb: float) -> LogStore:
    """Generated records through append and compaction, as any other record."""
    clock = ManualClock(datetime(2026, 11, 8, tzinfo=UTC))
    store = LogStore.over(MemoryStorage(clock), clock=clock, folder=folder / "store", tail_limit=1 << 40)
    files = write(folder / "data", mb=mb)
    compactor = Compactor(store=store)
    for table, (name, columns) in TABLES.items():
        fields = [FrameColumn(source=column, name=column, type=kind) for column, kind in columns.items()]
        lines = files[name].read_bytes().splitlines()
        for start in range(0, len(lines), LINES):
            part = lines[start : start + LINES]
            store.append(
                WORKSPACE,
                [
                    Frame(
                        table=table, rows=len(part), body=b"\n".join(part), columns=fields, constants={"Type": table},
                        time_source="TimeGenerated", received_ticks=ticks_of(clock.now()),
                    )
                ],
            )  # fmt: skip
        while compactor.compact(WORKSPACE, table).more:
            pass
        print(f"{table}: {len(lines):,} records", flush=True)
    return store


def timed(action: Callable[[], object], runs: int) -> float:
    """Median seconds, after one run that is not counted."""
    action()
    times: list[float] = []
    for _ in range(runs):
        began = time.perf_counter()
        action()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def connect() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(":memory:", config={"threads": "2", "temp_directory": ""})


def ours(store: LogStore, translation: Translation) -> Callable[[], object]:
    """What the child process does with a query, without the process."""
    snapshot = store.snapshot(WORKSPACE, sorted({scan.table for scan in translation.scans}))
    connection = connect()
    for definition in translation.prelude:
        connection.execute(definition)

    def run() -> object:
        relations = {scan.relation: store.relation(snapshot, scan).sql for scan in translation.scans}
        given = ", ".join(f'"{name}" AS ({sql})' for name, sql in relations.items())
        return connection.execute(f"WITH {given} SELECT * FROM ({translation.results[0].sql})").fetchall()

    return run


def by_hand(store: LogStore, pair: Pair) -> Callable[[], object]:
    connection = connect()
    for table, (name, _) in TABLES.items():
        snapshot = store.snapshot(WORKSPACE, [table])
        files = ", ".join(
            f"'{store.local(WORKSPACE, segment)}'" for segment in snapshot.manifests[table].segments
        )
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * FROM read_parquet([{files}], union_by_name = true)"
        )
    return lambda: connection.execute(pair.sql).fetchall()


def translate(pair: Pair) -> Translation:
    return kql.translate(pair.kql, catalog=Catalog(), now_ticks=ticks_of(datetime(2026, 11, 8, tzinfo=UTC)))


def import_seconds() -> float:
    """The front end's import, over a bare interpreter's start."""

    def start(code: str) -> float:
        return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True), 5)

    return start("import shared.kql.translator") - start("pass")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mb", type=float, default=200)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = load(Path(folder), options.mb)
        ratios: list[float] = []
        spent: list[float] = []
        print(f"{'query':<20}{'ours ms':>10}{'hand ms':>10}{'ratio':>8}{'translate ms':>14}")
        for pair in pairs():
            translation = translate(pair)
            spent.append(timed(lambda pair=pair: translate(pair), options.runs))
            mine = timed(ours(store, translation), options.runs)
            hand = timed(by_hand(store, pair), options.runs)
            ratios.append(mine / hand)
            print(
                f"{pair.name:<20}{mine * 1e3:>10.1f}{hand * 1e3:>10.1f}{mine / hand:>8.2f}{spent[-1] * 1e3:>14.2f}",
                flush=True,
            )
    print(
        f"goal 6: geomean {statistics.geometric_mean(ratios):.2f} (<= 1.15), worst {max(ratios):.2f} (<= 1.30)"
    )
    print(f"goal 6: translation median {statistics.median(spent) * 1e3:.2f} ms (<= 2)")
    print(f"front end import {import_seconds() * 1e3:.0f} ms (< 60)")


if __name__ == "__main__":
    main()
