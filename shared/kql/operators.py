"""Arithmetic and comparison: which types each operator takes, what it yields, and its SQL."""

from dataclasses import dataclass
from typing import Final

from shared.kernel.ticks import MAX_TICKS
from shared.kql.functions.build import convert, literal, result
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission
from shared.kql.types import SQL_TYPE, KqlType

T = KqlType
_WIDTH: Final = {T.INT: 0, T.LONG: 1, T.REAL: 2, T.DECIMAL: 3}
_TICKS: Final = (T.DATETIME, T.TIMESPAN)
_SUBQUERY: Final = "(SELECT "
"""TRY() may not stand around it."""
_SHORT: Final = 80
_SAFE_SHIFT: Final = 2**62  # a constant this far from the ends cannot take an instant over them


def wrap64(value: int) -> int:
    """As 64-bit integers overflow."""
    return (value + 2**63) % 2**64 - 2**63


def _refuse(op: str, left: Bound, right: Bound) -> ArgumentRefused:
    return ArgumentRefused(f"Operator '{op}' is not defined for {left.type} and {right.type}.", index=1)


def is_number(kind: KqlType) -> bool:
    return kind in _WIDTH


# Arithmetic ----------------------------------------------------------------------------------------------------------


def arithmetic(emission: Emission, op: str, left: Bound, right: Bound) -> Bound:
    left, right = _undynamic(emission, left, right), _undynamic(emission, right, left)
    left, right = _unbool(emission, left), _unbool(emission, right)
    a, b = left.type, right.type
    if a in _WIDTH and b in _WIDTH:
        kind = max(a, b, T.LONG, key=lambda each: _WIDTH[each])
        return _numeric(emission, op, kind, left, right)
    target = _temporal(op, a, b)
    if target is None:
        raise _refuse(op, left, right)
    return _ticks(op, target, left, right)


def _undynamic(emission: Emission, value: Bound, other: Bound) -> Bound:
    """A dynamic operand becomes what the other side is; two of them are numbers."""
    if value.type is not T.DYNAMIC:
        return value
    if other.type in _TICKS:
        return convert(emission, value, other.type)
    return convert(emission, value, T.LONG if other.type in (T.INT, T.LONG) else T.REAL)


def _unbool(emission: Emission, value: Bound) -> Bound:
    return value if value.type is not T.BOOL else convert(emission, value, T.LONG)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Small(Bound):
    """A whole number that is known to stay within `magnitude` of zero, so that plain arithmetic cannot overflow."""

    magnitude: int


def _magnitude(value: Bound) -> int | None:
    if isinstance(value, _Small):
        return value.magnitude
    if value.constant and isinstance(value.value, int):
        return abs(value.value)
    return 2**31 if value.type is T.INT else None


def _plainly(op: str, left: Bound, right: Bound, x: Bound, y: Bound) -> Bound | None:
    """The sum, difference or product where the operands are known to be small enough."""
    a, b = _magnitude(left), _magnitude(right)
    if a is None or b is None or op not in ("+", "-", "*") or (x.constant and y.constant):
        return None
    most = a * b if op == "*" else a + b
    if most >= 2**63:
        return None
    return _Small(sql=f"({x.sql} {op} {y.sql})", type=T.LONG, columns=x.columns | y.columns, magnitude=most)


def _numeric(emission: Emission, op: str, kind: KqlType, left: Bound, right: Bound) -> Bound:
    x, y = convert(emission, left, kind), convert(emission, right, kind)
    if kind is T.LONG:
        return _plainly(op, left, right, x, y) or _long(op, x, y)
    if kind is T.REAL:
        return _real(op, x, y)
    if op == "%":
        sql = f"TRY_CAST(CASE WHEN {y.sql} = 0 THEN NULL ELSE {x.sql} % {y.sql} END AS DECIMAL(38,17))"
    elif op in ("*", "/"):
        # Through doubles where 38 digits are too few for the product's scale.
        inner = f"{x.sql}::DOUBLE {op} {y.sql}::DOUBLE"
        sql = f"TRY_CAST(CASE WHEN {y.sql} = 0 AND '{op}' = '/' THEN NULL ELSE {inner} END AS DECIMAL(38,17))"
    else:
        sql = f"TRY_CAST({_attempt(f'{x.sql} {op} {y.sql}')} AS DECIMAL(38,17))"
    return result(sql, T.DECIMAL, (x, y))


