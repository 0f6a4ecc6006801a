"""Health as data: named checks, what each found, and the worst of them."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)


class State(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


_ORDER = (State.OK, State.DEGRADED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found. `reason` says what is wrong and what to do, where something is."""

    state: State = State.OK
    reason: str | None = None
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    look: Callable[[], Finding]


def examine(checks: Sequence[Check]) -> Mapping[str, Any]:
    """All findings as JSON values, and the worst state. A check that raises has failed; the others go on."""
    parts: dict[str, Any] = {}
    worst = State.OK
    for check in checks:
        began = time.perf_counter()
        try:
            finding = check.look()
        except Exception as broken:
            log.exception("health check failed", extra={"check": check.name})
            finding = Finding(state=State.FAILED, reason=f"{type(broken).__name__}: {broken}", facts={})
        worst = max(worst, finding.state, key=_ORDER.index)
        part: dict[str, Any] = {
            "state": finding.state,
            **finding.facts,
            "milliseconds": round((time.perf_counter() - began) * 1000, 1),
        }
        if finding.reason is not None:
            part["reason"] = finding.reason
        parts[check.name] = part
    return {"state": worst, "checks": parts}
