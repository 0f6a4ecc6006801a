"""The `timespan` of the Logs Query API: an ISO 8601 duration, or an interval, as bounds in ticks."""

import re
from typing import Final

from shared.kernel.errors import OmsError
from shared.kernel.ticks import TICKS_PER_SECOND, parse_iso_ticks

Bounds = tuple[int | None, int | None]
"""The first and last tick of TimeGenerated, both inclusive; None is open."""

_DURATION: Final = re.compile(
    r"P(?:(\d+(?:[.,]\d+)?)Y)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)W)?(?:(\d+(?:[.,]\d+)?)D)?"
    r"(?:T(?:(\d+(?:[.,]\d+)?)H)?(?:(\d+(?:[.,]\d+)?)M)?(?:(\d+(?:[.,]\d+)?)S)?)?",
    re.IGNORECASE,
)
_SECONDS: Final = (31_536_000, 2_592_000, 604_800, 86_400, 3_600, 60, 1)


class InvalidTimespan(OmsError):
    code = "BadArgumentError"


def duration_ticks(text: str) -> int | None:
    """The length of an ISO 8601 duration (a year as 365 days, a month as 30); None if it is not one."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    parts = zip(match.groups(), _SECONDS, strict=True)
    return round(
        sum(float((part or "0").replace(",", ".")) * seconds * TICKS_PER_SECOND for part, seconds in parts)
    )


def bounds_of(timespan: str | None, *, now_ticks: int) -> Bounds:
    """`PT3600.0S` and `P1D` end now; `start/end`, `start/duration` and `duration/end` say both. None or '' is open."""
    if not timespan:
        return None, None
    first, slash, second = timespan.partition("/")
    if not slash:
        length = duration_ticks(first)
        if length is None:
            raise InvalidTimespan(
                f"timespan {timespan!r} is neither an ISO 8601 duration nor an interval", target="timespan"
            )
        return now_ticks - length, now_ticks
    start, end = parse_iso_ticks(first), parse_iso_ticks(second)
    if start is None and end is not None and (length := duration_ticks(first)) is not None:
        start = end - length
    elif end is None and start is not None and (length := duration_ticks(second)) is not None:
        end = start + length
    if start is None or end is None:
        raise InvalidTimespan(
            f"timespan {timespan!r} is neither an ISO 8601 duration nor an interval", target="timespan"
        )
    if end < start:
        raise InvalidTimespan(f"timespan {timespan!r} ends before it starts", target="timespan")
    return start, end
