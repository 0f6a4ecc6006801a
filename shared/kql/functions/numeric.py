"""Functions over numbers: rounding, powers, angles, bits, chance."""

from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    ANY,
    DATETIME,
    DECIMAL,
    DYNAMIC,
    GUID,
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
    scalar,
    templated,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import Bound, Emission, Emit, Function

# DuckDB raises where IEEE 754, and Kusto, answer NaN or infinity.
MACROS.define(
    "kql_log(x)",
    "CASE WHEN x > 0 THEN ln(x) WHEN x = 0 THEN '-inf'::DOUBLE END",
)
MACROS.define("kql_sqrt(x)", "CASE WHEN x < 0 THEN 'nan'::DOUBLE ELSE sqrt(x) END")
MACROS.define("kql_asin(x)", "CASE WHEN abs(x) > 1 THEN 'nan'::DOUBLE ELSE asin(x) END")
MACROS.define("kql_acos(x)", "CASE WHEN abs(x) > 1 THEN 'nan'::DOUBLE ELSE acos(x) END")
MACROS.define("kql_cot(x)", "CASE WHEN x = 0 THEN 'inf'::DOUBLE ELSE cot(x) END")
MACROS.define(
    "kql_pow(x, y)",
    """
    CASE
    WHEN x < 0 AND isfinite(y) AND y <> trunc(y) THEN 'nan'::DOUBLE
    WHEN x = 0 AND y < 0 THEN 'inf'::DOUBLE
    ELSE pow(x, y)
    END
    """,
)
MACROS.define("kql_trig(x, y)", "CASE WHEN isfinite(x) THEN y WHEN x IS NOT NULL THEN 'nan'::DOUBLE END")
MACROS.define("kql_round_real(x, n)", "CASE WHEN isfinite(x) THEN round(x, n::INTEGER) ELSE x END")
MACROS.define(
    "kql_tohex(x, n)",
    "CASE WHEN x IS NULL THEN '' ELSE lpad(lower(to_hex(x)), greatest(length(to_hex(x)), n)::INTEGER, '0') END",
)
MACROS.define(
    "kql_gamma(x)",
    "CASE WHEN x > 0 OR x <> trunc(x) THEN gamma(x) WHEN x IS NULL THEN NULL ELSE 'nan'::DOUBLE END",
)
MACROS.define(
    "kql_loggamma(x)", "CASE WHEN x > 0 THEN lgamma(x) WHEN x IS NULL THEN NULL ELSE 'nan'::DOUBLE END"
)
# On the sphere that Kusto's geometry library takes the Earth for; points that are none have no distance.
MACROS.define(
    "kql_geo_distance(a, b, c, d)",
    """
    CASE WHEN abs(a) <= 180 AND abs(c) <= 180 AND abs(b) <= 90 AND abs(d) <= 90 THEN 2 * 6371010.0::DOUBLE * asin(least(1, sqrt(
        pow(sin(radians(d - b) / 2), 2) + cos(radians(b)) * cos(radians(d)) * pow(sin(radians(c - a) / 2), 2)
    ))) END
    """,
)


def _real(template: str) -> Emit:
    return templated(template, REAL, REAL, REAL)


