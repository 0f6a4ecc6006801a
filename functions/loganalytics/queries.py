"""HTTP functions of the Logs Query API: query, batch, resource queries, metadata."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

import azure.functions as func
import orjson

from shared.bootstrap import services
from shared.http.authorize import authenticate, header_of
from shared.http.errors import error_response, http_errors
from shared.http.responses import respond
from shared.identity.model import Principal
from shared.kernel.errors import OmsError
from shared.kernel.ids import random_id
from shared.kql.errors import KqlError
from shared.loganalytics.logstore.model import WorkspaceId
from shared.loganalytics.queries.scope import FindWorkspace, PathNotFound
from shared.loganalytics.queries.wire import BatchBody, Prefer, QueryBody, bad_argument

bp = func.Blueprint()


@bp.function_name("loganalytics_query_run")
@bp.route("v1/workspaces/{workspace}/query", methods=["GET", "POST"])
@http_errors
def run(req: func.HttpRequest) -> func.HttpResponse:
    """Answer one query over a workspace."""
    principal = authenticate(req, services().identity)
    return _answer(principal, req.route_params["workspace"], _body(req), _prefer(req))


@bp.function_name("loganalytics_query_run_bare")
@bp.route("workspaces/{workspace}/query", methods=["GET", "POST"])
@http_errors
def run_bare(req: func.HttpRequest) -> func.HttpResponse:
    """The same without /v1, as the JavaScript client asks."""
    principal = authenticate(req, services().identity)
    return _answer(principal, req.route_params["workspace"], _body(req), _prefer(req))


@bp.function_name("loganalytics_query_resource")
@bp.route("v1/subscriptions/{*rest}", methods=["GET", "POST"])
@http_errors
def run_resource(req: func.HttpRequest) -> func.HttpResponse:
    """Answer one query over what a resource sent, whichever workspaces it sent it to."""
    principal = authenticate(req, services().identity)
    rest = req.route_params["rest"]
    if not rest.endswith("/query"):
        raise PathNotFound("The requested path does not exist", target=rest[:200])
    resource = "/subscriptions/" + rest.removesuffix("/query")
    found = services().resource_workspaces(principal, resource)
    return _query(principal, found.workspaces, _body(req), _prefer(req), resource=found.resource)


@bp.function_name("loganalytics_query_batch")
@bp.route("v1/$batch", methods=["POST"])
@http_errors
def run_batch(req: func.HttpRequest) -> func.HttpResponse:
    """Answer several queries, each with its own status."""
    principal = authenticate(req, services().identity)
    batch = BatchBody.model_validate_json(req.get_body())
    answers: list[dict[str, Any]] = []
    for item in batch.requests:
        prefer = Prefer.parse(next((v for k, v in item.headers.items() if k.lower() == "prefer"), ""))
        try:
            response = _answer(principal, item.workspace, item.body, prefer)
        except OmsError as error:
            response = error_response(error)
        answers.append(
            {
                "id": item.id,
                "status": response.status_code,
                "headers": {"Content-Type": "application/json; charset=utf-8"},
                "body": orjson.Fragment(response.get_body()),
            }
        )
    return respond({"responses": answers})


@bp.function_name("loganalytics_query_metadata")
@bp.route("v1/workspaces/{workspace}/metadata", methods=["GET", "POST"])
@http_errors
def metadata(req: func.HttpRequest) -> func.HttpResponse:
    """Describe the tables and columns of a workspace."""
    principal = authenticate(req, services().identity)
    workspace = services().finder(principal)(req.route_params["workspace"])
    tables = services().tables
    return respond(
        {
            "tables": [
                {
                    "id": f"t/{table.name}",
                    "name": table.name,
                    "description": table.description,
                    "timespanColumn": "TimeGenerated",
                    "columns": [{"name": column.name, "type": column.type.value} for column in table.columns],
                }
                for table in tables.tables(workspace)
            ],
            "workspaces": [
                {"id": workspace, "resourceId": services().workspaces.by_customer_id(workspace).resource_id}
            ],
        }
    )


def _body(req: func.HttpRequest) -> QueryBody:
    if req.method == "GET":
        params = cast("Mapping[str, str]", req.params)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
        names = params.get("workspaces", "")
        return QueryBody(
            query=params.get("query", ""),
            timespan=params.get("timespan"),
            workspaces=names.split(",") if names else None,
        )
    return QueryBody.model_validate_json(req.get_body())


def _prefer(req: func.HttpRequest) -> Prefer:
    return Prefer.parse(header_of(req, "Prefer"))


def _answer(principal: Principal, workspace: str, body: QueryBody, prefer: Prefer) -> func.HttpResponse:
    find: FindWorkspace = services().finder(principal)
    return _query(principal, [find(workspace)], body, prefer)


def _query(
    principal: Principal,
    workspaces: list[WorkspaceId],
    body: QueryBody,
    prefer: Prefer,
    *,
    resource: str | None = None,
) -> func.HttpResponse:
    try:
        data = services().queries.query(
            body,
            workspaces=workspaces,
            find=services().finder(principal),
            caller=principal.object_id,
            prefer=prefer,
            resource=resource,
        )
    except KqlError as refused:
        return respond(dict(bad_argument(refused, correlation_id=random_id())), HTTPStatus.BAD_REQUEST)
    return func.HttpResponse(data, mimetype="application/json", charset="utf-8")
