"""Functions that write instants, timespans and sizes to a format."""

import re
from collections.abc import Sequence
from typing import Final

from shared.kql.functions.build import (
    DATETIME,
    INSTANTS,
    LONG,
    NUMBERS,
    REAL,
    SPANS,
    STRING,
    TEXTS,
    TIMESPAN,
    WHOLES,
    constant_text,
    convert,
    expand,
    literal,
    parameter,
    quote,
    scalar,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import ArgumentRefused, Bound, Emission

_DATETIME_TOKENS: Final = re.compile(
    r"yyyy|yy|y|MM|M|dd|d|HH|H|hh|h|mm|m|ss|s|f{1,7}|F{1,7}|tt|[ /\-:,._\[\]]"
)
_TIMESPAN_TOKENS: Final = re.compile(r"d{1,8}|HH|H|hh|h|mm|m|ss|s|f{1,7}|F{1,7}|[ /\-:,._\[\]]")


def _padded(number: str, width: int) -> str:
    return f"lpad(({number})::VARCHAR, {width}, '0')" if width > 1 else f"({number})::VARCHAR"


_HOUR: Final = "({0} // 36000000000) % 24"
_HALF_DAY: Final = f"(({_HOUR}) + 11) % 12 + 1"
_TIME: Final = {
    "HH": _padded(_HOUR, 2),
    "H": _padded(_HOUR, 1),
    "mm": _padded("({0} // 600000000) % 60", 2),
    "m": _padded("({0} // 600000000) % 60", 1),
    "ss": _padded("({0} // 10000000) % 60", 2),
    "s": _padded("({0} // 10000000) % 60", 1),
}
_DATE: Final = {
    **_TIME,
    "yyyy": _padded("year(kql_ticks_date({0}))", 4),
    "yy": _padded("year(kql_ticks_date({0})) % 100", 2),
    "y": _padded("year(kql_ticks_date({0})) % 100", 1),
    "MM": _padded("month(kql_ticks_date({0}))", 2),
    "M": _padded("month(kql_ticks_date({0}))", 1),
    "dd": _padded("day(kql_ticks_date({0}))", 2),
    "d": _padded("day(kql_ticks_date({0}))", 1),
    "hh": _padded(_HALF_DAY, 2),
    "h": _padded(_HALF_DAY, 1),
    "tt": f"CASE WHEN ({_HOUR}) < 12 THEN 'AM' ELSE 'PM' END",
}
_SPAN: Final = {**_TIME, "hh": _TIME["HH"], "h": _TIME["H"]}


def _fraction(token: str) -> str:
    digits = f"left(lpad(({{0}} % 10000000)::VARCHAR, 7, '0'), {len(token)})"
    # Capital F drops the zeros at the end.
    return f"rtrim({digits}, '0')" if token[0] == "F" else digits


def _pieces(pattern: str, tokens: re.Pattern[str], known: dict[str, str]) -> list[str]:
    pieces: list[str] = []
    at = 0
    while at < len(pattern):
        found = tokens.match(pattern, at)
        if found is None:
            raise ArgumentRefused(f"{pattern[at]!r} has no meaning in the format {pattern!r}", index=1)
        token = found[0]
        at = found.end()
        if token in known:
            pieces.append(known[token])
        elif token[0] in "fF":
            pieces.append(_fraction(token))
        elif token[0] == "d":
            pieces.append(_padded("{0} // 864000000000", len(token)))
        else:
            pieces.append(quote(token))
    return pieces or ["''"]


def _format_datetime(emission: Emission, args: Sequence[Bound]) -> Bound:
    pattern = constant_text(args[1], "the format", index=1)
    pieces = _pieces(pattern, _DATETIME_TOKENS, _DATE)
    return _written(emission, pieces, convert(emission, args[0], DATETIME))


def _written(emission: Emission, pieces: Sequence[str], value: Bound) -> Bound:
    inner = " || ".join(f"({piece})" for piece in pieces)
    return expand(emission, f"coalesce({inner}, '')", STRING, value)


def _format_timespan(emission: Emission, args: Sequence[Bound]) -> Bound:
    pattern = constant_text(args[1], "the format", index=1)
    pieces = _pieces(pattern, _TIMESPAN_TOKENS, _SPAN)
    span = convert(emission, args[0], TIMESPAN)
    sign = f"CASE WHEN {span.sql} < 0 THEN '-' ELSE '' END"
    magnitude = expand(emission, "abs({0}::HUGEINT)", TIMESPAN, span)
    return _written(emission, [sign.replace("{", "{{"), *pieces], magnitude)


_UNITS: Final = ("Bytes", "KB", "MB", "GB", "TB", "PB", "EB")
MACROS.define(
    "kql_round_text(x, n)",
    "CASE WHEN n <= 0 THEN round(x, 0)::HUGEINT::VARCHAR"
    " ELSE rtrim(rtrim(format('{:.{}f}', round(x, n::INTEGER), n::INTEGER), '0'), '.') END",
)
MACROS.define(
    "kql_bytes_unit(x)",
    "CASE WHEN abs(x) < 1024 THEN 0 ELSE least(6, floor(log2(abs(x)) / 10))::INTEGER END",
)
MACROS.define(
    "kql_format_bytes(x, n, u)",
    "kql_round_text(x / pow(1024, u), n) || ' ' || ['Bytes', 'KB', 'MB', 'GB', 'TB', 'PB', 'EB'][u + 1]",
)


def _format_bytes(emission: Emission, args: Sequence[Bound]) -> Bound:
    size = convert(emission, args[0], REAL)
    digits = convert(emission, args[1], LONG, index=1) if len(args) > 1 else literal(0, LONG)
    if len(args) > 2:
        unit = constant_text(args[2], "the unit", index=2)
        if unit not in _UNITS:
            raise ArgumentRefused(f"the unit is one of {', '.join(_UNITS)}", index=2)
        return expand(
            emission,
            f"coalesce(kql_format_bytes({{0}}, {{1}}, {_UNITS.index(unit)}), '')",
            STRING,
            size,
            digits,
        )
    return expand(
        emission, "coalesce(kql_format_bytes({0}, {1}, kql_bytes_unit({0})), '')", STRING, size, digits
    )


FUNCTIONS: Final = (
    scalar(
        "format_datetime",
        [parameter("datetime", INSTANTS), parameter("format", TEXTS, constant=True)],
        "string",
        "The instant as text, such as 'yyyy-MM-dd HH:mm:ss'.",
        _format_datetime,
    ),
    scalar(
        "format_timespan",
        [parameter("timespan", SPANS), parameter("format", TEXTS, constant=True)],
        "string",
        "The timespan as text, such as 'd.hh:mm:ss'.",
        _format_timespan,
    ),
    scalar(
        "format_bytes",
        [
            parameter("size", NUMBERS),
            parameter("precision", WHOLES, optional=True),
            parameter("units", TEXTS, optional=True, constant=True),
        ],
        "string",
        "The number of bytes in the unit that suits it.",
        _format_bytes,
    ),
)