def _abs(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = number(emission, args[0])
    if value.type in (INT, LONG, TIMESPAN):
        kind = LONG if value.type is INT else value.type
        return expand(emission, "kql_wrap_long(abs({0}::HUGEINT))", kind, value)
    return result(f"abs({value.sql})", value.type, [value])


def _sign(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = number(emission, args[0])
    return result(f"sign({value.sql})::DOUBLE", REAL, [value])


def _ceiling(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = number(emission, args[0])
    if value.type in (INT, LONG):
        return value
    return result(f"ceil({value.sql})", value.type, [value])


def _round(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = number(emission, args[0])
    digits = convert(emission, args[1], LONG, index=1) if len(args) > 1 else literal(0, LONG)
    if value.type is DECIMAL:
        return expand(emission, "round({0}, {1}::INTEGER)::DECIMAL(38,17)", DECIMAL, value, digits)
    return expand(emission, "kql_round_real({0}, {1})", REAL, convert(emission, value, REAL), digits)


def _log(emission: Emission, args: Sequence[Bound]) -> Bound:
    return expand(emission, "kql_log({0})", REAL, convert(emission, args[0], REAL))


def _tohex(emission: Emission, args: Sequence[Bound]) -> Bound:
    width = convert(emission, args[1], LONG, index=1) if len(args) > 1 else literal(0, LONG)
    if args[0].type is INT:
        return expand(
            emission,
            "kql_tohex({0}::BIGINT & CASE WHEN {1} BETWEEN 1 AND 8 THEN 4294967295 ELSE -1 END, {1})",
            STRING,
            args[0],
            width,
        )
    return expand(emission, "kql_tohex({0}, {1})", STRING, convert(emission, args[0], LONG), width)


def _rand(emission: Emission, args: Sequence[Bound]) -> Bound:
    if not args:
        return result("random()", REAL)
    bound = convert(emission, args[0], LONG)
    if bound.constant and constant_int(bound, "the bound", index=0) <= 1:
        return result("random()", REAL)
    return result(f"floor(random() * {bound.sql})", REAL, [bound])


def _range(emission: Emission, args: Sequence[Bound]) -> Bound:
    start, stop = args[:2]
    kinds = {start.type, stop.type}
    step = args[2] if len(args) > 2 else None

    if DATETIME in kinds or TIMESPAN in kinds:
        kind = DATETIME if DATETIME in kinds else TIMESPAN
        by = step or literal(36_000_000_000, TIMESPAN)
        start, stop = convert(emission, start, kind), convert(emission, stop, kind, index=1)
        by = convert(emission, by, TIMESPAN, index=2)
        text = "kql_datetime_text_or_null" if kind is DATETIME else "kql_timespan_text_or_null"
        template = f"to_json(list_transform(kql_range_long({{0}}, {{1}}, {{2}}), lambda t: {text}(t)))"
        return expand(emission, template, DYNAMIC, start, stop, by)
    by = step or literal(1, LONG)
    if REAL in (*kinds, by.type) or DECIMAL in (*kinds, by.type):
        template = "to_json(kql_range_real({0}, {1}, {2}))"
        return expand(
            emission,
            template,
            DYNAMIC,
            *(convert(emission, arg, REAL, index=index) for index, arg in enumerate((start, stop, by))),
        )
    return expand(
        emission,
        "to_json(kql_range_long({0}, {1}, {2}))",
        DYNAMIC,
        *(convert(emission, arg, LONG, index=index) for index, arg in enumerate((start, stop, by))),
    )


# The engine holds a range to 1,048,576 elements; a step away from the end makes an empty array.
MACROS.define(
    "kql_range_long(a, b, s)",
    """
    CASE
    WHEN a IS NULL OR b IS NULL OR s IS NULL OR s = 0 THEN NULL
    WHEN (b - a) * sign(s) < 0 THEN []
    ELSE list_transform(range(0, least((b - a) // s, 1048575) + 1), lambda i: a + i * s)
    END
    """,
)
MACROS.define(
    "kql_range_real(a, b, s)",
    """
    CASE
    WHEN a IS NULL OR b IS NULL OR s IS NULL OR s = 0 THEN NULL
    WHEN (b - a) * sign(s) < 0 THEN []
    ELSE list_transform(range(0, least(floor((b - a) / s), 1048575)::BIGINT + 1), lambda i: a + i * s)
    END
    """,
)


def _integers(template: str) -> Emit:
    return templated(template, LONG, LONG, LONG)


_NUMBER = parameter("number", NUMBERS)
_VALUE = parameter("value", WHOLES)
_TWO = [parameter("value1", WHOLES), parameter("value2", WHOLES)]


def _of_real(name: str, summary: str, template: str, *aliases: str) -> Function:
    return scalar(name, [_NUMBER], "real", summary, _real(template), aliases=aliases)


FUNCTIONS: Final = (
    scalar(
        "abs",
        [parameter("number", NUMBERS | SPANS)],
        "the type of the argument",
        "The value without its sign.",
        _abs,
    ),
    scalar("sign", [_NUMBER], "real", "-1, 0 or 1: the sign of the number.", _sign),
    scalar(
        "ceiling", [_NUMBER], "the type of the argument", "The least whole number not below it.", _ceiling
    ),
    scalar(
        "round",
        [_NUMBER, parameter("precision", WHOLES, optional=True)],
        "real",
        "The number rounded to that many digits, halves away from zero.",
        _round,
    ),
    _of_real("exp", "e to the power of the number.", "exp({0})"),
    _of_real("exp2", "2 to the power of the number.", "kql_pow(2.0::DOUBLE, {0})"),
    _of_real("exp10", "10 to the power of the number.", "kql_pow(10.0::DOUBLE, {0})"),
    scalar("log", [_NUMBER], "real", "The natural logarithm.", _log),
    _of_real("log2", "The logarithm to base 2.", "kql_log({0}) / ln(2.0)"),
    _of_real("log10", "The logarithm to base 10.", "CASE WHEN {0} > 0 THEN log10({0}) ELSE kql_log({0}) END"),
    _of_real("sqrt", "The square root.", "kql_sqrt({0})"),
    scalar(
        "pow",
        [parameter("base", NUMBERS), parameter("exponent", NUMBERS)],
        "real",
        "The base to the power of the exponent.",
        _real("kql_pow({0}, {1})"),
    ),
    _of_real("sin", "The sine of an angle in radians.", "kql_trig({0}, sin({0}))"),
    _of_real("cos", "The cosine of an angle in radians.", "kql_trig({0}, cos({0}))"),
    _of_real("tan", "The tangent of an angle in radians.", "kql_trig({0}, tan({0}))"),
    _of_real("cot", "The cotangent of an angle in radians.", "kql_cot({0})"),
    _of_real("asin", "The angle whose sine it is.", "kql_asin({0})"),
    _of_real("acos", "The angle whose cosine it is.", "kql_acos({0})"),
    _of_real("atan", "The angle whose tangent it is.", "atan({0})"),
    scalar(
        "atan2",
        [parameter("y", NUMBERS), parameter("x", NUMBERS)],
        "real",
        "The angle between the positive x-axis and the ray to (x, y).",
        _real("atan2({0}, {1})"),
    ),
    _of_real("degrees", "An angle in radians, in degrees.", "{0} * 180 / pi()"),
    _of_real("radians", "An angle in degrees, in radians.", "{0} * pi() / 180"),
    scalar("pi", [], "real", "π.", lambda _emission, _args: result("pi()", REAL)),
    _of_real("gamma", "The gamma function.", "kql_gamma({0})"),
    _of_real("loggamma", "The logarithm of the gamma function's absolute value.", "kql_loggamma({0})"),
    scalar(
        "rand",
        [parameter("n", WHOLES, optional=True)],
        "real",
        "A random real in [0, 1), or a random whole number below n.",
        _rand,
        deterministic=False,
    ),
    scalar(
        "new_guid",
        [],
        "guid",
        "A random GUID.",
        lambda _emission, _args: result("uuid()", GUID),
        aliases=("newguid",),
        deterministic=False,
    ),
    scalar(
        "tohex",
        [_VALUE, parameter("minLength", WHOLES, optional=True)],
        "string",
        "The number in hexadecimal digits.",
        _tohex,
    ),
    scalar("binary_and", _TWO, "long", "Bitwise AND.", _integers("{0} & {1}")),
    scalar("binary_or", _TWO, "long", "Bitwise OR.", _integers("{0} | {1}")),
    scalar("binary_xor", _TWO, "long", "Bitwise XOR.", _integers("xor({0}, {1})")),
    scalar("binary_not", [_VALUE], "long", "Every bit flipped.", _integers("~{0}")),
    scalar(
        "binary_shift_left",
        [_VALUE, parameter("shift", WHOLES)],
        "long",
        "The bits moved to the left.",
        _integers("kql_wrap_long(({0}::HUGEINT * pow(2, {1} % 64)::HUGEINT) % 18446744073709551616)"),
    ),
    scalar(
        "binary_shift_right",
        [_VALUE, parameter("shift", WHOLES)],
        "long",
        "The bits moved to the right.",
        _integers("{0} >> ({1} % 64)::BIGINT"),
    ),
    scalar(
        "bitset_count_ones",
        [_VALUE],
        "long",
        "How many bits are set.",
        _integers("bit_count({0})::BIGINT"),
    ),
    scalar(
        "geo_distance_2points",
        [
            parameter("p1_longitude", NUMBERS),
            parameter("p1_latitude", NUMBERS),
            parameter("p2_longitude", NUMBERS),
            parameter("p2_latitude", NUMBERS),
        ],
        "real",
        "The shortest distance of two points on the Earth, in meters.",
        templated("kql_geo_distance({0}, {1}, {2}, {3})", REAL, REAL, REAL, REAL, REAL),
    ),
    scalar(
        "range",
        [parameter("start", ANY), parameter("stop", ANY), parameter("step", ANY, optional=True)],
        "dynamic",
        "An array of the values from start to stop, both included, step apart.",
        _range,
    ),
)
