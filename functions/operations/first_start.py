"""The call that `oms up` makes once the host answers: default workspace, operator's token, sign-in link."""

import hmac

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import header_of
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.identity.model import AuthenticationFailed

bp = func.Blueprint()


@bp.function_name("operations_first_start_prepare")
@bp.route("operations/bootstrap", methods=["POST"])
@http_errors
def prepare(req: func.HttpRequest) -> func.HttpResponse:
    """Make what a first start needs, or find it. Only for whoever started this host."""
    secret = services().settings.bootstrap_secret
    given = header_of(req, "x-oms-bootstrap")
    if secret is None or not hmac.compare_digest(secret.get_secret_value().encode(), given.encode()):
        raise AuthenticationFailed("this call is for the process that started the host")
    return respond(services().first_start())
