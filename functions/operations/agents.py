"""HTTP functions for connected agents: token, configuration, and whether their records can be found."""

from collections.abc import Mapping
from typing import cast

import azure.functions as func
import orjson

from shared.arm.wire import Wire
from shared.bootstrap import services
from shared.http.authorize import authenticate
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.kernel.ticks import parse_iso_ticks
from shared.loganalytics.agents.service import AgentBodyInvalid
from shared.loganalytics.queries.wire import QueryBody

bp = func.Blueprint()


class Invitation(Wire):
    token: str


@bp.function_name("operations_agent_token")
@bp.route("operations/agents/token", methods=["POST"])
@http_errors
def token(req: func.HttpRequest) -> func.HttpResponse:
    """Give a machine that signs with the workspace key a token for one hour."""
    headers = cast("Mapping[str, str]", req.headers)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    folded = {name.lower(): value for name, value in headers.items()}
    return respond(services().agents.token(folded, req.get_body()), headers={"Cache-Control": "no-store"})


@bp.function_name("operations_agent_join")
@bp.route("operations/agents/join", methods=["POST"])
@http_errors
def join(req: func.HttpRequest) -> func.HttpResponse:
    """Take a machine in that was invited."""
    invitation = Invitation.model_validate_json(req.get_body())
    return respond(services().agents.join(invitation.token), headers={"Cache-Control": "no-store"})


@bp.function_name("operations_agent_configure")
@bp.route("operations/agents/configuration", methods=["GET"])
@http_errors
def configure(req: func.HttpRequest) -> func.HttpResponse:
    """Say what the calling agent is to collect."""
    agents = services().agents
    return respond(agents.configuration(agents.workspace_of(authenticate(req, services().identity))))


@bp.function_name("operations_agent_find")
@bp.route("operations/agents/seen", methods=["GET"])
@http_errors
def seen(req: func.HttpRequest) -> func.HttpResponse:
    """Whether a query finds a heartbeat of a computer since an instant: the last step of the agent's doctor."""
    workspace = services().agents.workspace_of(authenticate(req, services().identity))
    params = cast("Mapping[str, str]", req.params)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    since = params.get("since", "")
    if parse_iso_ticks(since) is None:
        raise AgentBodyInvalid("since is not an ISO 8601 instant", target="since")
    computer = orjson.dumps(params.get("computer", "")).decode()
    body = QueryBody(
        query=f"Heartbeat | where Computer == {computer} and TimeGenerated >= datetime({since}) | count"
    )
    answer = orjson.loads(
        services().queries.query(
            body, workspaces=[workspace], find=services().finder_of_system(), caller="agents"
        )
    )
    return respond({"seen": answer["tables"][0]["rows"][0][0] > 0})
