"""The local issuer over HTTP, where Azure's SDKs and CLI look for Entra: token endpoint, keys, discovery."""

import base64
import binascii
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qsl

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import header_of
from shared.http.errors import STATUS, http_errors
from shared.http.responses import respond
from shared.identity.local_issuer import InvalidClient, LocalIssuer, NoLocalIssuer
from shared.kernel.errors import Category, OmsError

bp = func.Blueprint()

MAX_FORM_BYTES: Final = 64 * 1024


@bp.function_name("management_token_grant")
@bp.route("{tenant}/oauth2/v2.0/token", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def grant(req: func.HttpRequest) -> func.HttpResponse:
    """Client credentials, as azure-identity and az send them. Errors are in OAuth's form."""
    return _granted(req)


@bp.function_name("management_token_grant_v1")
@bp.route("{tenant}/oauth2/token", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def grant_v1(req: func.HttpRequest) -> func.HttpResponse:
    return _granted(req)


@bp.function_name("management_token_discovery")
@bp.route(
    "{tenant}/v2.0/.well-known/openid-configuration", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS
)
@http_errors
def discovery(req: func.HttpRequest) -> func.HttpResponse:
    return respond(_issuer(req).openid_configuration())


@bp.function_name("management_token_discovery_v1")
@bp.route("{tenant}/.well-known/openid-configuration", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def discovery_v1(req: func.HttpRequest) -> func.HttpResponse:
    return respond(_issuer(req).openid_configuration())


@bp.function_name("management_token_keys")
@bp.route("{tenant}/discovery/v2.0/keys", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def keys(req: func.HttpRequest) -> func.HttpResponse:
    return respond(_issuer(req).jwks())


def _granted(req: func.HttpRequest) -> func.HttpResponse:
    try:
        answer = _issuer(req).grant(tenant=req.route_params["tenant"], form=_form(req))
    except OmsError as refused:
        if refused.category not in (Category.INVALID, Category.UNAUTHENTICATED):
            raise
        return respond(_refusal(refused), HTTPStatus(STATUS[refused.category]))
    return respond(answer, headers={"Cache-Control": "no-store"})


def _refusal(refused: OmsError) -> Mapping[str, Any]:
    return {
        "error": refused.code,
        "error_description": refused.message,
        "error_codes": [],
        "trace_id": "",
        "correlation_id": "",
    }


def _issuer(req: func.HttpRequest) -> LocalIssuer:
    issuer, tenant = services().issuer, req.route_params["tenant"]
    if issuer is None or tenant.lower() not in (issuer.tenant.lower(), "common", "organizations"):
        raise NoLocalIssuer(f"no issuer serves the tenant '{tenant[:80]}' here", target="tenant")
    return issuer


def _form(req: func.HttpRequest) -> Mapping[str, str]:
    body = req.get_body()
    if len(body) > MAX_FORM_BYTES:
        raise InvalidClient("the form is too long")
    form = dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    scheme, _, text = header_of(req, "Authorization").partition(" ")
    if scheme.lower() == "basic":
        try:
            client_id, _, secret = base64.b64decode(text).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidClient("the Authorization header does not parse") from None
        form |= {"client_id": client_id, "client_secret": secret}
    return form
