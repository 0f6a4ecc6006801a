"""Applications that may ask the local issuer for tokens: registered by an owner, their secret shown once."""

from http import HTTPStatus

import azure.functions as func
from pydantic import Field

from shared.arm.wire import Wire
from shared.bootstrap import services
from shared.http.authorize import allow
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.identity.builtin_roles import role_named
from shared.identity.local_issuer import NoLocalIssuer, UnknownRole

bp = func.Blueprint()


class ClientAsked(Wire):
    name: str = Field(min_length=1, max_length=120)
    roles: list[str] = Field(min_length=1, max_length=20)


class ClientRegistered(Wire):
    """What `az login --service-principal` and azure-identity's ClientSecretCredential take."""

    tenant: str
    client_id: str
    client_secret: str
    object_id: str


@bp.function_name("management_client_register")
@bp.route("operations/clients", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def register(req: func.HttpRequest) -> func.HttpResponse:
    """Only for those who may assign roles everywhere: the client gets the roles that are named."""
    allow(req, services().identity, "Microsoft.Authorization/roleAssignments/write")
    issuer = services().issuer
    if issuer is None:
        raise NoLocalIssuer("applications are registered in Microsoft Entra here")
    asked = ClientAsked.model_validate_json(req.get_body())
    unknown = [name for name in asked.roles if role_named(name) is None]
    if unknown:
        raise UnknownRole(f"no built-in role is called {', '.join(unknown)}", target="roles")
    client, secret = issuer.register(asked.name, roles=asked.roles)
    return respond(
        ClientRegistered(
            tenant=issuer.tenant,
            client_id=client.client_id,
            client_secret=secret,
            object_id=client.object_id,
        ),
        HTTPStatus.CREATED,
        headers={"Cache-Control": "no-store"},
    )
