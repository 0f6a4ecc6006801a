"""Answers: JSON from plain values or wire models, with the headers every answer carries."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import azure.functions as func
import orjson
from pydantic import BaseModel


def respond(
    body: BaseModel | Mapping[str, Any] | list[Any] | None,
    status: HTTPStatus = HTTPStatus.OK,
    *,
    headers: Mapping[str, str] | None = None,
) -> func.HttpResponse:
    """A JSON answer; None answers with no body. Wire models are written in camelCase, without absent fields."""
    if body is None:
        return func.HttpResponse(b"", status_code=status.value, headers=dict(headers or {}))
    data = (
        body.model_dump_json(by_alias=True, exclude_none=True).encode()
        if isinstance(body, BaseModel)
        else orjson.dumps(body)
    )
    return func.HttpResponse(
        data, status_code=status.value, headers=dict(headers or {}), mimetype="application/json"
    )
