"""The edge: every HTTP function's errors become the same envelope, and what we did not expect becomes a plain 500."""

import json
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from http import HTTPStatus
from typing import Any, Final, cast

import azure.functions as func
from pydantic import ValidationError

from shared.kernel.correlation import correlated
from shared.kernel.errors import Category, OmsError
from shared.kernel.ids import random_id

log = logging.getLogger(__name__)

Handler = Callable[[func.HttpRequest], func.HttpResponse]

STATUS: Final[Mapping[Category, HTTPStatus]] = {
    Category.INVALID: HTTPStatus.BAD_REQUEST,
    Category.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Category.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Category.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Category.CONFLICT: HTTPStatus.CONFLICT,
    Category.PRECONDITION: HTTPStatus.PRECONDITION_FAILED,
    Category.GONE: HTTPStatus.GONE,
    Category.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Category.UNSUPPORTED: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    Category.THROTTLED: HTTPStatus.TOO_MANY_REQUESTS,
    Category.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Category.TIMEOUT: HTTPStatus.GATEWAY_TIMEOUT,
    Category.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}


CORRELATION: Final = "x-ms-correlation-request-id"


class InvalidRequest(OmsError):
    """A body, header or parameter that is not what the operation takes."""

    code = "InvalidRequestContent"


def http_errors(handler: Handler) -> Handler:
    """Answer errors with `{"error": {"code", "message", "target", …}}` and the category's status, and name the request."""

    def answer(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return handler(req)
        except ValidationError as invalid:
            return envelope(HTTPStatus.BAD_REQUEST, InvalidRequest.code, explain(invalid))
        except OmsError as error:
            return error_response(error)
        except Exception:
            log.exception("unhandled error", extra={"function": handler.__name__})
            return envelope(HTTPStatus.INTERNAL_SERVER_ERROR, "InternalServerError", "The service failed.")

    @wraps(handler)
    def handle(req: func.HttpRequest) -> func.HttpResponse:
        headers = cast("Mapping[str, str]", req.headers)  # pyright: ignore[reportUnknownMemberType] - untyped in the library
        given = headers.get(CORRELATION, "") or headers.get("x-ms-client-request-id", "")
        with correlated(given, random_id()) as used:
            response = answer(req)
        response.headers.setdefault("x-ms-request-id", used)
        return response

    return handle


def error_response(error: OmsError) -> func.HttpResponse:
    headers = {} if error.retry_after is None else {"Retry-After": str(max(1, round(error.retry_after)))}
    if error.category is Category.UNAUTHENTICATED:
        headers["WWW-Authenticate"] = "Bearer"
    return envelope(
        STATUS[error.category],
        error.code,
        error.message,
        target=error.target,
        details=error.details,
        headers=headers,
    )


def envelope(
    status: HTTPStatus,
    code: str,
    message: str,
    *,
    target: str | None = None,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """Microsoft's error envelope, for errors that are not raised."""
    error: dict[str, Any] = {"code": code, "message": message}
    if target is not None:
        error["target"] = target
    error |= details or {}
    return func.HttpResponse(
        json.dumps({"error": error}),
        status_code=status.value,
        headers=dict(headers or {}),
        mimetype="application/json",
    )


def explain(invalid: ValidationError) -> str:
    """What pydantic found, as one sentence a field, without the values (they may be secret)."""
    return "; ".join(
        f"{'.'.join(str(part) for part in problem['loc']) or 'body'}: {problem['msg']}"
        for problem in invalid.errors(include_url=False, include_context=False, include_input=False)
    )
