"""What a translated query is: SQL over named relations, the scans that fill those relations, and the result's shape."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from shared.kql.types import Column


class NeedleKind(StrEnum):
    """How a needle must occur in a row for the row to matter: as a whole term (`has`), or as the whole value (`==`)."""

    TERM = "term"
    VALUE = "value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Needle:
    """A necessary condition that the term index can answer. All needles of a scan must hold (they are ANDed).

    `column` is None where any string column may hold it (`search "x"`). TERM is lower-cased, alphanumeric.
    """

    kind: NeedleKind
    column: str | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One table read by the query. Whoever runs the SQL provides a relation of this name, with just these columns.

    The relation may hold fewer rows than the table: those outside the bounds, or that cannot match the needles, may be
    missing. Datetimes are ticks; strings are never NULL.
    """

    relation: str
    workspace: str
    table: str
    columns: Sequence[Column]
    min_ticks: int | None = None  # bounds on TimeGenerated, both inclusive
    max_ticks: int | None = None
    needles: Sequence[Needle] = ()
    newest: int | None = None  # the newest N rows by TimeGenerated, of those within the bounds, are enough
    ingestion_time: bool = (
        False  # the query calls ingestion_time(): provide it as column `$ingestion_time` (ticks)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultTable:
    """One table of the answer: the statement that yields it, and its columns in order. Types of wire values follow `columns`."""

    name: str
    sql: str
    columns: Sequence[Column]


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """Run `prelude` once on a fresh connection (macros), register `functions` (names in `shared.kql.native`), then each result."""

    results: Sequence[ResultTable]
    scans: Sequence[Scan]
    prelude: Sequence[str] = ()
    functions: Sequence[str] = ()
    render: Mapping[str, object] | None = field(default=None)
