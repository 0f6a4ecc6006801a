"""What every function family is written with: type sets, literals, results, and conversions between KQL's types."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from shared.kql.functions.datetime_text import TEXT_DATETIME
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import (
    ArgumentRefused,
    Bound,
    Emission,
    Emit,
    Function,
    FunctionKind,
    LiteralValue,
    Parameter,
)
from shared.kql.types import SQL_TYPE, KqlType

BOOL, INT, LONG, REAL = KqlType.BOOL, KqlType.INT, KqlType.LONG, KqlType.REAL
DECIMAL, STRING, DATETIME = KqlType.DECIMAL, KqlType.STRING, KqlType.DATETIME
TIMESPAN, GUID, DYNAMIC = KqlType.TIMESPAN, KqlType.GUID, KqlType.DYNAMIC

ANY: Final[frozenset[KqlType]] = frozenset()
# Kusto turns a dynamic into the type a function asks for wherever that type is a primitive one.
TEXTS: Final = frozenset({STRING, DYNAMIC})
INTEGERS: Final = frozenset({INT, LONG})
WHOLES: Final = frozenset({INT, LONG, DYNAMIC})
NUMBERS: Final = frozenset({INT, LONG, REAL, DECIMAL, DYNAMIC})
INSTANTS: Final = frozenset({DATETIME, DYNAMIC})
SPANS: Final = frozenset({TIMESPAN, DYNAMIC})
BOOLS: Final = frozenset({BOOL, DYNAMIC})
DYNAMICS: Final = frozenset({DYNAMIC})

_PLAIN_TEXT = re.compile(r"[^\x00]*")


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''").replace("\0", "' || chr(0) || '") + "'"


def literal(value: LiteralValue, kind: KqlType) -> Bound:
    """A constant of this type; None is its null, which for a string is ''."""
    return Bound(sql=literal_sql(value, kind), type=kind, constant=True, value=value)


def literal_sql(value: LiteralValue, kind: KqlType) -> str:
    if kind is STRING:
        return quote("" if value is None else str(value))
    if value is None:
        return f"NULL::{SQL_TYPE[kind]}"
    if kind is BOOL:
        return "true" if value else "false"
    if kind is REAL:
        number = float(value)
        if number != number or number in (float("inf"), float("-inf")):
            return f"'{number}'::DOUBLE"
        return f"({number!r}::DOUBLE)"
    if kind in (LONG, INT, DATETIME, TIMESPAN):
        if value == -(2**63):
            return "(-9223372036854775807-1)::BIGINT"
        return f"({int(value)}::{SQL_TYPE[kind]})"
    return f"{quote(str(value))}::{SQL_TYPE[kind]}"


def columns_of(args: Iterable[Bound]) -> frozenset[str]:
    return frozenset[str]().union(*(arg.columns for arg in args))


def result(sql: str, kind: KqlType, args: Iterable[Bound] = ()) -> Bound:
    """An expression made of `args`; it reads the columns they read."""
    return Bound(sql=f"({sql})", type=kind, columns=columns_of(args))


def invoke(emission: Emission, macro: str, kind: KqlType, *args: Bound) -> Bound:
    """A call of a shared macro."""
    MACROS.require(emission, macro)
    return Bound(sql=f"{macro}({', '.join(arg.sql for arg in args)})", type=kind, columns=columns_of(args))


# -- conversions -----------------------------------------------------------------------------------------------

# (from, to) -> a macro's name, or a template over {0}
_CONVERSIONS: Final[Mapping[tuple[KqlType, KqlType], str]] = MappingProxyType(
    {
        (BOOL, INT): "({0})::INTEGER",
        (BOOL, LONG): "({0})::BIGINT",
        (BOOL, REAL): "({0})::INTEGER::DOUBLE",
        (BOOL, DECIMAL): "({0})::INTEGER::DECIMAL(38,17)",
        (BOOL, STRING): "kql_bool_text",
        (BOOL, DYNAMIC): "to_json({0})",
        (INT, BOOL): "({0} <> 0)",
        (INT, LONG): "({0})::BIGINT",
        (INT, REAL): "({0})::DOUBLE",
        (INT, DECIMAL): "({0})::DECIMAL(38,17)",
        (INT, STRING): "coalesce(({0})::VARCHAR, '')",
        (INT, DYNAMIC): "to_json({0})",
        (INT, DATETIME): "({0})::BIGINT",
        (INT, TIMESPAN): "({0})::BIGINT",
        (LONG, BOOL): "({0} <> 0)",
        (LONG, INT): "kql_wrap_int",
        (LONG, REAL): "({0})::DOUBLE",
        (LONG, DECIMAL): "({0})::DECIMAL(38,17)",
        (LONG, STRING): "coalesce(({0})::VARCHAR, '')",
        (LONG, DYNAMIC): "to_json({0})",
        (LONG, DATETIME): "({0})",
        (LONG, TIMESPAN): "({0})",
        (REAL, BOOL): "(trunc({0}) <> 0)",
        (REAL, INT): "kql_real_int",
        (REAL, LONG): "kql_real_long",
        (REAL, DECIMAL): "TRY_CAST({0} AS DECIMAL(38,17))",
        (REAL, STRING): "kql_real_text",
        (REAL, DYNAMIC): "kql_real_json",
        (REAL, DATETIME): "kql_real_long",
        (REAL, TIMESPAN): "kql_real_long",
        (DECIMAL, BOOL): "({0} <> 0)",
        (DECIMAL, INT): "kql_real_int",
        (DECIMAL, LONG): "kql_real_long",
        (DECIMAL, REAL): "({0})::DOUBLE",
        (DECIMAL, STRING): "kql_decimal_text",
        (DECIMAL, DYNAMIC): "to_json(nullif(kql_decimal_text({0}), ''))",
        (STRING, BOOL): "kql_text_bool",
        (STRING, INT): "kql_text_int",
        (STRING, LONG): "kql_text_long",
        (STRING, REAL): "kql_text_real",
        (STRING, DECIMAL): "TRY_CAST({0} AS DECIMAL(38,17))",
        (STRING, DATETIME): TEXT_DATETIME,
        (STRING, TIMESPAN): "kql_text_timespan",
        (STRING, GUID): "TRY_CAST({0} AS UUID)",
        (STRING, DYNAMIC): "to_json({0})",
        (DATETIME, INT): "kql_wrap_int",
        (DATETIME, LONG): "({0})",
        (DATETIME, REAL): "({0})::DOUBLE",
        (DATETIME, STRING): "kql_datetime_text",
        (DATETIME, DYNAMIC): "to_json(kql_datetime_text_or_null({0}))",
        (TIMESPAN, INT): "kql_wrap_int",
        (TIMESPAN, LONG): "({0})",
        (TIMESPAN, REAL): "({0})::DOUBLE",
        (TIMESPAN, STRING): "kql_timespan_text",
        (TIMESPAN, DYNAMIC): "to_json(kql_timespan_text_or_null({0}))",
        (GUID, STRING): "coalesce(({0})::VARCHAR, '')",
        (GUID, DYNAMIC): "to_json(({0})::VARCHAR)",
        (DYNAMIC, BOOL): "kql_dynamic_bool",
        (DYNAMIC, INT): "kql_dynamic_int",
        (DYNAMIC, LONG): "kql_dynamic_long",
        (DYNAMIC, REAL): "kql_dynamic_real",
        (DYNAMIC, DECIMAL): "TRY_CAST(json_extract_string({0}, '$') AS DECIMAL(38,17))",
        (DYNAMIC, STRING): "kql_dynamic_text",
        (DYNAMIC, DATETIME): "kql_dynamic_datetime",
        (DYNAMIC, TIMESPAN): "kql_dynamic_timespan",
        (DYNAMIC, GUID): "TRY_CAST(json_extract_string({0}, '$') AS UUID)",
    }
)


def expand(emission: Emission, template: str, kind: KqlType, *args: Bound) -> Bound:
    """`template` with {0}, {1}, … replaced by the arguments; the macros it calls come along."""
    MACROS.require_called(emission, template)
    sql = template
    # Not str.format: templates hold braces of their own (struct literals, formats).
    sql = re.sub(r"\{(\d)\}", lambda hole: args[int(hole[1])].sql, sql)
    return Bound(sql=f"({sql})", type=kind, columns=columns_of(args))


def can_convert(source: KqlType, target: KqlType) -> bool:
    return source is target or (source, target) in _CONVERSIONS


def convert(emission: Emission, arg: Bound, target: KqlType, *, index: int = 0) -> Bound:
    """The argument as `target`, the way Kusto's to…() functions do it: what cannot be read becomes null (or '')."""
    if arg.type is target:
        return arg
    if arg.constant and arg.value is None:
        return literal(None, target)
    if arg.constant and (folded := _fold(arg, target)) is not None:
        return folded
    how = _CONVERSIONS.get((arg.type, target))
    if how is None:
        raise ArgumentRefused(f"a value of type {arg.type} cannot become a {target}", index=index)
    if how.startswith("kql_") and "(" not in how:
        return invoke(emission, how, target, arg)
    return expand(emission, how, target, arg)


