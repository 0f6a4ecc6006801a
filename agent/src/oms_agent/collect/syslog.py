"""Syslog messages, RFC 3164 and RFC 5424, as records of the table Syslog."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

FACILITIES: Final = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit",
    "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES: Final = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_PRIORITY: Final = re.compile(r"<(\d{1,3})>")
_RFC5424: Final = re.compile(
    r"1 (?P<time>\S+) (?P<host>\S+) (?P<app>\S+) (?P<pid>\S+) (?P<id>\S+) (?P<data>-|(?:\[(?:[^\]\\]|\\.)*\])+) ?(?P<message>.*)",
    re.DOTALL,
)
_RFC3164: Final = re.compile(
    r"(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) (?P<clock>\d{2}:\d{2}:\d{2}) (?P<host>\S+) (?P<rest>.*)",
    re.DOTALL,
)
_TAG: Final = re.compile(r"(?P<app>[^\s:\[]{1,64})(?:\[(?P<pid>\d+)\])?: ?(?P<message>.*)", re.DOTALL)


def parse(text: str, *, now: datetime, computer: str, peer: str) -> Mapping[str, Any]:
    """The record of one message. What is not syslog at all is kept whole as user.notice, as RFC 3164 4.3.3 says."""
    match = _PRIORITY.match(text)
    priority = int(match[1]) if match and int(match[1]) < len(FACILITIES) * 8 else 13
    rest = text[match.end() :] if match else text
    record: dict[str, Any] = {
        "Facility": FACILITIES[priority >> 3],
        "SeverityLevel": SEVERITIES[priority & 7],
        "Computer": computer,
        "CollectorHostName": computer,
        "HostIP": peer,
    }
    if (found := _RFC5424.fullmatch(rest)) is not None:
        when = _instant(found["time"]) or now
        record |= _said(
            found["host"], found["app"], found["pid"], found["message"].removeprefix("\ufeff"), peer
        )
    elif (found := _RFC3164.fullmatch(rest)) is not None and found["month"] in MONTHS:
        when = _this_year(found["month"], found["day"], found["clock"], now)
        tag = _TAG.fullmatch(found["rest"])
        app, pid, message = (
            (tag["app"], tag["pid"] or "-", tag["message"]) if tag else ("-", "-", found["rest"])
        )
        record |= _said(found["host"], app, pid, message, peer)
    else:
        when = now
        record |= _said(peer, "-", "-", rest, peer)
    stamp = when.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return record | {"EventTime": stamp, "TimeGenerated": stamp}


def takes(record: Mapping[str, Any], minimum: Mapping[str, str]) -> bool:
    """Whether the message is as severe as its facility's data source asks; with no data sources all are taken."""
    if not minimum:
        return True
    level = minimum.get(record["Facility"])
    return level is not None and SEVERITIES.index(record["SeverityLevel"]) <= SEVERITIES.index(level)


def unframe(buffer: bytes) -> tuple[list[bytes], bytes]:
    """The whole messages of a TCP stream, octet-counted or ended by a newline (RFC 6587), and what is left over."""
    messages: list[bytes] = []
    while buffer:
        if buffer[:1].isdigit():
            length, space, rest = buffer.partition(b" ")
            if not space and len(length) < 8 and length.isdigit():
                break
            if length.isdigit() and rest[:1] in (b"<", b""):
                if len(rest) < int(length) or not rest:
                    break
                messages.append(rest[: int(length)])
                buffer = rest[int(length) :]
                continue
        line, newline, rest = buffer.partition(b"\n")
        if not newline:
            break
        if line.strip():
            messages.append(line.rstrip(b"\r\x00"))
        buffer = rest
    return messages, buffer


def _said(host: str, app: str, pid: str, message: str, peer: str) -> dict[str, Any]:
    said: dict[str, Any] = {
        "HostName": peer if host == "-" else host,
        "ProcessName": "" if app == "-" else app,
        "SyslogMessage": message.rstrip("\n"),
    }
    if pid.isdigit() and int(pid) < 2**31:
        said["ProcessID"] = int(pid)
    return said


def _instant(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _this_year(month: str, day: str, clock: str, now: datetime) -> datetime:
    """RFC 3164 says no year and no zone: the latest such local time that is not more than a day ahead."""
    local = now.astimezone()
    hour, minute, second = map(int, clock.split(":"))
    for year in (local.year + 1, local.year, local.year - 1):
        try:
            found = local.replace(
                year=year, month=MONTHS.index(month) + 1, day=int(day), hour=hour, minute=minute, second=min(second, 59), microsecond=0
            )  # fmt: skip
        except ValueError:
            continue
        if (found - local).total_seconds() <= 86_400:
            return found
    return now
