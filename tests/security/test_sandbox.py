"""The child process that runs users' SQL: even SQL that got past the translator reaches nothing and stays within its bounds."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import orjson
import pytest

from shared.loganalytics.queries.model import (
    Execution,
    QueryFailed,
    QueryMemoryExceeded,
    QueryTimeout,
    Statement,
)
from shared.loganalytics.queries.processes import QueryProcesses

CANARY = "canary-5b1f"
REFUSED = r"^Permission Error: .* disabled by configuration|^Catalog Error: .* does not exist|single SELECT statement"


@pytest.fixture(scope="module")
def processes() -> Iterator[QueryProcesses]:
    os.environ["OMS_CANARY"] = CANARY
    made = QueryProcesses(size=1, memory_mb=512)
    made.warm()
    del os.environ["OMS_CANARY"]
    yield made
    made.close()


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """Two workspaces' caches; this query's file is `mine/records.parquet`."""
    for name in ("mine", "theirs"):
        (tmp_path / name).mkdir()
        duckdb.execute(f"COPY (SELECT '{name}' AS x) TO '{tmp_path / name / 'records.parquet'}'")
    return tmp_path


def run(processes: QueryProcesses, sql: str, files: Sequence[Path] = (), *, seconds: float = 30) -> list[str]:
    """The first column of the answer, as text."""
    outcome = processes.run(
        Execution(
            relations={},
            files=[str(file) for file in files],
            prelude=[],
            functions=[],
            statements=[Statement(name="PrimaryResult", sql=sql, columns=["x"], types=["string"])],
            memory_mb=256,
        ),
        caller="me",
        seconds=seconds,
    )
    return [row[0] for row in orjson.loads(outcome.tables)[0]["rows"]]


def stacked(statement: str) -> str:
    """What an injection would look like that closes the query's own parentheses."""
    return f"SELECT 'a') AS answer(c0); {statement}; SELECT * FROM (SELECT 'b'"


@pytest.mark.parametrize(
    "reading",
    [
        "read_parquet('{folder}/theirs/records.parquet')",
        "read_parquet('{folder}/mine/../theirs/records.parquet')",
        "read_parquet('{folder}/*/records.parquet')",
        "read_parquet('file://{folder}/theirs/records.parquet')",
        "'{folder}/theirs/records.parquet'",
        "read_blob('{folder}/theirs/records.parquet')",
        "parquet_metadata('{folder}/theirs/records.parquet')",
        "glob('{folder}/*')",
        "read_text('/etc/passwd')",
        "read_csv('/etc/passwd')",
        "sniff_csv('/etc/passwd')",
        "read_json('/proc/self/status')",
        "read_text('/proc/self/environ')",
        "read_blob('/proc/1/environ')",
        "read_text('/dev/stdin')",
        "read_parquet('https://example.com/x.parquet')",
        "read_parquet('s3://bucket/x.parquet')",
        "query('COPY (SELECT 1) TO ''{folder}/out''')",
        "query_table(['{folder}/theirs/records.parquet'])",
    ],
)
def test_a_query_reads_its_own_files_and_no_other(
    reading: str, processes: QueryProcesses, cache: Path
) -> None:
    own = cache / "mine" / "records.parquet"
    with pytest.raises(QueryFailed, match=REFUSED):
        run(processes, f"SELECT * FROM {reading.format(folder=cache)}", [own])
    assert run(processes, f"SELECT x FROM read_parquet('{own}')", [own]) == ["mine"]


def test_a_link_to_another_workspaces_file_is_not_followed_by_name(
    processes: QueryProcesses, cache: Path
) -> None:
    (cache / "mine" / "link.parquet").symlink_to(cache / "theirs" / "records.parquet")
    with pytest.raises(QueryFailed):
        run(
            processes,
            f"SELECT x FROM read_parquet('{cache}/mine/link.parquet')",
            [cache / "mine" / "records.parquet"],
        )


