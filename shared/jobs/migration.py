"""A migration is a job: it rewrites what an earlier release stored, one step at a time, and goes on after a crash."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final, cast

from shared.jobs.context import StepContext
from shared.jobs.engine import JobEngine
from shared.jobs.kinds import JobKind, Next, StepOutcome, Succeed, Wait
from shared.jobs.model import Job, JobId, JsonObject, Progress, Scope
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import derived_id
from shared.kernel.versions import StoredVersionUnsupported, check_version

MIGRATE: Final = "migrate"
SCOPE: Final = Scope("migrations")
"""Migrations are the bundle's own jobs, of no workspace."""
CURSOR_VERSION: Final = 1
_ELSEWHERE_PAUSE: Final = 60.0


class MigrationUnknown(OmsError):
    """This release has no such migration."""

    category = Category.UNSUPPORTED
    code = "MigrationUnknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migrated:
    """What one step did. `cursor` is where the next one goes on, None when nothing is left; `total` None: not known."""

    cursor: JsonObject | None
    done: int
    total: int | None = None
    bytes: int = 0


MigrationStep = Callable[[StepContext, JsonObject], Migrated]
"""Migrates some of what follows the cursor (empty at first), within the context's time.

A crash before the cursor is recorded has the step run again from the same cursor, perhaps beside the runner that was
taken for dead: it must pass over what is migrated already and write with the etag it read.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Takes what is stored at `from_version` to the next version. The name is for ever: the job's id is made of it."""

    name: str
    from_version: int
    step: MigrationStep


@dataclass(slots=True)
class Migrations:
    """The migrations of this release, by name; services register theirs at bootstrap."""

    _migrations: dict[str, Migration] = field(default_factory=dict[str, Migration])

    def register(self, migration: Migration) -> None:
        if migration.name in self._migrations:
            raise ValueError(f"the migration {migration.name} is registered twice")
        self._migrations[migration.name] = migration

    def get(self, name: str) -> Migration:
        """MigrationUnknown."""
        try:
            return self._migrations[name]
        except KeyError:
            raise MigrationUnknown(f"this release has no migration {name}", target=name) from None

    def all(self) -> Mapping[str, Migration]:
        return dict(self._migrations)

    def kind(self) -> JobKind:
        """The kind of job to register with the engine."""
        return JobKind(name=MIGRATE, run_step=self._run_step, budget=60, keep_days=3_650)

    def start(self, jobs: JobEngine, name: str, *, caller: str = "") -> Job:
        """The job that runs a migration: starting it again gives back the one that is there. MigrationUnknown."""
        migration = self.get(name)
        return jobs.start(
            MIGRATE,
            SCOPE,
            {"migration": name, "fromVersion": migration.from_version},
            job_id=migration_job_id(migration),
            subject=name,
            caller=caller,
        )

    def _run_step(self, context: StepContext) -> StepOutcome:
        name = str(context.parameters["migration"])
        migration = self._migrations.get(name)
        if migration is None or migration.from_version != context.parameters["fromVersion"]:
            return _leave(
                context, f"no migration {name} from version {context.parameters['fromVersion']} here"
            )
        if context.state:
            try:
                check_version("migration cursor", context.state.get("v"), current=CURSOR_VERSION)
            except StoredVersionUnsupported as newer:
                return _leave(context, newer.message)
        before = context.job.progress
        cursor = cast("Mapping[str, Any]", context.state.get("cursor") or {})
        migrated = migration.step(context, cursor)
        progress = Progress(
            phase=name,
            done=before.done + migrated.done,
            total=before.total if migrated.total is None else migrated.total,
            bytes=before.bytes + migrated.bytes,
        )
        context.report(phase=name, done=progress.done, total=progress.total, size=progress.bytes)
        context.say(f"{progress.done} migrated" + ("" if progress.total is None else f" of {progress.total}"))
        if migrated.cursor is None:
            return Succeed(result={"migrated": progress.done, "bytes": progress.bytes})
        return Next(state={"v": CURSOR_VERSION, "cursor": dict(migrated.cursor)}, progress=progress)


def _leave(context: StepContext, reason: str) -> Wait:
    """During a deploy the release that has the migration runs beside this one: the job waits for it."""
    return Wait(
        until=context.now() + timedelta(seconds=_ELSEWHERE_PAUSE),
        reason=reason,
        next="a release that has it goes on",
    )


def migration_job_id(migration: Migration) -> JobId:
    """The same in every instance, so that a deploy of many starts one job."""
    return JobId(derived_id(MIGRATE, migration.name, str(migration.from_version)))
