"""Literal values: numbers, datetimes and timespans as Kusto spells them, read into ticks and back."""

import re
from datetime import UTC, date, datetime
from typing import Final

from shared.kernel.ticks import MAX_TICKS, TICKS_PER_SECOND, ticks_of

TICKS_PER_DAY: Final = 86_400 * TICKS_PER_SECOND

_UNITS: Final[dict[str, int]] = {
    **dict.fromkeys(("d", "day", "days"), TICKS_PER_DAY),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600 * TICKS_PER_SECOND),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * TICKS_PER_SECOND),
    **dict.fromkeys(("s", "sec", "second", "seconds"), TICKS_PER_SECOND),
    **dict.fromkeys(("ms", "milli", "millis", "millisec", "millisecond", "milliseconds"), 10_000),
    **dict.fromkeys(("micro", "micros", "microsec", "microsecond", "microseconds"), 10),
    **dict.fromkeys(("tick", "ticks"), 1),
}
UNIT_PATTERN: Final = "|".join(sorted(_UNITS, key=len, reverse=True))

_WITH_UNIT: Final = rf"(\d+(?:\.\d*)?|\.\d+)\s*({UNIT_PATTERN})"
_CLOCK: Final = r"(-)?\s*(?:(\d+)\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7})\d*)?)?"
_ISO: Final = (
    r"(\d{4})\s*-\s*(\d{1,2})(?:\s*-\s*(\d{1,2}))?"
    r"(?:(?:\s+|\s*[Tt]\s*)(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9})\d*)?)?)?)?\s*(AM|PM|am|pm)?\s*"
    r"([Zz]|GMT|UTC|[+-]\d{1,2}:?\d{2})?"
)
_AMERICAN: Final = (
    r"(\d{1,2})[/-](\d{1,2})[/-](\d{4})"
    r"(?:(?:\s+|\s*[Tt]\s*)(\d{1,2})(?::(\d{1,2})(?::(\d{1,2})(?:[.,](\d{1,9})\d*)?)?)?)?\s*(AM|PM|am|pm)?\s*"
    r"([Zz]|GMT|UTC|[+-]\d{1,2}:?\d{2})?"
)
_COMPACT: Final = r"(\d{4})(\d{2})(\d{2})(?:[Tt]?(\d{2})(\d{2})(\d{2})?)?[Zz]?"
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_PARTS: Final = (
    r"(\d{4})\s*,\s*(\d{1,2})\s*,\s*(\d{1,2})(?:\s*,\s*(\d{1,2}))?(?:\s*,\s*(\d{1,2}))?(?:\s*,\s*(\d{1,2}))?"
)
_RFC: Final = (
    r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,?\s+)?(\d{1,2})[\s-]+([A-Za-z]{3})[a-z]*[\s-]+(\d{4}|\d{2})"
    r"(?:\s+(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,7})\d*)?)?)?\s*(AM|PM|am|pm)?\s*([Zz]|GMT|UTC|[+-]\d{2}:?\d{2})?"
)


def timespan_ticks(text: str) -> int | None:
    """The ticks of `1d`, `2.5h`, `1.02:03:04.5`, `-00:10:00`, a bare number of days; None where it is none of these."""
    text = text.strip()
    found = re.fullmatch(_WITH_UNIT, text.removeprefix("-").removeprefix("+").strip())
    if found:
        if found[1].isdecimal():
            ticks = int(found[1]) * _UNITS[found[2]]
        else:
            from decimal import Decimal  # rarely wanted, and slow to load

            ticks = round(Decimal(found[1]) * _UNITS[found[2]])
        return -ticks if text.startswith("-") else ticks
    found = re.fullmatch(_CLOCK, text)
    if found:
        sign, days, hours, minutes, seconds, fraction = found.groups()
        whole = (int(days or 0) * 24 + int(hours)) * 3600 + int(minutes) * 60 + int(seconds or 0)
        ticks = whole * TICKS_PER_SECOND + int((fraction or "").ljust(7, "0"))
        return -ticks if sign else ticks
    if re.fullmatch(r"-?\d+", text):
        return int(text) * TICKS_PER_DAY
    return None


def _assemble(year: int, month: int, day: int, clock: tuple[str | None, ...], zone: str | None) -> int | None:
    hour, minute, second, fraction, half = clock
    hours = int(hour or 0)
    if half:
        hours = hours % 12 + (12 if half.lower() == "pm" else 0)
    carry = 0
    if (hours, int(minute or 0), int(second or 0)) == (24, 0, 0):
        hours, carry = 0, TICKS_PER_DAY
    try:
        ticks = ticks_of(datetime(year, month, day, hours, int(minute or 0), int(second or 0), tzinfo=UTC))
    except ValueError:
        return None
    ticks += carry + int((fraction or "").ljust(7, "0")[:7])
    if zone and zone[0] in "+-":
        digits = zone[1:].replace(":", "").rjust(4, "0")
        shift = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * TICKS_PER_SECOND
        ticks += -shift if zone[0] == "+" else shift
    return ticks if 0 <= ticks <= MAX_TICKS else None


def datetime_ticks(text: str) -> int | None:
    """The ticks of a datetime in any spelling Kusto reads without a culture; None where it is none."""
    text = text.strip().strip("\"'").strip()
    found = re.fullmatch(_ISO, text)
    if found:
        year, month, day, *clock, zone = found.groups()
        return _assemble(int(year), int(month), int(day or 1), tuple(clock), zone)
    found = re.fullmatch(_AMERICAN, text)
    if found:
        month, day, year, *clock, zone = found.groups()
        return _assemble(int(year), int(month), int(day), tuple(clock), zone)
    found = re.fullmatch(_RFC, text)
    if found:
        day, name, year, *clock, zone = found.groups()
        number = _MONTHS.get(name.lower())
        full = int(year) + (2000 if len(year) == 2 else 0)
        return None if number is None else _assemble(full, number, int(day), tuple(clock), zone)
    found = re.fullmatch(_PARTS, text)
    if found:
        year, month, day, hour, minute, second = found.groups()
        return _assemble(int(year), int(month), int(day), (hour, minute, second, None, None), None)
    found = re.fullmatch(_COMPACT, text)
    if found:
        year, month, day, hour, minute, second = found.groups()
        return _assemble(int(year), int(month), int(day), (hour, minute, second, None, None), None)
    if re.fullmatch(r"\d{4}", text):
        return (
            ticks_of(datetime.combine(date(int(text), 1, 1), datetime.min.time(), UTC)) if int(text) else None
        )
    return None


def real_value(text: str) -> float | None:
    text = text.strip().lower().replace("infinity", "inf")
    try:
        return float(text)
    except ValueError:
        return None


def integer_value(text: str) -> int | None:
    text = text.strip()
    sign = -1 if text.startswith("-") else 1
    bare = text.lstrip("+-")
    try:
        return sign * (int(bare, 16) if bare[:2].lower() == "0x" else int(bare))
    except ValueError:
        return None


def decimal_text(text: str) -> str | None:
    from decimal import Decimal, InvalidOperation  # rarely wanted, and slow to load

    try:
        value = Decimal(text.strip())
    except InvalidOperation:
        return None
    return format(value, "f") if value.is_finite() else None


def guid_text(text: str) -> str | None:
    from uuid import UUID  # rarely wanted, and slow to load

    try:
        return str(UUID(text.strip().strip("\"'{}")))
    except ValueError:
        return None