def _fold(arg: Bound, target: KqlType) -> Bound | None:
    """Widening of constants, and text of whole numbers: so that bounds and patterns stay constants."""
    value = arg.value
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    if arg.type in (INT, LONG):
        if target in (LONG, DATETIME, TIMESPAN):
            return literal(value, target)
        if target is REAL:
            return literal(float(value), REAL)
        if target is STRING:
            return literal(str(value), STRING)
    if arg.type in (DATETIME, TIMESPAN) and target is LONG:
        return literal(value, LONG)
    return None


_WIDTH: Final[Mapping[KqlType, int]] = MappingProxyType({INT: 0, LONG: 1, REAL: 2, DECIMAL: 3})


def common_type(args: Sequence[Bound]) -> KqlType:
    """The one type that all the arguments can take: the widest number, or the one they share; dynamic swallows the rest.

    Raises ArgumentRefused where there is none.
    """
    found = args[0].type
    for index, arg in enumerate(args[1:], start=1):
        kind = arg.type
        if kind is found:
            continue
        if kind in _WIDTH and found in _WIDTH:
            found = max(kind, found, key=lambda each: _WIDTH[each])
        elif found is DYNAMIC or kind is DYNAMIC:
            found = DYNAMIC
        else:
            raise ArgumentRefused(f"expected a value of type {found}, found {kind}", index=index)
    return found


