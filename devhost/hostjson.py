"""host.json and application settings: what they may say here, with Azure's names and defaults."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from devhost.ncrontab import Every, ScheduleInvalid, parse_schedule

_SETTING: Final = re.compile(r"%([^%]+)%")


class HostJsonInvalid(ValueError):
    """host.json says something that Azure would not take, or that a trigger names a setting that is not there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queues:
    """Times are in seconds."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: float = 0.0
    max_polling_interval: float = 60.0
    base64: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class HostJson:
    route_prefix: str = "api"
    function_timeout: float | None = 1800.0
    queues: Queues = Queues()


def read_host_json(path: Path) -> HostJson:
    """The file's settings; without the file, Azure's defaults."""
    if not path.is_file():
        return HostJson()
    try:
        document = json.loads(path.read_text())
    except ValueError as error:
        raise HostJsonInvalid(f"{path} is not JSON: {error}") from error
    if document.get("version") != "2.0":
        raise HostJsonInvalid(f'{path} must say "version": "2.0"')
    extensions: Mapping[str, Any] = document.get("extensions", {})
    timeout = document.get("functionTimeout", "00:30:00")
    return HostJson(
        route_prefix=str(extensions.get("http", {}).get("routePrefix", "api")).strip("/"),
        function_timeout=None if timeout in ("-1", -1) else _seconds("functionTimeout", timeout),
        queues=_queues(extensions.get("queues", {})),
    )


def _queues(section: Mapping[str, Any]) -> Queues:
    known = {
        "batchSize",
        "newBatchThreshold",
        "maxDequeueCount",
        "visibilityTimeout",
        "maxPollingInterval",
        "messageEncoding",
    }
    if unknown := sorted(set(section) - known):
        raise HostJsonInvalid(f"host.json: extensions.queues does not have {', '.join(unknown)}")
    batch = _number("batchSize", section.get("batchSize", 16), 1, 32)
    encoding = str(section.get("messageEncoding", "base64")).casefold()
    if encoding not in ("base64", "none"):
        raise HostJsonInvalid(
            f"host.json: extensions.queues.messageEncoding is base64 or none, not {encoding!r}"
        )
    return Queues(
        batch_size=batch,
        new_batch_threshold=_number(
            "newBatchThreshold", section.get("newBatchThreshold", batch // 2), 0, 1000
        ),
        max_dequeue_count=_number("maxDequeueCount", section.get("maxDequeueCount", 5), 1, 1_000_000),
        visibility_timeout=_seconds("visibilityTimeout", section.get("visibilityTimeout", "00:00:00")),
        max_polling_interval=max(
            _seconds("maxPollingInterval", section.get("maxPollingInterval", "00:01:00")), 0.1
        ),
        base64=encoding == "base64",
    )


def _number(name: str, value: object, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise HostJsonInvalid(
            f"host.json: extensions.queues.{name} must be a number from {low} to {high}, not {value!r}"
        )
    return value


def _seconds(name: str, value: object) -> float:
    if isinstance(value, str):
        if value.strip() in ("00:00:00", "00:00"):
            return 0.0
        try:
            schedule = parse_schedule(value)
        except ScheduleInvalid:
            schedule = None
        if isinstance(schedule, Every):
            return schedule.interval.total_seconds()
    raise HostJsonInvalid(f"host.json: {name} must be a time as hh:mm:ss, not {value!r}")


def resolve_settings(text: str, *, used_by: str) -> str:
    """`%NAME%` in a trigger's property stands for that application setting."""

    def value_of(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in os.environ:
            raise HostJsonInvalid(f"{used_by} wants the setting {name}, which is not there")
        return os.environ[name]

    return _SETTING.sub(value_of, text)