@pytest.mark.parametrize(
    "statement",
    [
        "COPY (SELECT 'x') TO '{own}' (FORMAT parquet, USE_TMP_FILE false)",
        "COPY (SELECT 'x') TO '{folder}/new.csv'",
        "ATTACH '{folder}/theirs/records.parquet' AS other",
        "ATTACH '{folder}/new.db' AS other",
        "INSTALL httpfs",
        "LOAD httpfs",
        "LOAD '{folder}/evil.duckdb_extension'",
        "SET lock_configuration = false",
        "SET enable_external_access = true",
        "SET memory_limit = '64GB'",
        "SET threads = 64",
        "SET allowed_paths = ['/etc/passwd']",
        "RESET enable_external_access",
        "PRAGMA enable_profiling",
        "CREATE SECRET s (TYPE http, BEARER_TOKEN 'x')",
        "CREATE TABLE kept AS SELECT 1",
        "EXPORT DATABASE '{folder}/dump'",
    ],
)
def test_a_statement_behind_the_query_is_never_run(
    statement: str, processes: QueryProcesses, cache: Path
) -> None:
    own = cache / "mine" / "records.parquet"
    before = own.read_bytes()
    with pytest.raises(QueryFailed, match="a query is one SELECT"):
        run(processes, stacked(statement.format(folder=cache, own=own)), [own])
    assert own.read_bytes() == before
    assert sorted(path.name for path in cache.iterdir()) == ["mine", "theirs"]


def test_the_child_has_no_environment_of_the_host(processes: QueryProcesses) -> None:
    run(processes, "SELECT 'x'")
    (child,) = processes._idle  # pyright: ignore[reportPrivateUsage] - the child is looked at from outside
    environment = Path(f"/proc/{child.process.pid}/environ").read_bytes().decode().split("\0")
    assert {each.partition("=")[0] for each in environment if each} == {
        "PYTHONPATH",
        "PYTHONDONTWRITEBYTECODE",
        "LANG",
        "OPENBLAS_NUM_THREADS",
    }
    assert CANARY not in "".join(environment)
    with pytest.raises(QueryFailed):
        run(processes, "SELECT getenv('PATH')")


def test_the_child_holds_no_file_of_the_hosts_open(processes: QueryProcesses) -> None:
    run(processes, "SELECT 'x'")
    (child,) = processes._idle  # pyright: ignore[reportPrivateUsage] - the child is looked at from outside
    held = [str(path.readlink()) for path in Path(f"/proc/{child.process.pid}/fd").iterdir()]
    assert [name for name in held if name.startswith("socket:")] == []
    assert [name for name in held if name.startswith("/") and not name.startswith("/dev/")] == []


def test_nothing_of_one_query_is_there_for_the_next(processes: QueryProcesses, cache: Path) -> None:
    own = cache / "mine" / "records.parquet"
    assert run(processes, f"SELECT x FROM read_parquet('{own}')", [own]) == ["mine"]
    with pytest.raises(QueryFailed):
        run(processes, f"SELECT x FROM read_parquet('{own}')")
    assert run(processes, "SELECT value FROM duckdb_settings() WHERE name = 'allowed_paths'") == ["[]"]


def test_an_error_tells_no_path_of_the_host(processes: QueryProcesses, cache: Path) -> None:
    own = cache / "mine" / "records.parquet"
    for sql, files in (
        (f"SELECT x FROM read_parquet('{cache}/theirs/records.parquet')", [own]),
        (f"SELECT x FROM read_parquet('{own}x')", [own.with_name("records.parquetx")]),
    ):
        with pytest.raises(QueryFailed) as refused:
            run(processes, sql, files)
        assert str(cache) not in refused.value.message


def test_a_query_past_its_deadline_is_killed_and_its_child_replaced(processes: QueryProcesses) -> None:
    run(processes, "SELECT 'x'")
    before = processes._idle[0].process.pid  # pyright: ignore[reportPrivateUsage] - the child is looked at from outside
    with pytest.raises(QueryTimeout):
        run(processes, "SELECT count(*)::VARCHAR FROM range(1000000000000) a, range(1000000) b", seconds=1)
    assert run(processes, "SELECT 'again'") == ["again"]
    assert processes._idle[0].process.pid != before  # pyright: ignore[reportPrivateUsage] - see above


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT repeat('x', 3000000000)",
        "SELECT list_sum(range(500000000))::VARCHAR",
        "SELECT x::VARCHAR FROM (SELECT random() AS x FROM range(2000000000) ORDER BY x)",
    ],
)
def test_a_query_that_wants_too_much_memory_ends_and_the_next_is_answered(
    sql: str, processes: QueryProcesses
) -> None:
    with pytest.raises((QueryMemoryExceeded, QueryFailed, QueryTimeout)):
        run(processes, sql, seconds=10)
    assert run(processes, "SELECT 'again'") == ["again"]
