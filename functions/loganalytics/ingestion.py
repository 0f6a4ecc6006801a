"""HTTP functions that take records in (Data Collector, Logs Ingestion), and the timer that accounts for them."""

import logging
import re
from collections.abc import Mapping
from functools import wraps
from http import HTTPStatus
from typing import Final, cast

import azure.functions as func

from shared.bootstrap import services
from shared.http.authorize import authenticate, header_of
from shared.http.errors import STATUS, Handler, http_errors
from shared.http.responses import respond
from shared.kernel.errors import Category, OmsError
from shared.loganalytics.ingestion.collector import Post
from shared.loganalytics.ingestion.upload import Upload

bp = func.Blueprint()
log = logging.getLogger(__name__)

_ODS_HOST: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.ods\.", re.IGNORECASE)


def collector_errors(handler: Handler) -> Handler:
    """Answer errors as the Data Collector API does: `{"Error": code, "Message": …}`."""

    @wraps(handler)
    def handle(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return handler(req)
        except OmsError as error:
            headers = (
                {} if error.retry_after is None else {"Retry-After": str(max(1, round(error.retry_after)))}
            )
            code = "ServiceUnavailable" if error.category is Category.UNAVAILABLE else error.code
            return respond({"Error": code, "Message": error.message}, STATUS[error.category], headers=headers)
        except Exception:
            log.exception("unhandled error in %s", handler.__name__)
            return respond(
                {"Error": "UnspecifiedError", "Message": "The service failed."},
                HTTPStatus.INTERNAL_SERVER_ERROR,
            )

    return handle


@bp.function_name("loganalytics_collector_post")
@bp.route("api/logs", methods=["POST"])
@collector_errors
def collect(req: func.HttpRequest) -> func.HttpResponse:
    """Take custom logs of the workspace that host name and signature name."""
    host = _ODS_HOST.match(header_of(req, "Host"))
    return _collect(req, "" if host is None else host[1])


@bp.function_name("loganalytics_collector_post_by_path")
@bp.route("ws/{workspace}/api/logs", methods=["POST"])
@collector_errors
def collect_by_path(req: func.HttpRequest) -> func.HttpResponse:
    """The same for clients that cannot be given a host name per workspace."""
    return _collect(req, req.route_params["workspace"])


@bp.function_name("loganalytics_stream_upload")
@bp.route("dataCollectionRules/{rule}/streams/{stream}", methods=["POST"])
@http_errors
def upload(req: func.HttpRequest) -> func.HttpResponse:
    """Take records of a stream of a data collection rule."""
    principal = authenticate(req, services().identity)
    services().logs_ingestion.take(
        Upload(
            rule=req.route_params["rule"],
            stream=req.route_params["stream"],
            api_version=_query(req, "api-version"),
            headers=_headers(req),
            body=req.get_body(),
        ),
        principal,
    )
    return respond(None, HTTPStatus.NO_CONTENT)


@bp.function_name("loganalytics_accounting_tick")
@bp.timer_trigger("timer", schedule="20 */5 * * * *")
def account(timer: func.TimerRequest) -> None:
    """Write the Usage and Operation records that are due."""
    written = services().accounting.tick()
    log.info("accounting done", extra={"written": written, "late": timer.past_due})


def _collect(req: func.HttpRequest, workspace: str) -> func.HttpResponse:
    services().data_collector.take(
        Post(
            api_version=_query(req, "api-version"),
            headers=_headers(req),
            body=req.get_body(),
            workspace=workspace,
        )
    )
    return respond(None)


def _headers(req: func.HttpRequest) -> Mapping[str, str]:
    headers = cast("Mapping[str, str]", req.headers)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    return {name.lower(): value for name, value in headers.items()}


def _query(req: func.HttpRequest, name: str) -> str:
    params = cast("Mapping[str, str]", req.params)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
    return next((value for key, value in params.items() if key.lower() == name), "")
