"""Jobs: the queue that runs them, the timer that finds what was left half-way, and what operators see of them."""

import logging
from http import HTTPStatus

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import allow
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.jobs.model import JobId
from shared.jobs.sweep import retire, sweep
from shared.jobs.wire import JobList, JobListQuery, JobNamed, JobResource, OutputQuery, OutputResource

log = logging.getLogger(__name__)
bp = func.Blueprint()

READ = "Microsoft.OperationalInsights/workspaces/read"
WRITE = "Microsoft.OperationalInsights/workspaces/write"


@bp.function_name("jobs_job_advance")
@bp.queue_trigger("msg", queue_name="oms-jobs", connection="OMS_STORAGE")  # pyright: ignore[reportUnknownMemberType] - untyped in the library
def advance(msg: func.QueueMessage) -> None:
    """Take one job a step further. Raising makes the host deliver the message again."""
    delivery = services().jobs.handle(msg.get_body().decode())
    log.debug("job message handled", extra={"delivery": delivery.value})


@bp.function_name("jobs_sweep_tick")
@bp.timer_trigger("timer", schedule="30 * * * * *")
def tick(timer: func.TimerRequest) -> None:
    """Send the messages that are missing."""
    swept = sweep(services().jobs)
    if swept.sent:
        log.warning(
            "jobs were left half-way", extra={"live": swept.live, "sent": swept.sent, "late": timer.past_due}
        )


@bp.function_name("jobs_retention_tick")
@bp.timer_trigger("timer", schedule="0 20 3 * * *")
def forget(timer: func.TimerRequest) -> None:
    """Forget jobs that are over longer than their kind keeps them."""
    log.info("old jobs forgotten", extra={"jobs": retire(services().jobs), "late": timer.past_due})


@bp.function_name("jobs_job_list")
@bp.route("operations/jobs", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def list_jobs(req: func.HttpRequest) -> func.HttpResponse:
    """Jobs, newest first: of one scope, or of all."""
    allow(req, services().identity, READ)
    return respond(
        JobList.of(*services().job_desk.list(JobListQuery.model_validate(dict(req.params)).query()))
    )


@bp.function_name("jobs_job_get")
@bp.route("operations/jobs/{id}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def get_job(req: func.HttpRequest) -> func.HttpResponse:
    """One job with its history."""
    allow(req, services().identity, READ)
    named = JobNamed.model_validate(dict(req.params))
    return respond(JobResource.of(services().job_desk.get(JobId(req.route_params["id"]), named.where)))


@bp.function_name("jobs_job_output")
@bp.route("operations/jobs/{id}/output", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def read_output(req: func.HttpRequest) -> func.HttpResponse:
    """Lines of output after a cursor, held open up to `wait` seconds while there are none."""
    allow(req, services().identity, READ)
    asked = OutputQuery.model_validate(dict(req.params))
    return respond(OutputResource.of(*services().job_desk.output(JobId(req.route_params["id"]), asked)))


@bp.function_name("jobs_job_cancel")
@bp.route("operations/jobs/{id}/cancel", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def cancel_job(req: func.HttpRequest) -> func.HttpResponse:
    """Ask a job to stop. Asking again is harmless."""
    principal = allow(req, services().identity, WRITE)
    named = JobNamed.model_validate(dict(req.params))
    job = services().job_desk.cancel(JobId(req.route_params["id"]), named.where, asked_by=principal.name)
    return respond(JobResource.of(job), HTTPStatus.ACCEPTED)
