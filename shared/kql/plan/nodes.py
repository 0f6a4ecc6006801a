"""The nodes of a plan, and the SQL each stands for.

A node's columns are *refs*: quoted SQL identifiers, unique within the node also without regard to case, as DuckDB
compares them. Which of them anybody reads is known only when the whole query is bound; then `sql` writes just those.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from shared.kql.catalog import TableSchema
from shared.kql.functions.registry import Bound
from shared.kql.translation import Needle
from shared.kql.types import SQL_TYPE, Column

SUBQUERY = "subquery:"
"""What an expression says it reads when it names the CTE of a subquery."""


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""').replace("\0", "") + '"'


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderKey:
    ref: str
    descending: bool = False
    nulls_first: bool = True

    def sql(self, alias: str = "") -> str:
        direction = "DESC" if self.descending else "ASC"
        return f"{alias}{self.ref} {direction} NULLS {'FIRST' if self.nulls_first else 'LAST'}"


def order_sql(keys: Iterable[OrderKey]) -> str:
    text = ", ".join(key.sql() for key in keys)
    return f"ORDER BY {text}" if text else ""


class PlanNode:
    """Something that rows come from. `needed` grows while consumers declare what they read."""

    __slots__ = ("inputs", "materialized", "name", "natural", "needed", "subqueries")

    def __init__(self, inputs: Sequence["PlanNode"]) -> None:
        self.inputs = tuple(inputs)
        self.needed: set[str] = set()
        self.subqueries: set[str] = set()
        self.name = ""
        self.materialized = False
        self.natural = False  # its rows come in their order of themselves

    def read(self, index: int, refs: Iterable[str]) -> None:
        """Declare what is read of an input; subqueries that expressions name are set apart."""
        for ref in refs:
            if ref.startswith(SUBQUERY):
                self.subqueries.add(ref)
            else:
                self.inputs[index].needed.add(ref)

    def demand(self) -> None:
        """Tell the inputs which of their columns are read, given `needed`."""

    def sql(self) -> str:
        raise AssertionError("every node that is written out has its SQL")


class ScanNode(PlanNode):
    """A table. What is known about the rows that matter gathers here while predicates are bound over it."""

    __slots__ = ("columns", "ingestion_time", "max_ticks", "min_ticks", "needles", "newest", "schema")

    def __init__(self, schema: TableSchema) -> None:
        super().__init__(())
        self.schema = schema
        self.columns = {identifier(column.name): column for column in schema.columns}
        self.min_ticks: int | None = None
        self.max_ticks: int | None = None
        self.needles: list[Needle] = []
        self.newest: int | None = None
        self.ingestion_time = False

    def at_least(self, ticks: int) -> None:
        self.min_ticks = ticks if self.min_ticks is None else max(self.min_ticks, ticks)

    def at_most(self, ticks: int) -> None:
        self.max_ticks = ticks if self.max_ticks is None else min(self.max_ticks, ticks)

    def read_columns(self) -> list[Column]:
        """The columns to provide, in the table's order; at least one, so that rows can be counted."""
        found = [column for ref, column in self.columns.items() if ref in self.needed]
        if found or not self.columns:
            return found
        first = self.columns.get('"TimeGenerated"')
        return [first or next(iter(self.columns.values()))]


