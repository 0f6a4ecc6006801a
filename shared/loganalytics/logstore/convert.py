"""From frames to Parquet: the one way in which records take their stored form, for the tail as for segments."""

import logging
import tempfile
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

import duckdb
import orjson

from shared.kql.types import KqlType
from shared.loganalytics.logstore.conversions import (
    column_sql,
    datetime_sql,
    empty_sql,
    json_text_sql,
    name_sql,
    reads_json,
    text_sql,
)
from shared.loganalytics.logstore.frames import StagedFrame
from shared.loganalytics.logstore.model import Frame, FrameColumn, WorkspaceId
from shared.loganalytics.logstore.repair import collides, repaired

log = logging.getLogger(__name__)

TIME: Final = "TimeGenerated"
INGESTED: Final = "$ingestion_time"
IS_BILLABLE: Final = "_IsBillable"
ROW_GROUP: Final = 61_440
# Below this a frame shares a file with others of its shape; reading a file of its own costs as much as 50 KB of JSON.
_SMALL: Final = 512 * 1024
_OBJECT: Final = 16 * 1024 * 1024
_FILENAME: Final = "$oms_file"
_LINE_BREAKS: Final = bytes.maketrans(b"\r\n", b"  ")

Form = Literal["tail", "segment"]
FORMS: Final[Mapping[Form, str]] = {
    "tail": "FORMAT parquet, COMPRESSION lz4_raw",
    "segment": f"FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1, ROW_GROUP_SIZE {ROW_GROUP}",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Frames of one shape and how they lie in JSON files: `nested` all in one file, a line each; else each its own file.

    A file of its own is named for the frame's place in `frames`, which is how its records find their constants.
    """

    paths: Sequence[str]
    nested: bool
    array: bool
    frames: Sequence[StagedFrame]

    @property
    def frame(self) -> Frame:
        """Any of them: the shape is the same."""
        return self.frames[0].frame

    def value_sql(self, line: str, of: Callable[[StagedFrame], str]) -> str:
        """What differs from frame to frame: from its line where frames are nested, else by its file."""
        if self.nested:
            return line
        values = [of(one) for one in self.frames]
        if len(set(values)) == 1:
            return values[0]
        return f"[{', '.join(values)}][TRY_CAST(parse_filename({name_sql(_FILENAME)}, true) AS INTEGER) + 1]"


def columns_of(frames: Iterable[Frame], *, workspace: WorkspaceId, table: str) -> dict[str, KqlType]:
    """All columns that the frames fill, in the order they came. Of a name the first type and spelling count (case aside).

    TenantId and Type are left out where they say what the workspace and the table's name say anyway.
    """
    columns: dict[str, KqlType] = {}
    implied = {"TenantId": str(workspace), "Type": table}
    seen: set[str] = set()
    for frame in frames:
        given = {column.name: column.type for column in frame.columns}
        given |= {n: KqlType.STRING for n, value in frame.constants.items() if implied.get(n) != value}
        for name, kind in given.items():
            if name.lower() not in seen:
                seen.add(name.lower())
                columns[name] = kind
    return columns


def frame_select(
    source: Source, columns: Mapping[str, KqlType], *, apart: Collection[str] = frozenset[str]()
) -> str:
    """The records of a source in stored form: TimeGenerated, `columns` in their order, _IsBillable, $ingestion_time.

    Columns named in `apart` are left to the caller.
    """
    frame = source.frame
    types_of = {name.lower(): kind for name, kind in columns.items()}
    by_key: dict[str, list[FrameColumn]] = {}
    for column in frame.columns:
        kind = types_of[column.name.lower()]
        by_key.setdefault(column.source, []).append(
            column if column.type is kind else replace(column, type=kind)
        )
    as_json = {key: reads_json(readers) for key, readers in by_key.items()}
    if frame.time_source is not None:
        as_json.setdefault(frame.time_source, False)
    types = {key: "JSON" if json else "VARCHAR" for key, json in as_json.items()} or {"$": "VARCHAR"}

    def key_sql(key: str) -> str:
        return f"r.{name_sql(key)}"

    constants = sorted(frame.constants)
    values: dict[str, str] = {
        column.name.lower(): column_sql(column, key_sql(key), as_json=as_json[key])
        for key, readers in by_key.items()
        for column in readers
    }
    for index, name in enumerate(constants):
        values[name.lower()] = source.value_sql(
            f"k[{index + 1}]", lambda one, name=name: text_sql(one.frame.constants[name])
        )
    received = source.value_sql("t", lambda one: f"{one.frame.received_ticks}::BIGINT")
    outputs = [f"{_time_sql(frame, received, key_sql, as_json)} AS {name_sql(TIME)}"]
    outputs += [
        f"{values.get(name.lower(), empty_sql(kind))} AS {name_sql(name)}"
        for name, kind in columns.items()
        if name not in apart
    ]
    billable = source.value_sql("b", lambda one: text_sql(str(one.frame.billable)))
    ticks = source.value_sql("i", lambda one: f"{one.ticks}::BIGINT")
    last = {IS_BILLABLE: billable, INGESTED: ticks}
    outputs += [f"{value} AS {name_sql(name)}" for name, value in last.items() if name not in apart]
    return f"SELECT {', '.join(outputs)} FROM {_from_sql(source, types)}"


def shared_values(frames: Sequence[StagedFrame], columns: Mapping[str, KqlType]) -> dict[str, str]:
    """Columns that have one value in all frames, as SQL. They need not go through the sort."""
    first = frames[0]
    read = {column.name.lower() for one in frames for column in one.frame.columns}
    shared: dict[str, str] = {}
    for name in columns:
        value = first.frame.constants.get(name)
        if value is None or name.lower() in read:
            continue
        if all(one.frame.constants.get(name) == value for one in frames):
            shared[name] = text_sql(value)
    if len({one.frame.billable for one in frames}) == 1:
        shared[IS_BILLABLE] = text_sql(str(first.frame.billable))
    if len({one.ticks for one in frames}) == 1:
        shared[INGESTED] = f"{first.ticks}::BIGINT"
    return shared


def _time_sql(frame: Frame, received: str, key_sql: Callable[[str], str], as_json: Mapping[str, bool]) -> str:
    if frame.time_source is None:
        return received
    key = key_sql(frame.time_source)
    ticks = datetime_sql(json_text_sql(f"({key}::VARCHAR)") if as_json[frame.time_source] else key)
    if frame.time_bounds is not None:
        low, high = frame.time_bounds
        ticks = f"CASE WHEN {ticks} BETWEEN {low} AND {high} THEN {ticks} END"
    return f"coalesce({ticks}, {received})"


def _from_sql(source: Source, types: Mapping[str, str]) -> str:
    fields = ", ".join(f"{name_sql(key)} {kind}" for key, kind in types.items())
    paths = f"[{', '.join(text_sql(path) for path in source.paths)}]"
    if source.nested:
        line = (
            "{i: 'BIGINT', t: 'BIGINT', b: 'VARCHAR', k: 'VARCHAR[]', r: "
            + text_sql(f"STRUCT({fields})[]")
            + "}"
        )
        read = f"read_json({paths}, columns={line}, format='newline_delimited', records=true)"
        return f"(SELECT i, t, b, k, unnest(r) AS r FROM {read}) AS frames"
    columns = "{" + ", ".join(f"{name_sql(key)}: '{kind}'" for key, kind in types.items()) + "}"
    form = "array" if source.array else "newline_delimited"
    largest = max(len(one.frame.body) for one in source.frames)
    size = f", maximum_object_size={largest + 1}" if largest >= _OBJECT else ""
    # A key may be called like the column that names the file.
    named = f", filename={text_sql(_FILENAME)}" if len(source.paths) > 1 else ""
    return f"read_json({paths}, columns={columns}, format='{form}', records=true{size}{named}) AS r"


@dataclass(slots=True)
class Converter:
    """DuckDB for this process's conversions: one database, a cursor per call, bounded memory and threads."""

    scratch: Path
    threads: int = 2
    memory_mb: int = 768
    _connection: duckdb.DuckDBPyConnection | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None:
                self.scratch.mkdir(parents=True, exist_ok=True)
                self._connection = duckdb.connect(
                    config={
                        "threads": self.threads,
                        "memory_limit": f"{self.memory_mb}MB",
                        "temp_directory": str(self.scratch),
                        "autoinstall_known_extensions": False,
                        "autoload_known_extensions": False,
                    }
                )
            return self._connection.cursor()

    def close(self) -> None:
        """Give memory and files back. Using the converter again opens it again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def to_parquet(
        self,
        frames: Sequence[StagedFrame],
        path: Path,
        *,
        workspace: WorkspaceId,
        table: str,
        form: Form,
    ) -> dict[str, KqlType]:
        """Write the records of `frames` (of one table) to a Parquet file; its columns. Segments are sorted by time.

        Each record is written, however odd: what DuckDB's reader refuses goes through `repair`.
        """
        columns = columns_of((one.frame for one in frames), workspace=workspace, table=table)
        frames = [_repaired(one) if collides(one.frame) else one for one in frames]
        try:
            written = self._write(frames, path, columns, form)
        except duckdb.Error:
            written = -1
        if written != sum(one.frame.rows for one in frames):
            mended = [one if self._reads(one, columns) else _repaired(one) for one in frames]
            written = self._write(mended, path, columns, form)
            log.warning(
                "frames needed repair",
                extra={
                    "table": table,
                    "frames": sum(a is not b for a, b in zip(frames, mended, strict=True)),
                },
            )
            if written != sum(one.frame.rows for one in frames):
                log.error(
                    "a frame's row count is not that of its body", extra={"table": table, "rows": written}
                )
        return columns

    def _write(
        self, frames: Sequence[StagedFrame], path: Path, columns: Mapping[str, KqlType], form: Form
    ) -> int:
        with tempfile.TemporaryDirectory(dir=self._folder()) as folder:
            sources = lay_out(frames, Path(folder))
            shared = shared_values(frames, columns)
            inner = " UNION ALL ".join(frame_select(source, columns, apart=shared) for source in sources)
            order = f" ORDER BY {name_sql(TIME)}" if form == "segment" else ""
            names = [TIME, *columns, IS_BILLABLE, INGESTED]
            outputs = ", ".join(
                f"{shared[name]} AS {name_sql(name)}" if name in shared else name_sql(name) for name in names
            )
            select = f"SELECT {outputs} FROM ({inner}{order}) AS records"
            copied = self.cursor().execute(f"COPY ({select}) TO {text_sql(str(path))} ({FORMS[form]})")
            return int(copied.fetchall()[0][0])

    def _reads(self, one: StagedFrame, columns: Mapping[str, KqlType]) -> bool:
        with tempfile.TemporaryDirectory(dir=self._folder()) as folder:
            (source,) = lay_out([one], Path(folder))
            try:
                rows = self.cursor().execute(
                    f"SELECT count(COLUMNS(*)) FROM ({frame_select(source, columns)})"
                )
                rows.fetchall()
            except duckdb.Error:
                return False
            count = (
                self.cursor().execute(f"SELECT count(*) FROM ({frame_select(source, columns)})").fetchall()
            )
            return count[0][0] == one.frame.rows

    def _folder(self) -> Path:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return self.scratch


def lay_out(frames: Sequence[StagedFrame], folder: Path) -> list[Source]:
    """Write the frames' bodies where DuckDB can read them. A body is never parsed or re-encoded on the way."""
    groups: dict[tuple[object, ...], list[StagedFrame]] = {}
    for one in frames:
        frame = one.frame
        large = len(frame.body) >= _SMALL
        array = large and _is_array(frame.body)
        constants = tuple(sorted(frame.constants))
        shape = (large, array, tuple(frame.columns), frame.time_source, frame.time_bounds, constants)
        groups.setdefault(shape, []).append(one)
    sources: list[Source] = []
    for (large, array, *_), group in groups.items():
        place = folder / str(len(sources))
        place.mkdir()
        if large:
            paths = [place / f"{number}.json" for number in range(len(group))]
            for path, one in zip(paths, group, strict=True):
                path.write_bytes(one.frame.body)
        else:
            paths = [place / "frames.json"]
            with paths[0].open("wb") as file:
                file.writelines(part for one in group for part in _line(one))
        sources.append(
            Source(
                paths=[str(path) for path in paths], nested=not large, array=bool(array), frames=tuple(group)
            )
        )
    return sources


def _line(one: StagedFrame) -> tuple[bytes, bytes, bytes]:
    frame = one.frame
    values = {
        "i": one.ticks,
        "t": frame.received_ticks,
        "b": str(frame.billable),
        "k": [frame.constants[name] for name in sorted(frame.constants)],
    }
    body = frame.body.strip()
    if _is_array(body):
        # Line breaks in valid JSON are white space between tokens.
        records = body.translate(_LINE_BREAKS)
    else:
        records = b"[" + b",".join(line for line in body.splitlines() if line.strip()) + b"]"
    return orjson.dumps(values)[:-1] + b',"r":', records, b"}\n"


def _is_array(body: bytes) -> bool:
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"["


def _repaired(one: StagedFrame) -> StagedFrame:
    return replace(one, frame=repaired(one.frame))
