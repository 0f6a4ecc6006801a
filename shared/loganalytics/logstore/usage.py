"""Usage per table and hour, counted once: the ledger holds what lies below the floor, the batch rows the rest."""

from collections.abc import Iterable, Sequence

from shared.kernel.ticks import TICKS_PER_SECOND
from shared.kernel.versions import check_version
from shared.loganalytics.logstore.catalogue import VERSION, Batch, whole
from shared.loganalytics.logstore.model import Usage, WorkspaceId
from shared.loganalytics.logstore.snapshot import CatalogueReader
from shared.storage.ports import Row, Table, Upsert, prefix_end

HOUR = 3_600 * TICKS_PER_SECOND


def hour_of(ticks: int) -> int:
    return ticks - ticks % HOUR


def usage_key(hour: int, table: str) -> str:
    return f"u|{hour:019d}|{table}"


def usage_of(row: Row) -> Usage:
    check_version("usage row", row.values.get("v"), current=VERSION)
    _, hour, table = row.key.split("|")
    return Usage(
        table=table,
        hour=int(hour),
        rows=whole(row, "rows"),
        bytes=whole(row, "bytes"),
        billable=whole(row, "billable"),
    )


def usage_upsert(usage: Usage) -> Upsert:
    return Upsert(
        key=usage_key(usage.hour, usage.table),
        values={"v": VERSION, "rows": usage.rows, "bytes": usage.bytes, "billable": usage.billable},
    )


def summed(parts: Iterable[Usage]) -> list[Usage]:
    """One figure per hour and table, by hour."""
    sums: dict[tuple[int, str], Usage] = {}
    for one in parts:
        before = sums.get(
            (one.hour, one.table), Usage(table=one.table, hour=one.hour, rows=0, bytes=0, billable=0)
        )
        sums[one.hour, one.table] = Usage(
            table=one.table,
            hour=one.hour,
            rows=before.rows + one.rows,
            bytes=before.bytes + one.bytes,
            billable=before.billable + one.billable,
        )
    return [sums[key] for key in sorted(sums)]


def batch_usage(batches: Iterable[Batch]) -> list[Usage]:
    return summed(
        Usage(
            table=table,
            hour=hour_of(batch.ticks),
            rows=share.rows,
            bytes=share.bytes,
            billable=share.billable,
        )
        for batch in batches
        for table, share in batch.shares.items()
    )


def read_usage(
    table: Table, catalogue: CatalogueReader, workspace: WorkspaceId, *, since: int
) -> Sequence[Usage]:
    """Ledger plus batch rows. Read again if the floor moved between the two, since it moves figures from one to the other."""
    first = hour_of(since)
    while True:
        floor = catalogue.floor(workspace)
        ledger = [
            usage_of(row)
            for row in table.query(workspace, start=usage_key(first, ""), before=prefix_end("u|"))
        ]
        state = catalogue.read(workspace)
        if catalogue.floor(workspace).through == floor.through:
            above = [batch for batch in state.batches if batch.number > floor.through.get(batch.lane, 0)]
            return [one for one in summed([*ledger, *batch_usage(above)]) if one.hour >= first]