class ValuesNode(PlanNode):
    """Rows that stand in the query."""

    __slots__ = ("refs", "rows", "types")

    def __init__(self, refs: Sequence[str], types: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        super().__init__(())
        self.refs = refs
        self.types = types
        self.rows = rows

    def sql(self) -> str:
        keep = [index for index, ref in enumerate(self.refs) if ref in self.needed]
        if not self.rows:
            items = ", ".join(f"NULL::{self.types[index]} AS {self.refs[index]}" for index in keep)
            return f"SELECT {items or 'NULL AS none'} WHERE false"
        if not keep:
            return f"SELECT NULL AS none FROM range({len(self.rows)})"
        rows = ", ".join("(" + ", ".join(row[index] for index in keep) + ")" for row in self.rows)
        return f"SELECT * FROM (VALUES {rows}) AS v({', '.join(self.refs[index] for index in keep)})"


class SelectNode(PlanNode):
    """One SELECT over one input. Columns it does not compute pass through, unless it is `closed`."""

    __slots__ = ("closed", "extra", "group", "items", "limit", "order", "pinned", "qualify", "where")

    def __init__(
        self,
        source: PlanNode,
        *,
        items: dict[str, Bound] | None = None,
        where: Sequence[Bound] = (),
        extra: Sequence[Bound] = (),
        group: Sequence[str] | None = None,
        order: Sequence[OrderKey] = (),
        limit: str | None = None,
        closed: bool = False,
        pinned: bool = False,
        qualify: Bound | None = None,
    ) -> None:
        filters = list(where)
        # A bare filter below becomes part of this SELECT.
        while isinstance(source, SelectNode) and source.is_bare_filter() and not source.materialized:
            filters = [*source.where, *filters]
            source = source.inputs[0]
        super().__init__((source,))
        self.items = items or {}
        self.where: list[Bound] = filters
        self.extra = list(extra)
        self.group = group
        self.order = tuple(order)
        self.limit = limit
        self.closed = closed or group is not None
        self.pinned = pinned  # the items are written even if nobody reads them: they make rows
        self.qualify = qualify

    def is_bare_filter(self) -> bool:
        return (
            not (self.items or self.extra or self.closed or self.order or self.limit or self.qualify)
            and self.group is None
        )

    def demand(self) -> None:
        read = set[str]()
        for ref in self.needed | self.items.keys() if self.pinned else self.needed:
            item = self.items.get(ref)
            if item is not None:
                read |= item.columns
            elif not self.closed:
                read.add(ref)
        for bound in (*self.where, *self.extra, *((self.qualify,) if self.qualify else ())):
            read |= bound.columns
        read.update(key.ref for key in self.order)
        if self.group:
            read.update(self.group)
        self.read(0, read)

    def sql(self) -> str:
        picked = [
            f"{self.items[ref].sql} AS {ref}" if ref in self.items else ref
            for ref in (*self.items, *sorted(self.needed - self.items.keys()))
            if self.pinned or ref in self.needed
        ]
        parts = [f"SELECT {', '.join(picked) or 'NULL AS none'} FROM {self.inputs[0].name}"]
        parts += [f", {bound.sql}" for bound in self.extra]
        if self.where:
            parts.append("WHERE " + " AND ".join(bound.sql for bound in self.where))
        if self.group:
            parts.append("GROUP BY " + ", ".join(self.group))
        elif self.group is not None and not any("(" in item for item in picked):
            # Without an aggregate in the SELECT, one row must still come out.
            parts[0] = f"SELECT any_value(1) AS none FROM {self.inputs[0].name}"
        if self.qualify:
            parts.append(f"QUALIFY {self.qualify.sql}")
        if self.order:
            parts.append(order_sql(self.order))
        if self.limit is not None:
            parts.append(f"LIMIT {self.limit}")
        return " ".join(parts)


class CustomNode(PlanNode):
    """A node whose SQL and demands are written by whoever made it."""

    __slots__ = ("_demand", "_sql")

    def __init__(
        self,
        inputs: Sequence[PlanNode],
        *,
        demand: Callable[[set[str]], Sequence[Iterable[str]]],
        sql: Callable[[set[str], Sequence[str]], str],
    ) -> None:
        super().__init__(inputs)
        self._demand = demand
        self._sql = sql

    def demand(self) -> None:
        for index, read in enumerate(self._demand(self.needed)):
            self.read(index, read)

    def sql(self) -> str:
        return self._sql(self.needed, [node.name for node in self.inputs])


def typed_null(kind_sql: str) -> str:
    return "''" if kind_sql == "VARCHAR" else f"NULL::{kind_sql}"


def column_types(columns: Iterable[Column]) -> dict[str, str]:
    return {identifier(column.name): SQL_TYPE[column.type] for column in columns}
