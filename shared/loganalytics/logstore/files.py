"""Parquet files of records: what is in one, and several as one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.kql.types import KqlType
from shared.loganalytics.logstore.conversions import empty_sql, name_sql, text_sql
from shared.loganalytics.logstore.convert import FORMS, INGESTED, IS_BILLABLE, TIME, Converter, Form
from shared.loganalytics.logstore.manifest import LADDER, RowGroup


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalFile:
    """A Parquet file on this machine. `columns` are those besides TimeGenerated, _IsBillable and $ingestion_time."""

    path: str
    bytes: int
    rows: int
    columns: Mapping[str, KqlType]
    groups: Sequence[RowGroup]
    min_ingested: int
    max_ingested: int

    @property
    def min_ticks(self) -> int:
        return min((group.min_ticks for group in self.groups), default=0)

    @property
    def max_ticks(self) -> int:
        return max((group.max_ticks for group in self.groups), default=-1)


def measure(converter: Converter, path: Path, columns: Mapping[str, KqlType]) -> LocalFile:
    """What the file's own statistics say."""
    rows = (
        converter.cursor()
        .execute(
            "SELECT row_group_id, any_value(row_group_num_rows),"
            f" max(stats_min_value::BIGINT) FILTER (path_in_schema = {text_sql(TIME)}),"
            f" max(stats_max_value::BIGINT) FILTER (path_in_schema = {text_sql(TIME)}),"
            f" max(stats_min_value::BIGINT) FILTER (path_in_schema = {text_sql(INGESTED)}),"
            f" max(stats_max_value::BIGINT) FILTER (path_in_schema = {text_sql(INGESTED)})"
            f" FROM parquet_metadata(?) WHERE path_in_schema IN ({text_sql(TIME)}, {text_sql(INGESTED)})"
            " GROUP BY row_group_id ORDER BY row_group_id",
            [str(path)],
        )
        .fetchall()
    )
    return LocalFile(
        path=str(path),
        bytes=path.stat().st_size,
        rows=sum(row[1] for row in rows),
        columns=dict(columns),
        groups=[RowGroup(rows=row[1], min_ticks=row[2], max_ticks=row[3]) for row in rows],
        min_ingested=min((row[4] for row in rows), default=0),
        max_ingested=max((row[5] for row in rows), default=0),
    )


def ladder(converter: Converter, path: str) -> tuple[int, ...]:
    """The ticks of the 128th, 1,024th and 8,192nd newest record, as far as there are so many."""
    newest = (
        converter.cursor()
        .execute(
            f"SELECT {name_sql(TIME)} FROM read_parquet(?) ORDER BY 1 DESC LIMIT {LADDER[-1]}",
            [path],
        )
        .fetchall()
    )
    return tuple(newest[step - 1][0] for step in LADDER if step <= len(newest))


def union_columns(files: Iterable[Mapping[str, KqlType]]) -> dict[str, KqlType]:
    """All columns of some files. Names are the same whatever their case; the first spelling and type count."""
    columns: dict[str, KqlType] = {}
    seen: set[str] = set()
    for file in files:
        for name, kind in file.items():
            if name.lower() not in seen:
                seen.add(name.lower())
                columns[name] = kind
    return columns


def records_sql(files: Sequence[LocalFile], columns: Mapping[str, KqlType]) -> str:
    """All records of some files, in stored form with `columns`."""
    groups: dict[tuple[tuple[str, KqlType], ...], list[LocalFile]] = {}
    for file in files:
        groups.setdefault(tuple(file.columns.items()), []).append(file)
    selects: list[str] = []
    for signature, group in groups.items():
        held = {name.lower(): (name, kind) for name, kind in signature}
        outputs = [
            f"{stored_sql(held.get(name.lower()), kind)} AS {name_sql(name)}"
            for name, kind in columns.items()
        ]
        outputs = [name_sql(TIME), *outputs, name_sql(IS_BILLABLE), name_sql(INGESTED)]
        paths = ", ".join(text_sql(file.path) for file in group)
        selects.append(f"SELECT {', '.join(outputs)} FROM read_parquet([{paths}])")
    return " UNION ALL ".join(selects)


def stored_sql(held: tuple[str, KqlType] | None, kind: KqlType) -> str:
    """A column of a file as `kind`, whether the file has it or not, and in whatever type."""
    if held is None:
        return empty_sql(kind)
    name = name_sql(held[0])
    if held[1] is kind:
        return name
    if kind is KqlType.STRING:
        return f"coalesce({name}::VARCHAR, '')"
    return f"TRY_CAST({name} AS {empty_sql(kind).removeprefix('NULL::')})"


def merge(converter: Converter, files: Sequence[LocalFile], path: Path, *, form: Form) -> dict[str, KqlType]:
    """Write the records of several files as one; its columns."""
    columns = union_columns(file.columns for file in files)
    order = f" ORDER BY {name_sql(TIME)}" if form == "segment" else ""
    converter.cursor().execute(
        f"COPY ({records_sql(files, columns)}{order}) TO {text_sql(str(path))} ({FORMS[form]})"
    )
    return columns
