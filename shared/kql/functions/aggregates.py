"""Functions over groups of rows."""

import json
from collections.abc import Callable, Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    BOOLS,
    DATETIME,
    DECIMAL,
    DYNAMIC,
    DYNAMICS,
    INT,
    LONG,
    NUMBERS,
    REAL,
    SPANS,
    STRING,
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
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import (
    ArgumentRefused,
    Bound,
    Emission,
    Emit,
    Function,
    FunctionKind,
    Parameter,
)

MAX_ELEMENTS: Final = 1_048_576
"""What make_list() and make_set() hold at most where the query sets no limit of its own."""

Filtered = Callable[[Emission, Sequence[Bound], str], Bound]
"""An emitter that is told a FILTER clause to put behind every aggregate it writes; '' for none."""


def _plain(emit: Filtered) -> Emit:
    return lambda emission, args: emit(emission, args, "")


def _where(emit: Filtered, at: int) -> Emit:
    """The same aggregate over the rows where the argument at this place holds."""

    def conditional(emission: Emission, args: Sequence[Bound]) -> Bound:
        condition = convert(emission, args[at], BOOL, index=at)
        rest = [arg for index, arg in enumerate(args) if index != at]
        found = emit(emission, rest, f" FILTER (WHERE {condition.sql})")
        return result(found.sql, found.type, [found, condition])

    return conditional


def _count(_: Emission, args: Sequence[Bound], rows: str) -> Bound:
    # count(x) counts rows, as count() does: Kusto's engine does not look at x.
    return result(f"count(*){rows}", LONG, args)


