"""The queue message that names a job, and the turn it was sent for; it copies nothing of the job."""

import json
from dataclasses import dataclass
from typing import Any, Final, cast

from shared.jobs.model import JobId, Scope
from shared.kernel.errors import OmsError
from shared.kernel.versions import check_version

MESSAGE_VERSION: Final = 1


class JobMessageInvalid(OmsError):
    """A message on the job queue that is none of ours."""

    code = "JobMessageInvalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobMessage:
    """`turn` tells a delivery that comes late, or again, that the job has moved on; None is always heard."""

    scope: Scope
    job_id: JobId
    turn: int | None = None

    def encode(self) -> str:
        named = {"v": MESSAGE_VERSION, "job": self.job_id, "scope": self.scope}
        return json.dumps(named if self.turn is None else {**named, "turn": self.turn})

    @classmethod
    def decode(cls, body: str) -> "JobMessage":
        try:
            parsed: Any = json.loads(body)
        except ValueError:
            raise JobMessageInvalid("a job message is not JSON") from None
        if not isinstance(parsed, dict):
            raise JobMessageInvalid("a job message is not a JSON object")
        found = cast("dict[str, Any]", parsed)
        check_version("job message", found.get("v"), current=MESSAGE_VERSION)
        job, scope, turn = found.get("job"), found.get("scope"), found.get("turn")
        if not isinstance(job, str) or not isinstance(scope, str) or not isinstance(turn, int | None):
            raise JobMessageInvalid("a job message names no job and scope")
        return cls(scope=Scope(scope), job_id=JobId(job), turn=turn)
