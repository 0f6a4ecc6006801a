"""The management API over HTTP: one catch-all for subscriptions, and the few paths beside it."""

from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

import azure.functions as func

from shared.arm.requests import ArmRequest, ArmResponse
from shared.arm.tenant import metadata_endpoints
from shared.bootstrap import services
from shared.http.authorize import authenticate, header_of
from shared.http.errors import http_errors
from shared.http.responses import respond
from shared.kernel.correlation import correlation_id

bp = func.Blueprint()

_METHODS: Final = ("GET", "HEAD", "PUT", "PATCH", "POST", "DELETE")


@bp.function_name("management_arm_request")
@bp.route("subscriptions/{*rest}", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def arm_request(req: func.HttpRequest) -> func.HttpResponse:
    """Any resource, collection or operation in a subscription."""
    return _answer(req)


@bp.function_name("management_subscriptions_list")
@bp.route("subscriptions", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def list_subscriptions(req: func.HttpRequest) -> func.HttpResponse:
    return _answer(req)


@bp.function_name("management_tenants_list")
@bp.route("tenants", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def list_tenants(req: func.HttpRequest) -> func.HttpResponse:
    return _answer(req)


@bp.function_name("management_providers_request")
@bp.route("providers/{*rest}", methods=_METHODS, auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def provider_request(req: func.HttpRequest) -> func.HttpResponse:
    """Providers, their operations, and role assignments at the root."""
    return _answer(req)


@bp.function_name("management_providers_list")
@bp.route("providers", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def list_providers(req: func.HttpRequest) -> func.HttpResponse:
    return _answer(req)


@bp.function_name("management_metadata_endpoints")
@bp.route("metadata/endpoints", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
@http_errors
def endpoints(req: func.HttpRequest) -> func.HttpResponse:
    """What `az cloud register` reads, before anybody has a token."""
    return respond(metadata_endpoints(origin=_origin(req), tenant=services().settings.tenant_id))


@bp.function_name("management_deletions_sweep")
@bp.timer_trigger("timer", schedule="0 * * * * *")
def sweep_deletions(timer: func.TimerRequest) -> None:
    """Finish deletions that a crash or a long list left half-way, and forget spent sign-in links."""
    del timer
    services().management.sweep()
    services().identity.sign_ins.sweep()


@bp.function_name("management_activity_publish")
@bp.timer_trigger("timer", schedule="*/15 * * * * *")
def publish_activity(timer: func.TimerRequest) -> None:
    """Bring the activity log's records into the first workspace."""
    del timer
    services().publish_activity()


def _answer(req: func.HttpRequest) -> func.HttpResponse:
    principal = authenticate(req, services().identity)
    split = urlsplit(req.url)
    answer = services().management.handle(
        ArmRequest(
            method=(req.method or "GET").upper(),
            path=unquote(split.path),
            query={unquote(name).lower(): value for name, value in req.params.items()},
            headers={name: header_of(req, name) for name in ("if-match", "if-none-match")},
            body=req.get_body(),
            principal=principal,
            origin=f"{split.scheme}://{split.netloc}",
            correlation_id=correlation_id(),
            # The platform appends the address it saw; what stands before it the caller may have written.
            caller_ip=header_of(req, "x-forwarded-for").rpartition(",")[2].strip(),
        )
    )
    return _response(answer)


def _response(answer: ArmResponse) -> func.HttpResponse:
    body = dict(answer.body) if answer.body is not None and not isinstance(answer.body, list) else answer.body
    headers = {
        **answer.headers,
        "x-ms-correlation-request-id": correlation_id(),
        "Cache-Control": "no-store",
    }
    return respond(body, HTTPStatus(answer.status), headers=headers)


def _origin(req: func.HttpRequest) -> str:
    split = urlsplit(req.url)
    return f"{split.scheme}://{split.netloc}"
