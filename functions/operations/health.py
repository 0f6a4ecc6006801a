"""HTTP function of the bundle's own health."""

from http import HTTPStatus

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import header_of, session_of
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.kernel.health import State, examine

bp = func.Blueprint()


@bp.function_name("operations_health_read")
@bp.route("health", methods=["GET"])
@http_errors
def read(req: func.HttpRequest) -> func.HttpResponse:
    """The worst state for anybody; what was found for whoever is signed in. 503 only when a check failed."""
    found = examine(services().health_checks())
    status = HTTPStatus.SERVICE_UNAVAILABLE if found["state"] == State.FAILED else HTTPStatus.OK
    identity = services().identity
    known = header_of(req, "Authorization") or session_of(req, identity) is not None
    if header := header_of(req, "Authorization"):
        identity.of_authorization(header)
    return respond(dict(found) if known else {"state": found["state"]}, status)
