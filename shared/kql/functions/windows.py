"""Functions over rows in order. `emission.ordering` says which order."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    BOOLS,
    INT,
    LONG,
    NUMBERS,
    REAL,
    SPANS,
    TIMESPAN,
    WHOLES,
    constant_int,
    convert,
    expand,
    literal,
    number,
    parameter,
    result,
)
from shared.kql.functions.registry import (
    ArgumentRefused,
    Bound,
    Emission,
    Emit,
    Function,
    FunctionKind,
    Parameter,
)

_SO_FAR: Final = "ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW"


def _neighbour(function: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        value = args[0]
        offset = 1
        if len(args) > 1:
            offset = constant_int(convert(emission, args[1], LONG, index=1), "the offset", index=1)
            if offset < 1:
                raise ArgumentRefused("the offset must be at least 1", index=1)
        default = (
            convert(emission, args[2], value.type, index=2) if len(args) > 2 else literal(None, value.type)
        )
        return result(
            f"{function}({value.sql}, {offset}, {default.sql}) OVER ({_within(emission)}{emission.ordering})",
            value.type,
            [value, default],
        )

    return emit


def _row_number(emission: Emission, args: Sequence[Bound]) -> Bound:
    start = convert(emission, args[0], LONG) if args else literal(1, LONG)
    partition, group = _partition(emission, args[1:])
    return result(
        f"row_number() OVER ({partition}{emission.ordering}) - 1 + {start.sql}", LONG, [start, *group]
    )


def _within(emission: Emission, *refs: str) -> str:
    """`PARTITION BY` the parts that the query goes through one by one, and by these."""
    named = ", ".join((*emission.parts, *refs))
    return f"PARTITION BY {named} " if named else ""


def _partition(emission: Emission, restart: Sequence[Bound]) -> tuple[str, list[Bound]]:
    """`PARTITION BY` the rows between two restarts; '' where nothing restarts and rows are all in one part."""
    if not restart:
        return _within(emission), []
    flag = convert(emission, restart[0], BOOL, index=1)
    if flag.constant and not flag.value:
        return _within(emission), []
    group = emission.earlier(
        result(
            f"sum(CASE WHEN {flag.sql} THEN 1 ELSE 0 END) OVER ({_within(emission)}{emission.ordering} {_SO_FAR})",
            LONG,
            [flag],
        )
    )
    return _within(emission, group.sql), [group]


def _row_cumsum(emission: Emission, args: Sequence[Bound]) -> Bound:
    term = number(emission, args[0])
    partition, group = _partition(emission, args[1:])
    window = f"OVER ({partition}{emission.ordering} {_SO_FAR})"
    if term.type in (INT, LONG, TIMESPAN):
        kind = TIMESPAN if term.type is TIMESPAN else LONG
        return expand(emission, f"kql_wrap_long(coalesce(sum({{0}}) {window}, 0))", kind, term, *group)
    term = convert(emission, term, REAL)
    return result(f"coalesce(sum({term.sql}) {window}, 0.0)", REAL, [term, *group])


def _row_rank(*, dense: bool) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        term = args[0]
        partition, group = _partition(emission, args[1:])
        # A row begins a rank where its term differs from the row before, or nothing is before it.
        begins = emission.earlier(
            result(
                f"(lag({term.sql}) OVER ({partition}{emission.ordering})) IS DISTINCT FROM {term.sql}"
                f" OR row_number() OVER ({partition}{emission.ordering}) = 1",
                BOOL,
                [term, *group],
            )
        )
        window = f"OVER ({partition}{emission.ordering} {_SO_FAR})"
        if dense:
            return result(
                f"sum(CASE WHEN {begins.sql} THEN 1 ELSE 0 END) {window}::BIGINT", LONG, [begins, *group]
            )
        place = emission.earlier(
            result(f"row_number() OVER ({partition}{emission.ordering})", LONG, [term, *group])
        )
        return result(
            f"max(CASE WHEN {begins.sql} THEN {place.sql} END) {window}", LONG, [begins, place, *group]
        )

    return emit


def _window(name: str, parameters: Sequence[Parameter], returns: str, summary: str, emit: Emit) -> Function:
    return Function(
        name=name,
        kind=FunctionKind.WINDOW,
        parameters=parameters,
        returns=returns,
        summary=summary,
        emit=emit,
    )


_RESTART = parameter("restart", BOOLS, optional=True)
_NEIGHBOUR = [
    parameter("column", ANY),
    parameter("offset", WHOLES, optional=True, constant=True),
    parameter("default_value", ANY, optional=True),
]

FUNCTIONS: Final = (
    _window(
        "prev",
        _NEIGHBOUR,
        "the type of the argument",
        "The value some rows before this one.",
        _neighbour("lag"),
    ),
    _window(
        "next",
        _NEIGHBOUR,
        "the type of the argument",
        "The value some rows after this one.",
        _neighbour("lead"),
    ),
    _window(
        "row_number",
        [parameter("startingIndex", WHOLES, optional=True), _RESTART],
        "long",
        "The row's number, from 1, or since the last restart.",
        _row_number,
    ),
    _window(
        "row_cumsum",
        [parameter("term", NUMBERS | SPANS), _RESTART],
        "long, real or timespan",
        "The sum of all rows up to this one, or since the last restart.",
        _row_cumsum,
    ),
    _window(
        "row_rank_dense",
        [parameter("term", ANY), _RESTART],
        "long",
        "How many different runs of the term there are up to this row.",
        _row_rank(dense=True),
    ),
    _window(
        "row_rank_min",
        [parameter("term", ANY), _RESTART],
        "long",
        "The number of the first row that has this row's term.",
        _row_rank(dense=False),
    ),
)