def _sum(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    value = number(emission, args[0])
    if value.type in (INT, LONG, TIMESPAN):
        kind = TIMESPAN if value.type is TIMESPAN else LONG
        return expand(emission, f"kql_wrap_long(coalesce(sum({{0}}){rows}, 0))", kind, value)
    if value.type is BOOL:
        value = convert(emission, value, LONG)
        return expand(emission, f"kql_wrap_long(coalesce(sum({{0}}){rows}, 0))", LONG, value)
    if value.type is DECIMAL:
        return result(f"coalesce(sum({value.sql}){rows}, 0)::DECIMAL(38,17)", DECIMAL, [value])
    return result(f"coalesce(sum({value.sql}){rows}, 0.0)", REAL, [value])


def _avg(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    value = number(emission, args[0])
    if value.type in (TIMESPAN, DATETIME):
        return expand(
            emission, f"(sum({{0}}){rows} // nullif(count({{0}}){rows}, 0))::BIGINT", value.type, value
        )
    if value.type is DECIMAL:
        return result(f"(avg({value.sql}){rows})::DECIMAL(38,17)", DECIMAL, [value])
    if value.type in (INT, LONG):
        # The engine's sum wraps, and so does its mean.
        return expand(
            emission,
            f"coalesce(kql_wrap_long(sum({{0}}){rows})::DOUBLE / nullif(count({{0}}){rows}, 0), 'nan'::DOUBLE)",
            REAL,
            value,
        )
    return expand(
        emission, f"coalesce(avg({{0}}){rows}, 'nan'::DOUBLE)", REAL, convert(emission, value, REAL)
    )


def _extreme(function: str) -> Filtered:
    def emit(_: Emission, args: Sequence[Bound], rows: str) -> Bound:
        value = args[0]
        if value.type is STRING:
            return result(f"coalesce({function}({value.sql}){rows}, '')", STRING, [value])
        if value.type is REAL and function == "min":
            # NaN is the least and the greatest of reals to Kusto; to DuckDB only the greatest.
            return result(
                f"CASE WHEN bool_or(isnan({value.sql})){rows} THEN 'nan'::DOUBLE ELSE min({value.sql}){rows} END",
                REAL,
                [value],
            )
        return result(f"{function}({value.sql}){rows}", value.type, [value])

    return emit


def _moment(function: str) -> Filtered:
    def emit(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
        value = convert(emission, args[0], REAL)
        return expand(emission, f"coalesce({function}({{0}}){rows}, 0.0)", REAL, value)

    return emit


def _co_moment(function: str) -> Filtered:
    def emit(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
        left, right = (convert(emission, arg, REAL, index=index) for index, arg in enumerate(args))
        return expand(emission, f"coalesce({function}({{0}}, {{1}}){rows}, 0.0)", REAL, left, right)

    return emit


def _dcount(_: Emission, args: Sequence[Bound], rows: str) -> Bound:
    return result(f"count(DISTINCT {args[0].sql}){rows}", LONG, args[:1])


def _any(_: Emission, args: Sequence[Bound], rows: str) -> Bound:
    value = args[0]
    if value.type is STRING:
        return result(f"coalesce(any_value({value.sql}){rows}, '')", STRING, [value])
    return result(f"any_value({value.sql}){rows}", value.type, [value])


def arg_extreme(function: str) -> Filtered:
    """One payload column of arg_max()/arg_min(): the value in the row where the key is greatest or least.

    Arguments are the key and the payload. Of rows with equal keys the same one answers for every payload. Where all
    keys are null, some row still answers.
    """

    def emit(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
        key, payload = args
        if key.type is DYNAMIC:
            key = convert(emission, key, STRING)
        sql = (
            f"CASE WHEN count({key.sql}){rows} = 0 THEN first({payload.sql}){rows}"
            f" ELSE arg_{function}_null({payload.sql}, {key.sql}){rows} END"
        )
        if key.type is REAL and function == "min":
            nan = f"FILTER (WHERE isnan({key.sql}){_also(rows)})"
            sql = f"CASE WHEN count(*) {nan} > 0 THEN first({payload.sql}) {nan} ELSE {sql} END"
        if payload.type is STRING:
            sql = f"coalesce({sql}, '')"
        return result(sql, payload.type, [key, payload])

    return emit


def _also(rows: str) -> str:
    """The condition inside a FILTER clause, to be ANDed to another."""
    return f" AND {rows.removeprefix(' FILTER (WHERE ').removesuffix(')')}" if rows else ""


def _percentile(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    value = number(emission, args[0])
    if value.type is BOOL:
        value = convert(emission, value, LONG)
    share = _share(args[1], index=1)
    kind = LONG if value.type is INT else value.type
    return result(f"quantile_disc({value.sql}, {share!r}){rows}", kind, [value])


# The least value whose weights, with those of all lesser ones, reach the share.
MACROS.define(
    "kql_weighted_rank(pairs, share)",
    """
    list_filter(pairs, lambda p, i:
        list_sum(list_transform(pairs[1:i], lambda q: q.w)) >= list_sum(list_transform(pairs, lambda q: q.w)) * share
    )[1].v
    """,
)


def _percentilew(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    value, weight = number(emission, args[0]), convert(emission, args[1], REAL, index=1)
    share = _share(args[2], index=2)
    kind = LONG if value.type is INT else value.type
    pairs = f"list_sort(list({{'v': {value.sql}, 'w': {weight.sql}}}){_weighed(rows, value, weight)})"
    return expand(
        emission, f"kql_weighted_rank({pairs}, {share!r})", kind, result("''", kind, [value, weight])
    )


def _weighed(rows: str, value: Bound, weight: Bound) -> str:
    return f" FILTER (WHERE {value.sql} IS NOT NULL AND {weight.sql} > 0{_also(rows)})"


def _share(rank: Bound, *, index: int) -> float:
    """A percentile as a share of one."""
    if not rank.constant or isinstance(rank.value, bool) or not isinstance(rank.value, int | float):
        raise ArgumentRefused("the percentile must be a constant number", index=index)
    if not 0 <= rank.value <= 100:
        raise ArgumentRefused("a percentile lies between 0 and 100", index=index)
    return rank.value / 100


def _percentilesw_array(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    ranks = _ranks([args[0], *args[2:]])
    found = [convert(emission, _percentilew(emission, [*args[:2], rank], rows), DYNAMIC) for rank in ranks]
    return result(f"to_json([{', '.join(each.sql for each in found)}])", DYNAMIC, found)


def _percentiles_array(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    found = [
        convert(emission, _percentile(emission, [args[0], rank], rows), DYNAMIC) for rank in _ranks(args)
    ]
    return result(f"to_json([{', '.join(each.sql for each in found)}])", DYNAMIC, found)


def _ranks(args: Sequence[Bound]) -> list[Bound]:
    if len(args) == 2 and args[1].type is DYNAMIC and isinstance(args[1].value, str):
        return [literal(float(each), REAL) for each in json.loads(args[1].value)]
    return list(args[1:])


# -- lists and sets ------------------------------------------------------------------------------------------

# Distinct values in the order in which they first came, as long as that is cheap to find out.
MACROS.define(
    "kql_in_order(found, l)",
    """
    CASE
    WHEN len(found) > 128 THEN found
    ELSE list_transform(
        list_sort(list_transform(found, lambda v: {'p': list_position(l, v), 'v': v})), lambda s: s.v)
    END
    """,
)
MACROS.define("kql_distinct(l)", "kql_in_order(list_distinct(l), l)")
MACROS.define("kql_array(l, n)", "coalesce(to_json(l[1:n]), '[]'::JSON)")


def _element(emission: Emission, value: Bound) -> Bound:
    """The value as JSON will hold it, cheaply: plain numbers and texts go in as they are."""
    if value.type in (BOOL, INT, LONG, STRING, DYNAMIC):
        return value
    return convert(emission, value, DYNAMIC)


def _limit(args: Sequence[Bound]) -> int:
    if len(args) < 2:
        return MAX_ELEMENTS
    limit = constant_int(args[1], "the limit", index=1)
    return MAX_ELEMENTS if limit < 0 else min(limit, MAX_ELEMENTS)


def _not_null(rows: str, element: Bound) -> str:
    if element.type is STRING:
        return rows
    return f" FILTER (WHERE {element.sql} IS NOT NULL{_also(rows)})"


def _order(emission: Emission) -> str:
    """Rows that are in order stay so inside the list."""
    return f" {emission.ordering}" if emission.ordering else ""


def _make_list(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    element = _element(emission, args[0])
    return expand(
        emission,
        f"kql_array(list({{0}}{_order(emission)}){_not_null(rows, element)}, {_limit(args)})",
        DYNAMIC,
        element,
    )


def _make_list_with_nulls(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    element = _element(emission, args[0])
    return expand(
        emission, f"kql_array(list({{0}}{_order(emission)}){rows}, {_limit(args)})", DYNAMIC, element
    )


def _make_set(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    element = _element(emission, args[0])
    return expand(
        emission,
        f"kql_array(kql_distinct(list({{0}}{_order(emission)}){_not_null(rows, element)}), {_limit(args)})",
        DYNAMIC,
        element,
    )


# The value of a key that several bags have is arbitrary to Kusto; here the last one wins.
MACROS.define(
    "kql_bag_entries(l)",
    "flatten(list_transform(l, lambda b: map_entries(TRY_CAST(b AS MAP(VARCHAR, JSON)))))",
)
MACROS.define(
    "kql_bag_of_entries(entries)",
    """
    to_json(map_from_entries(list_filter(
        entries, lambda e, i: list_position(list_transform(entries, lambda o: o.key), e.key) = i)))
    """,
)
MACROS.define(
    "kql_make_bag(l, n)",
    "coalesce(kql_bag_of_entries(kql_bag_entries(l)[1:n]), '{}'::JSON)",
)


def _make_bag(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
    bags = f" FILTER (WHERE json_type({args[0].sql}) = 'OBJECT'{_also(rows)})"
    return expand(
        emission, f"kql_make_bag(list({{0}}{_order(emission)}){bags}, {_limit(args)})", DYNAMIC, args[0]
    )


def _binary(function: str) -> Filtered:
    def emit(emission: Emission, args: Sequence[Bound], rows: str) -> Bound:
        return expand(emission, f"{function}({{0}}){rows}", LONG, convert(emission, args[0], LONG))

    return emit


# -- entries ---------------------------------------------------------------------------------------------------


def _aggregate(
    name: str,
    parameters: Sequence[Parameter],
    returns: str,
    summary: str,
    emit: Filtered,
    *,
    auto_name: str,
    aliases: Sequence[str] = (),
) -> Function:
    return Function(
        name=name,
        kind=FunctionKind.AGGREGATE,
        parameters=parameters,
        returns=returns,
        summary=summary,
        emit=_plain(emit),
        aliases=aliases,
        auto_name=auto_name,
    )


def _pair(
    name: str,
    parameters: Sequence[Parameter],
    returns: str,
    summary: str,
    emit: Filtered,
    *,
    auto_name: str,
    conditional: str,
    conditional_auto_name: str | None = None,
    condition_at: int = 1,
    aliases: Sequence[str] = (),
) -> tuple[Function, Function]:
    """An aggregate, and its twin over the rows where a condition holds."""
    with_condition = [*parameters[:condition_at], parameter("predicate", BOOLS), *parameters[condition_at:]]
    return (
        _aggregate(name, parameters, returns, summary, emit, auto_name=auto_name, aliases=aliases),
        Function(
            name=conditional,
            kind=FunctionKind.AGGREGATE,
            parameters=with_condition,
            returns=returns,
            summary=f"{summary} Only rows where the condition holds count.",
            emit=_where(emit, condition_at),
            auto_name=conditional_auto_name or f"{conditional}_{{0}}",
        ),
    )


_NUMERIC = frozenset({*NUMBERS, BOOL})
_VALUE = parameter("expr", ANY)
_NUMBER = parameter("expr", _NUMERIC)
_SUMMABLE = parameter("expr", _NUMERIC | SPANS)
_AVERAGED = parameter("expr", _NUMERIC | SPANS | {DATETIME})
_WEIGHT = parameter("weight", NUMBERS)
_SIZE = parameter("maxSize", WHOLES, optional=True, constant=True)

FUNCTIONS: Final = (
    *_pair(
        "count",
        [parameter("expr", ANY, optional=True)],
        "long",
        "How many rows there are.",
        _count,
        auto_name="count_",
        conditional="countif",
        conditional_auto_name="countif_",
        condition_at=0,
    )[:1],
    Function(
        name="countif",
        kind=FunctionKind.AGGREGATE,
        parameters=[parameter("predicate", BOOLS)],
        returns="long",
        summary="In how many rows the condition holds.",
        emit=_where(_count, 0),
        auto_name="countif_",
    ),
    *_pair(
        "sum",
        [_SUMMABLE],
        "long, real, decimal or timespan",
        "The sum of the values that are not null; 0 of none.",
        _sum,
        auto_name="sum_{0}",
        conditional="sumif",
    ),
    *_pair(
        "avg",
        [_AVERAGED],
        "real, decimal or timespan",
        "The mean of the values that are not null; NaN of none.",
        _avg,
        auto_name="avg_{0}",
        conditional="avgif",
    ),
    *_pair(
        "max",
        [_VALUE],
        "the type of the argument",
        "The greatest value; null of none.",
        _extreme("max"),
        auto_name="max_{0}",
        conditional="maxif",
    ),
    *_pair(
        "min",
        [_VALUE],
        "the type of the argument",
        "The least value; null of none.",
        _extreme("min"),
        auto_name="min_{0}",
        conditional="minif",
    ),
    *_pair(
        "stdev",
        [_NUMBER],
        "real",
        "The standard deviation of a sample.",
        _moment("stddev_samp"),
        auto_name="stdev_{0}",
        conditional="stdevif",
    ),
    *_pair(
        "stdevp",
        [_NUMBER],
        "real",
        "The standard deviation of a population.",
        _moment("stddev_pop"),
        auto_name="stdevp_{0}",
        conditional="stdevpif",
    ),
    *_pair(
        "variance",
        [_NUMBER],
        "real",
        "The variance of a sample.",
        _moment("var_samp"),
        auto_name="variance_{0}",
        conditional="varianceif",
    ),
    *_pair(
        "variancep",
        [_NUMBER],
        "real",
        "The variance of a population.",
        _moment("var_pop"),
        auto_name="variancep_{0}",
        conditional="variancepif",
    ),
    *_pair(
        "covariance",
        [_NUMBER, parameter("expr2", _NUMERIC)],
        "real",
        "The covariance of a sample.",
        _co_moment("covar_samp"),
        auto_name="covariance_{0}",
        conditional="covarianceif",
        condition_at=2,
    ),
    *_pair(
        "covariancep",
        [_NUMBER, parameter("expr2", _NUMERIC)],
        "real",
        "The covariance of a population.",
        _co_moment("covar_pop"),
        auto_name="covariancep_{0}",
        conditional="covariancepif",
        condition_at=2,
    ),
    *_pair(
        "dcount",
        [_VALUE, parameter("accuracy", WHOLES, optional=True, constant=True)],
        "long",
        "How many distinct values there are; counted exactly, whatever accuracy is asked for.",
        _dcount,
        auto_name="dcount_{0}",
        conditional="dcountif",
    ),
    *_pair(
        "count_distinct",
        [_VALUE],
        "long",
        "How many distinct values there are.",
        _dcount,
        auto_name="count_distinct_{0}",
        conditional="count_distinctif",
    ),
    *_pair(
        "take_any",
        [_VALUE],
        "the type of the argument",
        "The value of some row, one that is not null if there is one.",
        _any,
        auto_name="{0}",
        conditional="take_anyif",
        conditional_auto_name="{0}",
        aliases=("any",),
    ),
    Function(
        name="anyif",
        kind=FunctionKind.AGGREGATE,
        parameters=[_VALUE, parameter("predicate", BOOLS)],
        returns="the type of the argument",
        summary="The former name of take_anyif().",
        emit=_where(_any, 1),
        auto_name="{0}",
    ),
    _aggregate(
        "arg_max",
        [parameter("maximize", ANY), parameter("returned", ANY, variadic=True)],
        "the columns asked for",
        "The row in which the first argument is greatest.",
        arg_extreme("max"),
        auto_name="{0}",
        aliases=("argmax",),
    ),
    _aggregate(
        "arg_min",
        [parameter("minimize", ANY), parameter("returned", ANY, variadic=True)],
        "the columns asked for",
        "The row in which the first argument is least.",
        arg_extreme("min"),
        auto_name="{0}",
        aliases=("argmin",),
    ),
    _aggregate(
        "percentile",
        [_AVERAGED, parameter("percentile", NUMBERS, constant=True)],
        "the type of the argument",
        "The value below or at which that percentage of the values lie, by nearest rank.",
        _percentile,
        auto_name="percentile_{0}_{1}",
    ),
    _aggregate(
        "percentiles",
        [_AVERAGED, parameter("percentile", NUMBERS, constant=True, variadic=True)],
        "one column for each percentile",
        "Several percentiles at once.",
        _percentile,
        auto_name="percentile_{0}_{1}",
    ),
    _aggregate(
        "percentiles_array",
        [_AVERAGED, parameter("percentile", NUMBERS, constant=True, variadic=True)],
        "dynamic",
        "Several percentiles at once, as an array.",
        _percentiles_array,
        auto_name="percentiles_{0}",
    ),
    _aggregate(
        "percentilew",
        [_AVERAGED, _WEIGHT, parameter("percentile", NUMBERS, constant=True)],
        "the type of the argument",
        "A percentile of values that stand for as many as their weight says.",
        _percentilew,
        auto_name="percentilew_{0}_{1}_{2}",
    ),
    _aggregate(
        "percentilesw_array",
        [_AVERAGED, _WEIGHT, parameter("percentile", NUMBERS, constant=True, variadic=True)],
        "dynamic",
        "Several weighted percentiles at once, as an array.",
        _percentilesw_array,
        auto_name="percentilesw_{0}",
    ),
    *_pair(
        "make_list",
        [_VALUE, _SIZE],
        "dynamic",
        "An array of all values that are not null.",
        _make_list,
        auto_name="list_{0}",
        conditional="make_list_if",
        conditional_auto_name="list_{0}",
        aliases=("makelist",),
    ),
    _aggregate(
        "make_list_with_nulls",
        [_VALUE],
        "dynamic",
        "An array of all values, null ones too.",
        _make_list_with_nulls,
        auto_name="list_{0}",
    ),
    *_pair(
        "make_set",
        [_VALUE, _SIZE],
        "dynamic",
        "An array of the distinct values that are not null.",
        _make_set,
        auto_name="set_{0}",
        conditional="make_set_if",
        conditional_auto_name="set_{0}",
        aliases=("makeset",),
    ),
    *_pair(
        "make_bag",
        [parameter("expr", DYNAMICS), _SIZE],
        "dynamic",
        "One bag with the keys of all the bags.",
        _make_bag,
        auto_name="bag_{0}",
        conditional="make_bag_if",
        conditional_auto_name="bag_{0}",
        aliases=("make_dictionary",),
    ),
    _aggregate(
        "binary_all_and",
        [parameter("expr", WHOLES)],
        "long",
        "All values, bit by bit ANDed.",
        _binary("bit_and"),
        auto_name="binary_all_and_{0}",
    ),
    _aggregate(
        "binary_all_or",
        [parameter("expr", WHOLES)],
        "long",
        "All values, bit by bit ORed.",
        _binary("bit_or"),
        auto_name="binary_all_or_{0}",
    ),
    _aggregate(
        "binary_all_xor",
        [parameter("expr", WHOLES)],
        "long",
        "All values, bit by bit XORed.",
        _binary("bit_xor"),
        auto_name="binary_all_xor_{0}",
    ),
)