def _attempt(sql: str) -> str:
    """Null instead of an overflow, where DuckDB can do so: not around subqueries."""
    return f"({sql})" if _SUBQUERY in sql else f"TRY({sql})"


def _long(op: str, x: Bound, y: Bound) -> Bound:
    if x.constant and y.constant:
        a, b = x.value, y.value
        if a is None or b is None:
            return literal(None, T.LONG)
        if isinstance(a, int) and isinstance(b, int):
            return literal(_fold_long(op, a, b), T.LONG)
    if op in ("+", "-", "*"):
        return result(_wrapping(op, x, y), T.LONG, (x, y))
    if op == "/":
        if y.constant and isinstance(y.value, int) and y.value not in (0, -1):
            return result(f"{x.sql} // {y.sql}", T.LONG, (x, y))
        inner = f"{x.sql} // nullif({y.sql}, 0)"
        return result(
            f"CASE WHEN {y.sql} = -1 THEN {_wrapping('-', literal(0, T.LONG), x)} ELSE {inner} END",
            T.LONG,
            (x, y),
        )
    if y.constant and isinstance(y.value, int) and y.value > 0:
        return result(f"({x.sql} % {y.sql} + {y.sql}) % {y.sql}", T.LONG, (x, y))
    by = f"nullif(abs({y.sql}), 0)"
    return result(f"(({x.sql} % {by}) + {by}) % {by}", T.LONG, (x, y))


def _fold_long(op: str, a: int, b: int) -> int | None:
    match op:
        case "+":
            return wrap64(a + b)
        case "-":
            return wrap64(a - b)
        case "*":
            return wrap64(a * b)
        case "/":
            return None if b == 0 else wrap64(abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1))
        case _:
            return None if b == 0 else a % abs(b)


def _wrapping(op: str, x: Bound, y: Bound) -> str:
    """Arithmetic that wraps around, with each operand written once unless it is short.

    Short operands go the fast way first; where that overflows, or for long ones, the wide way: in 128 bits, cut to 64.
    """
    wide = f"({x.sql}::HUGEINT {op} {y.sql}::HUGEINT)"
    wrapped = (
        f"(xor({wide} & 18446744073709551615::HUGEINT, 9223372036854775808::HUGEINT)"
        " - 9223372036854775808::HUGEINT)::BIGINT"
    )
    if len(x.sql) + len(y.sql) > _SHORT or any(word in x.sql + y.sql for word in ("random(", _SUBQUERY)):
        return wrapped
    return f"coalesce(TRY({x.sql} {op} {y.sql}), {wrapped})"


def _real(op: str, x: Bound, y: Bound) -> Bound:
    if x.constant and y.constant and isinstance(x.value, float) and isinstance(y.value, float):
        a, b = x.value, y.value
        if op != "/" and op != "%":
            return literal(a + b if op == "+" else a - b if op == "-" else a * b, T.REAL)
        if b and op == "/":
            return literal(a / b, T.REAL)
    if op == "%":
        by = f"abs({y.sql})"
        return result(
            f"CASE WHEN {y.sql} = 0 THEN 'NaN'::DOUBLE ELSE {x.sql} - {by} * floor({x.sql} / {by}) END",
            T.REAL,
            (x, y),
        )
    return result(f"{x.sql} {op} {y.sql}", T.REAL, (x, y))


def _temporal(op: str, a: KqlType, b: KqlType) -> KqlType | None:
    if op == "+":
        if {a, b} == {T.DATETIME, T.TIMESPAN}:
            return T.DATETIME
        return T.TIMESPAN if a is b is T.TIMESPAN else None
    if op == "-":
        if a is T.DATETIME and b in _TICKS:
            return T.TIMESPAN if b is T.DATETIME else T.DATETIME
        return T.TIMESPAN if a is b is T.TIMESPAN else None
    if op == "*":
        pair = {a, b}
        return (
            T.TIMESPAN
            if T.TIMESPAN in pair and len(pair) == 2 and (pair - {T.TIMESPAN}) <= _WIDTH.keys()
            else None
        )
    if op == "/":
        if a is b is T.TIMESPAN:
            return T.REAL
        return T.TIMESPAN if a is T.TIMESPAN and b in _WIDTH else None
    if a in _TICKS and b is T.TIMESPAN:
        return T.TIMESPAN
    return None


