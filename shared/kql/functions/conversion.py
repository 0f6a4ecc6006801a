"""Functions that turn a value of one type into another, and say what type a value has."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from shared.kql.functions.build import (
    ANY,
    BOOL,
    DATETIME,
    DECIMAL,
    DYNAMIC,
    GUID,
    INT,
    LONG,
    REAL,
    STRING,
    TIMESPAN,
    convert,
    expand,
    literal,
    parameter,
    scalar,
)
from shared.kql.functions.macros import MACROS
from shared.kql.functions.registry import Bound, Emission, Emit, Function
from shared.kql.types import KqlType

_ISO = re.compile(
    r"\s*(\d{4})[-/](\d{1,2})[-/](\d{1,2})"
    r"(?:[T ]\s*(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,7})\d*)?)?)?"
    r"\s*(?:Z|z|UTC|GMT|([+-])(\d\d):?(\d\d))?\s*"
)
_EPOCH: Final = datetime(1, 1, 1, tzinfo=UTC)


def iso_ticks(text: str) -> int | None:
    """The instant an ISO 8601 text names, in ticks; None where it is no such text."""
    found = _ISO.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, off_hours, off_minutes = found.groups()
    try:
        at = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    ticks = (at - _EPOCH) // timedelta(microseconds=1) * 10 + int((fraction or "").ljust(7, "0"))
    if sign:
        offset = (int(off_hours) * 60 + int(off_minutes)) * 600_000_000
        ticks += -offset if sign == "+" else offset
    return ticks


_GETTYPE: Final = MACROS.define(
    "kql_dynamic_gettype(d)",
    """
    CASE json_type(d)
    WHEN 'OBJECT' THEN 'dictionary' WHEN 'ARRAY' THEN 'array' WHEN 'VARCHAR' THEN 'string'
    WHEN 'BOOLEAN' THEN 'bool' WHEN 'DOUBLE' THEN 'double' WHEN 'BIGINT' THEN 'long' WHEN 'UBIGINT' THEN 'long'
    ELSE 'null' END
    """,
)


def _to(target: KqlType) -> Emit:
    def emit(emission: Emission, args: Sequence[Bound]) -> Bound:
        arg = args[0]
        if target is DATETIME and arg.constant and isinstance(arg.value, str):
            ticks = iso_ticks(arg.value)
            if ticks is not None:
                return literal(ticks, DATETIME)
        return convert(emission, arg, target)

    return emit


def _gettype(emission: Emission, args: Sequence[Bound]) -> Bound:
    kind = args[0].type
    if kind is DYNAMIC:
        return expand(emission, "kql_dynamic_gettype({0})", STRING, args[0])
    return literal(str(kind), STRING)


def _parse_json(emission: Emission, args: Sequence[Bound]) -> Bound:
    if args[0].type is DYNAMIC:
        # A dynamic string is parsed once more; any other dynamic is already what it says.
        return expand(
            emission,
            "CASE json_type({0}) WHEN 'VARCHAR' THEN kql_parse_json(json_extract_string({0}, '$')) ELSE {0} END",
            DYNAMIC,
            args[0],
        )
    if args[0].type is STRING:
        return expand(emission, "kql_parse_json({0})", DYNAMIC, args[0])
    return convert(emission, args[0], DYNAMIC)


def _conversion(name: str, target: KqlType, *aliases: str) -> Function:
    return scalar(
        name,
        [parameter("value", ANY)],
        str(target),
        f"The value as {target}; null where it cannot be read as one."
        if target is not STRING
        else "The value as text; '' for null.",
        _to(target),
        aliases=aliases,
    )


FUNCTIONS: Final = (
    _conversion("tostring", STRING),
    _conversion("toint", INT),
    _conversion("tolong", LONG),
    _conversion("todouble", REAL, "toreal"),
    _conversion("tobool", BOOL, "toboolean"),
    _conversion("todecimal", DECIMAL),
    _conversion("todatetime", DATETIME),
    _conversion("totimespan", TIMESPAN, "totime"),
    _conversion("toguid", GUID),
    scalar(
        "parse_json",
        [parameter("json", ANY)],
        "dynamic",
        "The text as a dynamic value; text that is not JSON becomes a dynamic string.",
        _parse_json,
        aliases=("todynamic", "toobject", "parsejson"),
    ),
    scalar(
        "gettype",
        [parameter("value", ANY)],
        "string",
        "The runtime type of the value.",
        _gettype,
    ),
)