def unify(emission: Emission, args: Sequence[Bound]) -> tuple[KqlType, list[Bound]]:
    kind = common_type(args)
    return kind, [convert(emission, arg, kind, index=index) for index, arg in enumerate(args)]


def number(emission: Emission, arg: Bound, *, index: int = 0) -> Bound:
    """A numeric argument as it is; a dynamic one as a real."""
    return convert(emission, arg, REAL, index=index) if arg.type is DYNAMIC else arg


def constant_text(arg: Bound, what: str, *, index: int) -> str:
    if not arg.constant or not isinstance(arg.value, str):
        raise ArgumentRefused(f"{what} must be a constant string", index=index)
    return arg.value


def constant_int(arg: Bound, what: str, *, index: int) -> int:
    if not arg.constant or isinstance(arg.value, bool) or not isinstance(arg.value, int):
        raise ArgumentRefused(f"{what} must be a constant integer", index=index)
    return arg.value


# -- entries ---------------------------------------------------------------------------------------------------


def parameter(
    name: str,
    types: frozenset[KqlType] = ANY,
    *,
    optional: bool = False,
    constant: bool = False,
    variadic: bool = False,
) -> Parameter:
    return Parameter(name=name, types=types, optional=optional, constant=constant, variadic=variadic)


def scalar(
    name: str,
    parameters: Sequence[Parameter],
    returns: str,
    summary: str,
    emit: Emit,
    *,
    aliases: Sequence[str] = (),
    deterministic: bool = True,
) -> Function:
    return Function(
        name=name,
        kind=FunctionKind.SCALAR,
        parameters=parameters,
        returns=returns,
        summary=summary,
        emit=emit,
        aliases=aliases,
        deterministic=deterministic,
    )


def templated(
    template: str, returns: KqlType, *takes: KqlType | None
) -> Callable[[Emission, Sequence[Bound]], Bound]:
    """An emitter that converts each argument to the type in its place (None: as it is) and fills the template."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        ready = [
            arg if kind is None else convert(emission, arg, kind, index=index)
            for index, (arg, kind) in enumerate(zip(args, takes, strict=False))
        ]
        return expand(emission, template, returns, *ready)

    return emit


def by_native(name: str, returns: KqlType, *takes: KqlType) -> Callable[[Emission, Sequence[Bound]], Bound]:
    """An emitter that hands its arguments, converted, to a function of `shared.kql.native`. Dynamics travel as text."""

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        emission.native(name)
        ready = [
            convert(emission, arg, kind, index=index)
            for index, (arg, kind) in enumerate(zip(args, takes, strict=False))
        ]
        inputs = ", ".join(f"{arg.sql}::VARCHAR" if arg.type is DYNAMIC else arg.sql for arg in ready)
        call = f"{name}({inputs})"
        if returns is DYNAMIC:
            call = f"{call}::JSON"
        elif returns is STRING:
            call = f"coalesce({call}, '')"
        return result(call, returns, ready)

    return emit
