"""From a scan to the SQL that reads it: which files, which of their rows at least, and each column in the asked type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.kql.translation import Needle, Scan
from shared.kql.types import Column, KqlType
from shared.loganalytics.logstore.conversions import empty_sql, name_sql, text_sql
from shared.loganalytics.logstore.convert import INGESTED, IS_BILLABLE, TIME
from shared.loganalytics.logstore.files import LocalFile, stored_sql
from shared.loganalytics.logstore.manifest import LADDER, RowGroup, Segment
from shared.loganalytics.logstore.model import Relation, WorkspaceId

_MOST_RANGES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A file that the scan reads, and the range of TimeGenerated in it that can matter (None: all of it)."""

    path: str
    bytes: int
    rows: int
    columns: Mapping[str, KqlType]
    between: tuple[int, int] | None = None


def threshold(scan: Scan, segments: Sequence[Segment], tail: Sequence[LocalFile]) -> int | None:
    """Ticks at or after which there are surely `scan.newest` records within the scan's bounds."""
    if scan.newest is None:
        return None
    most = scan.max_ticks
    found: list[int] = []
    units: list[RowGroup] = []
    for segment in segments:
        if most is None or segment.max_ticks <= most:
            rungs = zip(LADDER, segment.ladder, strict=False)
            found.extend(ticks for step, ticks in rungs if step >= scan.newest)
        units.extend(segment.groups)
    for file in tail:
        units.extend(file.groups)
    rows = 0
    for unit in sorted(units, key=lambda unit: unit.min_ticks, reverse=True):
        if most is None or unit.max_ticks <= most:
            rows += unit.rows
            if rows >= scan.newest:
                found.append(unit.min_ticks)
                break
    return max(found, default=None)


def wanted_segments(scan: Scan, segments: Iterable[Segment], least: int | None) -> list[Segment]:
    """The segments with records within the scan's bounds and not older than `least`."""
    return [
        segment
        for segment in segments
        if (scan.max_ticks is None or segment.min_ticks <= scan.max_ticks)
        and (scan.min_ticks is None or segment.max_ticks >= scan.min_ticks)
        and (least is None or segment.max_ticks >= least)
    ]


def ranges(groups: Sequence[RowGroup], matching: Sequence[bool]) -> list[tuple[int, int]]:
    """Disjoint ranges of TimeGenerated that cover the matching row groups (of a sorted file)."""
    found: list[tuple[int, int]] = []
    for group, matches in zip(groups, matching, strict=True):
        if not matches:
            continue
        if found and group.min_ticks <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], group.max_ticks))
        else:
            found.append((group.min_ticks, group.max_ticks))
    while len(found) > _MOST_RANGES:
        gaps = [(b[0] - a[1], at) for at, (a, b) in enumerate(pairwise(found))]
        at = min(gaps)[1]
        found[at : at + 2] = [(found[at][0], found[at + 1][1])]
    return found


def parts_of(
    segment: Segment,
    path: str,
    needles: Sequence[Needle],
    matching: Callable[[Segment, Sequence[Needle]], Sequence[bool] | None],
) -> list[Part]:
    """What of a segment the needles leave: nothing, some ranges of it, or all of it."""
    matches = matching(segment, needles) if needles and segment.terms else None
    if matches is None or all(matches):
        return [Part(path=path, bytes=segment.bytes, rows=segment.rows, columns=segment.columns)]
    rows = sum(group.rows for group, hit in zip(segment.groups, matches, strict=True) if hit)
    return [
        Part(path=path, bytes=segment.bytes, rows=rows, columns=segment.columns, between=between)
        for between in ranges(segment.groups, matches)
    ]


