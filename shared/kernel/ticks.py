"""Instants and durations as whole ticks: 100 ns, instants since 0001-01-01T00:00:00Z, as KQL counts them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

TICKS_PER_SECOND: Final = 10_000_000
TICKS_PER_MICROSECOND: Final = 10
UNIX_EPOCH_TICKS: Final = 621_355_968_000_000_000
MAX_TICKS: Final = 3_155_378_975_999_999_999
_YEAR_ONE: Final = datetime(1, 1, 1, tzinfo=UTC)
_ISO: Final = re.compile(
    r"(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9})\d*)?)?)?\s*([Zz]|[+-]\d{2}:?\d{2})?"
)


def ticks_of(instant: datetime) -> int:
    """The ticks of an aware instant (a naive one is taken as UTC)."""
    aware = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    delta = aware - _YEAR_ONE
    return (
        delta.days * 86_400 + delta.seconds
    ) * TICKS_PER_SECOND + delta.microseconds * TICKS_PER_MICROSECOND


def instant_of(ticks: int) -> datetime:
    """The instant of some ticks, cut to microseconds."""
    return _YEAR_ONE + timedelta(microseconds=ticks // TICKS_PER_MICROSECOND)


def duration_ticks(duration: timedelta) -> int:
    return (
        duration.days * 86_400 + duration.seconds
    ) * TICKS_PER_SECOND + duration.microseconds * TICKS_PER_MICROSECOND


def parse_iso_ticks(text: str) -> int | None:
    """The ticks of an ISO 8601 instant with up to seven fractional digits; None if it is not one. No offset means UTC."""
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, offset = match.groups()
    try:
        base = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
    except ValueError:
        return None
    ticks = ticks_of(base) + int(((fraction or "") + "0000000")[:7])
    if offset and offset not in "Zz":
        digits = offset[1:].replace(":", "")
        shift = (int(digits[:2]) * 60 + int(digits[2:])) * 60 * TICKS_PER_SECOND
        ticks += -shift if offset[0] == "+" else shift
    return ticks if 0 <= ticks <= MAX_TICKS else None


def format_ticks(ticks: int, *, digits: int | None = None) -> str:
    """ISO 8601 with Z. `digits` None writes the shortest form as Log Analytics' wire does; 7 as `tostring()` does."""
    seconds, rest = divmod(ticks, TICKS_PER_SECOND)
    whole = _YEAR_ONE + timedelta(seconds=seconds)
    stamp = (
        f"{whole.year:04}-{whole.month:02}-{whole.day:02}T{whole.hour:02}:{whole.minute:02}:{whole.second:02}"
    )
    fraction = f"{rest:07}"
    fraction = fraction.rstrip("0") if digits is None else fraction[:digits]
    return f"{stamp}.{fraction}Z" if fraction else f"{stamp}Z"


def format_timespan_ticks(ticks: int) -> str:
    """`[-][d.]hh:mm:ss[.fffffff]`, as Kusto prints timespans."""
    sign, magnitude = ("-", -ticks) if ticks < 0 else ("", ticks)
    seconds, fraction = divmod(magnitude, TICKS_PER_SECOND)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    day_part = f"{days}." if days else ""
    tail = f".{fraction:07}" if fraction else ""
    return f"{sign}{day_part}{hours:02}:{minutes:02}:{seconds:02}{tail}"