def _ticks(op: str, target: KqlType, x: Bound, y: Bound) -> Bound:  # noqa: C901  one case per operator and pair of types
    a, b = x.value, y.value
    both = x.constant and y.constant and isinstance(a, int) and isinstance(b, int)
    if op in ("+", "-"):
        if both and isinstance(a, int) and isinstance(b, int):
            sum_ = wrap64(a + b if op == "+" else a - b)
            return literal(sum_ if target is T.TIMESPAN or 0 <= sum_ <= MAX_TICKS else None, target)
        if target is T.DATETIME and len(x.sql) + len(y.sql) <= _SHORT:
            # Beyond year 9999, or before year 1, there is nothing.
            moved = (
                f"TRY({x.sql} {op} {y.sql})" if "random(" not in x.sql + y.sql else f"({x.sql} {op} {y.sql})"
            )
            if _SUBQUERY in moved:
                moved = f"({x.sql}::HUGEINT {op} {y.sql})"
                shown = f"{moved}::BIGINT"
            else:
                shown = moved
            return result(f"CASE WHEN {moved} BETWEEN 0 AND {MAX_TICKS} THEN {shown} END", target, (x, y))
        shift = y.value if y.constant else x.value if x.constant else None
        if isinstance(shift, int) and abs(shift) < _SAFE_SHIFT:
            return result(f"{x.sql} {op} {y.sql}", target, (x, y))
        if x.type is y.type is T.DATETIME:
            return result(f"{x.sql} - {y.sql}", target, (x, y))
        if _SUBQUERY in x.sql + y.sql:
            return result(f"TRY_CAST({x.sql}::HUGEINT {op} {y.sql} AS BIGINT)", target, (x, y))
        return result(f"TRY({x.sql} {op} {y.sql})", target, (x, y))
    if op == "*":
        span, factor = (x, y) if x.type is T.TIMESPAN else (y, x)
        if factor.type in (T.INT, T.LONG):
            if both and isinstance(a, int) and isinstance(b, int):
                return literal(wrap64(a * b), target)
            if _SUBQUERY in span.sql + factor.sql:
                return result(f"TRY_CAST({span.sql}::HUGEINT * {factor.sql} AS BIGINT)", target, (x, y))
            return result(f"TRY({span.sql} * {factor.sql})", target, (x, y))
        if (
            isinstance(span.value, int)
            and isinstance(factor.value, float)
            and span.constant
            and factor.constant
        ):
            return literal(int(span.value * factor.value), target)
        return result(f"TRY_CAST(trunc({span.sql} * {factor.sql}::DOUBLE) AS BIGINT)", target, (x, y))
    if op == "/":
        if target is T.REAL:
            if both and isinstance(a, int) and isinstance(b, int) and b:
                return literal(a / b, T.REAL)
            return result(f"{x.sql}::DOUBLE / {y.sql}::DOUBLE", T.REAL, (x, y))
        if both and isinstance(a, int) and isinstance(b, int) and b:
            return literal(int(a / b) if abs(a) < 2**52 else a // b, target)
        if y.type in (T.INT, T.LONG):
            return result(_attempt(f"{x.sql} // nullif({y.sql}, 0)"), target, (x, y))
        return result(f"TRY_CAST(trunc({x.sql}::DOUBLE / nullif({y.sql}, 0)) AS BIGINT)", target, (x, y))
    by = f"nullif(abs({y.sql}), 0)"
    return result(f"(({x.sql} % {by}) + {by}) % {by}", target, (x, y))


def negate(emission: Emission, value: Bound) -> Bound:
    if value.type is T.DYNAMIC:
        value = convert(emission, value, T.REAL)
    if value.type is T.BOOL or not (value.type in _WIDTH or value.type is T.TIMESPAN):
        raise ArgumentRefused(f"Operator '-' is not defined for {value.type}.")
    if value.constant and isinstance(value.value, int | float):
        return literal(-value.value, value.type)
    if value.type in (T.INT, T.LONG):
        return _long("-", literal(0, T.LONG), convert(emission, value, T.LONG))
    return result(f"-{value.sql}", value.type, (value,))


# Comparison ----------------------------------------------------------------------------------------------------------


def compare(emission: Emission, op: str, left: Bound, right: Bound, *, filtering: bool) -> Bound:
    """`==`, `!=`, `<`, `<=`, `>`, `>=`. In a filter null counts as false, which keeps the SQL plain for pruning."""
    left, right = align(emission, op, left, right)
    read = (left, right)
    if op not in ("==", "!="):
        sql = f"{left.sql} {op} {right.sql}"
        if left.type is T.REAL:  # DuckDB holds NaN for the greatest number, Kusto for no number
            larger = left if op[0] == ">" else right
            sql += "" if larger.constant and larger.value == larger.value else f" AND NOT isnan({larger.sql})"
        return result(sql, T.BOOL, read)
    if left.type is T.STRING:
        return result(f"{left.sql} {'=' if op == '==' else '<>'} {right.sql}", T.BOOL, read)
    if left.type is T.REAL and not (left.constant or right.constant):
        both = f"{left.sql} = {right.sql} AND NOT isnan({left.sql})"
        if op == "==":
            return result(both if filtering else f"coalesce({both}, false)", T.BOOL, read)
        return result(f"NOT coalesce({both}, false)", T.BOOL, read)
    if left.type is T.REAL and any(each.constant and each.value != each.value for each in read):
        return Bound(sql="false" if op == "==" else "true", type=T.BOOL)
    if op == "==" and filtering:
        return result(f"{left.sql} = {right.sql}", T.BOOL, read)
    known = next((each for each in read if each.constant and each.value is not None), None)
    if known is not None or (op == "!=" and filtering):
        # Null differs from every value.
        how = "IS NOT DISTINCT FROM" if op == "==" else "IS DISTINCT FROM"
        return result(f"{left.sql} {how} {right.sql}", T.BOOL, read)
    how = "IS NOT DISTINCT FROM" if op == "==" else "IS DISTINCT FROM"
    both = f"{left.sql} IS NULL AND {right.sql} IS NULL"
    return result(f"CASE WHEN {both} THEN NULL ELSE {left.sql} {how} {right.sql} END", T.BOOL, read)


def align(emission: Emission, op: str, left: Bound, right: Bound) -> tuple[Bound, Bound]:
    """Both sides as one comparable type."""
    a, b = left.type, right.type
    if a is b:
        if a is T.DYNAMIC:
            return convert(emission, left, T.STRING), convert(emission, right, T.STRING)
        return left, right
    if a is T.DYNAMIC or b is T.DYNAMIC:
        kind = b if a is T.DYNAMIC else a
        kind = T.REAL if kind in (T.INT, T.LONG) else kind
        return convert(emission, left, kind), convert(emission, right, kind)
    if a in _WIDTH and b in _WIDTH:
        kind = max(a, b, key=lambda each: _WIDTH[each])
        return convert(emission, left, kind), convert(emission, right, kind)
    if T.BOOL in (a, b) and (a in _WIDTH or b in _WIDTH):
        return convert(emission, left, T.LONG), convert(emission, right, T.LONG)
    # A literal written as text is read as what it is compared with; a number compared with a text column as text.
    for value, other in ((left, right), (right, left)):
        if value.constant and value.type is T.STRING:
            ready = convert(emission, value, other.type)
            return (ready, right) if value is left else (left, ready)
        if (
            value.constant
            and other.type is T.STRING
            and (value.type in _WIDTH or value.type in (T.BOOL, T.GUID))
        ):
            ready = convert(emission, value, T.STRING)
            return (ready, right) if value is left else (left, ready)
    if {a, b} == {T.STRING, T.GUID}:
        return convert(emission, left, T.STRING), convert(emission, right, T.STRING)
    raise _refuse(op, left, right)


def sql_type(kind: KqlType) -> str:
    return SQL_TYPE[kind]


def conjunction(bounds: list[Bound]) -> Bound:
    if len(bounds) == 1:
        return bounds[0]
    return result(" AND ".join(bound.sql for bound in bounds), T.BOOL, bounds)


__all__ = ["align", "arithmetic", "compare", "conjunction", "is_number", "negate", "wrap64"]
