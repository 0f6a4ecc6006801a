"""The work of compaction that costs CPU: from staged blobs or small segments to finished files. Runs in a child process.

The child gets local paths and no credentials; it reads and writes one folder's files and answers by a file, so
that sorting and indexing share no interpreter lock with ingestion, and its memory goes back to the system at once.
"""

import logging
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from shared.kernel.errors import Category, OmsError
from shared.kernel.ticks import TICKS_PER_SECOND
from shared.kql.types import KqlType
from shared.loganalytics.logstore.conversions import name_sql, text_sql
from shared.loganalytics.logstore.convert import FORMS, TIME, Converter
from shared.loganalytics.logstore.files import LocalFile, ladder, measure, merge
from shared.loganalytics.logstore.frames import decode
from shared.loganalytics.logstore.manifest import RowGroup
from shared.loganalytics.logstore.model import WorkspaceId

log = logging.getLogger(__name__)

DAY: Final = 86_400 * TICKS_PER_SECOND
INDEX_ROWS: Final = 4_096  # scanning fewer costs less than asking their index
_ROOT: Final = Path(__file__).resolve().parents[3]
_NICE: Final = 10


class BuildFailed(OmsError):
    """The child process that builds segments ended without an answer; the records stay where they are."""

    category = Category.INTERNAL
    code = "CompactionFailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """What to build segments of: staged blobs (name and local path), or segments of one day."""

    workspace: WorkspaceId
    table: str
    folder: str
    staged: Sequence[tuple[str, str]] = ()
    merged: Sequence[LocalFile] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A finished segment file, one day of records, with its term index (None where it is too small for one)."""

    file: LocalFile
    ladder: Sequence[int]
    terms: str | None


class Builder(Protocol):
    def __call__(self, build: Build) -> Sequence[Built]: ...


def build_here(build: Build, *, threads: int = 2, memory_mb: int = 1_024) -> list[Built]:
    """Build in this process."""
    # pyarrow is only needed here, and costs 60 ms to import.
    from shared.loganalytics.logstore.indexing import index_terms

    folder = Path(build.folder)
    converter = Converter(folder / "scratch", threads=threads, memory_mb=memory_mb)
    path = folder / "all.parquet"
    if build.staged:
        tables = frozenset([build.table])
        frames = [
            one
            for name, at in build.staged
            for one in decode(Path(at).read_bytes(), name=name, tables=tables)
        ]
        columns = converter.to_parquet(
            frames, path, workspace=build.workspace, table=build.table, form="segment"
        )
    else:
        columns = merge(converter, build.merged, path, form="segment")
    built: list[Built] = []
    for one in _days(converter, measure(converter, path, columns), folder):
        terms: Path | None = None
        if one.rows >= INDEX_ROWS:
            terms = Path(f"{one.path}.terms")
            terms.write_bytes(index_terms(Path(one.path), one.columns).encode())
        built.append(
            Built(file=one, ladder=ladder(converter, one.path), terms=None if terms is None else str(terms))
        )
    converter.close()
    return built


def build_in_child(build: Build, *, seconds: float = 600.0) -> list[Built]:
    """Build in a child process of low priority. BuildFailed."""
    request, answer = Path(build.folder) / "request.json", Path(build.folder) / "answer.json"
    request.write_bytes(orjson.dumps(_build_json(build)))
    paths = [str(_ROOT), *(path for path in sys.path if path)]
    child = subprocess.run(
        [sys.executable, "-m", "shared.loganalytics.logstore.building", str(request), str(answer)],
        env={"PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", "LANG": "C.UTF-8"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=seconds,
        check=False,
    )
    if child.returncode != 0 or not answer.exists():
        last = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        log.error("building segments failed", extra={"table": build.table, "code": child.returncode})
        raise BuildFailed(
            f"building segments of {build.table} ended with {child.returncode}: {last}", target=build.table
        )
    return [_built(one) for one in orjson.loads(answer.read_bytes())]


def main(request: str, answer: str) -> None:
    os.nice(_NICE)
    stored: dict[str, Any] = orjson.loads(Path(request).read_bytes())
    build = Build(
        workspace=WorkspaceId(stored["workspace"]),
        table=stored["table"],
        folder=stored["folder"],
        staged=[(name, path) for name, path in stored["staged"]],
        merged=[_file(one) for one in stored["merged"]],
    )
    built = build_here(build)
    part = Path(f"{answer}.part")
    part.write_bytes(
        orjson.dumps(
            [{"file": _file_json(b.file), "ladder": list(b.ladder), "terms": b.terms} for b in built]
        )
    )
    part.replace(answer)


def _days(converter: Converter, whole: LocalFile, folder: Path) -> Iterator[LocalFile]:
    """A sorted file as one file for each day that it holds."""
    if not whole.rows:
        return
    if whole.min_ticks // DAY == whole.max_ticks // DAY:
        yield whole
        return
    source = f"read_parquet({text_sql(whole.path)})"
    time = name_sql(TIME)
    days = converter.cursor().execute(f"SELECT DISTINCT {time} // {DAY} FROM {source} ORDER BY 1").fetchall()
    for (day,) in days:
        path = folder / f"{day}.parquet"
        converter.cursor().execute(
            f"COPY (SELECT * FROM {source} WHERE {time} BETWEEN {day * DAY} AND {day * DAY + DAY - 1}"
            f" ORDER BY {time}) TO {text_sql(str(path))} ({FORMS['segment']})"
        )
        yield measure(converter, path, whole.columns)


def _build_json(build: Build) -> Mapping[str, Any]:
    return {
        "workspace": build.workspace,
        "table": build.table,
        "folder": build.folder,
        "staged": [list(one) for one in build.staged],
        "merged": [_file_json(file) for file in build.merged],
    }


def _file_json(file: LocalFile) -> Mapping[str, Any]:
    return {
        "path": file.path,
        "bytes": file.bytes,
        "rows": file.rows,
        "columns": {name: kind.value for name, kind in file.columns.items()},
        "groups": [[group.rows, group.min_ticks, group.max_ticks] for group in file.groups],
        "ingested": [file.min_ingested, file.max_ingested],
    }


def _file(stored: Mapping[str, Any]) -> LocalFile:
    return LocalFile(
        path=stored["path"],
        bytes=stored["bytes"],
        rows=stored["rows"],
        columns={name: KqlType(kind) for name, kind in stored["columns"].items()},
        groups=[RowGroup(rows=g[0], min_ticks=g[1], max_ticks=g[2]) for g in stored["groups"]],
        min_ingested=stored["ingested"][0],
        max_ingested=stored["ingested"][1],
    )


def _built(stored: Mapping[str, Any]) -> Built:
    return Built(file=_file(stored["file"]), ladder=tuple(stored["ladder"]), terms=stored["terms"])


if __name__ == "__main__":
    main(*sys.argv[1:])
