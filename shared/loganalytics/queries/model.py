"""A query's values: what is asked of a child process, and how it ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from shared.kernel.errors import Category, OmsError

MAX_ROWS: Final = 500_000
MAX_BYTES: Final = 100_000_000
MAX_SECONDS: Final = 600.0
DEFAULT_SECONDS: Final = 180.0


class Truncation(StrEnum):
    """Why an answer is partial."""

    ROWS = "rows"
    BYTES = "bytes"


class QueryFailed(OmsError):
    """The engine could not finish a query that was understood; the message is the engine's own."""

    category = Category.INVALID
    code = "QueryExecutionError"


class QueryTimeout(OmsError):
    """The query did not end before its deadline; the process that ran it was ended."""

    category = Category.TIMEOUT
    code = "GatewayTimeout"


class QueryMemoryExceeded(OmsError):
    """The query needed more memory than one query may take."""

    category = Category.INVALID
    code = "E_LOW_MEMORY_CONDITION"


class QueryProcessFailed(OmsError):
    """The process that ran the query ended by itself: a fault of the installation, and not of the query."""

    category = Category.INTERNAL
    code = "QueryProcessFailed"


class QueryThrottled(OmsError):
    """Too many queries run at once, for this caller or in all; the message says which and how many."""

    category = Category.THROTTLED
    code = "ThrottledError"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One table of the answer, as the child is to compute it. `types` are KQL type names, by column."""

    name: str
    sql: str
    columns: Sequence[str]
    types: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """All that a child needs to answer: no credentials, no names beyond the files it may read."""

    relations: Mapping[str, str]
    files: Sequence[str]
    prelude: Sequence[str]
    functions: Sequence[str]
    statements: Sequence[Statement]
    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES
    memory_mb: int = 1024
    threads: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """`tables` is the JSON array of the wire, ready to send. Times are in seconds, memory in bytes."""

    tables: bytes
    rows: int
    truncated: Truncation | None = None
    seconds: float = 0.0
    cpu_user: float = 0.0
    cpu_system: float = 0.0
    peak_memory: int = 0
    extra: Mapping[str, object] = field(default_factory=dict[str, object])