def relation_of(
    scan: Scan, parts: Sequence[Part], *, workspace: WorkspaceId, least: int | None, skipped: int
) -> Relation:
    """One SELECT over the parts. Parts of equal columns share a read."""
    low = max((ticks for ticks in (scan.min_ticks, least) if ticks is not None), default=None)
    groups: dict[tuple[object, ...], list[Part]] = {}
    for part in parts:
        groups.setdefault((tuple(part.columns.items()), part.between), []).append(part)
    selects: list[str] = []
    for group in groups.values():
        first = group[0]
        outputs = [
            f"{_output(column, first.columns, workspace, scan.table)} AS {name_sql(column.name)}"
            for column in scan.columns
        ]
        if scan.ingestion_time:
            outputs.append(name_sql(INGESTED))
        bounds = [
            *((f"{name_sql(TIME)} >= {low}",) if low is not None else ()),
            *((f"{name_sql(TIME)} <= {scan.max_ticks}",) if scan.max_ticks is not None else ()),
            *(
                (f"{name_sql(TIME)} BETWEEN {first.between[0]} AND {first.between[1]}",)
                if first.between
                else ()
            ),
        ]
        where = f" WHERE {' AND '.join(bounds)}" if bounds else ""
        paths = ", ".join(dict.fromkeys(text_sql(part.path) for part in group))
        selects.append(f"SELECT {', '.join(outputs) or '1'} FROM read_parquet([{paths}]){where}")
    if not selects:
        empty = [f"{empty_sql(column.type)} AS {name_sql(column.name)}" for column in scan.columns]
        if scan.ingestion_time:
            empty.append(f"NULL::BIGINT AS {name_sql(INGESTED)}")
        selects.append(f"SELECT {', '.join(empty) or '1'} WHERE false")
    return Relation(
        sql=" UNION ALL ".join(selects),
        files=list(dict.fromkeys(part.path for part in parts)),
        rows=sum(part.rows for part in parts),
        bytes=sum({part.path: part.bytes for part in parts}.values()),
        skipped_segments=skipped,
    )


def _output(column: Column, columns: Mapping[str, KqlType], workspace: WorkspaceId, table: str) -> str:
    held = {name.lower(): (name, kind) for name, kind in columns.items()}
    held[TIME.lower()] = (TIME, KqlType.DATETIME)
    held[IS_BILLABLE.lower()] = (IS_BILLABLE, KqlType.STRING)
    name = column.name.lower()
    if name in held:
        return stored_sql(held[name], column.type)
    match column.name:
        case "TenantId":
            return text_sql(str(workspace))
        case "Type":
            return text_sql(table)
        case "_BilledSize":
            return f"({billed_sql(columns)})::DOUBLE"
        case "_SubscriptionId" if "_resourceid" in held:
            resource = name_sql(held["_resourceid"][0])
            return f"CASE WHEN starts_with(lower({resource}), '/subscriptions/') THEN split_part({resource}, '/', 3) ELSE '' END"
        case _:
            return empty_sql(column.type)


def billed_sql(columns: Mapping[str, KqlType]) -> str:
    """A record's size as Log Analytics counts it: text by its UTF-8 bytes, other values by their width, absent ones nothing.

    Columns whose names begin with an underscore, and those the service adds, are free
    (learn.microsoft.com/azure/azure-monitor/logs/cost-logs#data-size-calculation). It is a function of the stored
    values alone, so it needs no column of its own and is the same in the tail and in any segment.
    """
    free = {"tenantid", "type", "sourcesystem", "mg", "rawdata"}
    terms = ["8"]  # TimeGenerated
    for name, kind in columns.items():
        if name.startswith("_") or name.lower() in free:
            continue
        column = name_sql(name)
        match kind:
            case KqlType.STRING:
                terms.append(f"strlen({column})")
            case KqlType.DYNAMIC:
                terms.append(f"coalesce(strlen({column}::VARCHAR), 0)")
            case KqlType.BOOL:
                terms.append(f"CASE WHEN {column} IS NULL THEN 0 ELSE 1 END")
            case KqlType.INT:
                terms.append(f"CASE WHEN {column} IS NULL THEN 0 ELSE 4 END")
            case KqlType.GUID | KqlType.DECIMAL:
                terms.append(f"CASE WHEN {column} IS NULL THEN 0 ELSE 16 END")
            case KqlType.LONG | KqlType.REAL | KqlType.DATETIME | KqlType.TIMESPAN:
                terms.append(f"CASE WHEN {column} IS NULL THEN 0 ELSE 8 END")
    return " + ".join(terms)
