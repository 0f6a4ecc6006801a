"""Functions over instants and durations, which are whole ticks of 100 ns."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from shared.kernel.ticks import MAX_TICKS, instant_of, ticks_of
from shared.kql.functions.build import (
    BOOL,
    DATETIME,
    INSTANTS,
    INT,
    LONG,
    NUMBERS,
    REAL,
    SPANS,
    STRING,
    TEXTS,
    TIMESPAN,
    WHOLES,
    convert,
    expand,
    literal,
    parameter,
    result,
    scalar,
    templated,
)
from shared.kql.functions.macros import DAY_TICKS, EPOCH_TICKS, MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission, Emit, Function
from shared.kql.types import KqlType

MACROS.define("kql_startofday(t, n)", f"t - t % {DAY_TICKS} + n * {DAY_TICKS}")
MACROS.define(
    "kql_startofweek(t, n)",
    f"(t // {DAY_TICKS} - (t // {DAY_TICKS} + 1) % 7 + n * 7) * {DAY_TICKS}",
)
MACROS.define(
    "kql_startofmonth(t, n)",
    "kql_date_ticks(date_trunc('month', kql_ticks_date(t)) + to_months(n::INTEGER))",
)
MACROS.define(
    "kql_startofyear(t, n)",
    "kql_date_ticks(date_trunc('year', kql_ticks_date(t)) + to_years(n::INTEGER))",
)
MACROS.define(
    "kql_add_months(t, n)",
    f"kql_date_ticks(kql_ticks_date(t) + to_months(n::INTEGER)) + t % {DAY_TICKS}",
)
MACROS.define(
    "kql_month_number(t)",
    "year(kql_ticks_date(t)) * 12 + month(kql_ticks_date(t)) - 1",
)
MACROS.define("kql_quarter_number(t)", "year(kql_ticks_date(t)) * 4 + quarter(kql_ticks_date(t)) - 1")
MACROS.define(
    "kql_make_datetime(y, mo, d, h, mi, s)",
    """
    CASE
    WHEN y BETWEEN 1 AND 9999 AND h BETWEEN 0 AND 23 AND mi BETWEEN 0 AND 59 AND s >= 0 AND s < 60 THEN
        kql_date_ticks(TRY(make_date(y::BIGINT, mo::BIGINT, d::BIGINT)))
        + h * 36000000000 + mi * 600000000 + round(s * 10000000)::BIGINT
    END
    """,
)
MACROS.define(
    "kql_make_timespan(d, h, mi, s)",
    """
    CASE
    WHEN h BETWEEN 0 AND 23 AND mi BETWEEN 0 AND 59 AND s >= 0 AND s < 60 THEN
        d * 864000000000 + h * 36000000000 + mi * 600000000 + round(s * 10000000)::BIGINT
    END
    """,
)
MACROS.define(
    "kql_utc_to_local(t, zone)",
    f"epoch_us(timezone(zone, timezone('UTC', kql_ticks_timestamp(t)))) * 10 + {EPOCH_TICKS} + t % 10",
)
MACROS.define(
    "kql_local_to_utc(t, zone)",
    f"epoch_us(timezone(zone, kql_ticks_timestamp(t))) * 10 + {EPOCH_TICKS} + t % 10",
)
# A bin that is not positive holds nothing.
MACROS.define("kql_bin_long(x, n)", "CASE WHEN n > 0 THEN x - ((x % nullif(n, 0)) + n) % nullif(n, 0) END")
MACROS.define("kql_bin_real(x, n)", "CASE WHEN n > 0 THEN floor(x / n) * n END")
MACROS.define("kql_bin_at_long(x, n, o)", "o + kql_bin_long(x - o, n)")
MACROS.define("kql_bin_at_real(x, n, o)", "o + kql_bin_real(x - o, n)")


# Beyond the years 1 to 9999 there is no instant.
MACROS.define("kql_instant(t)", f"CASE WHEN t BETWEEN 0 AND {MAX_TICKS} THEN t END")


def _midnight(year: int, month: int, day: int) -> int:
    return ticks_of(datetime(year, month, day, tzinfo=UTC))


def _month_start(ticks: int, offset: int) -> int:
    at = instant_of(ticks)
    months = at.year * 12 + at.month - 1 + offset
    return _midnight(months // 12, months % 12 + 1, 1)


# What each period is called, with its SQL and, so that constants stay constants, its Python.
_PERIODS: Final[Mapping[str, Callable[[int, int], int]]] = MappingProxyType(
    {
        "day": lambda t, n: t - t % DAY_TICKS + n * DAY_TICKS,
        "week": lambda t, n: (t // DAY_TICKS - (t // DAY_TICKS + 1) % 7 + n * 7) * DAY_TICKS,
        "month": _month_start,
        "year": lambda t, n: _midnight(instant_of(t).year + n, 1, 1),
    }
)


def _start(period: str, *, end: bool) -> Emit:
    python = _PERIODS[period]

    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        at = convert(emission, args[0], DATETIME)
        offset = convert(emission, args[1], LONG, index=1) if len(args) > 1 else literal(0, LONG)
        if at.constant and isinstance(at.value, int) and offset.constant and isinstance(offset.value, int):
            try:
                found = python(at.value, offset.value + end) - end
            except (ValueError, OverflowError):
                found = None
            if found is not None and found >= 0:
                return literal(found, DATETIME)
        if end:
            return expand(emission, f"kql_startof{period}({{0}}, {{1}} + 1) - 1", DATETIME, at, offset)
        return expand(emission, f"kql_startof{period}({{0}}, {{1}})", DATETIME, at, offset)

    return emit


def _now(emission: Emission, args: Sequence[Bound]) -> Bound:
    if not args:
        return literal(emission.now_ticks, DATETIME)
    offset = convert(emission, args[0], TIMESPAN)
    if offset.constant and isinstance(offset.value, int):
        return literal(emission.now_ticks + offset.value, DATETIME)
    return result(f"{emission.now_ticks}::BIGINT + {offset.sql}", DATETIME, [offset])


def _ago(emission: Emission, args: Sequence[Bound]) -> Bound:
    span = convert(emission, args[0], TIMESPAN)
    if span.constant and isinstance(span.value, int):
        return literal(emission.now_ticks - span.value, DATETIME)
    return result(f"{emission.now_ticks}::BIGINT - {span.sql}", DATETIME, [span])


def _bin(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = args[0]
    size = args[1] if len(args) > 1 else literal(1, LONG)
    kind, value, size = _binned(emission, value, size)
    if kind in (DATETIME, TIMESPAN, INT, LONG):
        if (
            value.constant
            and size.constant
            and isinstance(value.value, int)
            and isinstance(size.value, int)
            and size.value > 0
        ):
            return literal(value.value - value.value % size.value, kind)
        if kind is DATETIME and size.constant and isinstance(size.value, int) and size.value > 0:
            # Instants are never negative: the remainder is enough.
            return expand(emission, "{0} - {0} % {1}", kind, value, size)
        return expand(emission, "kql_bin_long({0}, {1})", kind, value, size)
    return expand(emission, "kql_bin_real({0}, {1})", kind, value, size)


def _binned(emission: Emission, value: Bound, size: Bound) -> tuple[KqlType, Bound, Bound]:
    if value.type in (DATETIME, TIMESPAN):
        return value.type, value, convert(emission, size, TIMESPAN, index=1)
    if size.type is TIMESPAN:
        return DATETIME, convert(emission, value, DATETIME), size
    if value.type in (INT, LONG) and size.type in (INT, LONG):
        kind = LONG if LONG in (value.type, size.type) else INT
        return kind, convert(emission, value, kind), convert(emission, size, kind, index=1)
    return REAL, convert(emission, value, REAL), convert(emission, size, REAL, index=1)


def _bin_at(emission: Emission, args: Sequence[Bound]) -> Bound:
    kind, value, size = _binned(emission, args[0], args[1])
    if kind in (INT, LONG) and args[2].type is REAL:
        kind, value, size = REAL, convert(emission, value, REAL), convert(emission, size, REAL)
    fixed = convert(emission, args[2], kind, index=2)
    macro = "kql_bin_at_real" if kind is REAL else "kql_bin_at_long"
    return expand(emission, f"{macro}({{0}}, {{1}}, {{2}})", kind, value, size, fixed)


# -- parts -------------------------------------------------------------------------------------------------------

_UNIT_TICKS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "week": 7 * DAY_TICKS,
        "day": DAY_TICKS,
        "hour": 36_000_000_000,
        "minute": 600_000_000,
        "second": 10_000_000,
        "millisecond": 10_000,
        "microsecond": 10,
    }
)
_PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "year": "year(kql_ticks_date({0}))",
        "quarter": "quarter(kql_ticks_date({0}))",
        "month": "month(kql_ticks_date({0}))",
        "week_of_year": "week(kql_ticks_date({0}))",
        "weekofyear": "week(kql_ticks_date({0}))",
        "day": "day(kql_ticks_date({0}))",
        "dayofyear": "dayofyear(kql_ticks_date({0}))",
        "hour": "({0} // 36000000000) % 24",
        "minute": "({0} // 600000000) % 60",
        "second": "({0} // 10000000) % 60",
        "millisecond": "({0} % 10000000) // 10000",
        "microsecond": "({0} % 10000000) // 10",
        "nanosecond": "({0} % 10000000) * 100",
    }
)


def _part_name(arg: Bound) -> str:
    if not arg.constant or not isinstance(arg.value, str):
        raise ArgumentRefused("the part must be a constant string, such as 'day'", index=0)
    return arg.value.lower()


def _datetime_part(emission: Emission, args: Sequence[Bound]) -> Bound:
    part = _part_name(args[0])
    template = _PARTS.get(part)
    if template is None:
        raise ArgumentRefused(f"{part!r} is no part of a datetime; there are {', '.join(_PARTS)}", index=0)
    return expand(emission, f"({template})::INTEGER", INT, convert(emission, args[1], DATETIME, index=1))


def _part(name: str, returns: KqlType = INT) -> Emit:
    cast = "INTEGER" if returns is INT else "BIGINT"
    return templated(f"({_PARTS[name]})::{cast}", returns, DATETIME)


def _datetime_diff(emission: Emission, args: Sequence[Bound]) -> Bound:
    part = _part_name(args[0])
    left, right = (convert(emission, arg, DATETIME, index=at) for at, arg in enumerate(args[1:], start=1))
    if part == "year":
        template = "year(kql_ticks_date({0})) - year(kql_ticks_date({1}))"
    elif part == "quarter":
        template = "kql_quarter_number({0}) - kql_quarter_number({1})"
    elif part == "month":
        template = "kql_month_number({0}) - kql_month_number({1})"
    elif part == "week":
        # The engine answers with a real here, and only here.
        template = "((kql_startofweek({0}, 0) - kql_startofweek({1}, 0)) // 6048000000000)::DOUBLE"
        return expand(emission, template, REAL, left, right)
    elif part == "nanosecond":
        template = "({0} - {1}) * 100"
    elif part in _UNIT_TICKS:
        template = f"{{0}} // {_UNIT_TICKS[part]} - {{1}} // {_UNIT_TICKS[part]}"
    else:
        raise ArgumentRefused(f"{part!r} is no period that datetimes differ by", index=0)
    return expand(emission, f"({template})::BIGINT", LONG, left, right)


def _datetime_add(emission: Emission, args: Sequence[Bound]) -> Bound:
    part = _part_name(args[0])
    amount = convert(emission, args[1], LONG, index=1)
    at = convert(emission, args[2], DATETIME, index=2)
    months = {"year": 12, "quarter": 3, "month": 1}.get(part)
    if months is not None:
        return expand(emission, f"kql_instant(kql_add_months({{0}}, {{1}} * {months}))", DATETIME, at, amount)
    if part == "nanosecond":
        return expand(emission, "kql_instant({0} + {1} // 100)", DATETIME, at, amount)
    if part not in _UNIT_TICKS:
        raise ArgumentRefused(f"{part!r} is no period that can be added to a datetime", index=0)
    unit = _UNIT_TICKS[part]
    if at.constant and isinstance(at.value, int) and amount.constant and isinstance(amount.value, int):
        moved = at.value + amount.value * unit
        return literal(moved if 0 <= moved <= MAX_TICKS else None, DATETIME)
    return expand(
        emission, f"kql_instant({{0}}::HUGEINT + {{1}}::HUGEINT * {unit})::BIGINT", DATETIME, at, amount
    )


def _around(emission: Emission, args: Sequence[Bound]) -> Bound:
    value = args[0]
    kind = value.type
    if kind in (DATETIME, TIMESPAN):
        center, delta = (
            convert(emission, args[1], kind, index=1),
            convert(emission, args[2], TIMESPAN, index=2),
        )
    else:
        value, center, delta = (convert(emission, arg, REAL, index=at) for at, arg in enumerate(args))
    return expand(emission, "{0} BETWEEN {1} - {2} AND {1} + {2}", BOOL, value, center, delta)


def _ingestion_time(_emission: Emission, _args: Sequence[Bound]) -> Bound:
    raise ArgumentRefused("ingestion_time() is known only of the rows of a table")


def _make_datetime(emission: Emission, args: Sequence[Bound]) -> Bound:
    if len(args) == 1:
        return convert(emission, args[0], DATETIME)
    if len(args) not in (3, 5, 6):
        raise ArgumentRefused("make_datetime() takes year, month, day, and then hour, minute and second")
    whole = [convert(emission, arg, LONG, index=at) for at, arg in enumerate(args[:5])]
    whole += [literal(0, LONG)] * (5 - len(whole))
    second = convert(emission, args[5], REAL, index=5) if len(args) > 5 else literal(0.0, REAL)
    values = [each.value for each in (*whole, second) if each.constant]
    if len(values) == 6 and all(isinstance(each, int | float) for each in values):
        year, month, day, hour, minute = (int(each or 0) for each in values[:5])
        seconds = float(values[5] or 0)
        try:
            base = datetime(year, month, day, hour, minute, tzinfo=UTC)
        except ValueError:
            return literal(None, DATETIME)
        if not 0 <= seconds < 60:
            return literal(None, DATETIME)
        return literal(ticks_of(base) + round(seconds * 10_000_000), DATETIME)
    return expand(emission, "kql_make_datetime({0}, {1}, {2}, {3}, {4}, {5})", DATETIME, *whole, second)


def _make_timespan(emission: Emission, args: Sequence[Bound]) -> Bound:
    if len(args) == 1:
        return convert(emission, args[0], TIMESPAN)
    given = list(args)
    if len(given) < 4:
        given.insert(0, literal(0, LONG))
    if len(given) < 4:
        given.append(literal(0.0, REAL))
    whole = [convert(emission, arg, LONG) for arg in given[:3]]
    second = convert(emission, given[3], REAL)
    return expand(emission, "kql_make_timespan({0}, {1}, {2}, {3})", TIMESPAN, *whole, second)


def _unixtime(ticks_per_unit: float) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        arg = args[0]
        if arg.type in (INT, LONG):
            count = convert(emission, arg, LONG)
            if ticks_per_unit < 1:
                return expand(
                    emission, f"{{0}} // {round(1 / ticks_per_unit)} + {EPOCH_TICKS}", DATETIME, count
                )
            return expand(emission, f"TRY({{0}} * {int(ticks_per_unit)} + {EPOCH_TICKS})", DATETIME, count)
        count = convert(emission, arg, REAL)
        return expand(
            emission, f"TRY_CAST(round({{0}} * {ticks_per_unit}) AS BIGINT) + {EPOCH_TICKS}", DATETIME, count
        )

    return emit


_AT = parameter("datetime", INSTANTS)
_OFFSET = parameter("offset", WHOLES, optional=True)


def _period(name: str) -> tuple[Function, Function]:
    return (
        scalar(
            f"startof{name}",
            [_AT, _OFFSET],
            "datetime",
            f"The first instant of the {name}, or of one some {name}s later.",
            _start(name, end=False),
        ),
        scalar(
            f"endof{name}",
            [_AT, _OFFSET],
            "datetime",
            f"The last instant of the {name}, or of one some {name}s later.",
            _start(name, end=True),
        ),
    )


_PART_NAME = parameter("part", TEXTS, constant=True)
_NUMBER = parameter("number", NUMBERS)
_ZONE = parameter("timezone", TEXTS)

FUNCTIONS: Final = (
    scalar(
        "now",
        [parameter("offset", SPANS, optional=True)],
        "datetime",
        "The instant at which the query started, moved by the offset.",
        _now,
    ),
    scalar("ago", [parameter("timespan", SPANS)], "datetime", "That long before now().", _ago),
    *_period("day"),
    *_period("week"),
    *_period("month"),
    *_period("year"),
    scalar(
        "bin",
        [
            parameter("value", NUMBERS | INSTANTS | SPANS),
            parameter("roundTo", NUMBERS | SPANS, optional=True),
        ],
        "the type of the value",
        "The value rounded down to a multiple of roundTo.",
        _bin,
        aliases=("floor",),
    ),
    scalar(
        "bin_at",
        [
            parameter("value", NUMBERS | INSTANTS | SPANS),
            parameter("bin_size", NUMBERS | SPANS),
            parameter("fixed_point", NUMBERS | INSTANTS | SPANS),
        ],
        "the type of the value",
        "The value rounded down to a multiple of the bin size, counted from the fixed point.",
        _bin_at,
    ),
    scalar(
        "datetime_part",
        [_PART_NAME, _AT],
        "int",
        "The named part (year, month, day, hour, …) of the instant.",
        _datetime_part,
    ),
    scalar(
        "datetime_diff",
        [_PART_NAME, parameter("datetime_1", INSTANTS), parameter("datetime_2", INSTANTS)],
        "long",
        "How many period boundaries lie between the second and the first instant.",
        _datetime_diff,
    ),
    scalar(
        "datetime_add",
        [_PART_NAME, parameter("amount", WHOLES), _AT],
        "datetime",
        "The instant that many periods later.",
        _datetime_add,
    ),
    scalar(
        "around",
        [
            parameter("value", NUMBERS | INSTANTS | SPANS),
            parameter("center", NUMBERS | INSTANTS | SPANS),
            parameter("delta", NUMBERS | SPANS),
        ],
        "bool",
        "Whether the value is at most delta away from the center.",
        _around,
    ),
    scalar(
        "ingestion_time",
        [],
        "datetime",
        "When the row arrived.",
        _ingestion_time,
        deterministic=False,
    ),
    scalar("getyear", [_AT], "int", "The year.", _part("year")),
    scalar("monthofyear", [_AT], "int", "The month, 1 to 12.", _part("month"), aliases=("getmonth",)),
    scalar("dayofmonth", [_AT], "int", "The day of the month, from 1.", _part("day")),
    scalar("dayofyear", [_AT], "int", "The day of the year, from 1.", _part("dayofyear")),
    scalar("hourofday", [_AT], "int", "The hour, 0 to 23.", _part("hour")),
    scalar(
        "week_of_year",
        [_AT],
        "long",
        "The ISO 8601 week of the year.",
        _part("week_of_year", LONG),
        aliases=("weekofyear",),
    ),
    scalar(
        "dayofweek",
        [_AT],
        "timespan",
        "How many days ago Sunday was, as a timespan.",
        templated(f"(({{0}} // {DAY_TICKS} + 1) % 7) * {DAY_TICKS}", TIMESPAN, DATETIME),
    ),
    scalar(
        "make_datetime",
        [parameter("year", NUMBERS | TEXTS | INSTANTS), parameter("parts", NUMBERS, variadic=True)],
        "datetime",
        "The instant of these parts; null where there is none.",
        _make_datetime,
    ),
    scalar(
        "make_timespan",
        [parameter("part", NUMBERS | TEXTS | SPANS), parameter("parts", NUMBERS, variadic=True)],
        "timespan",
        "The timespan of hour, minute and second, or of day, hour, minute and second.",
        _make_timespan,
    ),
    scalar(
        "unixtime_seconds_todatetime",
        [_NUMBER],
        "datetime",
        "The instant so many seconds after 1970.",
        _unixtime(1e7),
    ),
    scalar(
        "unixtime_milliseconds_todatetime",
        [_NUMBER],
        "datetime",
        "The instant so many milliseconds after 1970.",
        _unixtime(1e4),
    ),
    scalar(
        "unixtime_microseconds_todatetime",
        [_NUMBER],
        "datetime",
        "The instant so many microseconds after 1970.",
        _unixtime(10),
    ),
    scalar(
        "unixtime_nanoseconds_todatetime",
        [_NUMBER],
        "datetime",
        "The instant so many nanoseconds after 1970.",
        _unixtime(0.01),
    ),
    scalar(
        "datetime_utc_to_local",
        [_AT, _ZONE],
        "datetime",
        "The wall-clock time in the time zone at this instant.",
        templated("kql_utc_to_local({0}, {1})", DATETIME, DATETIME, STRING),
    ),
    scalar(
        "datetime_local_to_utc",
        [_AT, _ZONE],
        "datetime",
        "The instant at which it is this wall-clock time in the time zone.",
        templated("kql_local_to_utc({0}, {1})", DATETIME, DATETIME, STRING),
    ),
)
