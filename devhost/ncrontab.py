"""Timer schedules as Azure reads them: NCRONTAB with five or six fields, or a TimeSpan; always UTC."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

_MONTHS: Final = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_WEEKDAYS: Final = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
# The Gregorian calendar, weekdays included, repeats after 400 years: what did not happen by then never does.
_CYCLE_YEARS: Final = 400
_TIME_SPAN: Final = re.compile(
    r"(?:(?P<days>\d{1,8})\.)?(?P<first>\d{1,8}):(?P<second>\d{1,2})(?::(?P<third>\d{1,2})(?:\.(?P<fraction>\d{1,7}))?)?"
)
_FOUR_PARTS: Final = re.compile(r"(\d{1,8}):(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,7}))?")


class ScheduleInvalid(ValueError):
    """An expression that Azure Functions would refuse as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cron:
    """The values that each field allows. Day of month AND day of week must match, where cron takes either."""

    seconds: Sequence[int]
    minutes: Sequence[int]
    hours: Sequence[int]
    days: Sequence[int]
    months: Sequence[int]
    weekdays: frozenset[int]

    def next_after(self, at: datetime) -> datetime | None:
        """The first instant after `at` at which it fires; None if it never does (31 February)."""
        base = at.astimezone(UTC).replace(microsecond=0) + timedelta(seconds=1)
        earliest = base.time()
        for day in self._days_from(base.date()):
            moment = self._moment_from(earliest) if day == base.date() else self._moment_from(time.min)
            if moment is not None:
                return datetime.combine(day, moment, UTC)
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in range(first.year, min(first.year + _CYCLE_YEARS, 9998) + 1):
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                for day in self.days:
                    try:
                        found = date(year, month, day)
                    except ValueError:
                        break  # the month is shorter than that, and the days ascend
                    if found >= first and found.isoweekday() % 7 in self.weekdays:
                        yield found

    def _moment_from(self, earliest: time) -> time | None:
        for hour in self.hours:
            if hour < earliest.hour:
                continue
            for minute in self.minutes:
                if (hour, minute) < (earliest.hour, earliest.minute):
                    continue
                for second in self.seconds:
                    if (hour, minute, second) >= (earliest.hour, earliest.minute, earliest.second):
                        return time(hour, minute, second)
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """A constant interval, counted from the last run."""

    interval: timedelta

    def next_after(self, at: datetime) -> datetime | None:
        return at.astimezone(UTC) + self.interval


Schedule = Cron | Every


def parse_schedule(expression: str) -> Schedule:
    """The schedule that an expression says, or ScheduleInvalid with the reason."""
    fields = expression.split()
    if len(fields) in (5, 6):
        return _parse_cron(fields if len(fields) == 6 else ["0", *fields])
    interval = _parse_time_span(expression.strip())
    if interval is not None:
        if interval <= timedelta(0):
            raise ScheduleInvalid(f"the interval {expression!r} is not positive")
        return Every(interval=interval)
    raise ScheduleInvalid(
        f"the schedule expression {expression!r} was not recognized as a valid cron expression or timespan string"
    )


def _parse_cron(fields: Sequence[str]) -> Cron:
    second, minute, hour, day, month, weekday = fields
    return Cron(
        seconds=_field("second", second, 0, 59),
        minutes=_field("minute", minute, 0, 59),
        hours=_field("hour", hour, 0, 23),
        days=_field("day of month", day, 1, 31),
        months=_field("month", month, 1, 12, _MONTHS),
        weekdays=frozenset(_field("day of week", weekday, 0, 6, _WEEKDAYS)),
    )


def _field(what: str, text: str, low: int, high: int, names: Sequence[str] = ()) -> Sequence[int]:
    allowed: set[int] = set()
    # NCrontab splits at commas only where the first one is not at the very start.
    for part in text.split(",") if text.find(",") > 0 else [text]:
        allowed.update(_part(what, part, low, high, names))
    return tuple(sorted(allowed))


def _part(what: str, text: str, low: int, high: int, names: Sequence[str]) -> range:
    step = 1
    stepped = text.find("/") > 0
    if stepped:
        text, _, step_text = text.partition("/")
        if not step_text.isascii() or not step_text.isdigit():
            raise ScheduleInvalid(f"{step_text!r} is not a step of the {what} field")
        step = max(int(step_text), 1)
    if text == "*":
        return range(low, high + 1, step)
    if text.find("-") > 0:
        first_text, _, last_text = text.partition("-")
        first, last = (_value(what, t, low, high, names) for t in (first_text, last_text))
        # NCrontab takes a range that is written backwards as the same range.
        return range(min(first, last), max(first, last) + 1, step)
    value = _value(what, text, low, high, names)
    return range(value, high + 1, step) if stepped and step > 1 else range(value, value + 1)


def _value(what: str, text: str, low: int, high: int, names: Sequence[str]) -> int:
    if not text:
        raise ScheduleInvalid(f"a value of the {what} field is empty")
    if text.isascii() and text[0].isdigit():
        if not text.isdigit():
            raise ScheduleInvalid(f"{text!r} is not a number in the {what} field")
        value = int(text)
        if not low <= value <= high:
            raise ScheduleInvalid(f"{text} in the {what} field is outside {low} to {high}")
        return value
    # Any beginning of a name stands for it, the first match winning.
    for index, name in enumerate(names):
        if name.casefold().startswith(text.casefold()):
            return index + low
    known = f": use a number or one of {', '.join(names)}" if names else ": use a number"
    raise ScheduleInvalid(f"{text!r} is not a value of the {what} field{known}")


def _parse_time_span(text: str) -> timedelta | None:
    """.NET's TimeSpan: `d`, `[d.]hh:mm[:ss[.f]]`, `d:hh:mm:ss`; with a first part of 24 or more, `dd:hh:mm`."""
    if text.isascii() and text.isdigit():
        return _span(int(text), 0, 0, 0, "")
    if four := _FOUR_PARTS.fullmatch(text):
        days, hours, minutes, seconds, fraction = four.groups()
        return _span(int(days), int(hours), int(minutes), int(seconds), fraction or "")
    match = _TIME_SPAN.fullmatch(text)
    if match is None:
        return None
    first, second = int(match["first"]), int(match["second"])
    third, fraction = int(match["third"] or 0), match["fraction"] or ""
    if first >= 24:
        if match["days"] or match["third"] is None or fraction:
            return None
        return _span(first, second, third, 0, "")
    return _span(int(match["days"] or 0), first, second, third, fraction)


def _span(days: int, hours: int, minutes: int, seconds: int, fraction: str) -> timedelta | None:
    if hours > 23 or minutes > 59 or seconds > 59 or days > 10_675_199:
        return None
    microseconds = int((fraction + "000000")[:6]) if fraction else 0
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
