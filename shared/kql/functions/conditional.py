"""Functions that choose between values, and ask whether a value is there."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    BOOLS,
    DATETIME,
    DYNAMIC,
    NUMBERS,
    REAL,
    STRING,
    TIMESPAN,
    convert,
    expand,
    invoke,
    literal,
    number,
    parameter,
    result,
    scalar,
    unify,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit


def _iff(emission: Emission, args: Sequence[Bound]) -> Bound:
    condition = convert(emission, args[0], BOOL)
    kind, (then, otherwise) = unify(emission, args[1:])
    return result(
        f"CASE WHEN {condition.sql} THEN {then.sql} ELSE {otherwise.sql} END",
        kind,
        [condition, then, otherwise],
    )


def _case(emission: Emission, args: Sequence[Bound]) -> Bound:
    if len(args) < 3 or len(args) % 2 == 0:
        raise ArgumentRefused(
            "case() takes pairs of a condition and a value, and one value to fall back on",
            index=len(args) - 1,
        )
    conditions = [convert(emission, arg, BOOL, index=2 * at) for at, arg in enumerate(args[:-1:2])]
    kind, values = unify(emission, [*args[1::2], args[-1]])
    branches = " ".join(
        f"WHEN {condition.sql} THEN {value.sql}"
        for condition, value in zip(conditions, values[:-1], strict=True)
    )
    return result(f"CASE {branches} ELSE {values[-1].sql} END", kind, [*conditions, *values])


def _coalesce(emission: Emission, args: Sequence[Bound]) -> Bound:
    kind, values = unify(emission, args)
    if kind is STRING:
        # Strings are never null: coalesce() takes the first that is not empty.
        tried = ", ".join(f"nullif({value.sql}, '')" for value in values)
        return result(f"coalesce({tried}, '')", kind, values)
    return result(f"coalesce({', '.join(value.sql for value in values)})", kind, values)


def _isnull(_: Emission, args: Sequence[Bound]) -> Bound:
    if args[0].type is STRING:
        return literal(value=False, kind=BOOL)
    return result(f"{args[0].sql} IS NULL", BOOL, args)


def _isnotnull(_: Emission, args: Sequence[Bound]) -> Bound:
    if args[0].type is STRING:
        return literal(value=True, kind=BOOL)
    return result(f"{args[0].sql} IS NOT NULL", BOOL, args)


def _isempty(emission: Emission, args: Sequence[Bound]) -> Bound:
    if args[0].type in (STRING, DYNAMIC):
        return result(f"{convert(emission, args[0], STRING).sql} = ''", BOOL, args)
    return result(f"{args[0].sql} IS NULL", BOOL, args)


def _isnotempty(emission: Emission, args: Sequence[Bound]) -> Bound:
    if args[0].type in (STRING, DYNAMIC):
        return result(f"{convert(emission, args[0], STRING).sql} <> ''", BOOL, args)
    return result(f"{args[0].sql} IS NOT NULL", BOOL, args)


def _not(emission: Emission, args: Sequence[Bound]) -> Bound:
    return result(f"NOT {convert(emission, args[0], BOOL).sql}", BOOL, args)


def _extreme(function: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        kind, values = unify(emission, [number(emission, arg) for arg in args])
        if kind not in (*NUMBERS, DATETIME, TIMESPAN, STRING):
            raise ArgumentRefused(f"values of type {kind} have no order")
        found = f"{function}({', '.join(value.sql for value in values)})"
        if kind is REAL and function == "least":
            # NaN is greater than all reals to DuckDB; to Kusto it wins at either end.
            some_nan = " OR ".join(f"coalesce(isnan({value.sql}), false)" for value in values)
            found = f"CASE WHEN {some_nan} THEN 'nan'::DOUBLE ELSE {found} END"
        return result(found, kind, values)

    return emit


MACROS.define("kql_isnan(x)", "isnan(x)")
MACROS.define("kql_isinf(x)", "isinf(x)")
MACROS.define("kql_isfinite(x)", "isfinite(x)")


def _real_test(macro: str) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        return invoke(emission, macro, BOOL, convert(emission, args[0], REAL))

    return emit


def _assert(emission: Emission, args: Sequence[Bound]) -> Bound:
    return expand(
        emission,
        "CASE WHEN {0} THEN true ELSE error({1}) END",
        BOOL,
        convert(emission, args[0], BOOL),
        args[1],
    )


_VALUE = parameter("value", ANY)

FUNCTIONS: Final = (
    scalar(
        "iff",
        [parameter("if", BOOLS), parameter("then", ANY), parameter("else", ANY)],
        "the type of then and else",
        "`then` where the condition holds, `else` where it is false or null.",
        _iff,
        aliases=("iif",),
    ),
    scalar(
        "case",
        [
            parameter("predicate_1", BOOLS),
            parameter("then_1", ANY),
            parameter("predicates_and_values", ANY, variadic=True),
        ],
        "the type of the values",
        "The value of the first condition that holds, or else the last argument.",
        _case,
    ),
    scalar(
        "coalesce",
        [_VALUE, parameter("values", ANY, variadic=True)],
        "the type of the arguments",
        "The first argument that is not null (for strings: not empty).",
        _coalesce,
    ),
    scalar("isnull", [_VALUE], "bool", "Whether the value is null; a string never is.", _isnull),
    scalar(
        "isnotnull",
        [_VALUE],
        "bool",
        "Whether the value is not null; a string always is.",
        _isnotnull,
        aliases=("notnull",),
    ),
    scalar("isempty", [_VALUE], "bool", "Whether the value is null or the empty string.", _isempty),
    scalar(
        "isnotempty",
        [_VALUE],
        "bool",
        "Whether the value is neither null nor the empty string.",
        _isnotempty,
        aliases=("notempty",),
    ),
    scalar("not", [parameter("value", BOOLS)], "bool", "The opposite of the value.", _not),
    scalar(
        "max_of",
        [_VALUE, parameter("values", ANY, variadic=True)],
        "the common type",
        "The greatest of the arguments that are not null.",
        _extreme("greatest"),
    ),
    scalar(
        "min_of",
        [_VALUE, parameter("values", ANY, variadic=True)],
        "the common type",
        "The least of the arguments that are not null.",
        _extreme("least"),
    ),
    scalar(
        "isnan", [parameter("number", NUMBERS)], "bool", "Whether the value is NaN.", _real_test("kql_isnan")
    ),
    scalar(
        "isinf",
        [parameter("number", NUMBERS)],
        "bool",
        "Whether the value is positive or negative infinity.",
        _real_test("kql_isinf"),
    ),
    scalar(
        "isfinite",
        [parameter("number", NUMBERS)],
        "bool",
        "Whether the value is neither infinite nor NaN.",
        _real_test("kql_isfinite"),
    ),
    scalar(
        "assert",
        [parameter("condition", BOOLS), parameter("message", frozenset({STRING}), constant=True)],
        "bool",
        "True, or the query fails with the message.",
        _assert,
    ),
)
