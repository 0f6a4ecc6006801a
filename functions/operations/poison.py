"""Messages the host gave up on: what they are about, and once more."""

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import allow
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.jobs.wire import PoisonMessageList, PoisonQueueList, PoisonReplay, Replayed

bp = func.Blueprint()

READ = "Microsoft.OperationalInsights/workspaces/read"
WRITE = "Microsoft.OperationalInsights/workspaces/write"


@bp.function_name("jobs_poison_list")
@bp.route("operations/poison", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def list_queues(req: func.HttpRequest) -> func.HttpResponse:
    """Every queue's count of poison messages."""
    allow(req, services().identity, READ)
    return respond(PoisonQueueList.of(services().poison.list()))


@bp.function_name("jobs_poison_peek")
@bp.route("operations/poison/{queue}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def peek(req: func.HttpRequest) -> func.HttpResponse:
    """The first poison messages of a queue, each with its reason."""
    allow(req, services().identity, READ)
    return respond(PoisonMessageList.of(services().poison.peek(req.route_params["queue"])))


@bp.function_name("jobs_poison_replay")
@bp.route("operations/poison/replay", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def replay(req: func.HttpRequest) -> func.HttpResponse:
    """Have one message of a queue, or all, delivered once more."""
    allow(req, services().identity, WRITE)
    asked = PoisonReplay.model_validate_json(req.get_body())
    return respond(Replayed(replayed=services().poison.replay(asked.queue, asked.id)))


@bp.function_name("jobs_poison_delete")
@bp.route("operations/poison/{queue}/{id}", methods=["DELETE"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def delete(req: func.HttpRequest) -> func.HttpResponse:
    """Give one message up for good."""
    allow(req, services().identity, WRITE)
    services().poison.delete(req.route_params["queue"], req.route_params["id"])
    return respond(None)
