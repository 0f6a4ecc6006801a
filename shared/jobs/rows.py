"""A job as a row of the table `omsjobs`, and back."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final, cast

from shared.jobs.lifecycle import TERMINAL
from shared.jobs.model import (
    HistoryEntry,
    Job,
    JobError,
    JobId,
    JobStatus,
    JsonObject,
    OutputMark,
    Progress,
    Scope,
)
from shared.kernel.errors import Category, OmsError
from shared.kernel.versions import check_version
from shared.storage.ports import Row, Value

ROW_VERSION: Final = 1
MAX_JSON: Final = 30_000
"""Characters a column of a job holds: Azure takes 32 Ki in UTF-16. What is bigger belongs in a blob that the job names."""


class JobTooLarge(OmsError):
    """Parameters, state or result that a row does not hold."""

    category = Category.TOO_LARGE
    code = "JobTooLarge"


def values_of(job: Job) -> dict[str, Value | None]:
    return {
        "v": ROW_VERSION,
        "id": job.id,
        "scope": job.scope,
        "kind": job.kind,
        "status": job.status.value,
        "live": job.status not in TERMINAL,
        "subject": job.subject,
        "caller": job.caller,
        "parent": job.parent,
        "correlation": job.correlation_id,
        "parameters": _json("parameters", job.parameters),
        "state": _json("state", job.state),
        "reason": job.reason[:2000],
        "next": job.next[:2000],
        "progress": _json("progress", asdict(job.progress)),
        "turn": job.turn,
        "due": job.due,
        "fence": job.fence,
        "owner": job.owner,
        "until": job.until,
        "attempt": job.attempt,
        "deaths": job.deaths,
        "cancel": job.cancel_requested,
        "woken": job.woken,
        "held": job.held,
        "slots": json.dumps(job.slots),
        "output": _json("output", asdict(job.output)),
        "result": None if job.result is None else _json("result", job.result),
        "error": None
        if job.error is None
        else _json("error", {"code": job.error.code, "message": job.error.message[:8000]}),
        "created": job.created,
        "changed": job.changed,
        "started": job.started,
        "ended": job.ended,
        "deadline": job.deadline,
        "history": json.dumps([_entry(entry) for entry in job.history]),
    }


def job_of(row: Row) -> Job:
    """The job of a row that this release reads, else StoredVersionUnsupported."""
    values = row.values
    check_version("job row", values.get("v"), current=ROW_VERSION)
    error: Any = _loads(values, "error")
    parent = _text(values, "parent")
    return Job(
        id=JobId(_text(values, "id")),
        scope=Scope(_text(values, "scope")),
        kind=_text(values, "kind"),
        status=JobStatus(_text(values, "status")),
        subject=_text(values, "subject"),
        caller=_text(values, "caller"),
        parent=JobId(parent) if parent else None,
        correlation_id=_text(values, "correlation"),
        parameters=_object(values, "parameters"),
        state=_object(values, "state"),
        reason=_text(values, "reason"),
        next=_text(values, "next"),
        progress=Progress(**_object(values, "progress")),
        turn=_number(values, "turn"),
        due=_instant(values, "due"),
        fence=_number(values, "fence"),
        owner=_text(values, "owner"),
        until=_instant_or_none(values, "until"),
        attempt=_number(values, "attempt"),
        deaths=_number(values, "deaths"),
        cancel_requested=bool(values.get("cancel")),
        woken=bool(values.get("woken")),
        held=bool(values.get("held")),
        slots=tuple(cast("list[str]", _loads(values, "slots") or [])),
        output=OutputMark(**_object(values, "output")),
        result=_object(values, "result") if "result" in values else None,
        error=JobError(code=error["code"], message=error["message"]) if error else None,
        created=_instant(values, "created"),
        changed=_instant(values, "changed"),
        started=_instant_or_none(values, "started"),
        ended=_instant_or_none(values, "ended"),
        deadline=_instant_or_none(values, "deadline"),
        history=tuple(_told(entry) for entry in cast("list[Any]", _loads(values, "history") or [])),
    )


def _json(what: str, value: JsonObject) -> str:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if len(text) > MAX_JSON:
        raise JobTooLarge(f"the {what} of a job have {len(text)} characters; {MAX_JSON} fit", target=what)
    return text


def _entry(entry: HistoryEntry) -> list[str]:
    return [entry.at.isoformat(), entry.status.value, entry.event, entry.reason[:150]]


def _told(entry: Any) -> HistoryEntry:
    at, status, event, reason = entry
    return HistoryEntry(at=datetime.fromisoformat(at), status=JobStatus(status), event=event, reason=reason)


def _read[T](kind: type[T], absent: Callable[[], T]) -> Callable[[Mapping[str, Value], str], T]:
    def read(values: Mapping[str, Value], name: str) -> T:
        found = values.get(name)
        return found if isinstance(found, kind) else absent()

    return read


_text = _read(str, str)
_number = _read(int, int)


def _loads(values: Mapping[str, Value], name: str) -> Any:
    text = _text(values, name)
    return json.loads(text) if text else None


def _object(values: Mapping[str, Value], name: str) -> dict[str, Any]:
    return cast("dict[str, Any]", _loads(values, name) or {})


def _instant_or_none(values: Mapping[str, Value], name: str) -> datetime | None:
    found = values.get(name)
    return found if isinstance(found, datetime) else None


def _instant(values: Mapping[str, Value], name: str) -> datetime:
    found = values[name]
    if not isinstance(found, datetime):
        raise TypeError(f"the column {name} of a job row is no instant")
    return found
